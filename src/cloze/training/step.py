"""From sums of losses to weights: an optimiser step, of pretraining or fine-tuning, and pretraining's evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from cloze.errors import NotFiniteError
from cloze.models.dropout import seed_dropout
from cloze.objectives.sampling import seed_noise
from cloze.training.averaging import WeightAverage
from cloze.training.characters import bits_per_character
from cloze.training.distributed import Ranks
from cloze.training.optimizer import RATE_FACTOR

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.objectives import Sums


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A model and what is needed to teach it."""

    model: nn.Module
    """Its weights live on `ranks.device`."""
    losses: Callable[[Batch], dict[str, Sums]]
    """`model.losses`, compiled or not."""
    objectives: tuple[str, ...]
    """Names that `losses` returns; the same on every rank, also on one that has no rows in a step."""
    optimizer: Optimizer
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of the objectives in the loss that is minimised; 1 for one that is not named."""
    figures: tuple[str, ...] = ()
    """Health figures that `losses` returns beside the losses, as objective/figure; the same on every rank."""
    characters: Tensor | None = None
    """Int64 [V], on the host: characters of text that each token stands for, for bits per character; None: no such."""
    clip_norm: float | None = None
    """Largest global gradient norm; None: no clipping."""
    seed: int = 1
    """Dropout masks are a function of it, the step and the place of a micro-batch in the step; samples of it, the step
    and the row."""
    ranks: Ranks = field(default_factory=Ranks)
    dtype: torch.dtype = torch.float32
    """Matrix products run in it (autocast); weights and moments stay float32."""
    average: WeightAverage | None = None
    """Taken further by every step; None: the last weights are the model."""

    def averaged(self) -> AbstractContextManager[None]:
        """The context of every evaluation: within it the model has the averaged weights, if there are any."""
        return nullcontext() if self.average is None else self.average.in_model()

    def finish(self) -> None:
        """Training is over: give the model the averaged weights, if there are any."""
        if self.average is not None:
            self.average.apply()

    @cached_property
    def modules(self) -> tuple[nn.Module, ...]:
        """The model and all that is in it, found once: walking the tree takes as long as a small layer."""
        return tuple(self.model.modules())

    @cached_property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """Those that are trained."""
        return tuple(parameter for parameter in self.model.parameters() if parameter.requires_grad)

    def autocast(self) -> torch.autocast:
        """The context of every forward pass."""
        return torch.autocast(self.ranks.device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def counts(self, batches: Sequence[Batch]) -> list[int]:
        """Targets of each objective; one without targets in the batches judges every token."""
        return [
            sum(b.targets[name].labels.numel() if name in b.targets else b.tokens for b in batches)
            for name in self.objectives
        ]

    def characters_of(self, ids: Tensor) -> int:
        """Characters that tokens, int64 [N] on the host, stand for together; 0 where the learner doesn't know."""
        return 0 if self.characters is None else int(self.characters[ids].sum())

    def divisors(self, counts: Sequence[int]) -> list[float]:
        """What each objective's loss sum is divided by before all are added: its count over its weight."""
        pairs = zip(self.objectives, counts, strict=True)
        return [max(1, count) / self.weights.get(name, 1.0) for name, count in pairs]


@dataclass(frozen=True)
class StepResult:
    """What one step saw, over all its micro-batches and ranks. Tensors stay on the device until someone asks."""

    counts: tuple[int, ...]
    """Targets of each objective."""
    sums: Tensor
    """[objectives, 2] float64: loss sum (nats) and targets guessed right."""
    gradient_norm: Tensor
    """Scalar float32, before clipping."""
    figures: Tensor
    """[figures, 2] float64: how many did, out of how many could."""


@dataclass(frozen=True)
class Mean:
    """An objective over a set of rows: nats and share right, each a mean over `count` targets."""

    loss: float
    accuracy: float
    count: int
    figures: Mapping[str, float] = field(default_factory=dict)
    """Health figures by name, and `bits_per_character`; one that nothing could be counted for is left out."""


