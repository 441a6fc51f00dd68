"""What stands on the encoder. Heads see targets only: M of the T tokens, or the R first tokens; one judges all T.

Axes: T tokens, M targets, R rows, D width, E width of the token table (often D), V vocabulary, C classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloze.models.dropout import Dropout
from cloze.models.encoder import ACTIVATIONS, EncoderConfig
from cloze.objectives import Sums
from cloze.objectives.cross_entropy import cross_entropy, sampled_cross_entropy

if TYPE_CHECKING:
    from cloze.inputs.batch import Target


def losses_in_groups(values: Tensor, sizes: Tensor, longest: int, labels: Tensor) -> Sums:
    """Sums of cross-entropies over groups of consecutive values, of which one is right, for each of C questions.

    values [N, C], sizes int64 [G] with sum N and maximum `longest`, labels int64 [G, C]: places within the group.
    """
    groups = torch.repeat_interleave(
        torch.arange(len(sizes), device=values.device), sizes.long(), output_size=len(values)
    )
    places = torch.arange(len(values), device=values.device) - (sizes.cumsum(0) - sizes)[groups]
    padded = values.new_full((len(sizes), longest, values.shape[1]), -torch.inf, dtype=torch.float32)
    padded = padded.index_put((groups, places), values.float())
    correct = (padded.argmax(dim=1) == labels).sum()
    return Sums(F.cross_entropy(padded, labels, reduction="sum"), labels.numel(), correct)


class MaskedTokensHead(nn.Module):
    """Dense, activation, norm, then the token table as output matrix with its own bias (BERT, run_pretraining.py)."""

    def __init__(self, config: EncoderConfig, token_table: nn.Embedding, activation: str) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.table_width, bias=config.biases)
        self.activation = ACTIVATIONS[activation]
        self.norm = nn.LayerNorm(config.table_width, eps=config.norm_eps, bias=config.biases)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        # In a list, so that the table stays the encoder's parameter and is saved once.
        self._tied = [token_table]

    def transform(self, hidden: Tensor) -> Tensor:
        """hidden [M, D] -> [M, E], what meets the token table."""
        return self.norm(self.activation(self.dense(hidden)))  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [M, D] -> [M, V]; for a few positions, training uses `losses`."""
        return F.linear(self.transform(hidden), self._tied[0].weight, self.bias)

    def losses(self, hidden: Tensor, target: Target) -> Sums:
        """hidden [T, D] -> Sums over the M masked positions."""
        return self.sample(hidden, target, None)[0]

    def sample(self, hidden: Tensor, target: Target, uniform: Tensor | None) -> tuple[Sums, Tensor]:
        """hidden [T, D], uniform float64 [M] -> the losses, and a token drawn at each masked position, int64 [M]."""
        chosen = self.transform(hidden.index_select(0, target.positions))
        bias, labels = self.bias, target.labels
        found: tuple[Sums, Tensor] = sampled_cross_entropy(chosen, self._tied[0].weight, bias, labels, uniform)
        return found


class ReplacedTokensHead(nn.Module):
    """Dense, activation, and one logit a token: was it replaced? (ELECTRA, run_pretraining.py)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)
        self.activation = ACTIVATIONS[config.activation]
        self.linear = nn.Linear(config.width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden [T, D] -> logits [T], above 0 for "replaced"."""
        return self.linear(self.activation(self.dense(hidden))).squeeze(1)  # type: ignore[no-any-return]


class SpanBoundaryHead(nn.Module):
    """A token of a masked span from the tokens beside the span and the place in it alone (SpanBERT, section 3.2).

    Two layers with norms, then the token table with a bias of its own, as in facebookresearch/SpanBERT (pair_bert.py).
    That drops tokens beyond place 20 of a span; here they all count as place 20, so that every masked token is learned.
    """

    PLACES, PLACE_WIDTH = 20, 200

    def __init__(self, config: EncoderConfig, token_table: nn.Embedding) -> None:
        super().__init__()
        self.place = nn.Embedding(self.PLACES, self.PLACE_WIDTH)
        self.first = nn.Linear(2 * config.width + self.PLACE_WIDTH, config.width)
        self.first_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.second = nn.Linear(config.width, token_table.embedding_dim)
        self.second_norm = nn.LayerNorm(token_table.embedding_dim, eps=config.norm_eps)
        self.activation = ACTIVATIONS[config.activation]
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        # In a list, so that the table stays the encoder's parameter and is saved once.
        self._tied = [token_table]

    def transform(self, hidden: Tensor, target: Target) -> Tensor:
        """hidden [T, D] -> [M, E], what meets the token table."""
        assert target.left is not None and target.right is not None and target.places is not None
        sides = [hidden.index_select(0, beside) for beside in (target.left, target.right)]
        place = self.place((target.places - 1).clamp(max=self.PLACES - 1)).to(hidden.dtype)
        x = self.first_norm(self.activation(self.first(torch.cat([*sides, place], dim=1))))
        return self.second_norm(self.activation(self.second(x)))  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor, target: Target) -> Tensor:
        """hidden [T, D] -> [M, V]; for a few targets, training uses `losses`."""
        return F.linear(self.transform(hidden, target), self._tied[0].weight, self.bias)

    def losses(self, hidden: Tensor, target: Target) -> Sums:
        """hidden [T, D] -> Sums over the M tokens of the spans."""
        return cross_entropy(self.transform(hidden, target), self._tied[0].weight, self.bias, target.labels)


class Pooler(nn.Module):
    """Dense and tanh over the first token of each row (BERT, modeling.py)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, first: Tensor) -> Tensor:
        """first [R, D] -> [R, D]."""
        return torch.tanh(self.dense(first))


class GeluPooler(nn.Module):
    """Dense and GELU over the first token of each row: ELECTRA's, as transformers has it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, first: Tensor) -> Tensor:
        """first [R, D] -> [R, D]."""
        return F.gelu(self.dense(first))


class RowHead(nn.Module):
    """Dropout and one linear layer over a vector a row, or a token: next-sentence prediction, all of fine-tuning."""

    def __init__(self, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(width, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """pooled [R, D] -> logits [R, C]."""
        return self.linear(self.dropout(pooled))  # type: ignore[no-any-return]

    def losses(self, pooled: Tensor, labels: Tensor, weights: Tensor | None = None) -> Sums:
        """pooled [R, D], labels int64 [R] -> Sums over rows; `weights` [C]: what a row of each class counts."""
        logits = self(pooled).float()
        correct = (logits.argmax(dim=1) == labels).sum()
        return Sums(F.cross_entropy(logits, labels, weights, reduction="sum"), labels.shape[0], correct)

    def squared_errors(self, pooled: Tensor, labels: Tensor) -> Sums:
        """pooled [R, D], labels float32 [R], for a head of one class -> Sums over rows; none of them is "correct"."""
        outputs = self(pooled).float().squeeze(1)
        return Sums(F.mse_loss(outputs, labels, reduction="sum"), labels.shape[0], outputs.new_zeros(()))

    def binary_losses(self, pooled: Tensor, labels: Tensor) -> Sums:
        """pooled [R, D], labels float32 [R, C], each 0 or 1 -> Sums over rows and classes, each judged by itself."""
        logits = self(pooled).float()
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        return Sums(loss, labels.numel(), ((logits > 0) == (labels > 0.5)).sum())