def train_step(
    learner: Learner, micro_batches: Sequence[Batch], *, step: int, learning_rate: float, first_row: int = 0
) -> StepResult:
    """One optimiser step over this rank's micro-batches (possibly none).

    The loss is, for each objective, the sum over all micro-batches and ranks divided by the count over all of them;
    objectives are added, each times its weight. So the gradient does not depend on how the rows were cut. `step` counts
    finished steps; `first_row` is the place of this rank's first row in the step's rows: it seeds dropout, so that the
    same micro-batch drops the same values on any number of ranks.
    """
    ranks, model = learner.ranks, learner.model
    counts = ranks.sum_integers(learner.counts(micro_batches))
    sums, figures = _zeros(learner)
    if not model.training:
        model.train()
    seed_noise(learner.modules, learner.seed, step)
    for batch in micro_batches:
        seed_dropout(learner.modules, learner.seed, step, first_row)
        with learner.autocast():
            found = learner.losses(batch.to(ranks.device))
        parts = [found[name] for name in learner.objectives]
        loss = torch.stack([part.loss / n for part, n in zip(parts, learner.divisors(counts), strict=True)]).sum()
        torch.autograd.backward(loss)
        sums += _loss_and_correct(parts)
        figures += _figures(learner, found)
        first_row += len(batch.rows)
    gradients = _gradients(learner.parameters)
    ranks.sum_tensors(gradients)
    ranks.sum_tensors([sums, figures])
    norm = get_total_norm(gradients)
    if learner.clip_norm is not None:
        clip_grads_with_norm_(learner.parameters, learner.clip_norm, norm)
    for group in learner.optimizer.param_groups:
        group["lr"] = learning_rate * group.get(RATE_FACTOR, 1.0)
    learner.optimizer.step()
    learner.optimizer.zero_grad()
    if learner.average is not None:
        learner.average.update(step + 1)
    return StepResult(tuple(counts), sums, norm, figures)


def evaluate(learner: Learner, batches: Iterable[Batch]) -> dict[str, Mean]:
    """Mean loss and accuracy of each objective over all batches of all ranks, without dropout.

    Sums over sums of counts: the result does not depend on how the rows were cut, up to the order of float additions.
    Samples are the same at every step.
    """
    ranks, model = learner.ranks, learner.model
    was_training = model.training
    model.eval()
    seed_noise(learner.modules, learner.seed, None)
    counts, characters = [0] * len(learner.objectives), 0
    sums, figures = _zeros(learner)
    with torch.no_grad():
        for batch in batches:
            with learner.autocast():
                found = learner.losses(batch.to(ranks.device))
            sums += _loss_and_correct([found[name] for name in learner.objectives])
            figures += _figures(learner, found)
            counts = [a + b for a, b in zip(counts, learner.counts([batch]), strict=True)]
            characters += learner.characters_of(batch.targets["masked_tokens"].labels)
    model.train(was_training)
    ranks.sum_tensors([sums, figures])
    *counts, characters = ranks.sum_integers([*counts, characters])
    shares = share_figures(learner.figures, figures.tolist())
    if characters:
        nats = sums[learner.objectives.index("masked_tokens"), 0].item()
        shares["masked_tokens/bits_per_character"] = bits_per_character(nats, characters)
    means = {}
    for name, (loss, correct), count in zip(learner.objectives, sums.tolist(), counts, strict=True):
        mine = {key.removeprefix(f"{name}/"): share for key, share in shares.items() if key.startswith(f"{name}/")}
        means[name] = Mean(loss / max(1, count), correct / max(1, count), count, mine)
    return means


def share_figures(names: Iterable[str], pairs: Iterable[Sequence[float]]) -> dict[str, float]:
    """Figures as shares, from (how many did, how many could); without those that none could."""
    return {name: part / whole for name, (part, whole) in zip(names, pairs, strict=True) if whole}


def check_finite(learner: Learner, result: StepResult, *, where: str, advice: str) -> None:
    """Raise NotFiniteError if a loss or the gradient of a step is NaN or infinite. Waits for the device.

    `where` names the step and its rows, `advice` says what is left to go on with.
    """
    losses = dict(zip(learner.objectives, result.sums[:, 0].tolist(), strict=True))
    values = losses | {"gradient norm": result.gradient_norm.item()}
    for name, value in values.items():
        if not math.isfinite(value):
            kind = "the gradient norm" if name == "gradient norm" else f"the loss of {name}"
            raise NotFiniteError(f"{kind} became {value} in {where}. {advice}")


def _loss_and_correct(parts: Sequence[Sums]) -> Tensor:
    """[objectives, 2] float64."""
    return torch.stack([torch.stack([part.loss.detach().double(), part.correct.double()]) for part in parts])


def _figures(learner: Learner, found: Mapping[str, Sums]) -> Tensor:
    """[figures, 2] float64."""
    pairs = [found[objective].figures[figure] for objective, figure in (name.split("/") for name in learner.figures)]
    numbers = [number.double() for pair in pairs for number in pair]
    return torch.stack(numbers).view(-1, 2) if numbers else _zeros(learner)[1]


def _zeros(learner: Learner) -> tuple[Tensor, Tensor]:
    """Room for sums and figures."""
    shapes = ((len(names), 2) for names in (learner.objectives, learner.figures))
    sums, figures = (torch.zeros(shape, dtype=torch.float64, device=learner.ranks.device) for shape in shapes)
    return sums, figures


def _gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients of all trained parameters; one that no row touched is 0, so that every rank and cut agrees."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    return gradients
