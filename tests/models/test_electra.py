"""ELECTRA's losses are those of a naive implementation; its gradients go where the paper lets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cloze.inputs.batch import Batch
from cloze.inputs.hashing import uniform
from cloze.models import build
from cloze.models.electra import SHARED, Electra, generator_config
from cloze.models.encoder import EncoderConfig
from cloze.objectives.sampling import seed_noise
from cloze.recipe import ModelSettings
from tests.models.test_encoder import batch, config, filled
from tests.models.test_heads import gradients, row_of


def electra(**changes: Any) -> Electra:
    sizes = config(embedding_width=12, **changes)
    model = filled(Electra(replace(sizes, generator=generator_config(sizes, 0.5))))
    assert isinstance(model, Electra)
    seed_noise(model.modules(), 3, 7)
    return model


def naive(model: Electra, rows: Batch) -> dict[str, Tensor]:
    """Dense and slow: the softmax over everything, a search token by token, binary cross-entropy from its formula."""
    masked = rows.targets["masked_tokens"]
    where, labels = masked.positions, masked.labels
    logits = model.masked_logits(model.generator(rows))  # type: ignore[misc]
    starts = rows.offsets.numpy()
    row = np.searchsorted(starts, where.numpy(), side="right") - 1
    numbers = uniform(3, "samples/training", 7, rows.rows[row], where.numpy() - starts[row])
    ids, replaced = rows.ids.clone(), torch.zeros(rows.tokens)
    for place, label, share, number in zip(where, labels, logits[where].softmax(1), numbers, strict=True):
        sample = int((share.detach().double().cumsum(0) / share.double().sum() <= number).sum())
        ids[place], replaced[place] = sample, float(sample != label)
    verdicts = model.replaced_tokens(model.encoder(replace(rows, ids=ids)))
    found = -(replaced * F.logsigmoid(verdicts) + (1 - replaced) * F.logsigmoid(-verdicts)).sum()
    return {"masked_tokens": F.cross_entropy(logits[where], labels, reduction="sum"), "replaced_tokens": found}


def test_losses_and_gradients_are_those_of_a_dense_implementation() -> None:
    model, rows = electra(), batch()
    sums, truth = model.losses(rows), naive(model, rows)
    assert sums.keys() == truth.keys() == model.weights.keys()
    assert sums["replaced_tokens"].count == rows.tokens, "every token is judged, special ones too"
    for name, loss in truth.items():
        torch.testing.assert_close(sums[name].loss, loss)
        ours, theirs = gradients(model.losses(rows)[name].loss, model), gradients(naive(model, rows)[name], model)
        assert ours.keys() == theirs.keys()
        for parameter, gradient in theirs.items():
            torch.testing.assert_close(ours[parameter], gradient, atol=1e-5, rtol=1e-4, msg=parameter)


def test_judging_teaches_the_generator_nothing() -> None:
    model, rows = electra(), batch()
    found = gradients(model.losses(rows)["replaced_tokens"].loss, model)
    assert not any(name.startswith(("generator.", "masked_tokens.")) for name in found)
    assert any(name.startswith("encoder.layers.") for name in found)


def test_shared_tables_learn_from_both() -> None:
    model, rows = electra(), batch()
    both = gradients(sum((s.loss for s in model.losses(rows).values()), torch.zeros(())), model)
    parts = [gradients(model.losses(rows)[name].loss, model) for name in model.weights]
    for part in SHARED:
        name = f"encoder.embeddings.{part}.weight"
        assert all(found[name].abs().sum() > 0 for found in parts)
        torch.testing.assert_close(both[name], parts[0][name] + parts[1][name], atol=1e-5, rtol=1e-4)
        assert model.generator is not None
        assert getattr(model.generator.embeddings, part) is getattr(model.encoder.embeddings, part)


def test_a_step_and_a_row_decide_the_samples() -> None:
    model, rows = electra(), batch()
    first = [part.loss.item() for part in model.losses(rows).values()]
    assert [part.loss.item() for part in model.losses(rows).values()] == first
    seed_noise(model.modules(), 3, 8)
    other = [part.loss.item() for part in model.losses(rows).values()]
    assert other[0] == first[0] and other[1] != first[1]


def test_sums_and_gradients_do_not_depend_on_how_a_batch_is_cut() -> None:
    model, rows = electra(), batch()
    whole = model.losses(rows)
    parts = [model.losses(replace(row_of(rows, row), rows=rows.rows[row : row + 1])) for row in range(len(rows.rows))]
    for name, sums in whole.items():
        torch.testing.assert_close(sums.loss, torch.stack([part[name].loss for part in parts]).sum())
        assert sums.count == sum(part[name].count for part in parts)
        for figure, numbers in sums.figures.items():
            found = [sum(int(part[name].figures[figure][i]) for part in parts) for i in (0, 1)]
            assert found == [int(number) for number in numbers]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_draws_from_the_whole_vocabulary(dtype: torch.dtype) -> None:
    """Shares are those of the softmax, whatever the products ran in."""
    model, rows = electra(), batch()
    where = torch.arange(rows.tokens).repeat(2_000)
    target = replace(rows.targets["masked_tokens"], positions=where, labels=torch.zeros_like(where))
    numbers = torch.from_numpy(uniform(1, "test", np.arange(len(where))))
    with torch.no_grad(), torch.autocast("cpu", dtype):
        hidden = torch.zeros(rows.tokens, model.encoder.config.width // 2)
        sums, samples = model.masked_tokens.sample(hidden, target, numbers)
    shares = model.masked_logits(hidden[:1]).softmax(1)[0]
    counts = torch.bincount(samples, minlength=len(shares))
    assert sums.loss.isfinite()
    expected = (shares * len(where)).detach()
    assert ((counts - expected).abs() < 6 * expected.sqrt() + 0.02 * expected + 5).all()


@pytest.mark.parametrize(
    ("sizes", "frac", "expected"),
    [
        ({"width": 256, "heads": 4, "feed_forward_width": 1024, "embedding_width": 128}, 0.25, (64, 1, 256, 128)),
        ({"width": 768, "heads": 12, "feed_forward_width": 3072}, 0.33333, (256, 4, 1024, 768)),
        ({"width": 1024, "heads": 16, "feed_forward_width": 4096}, 0.25, (256, 4, 1024, 1024)),
        ({"width": 64, "heads": 4, "feed_forward_width": 256, "embedding_width": 32}, 0.5, (32, 2, 128, None)),
        ({"width": 60, "heads": 5, "feed_forward_width": 99}, 0.3, (18, 2, 30, 60)),
        ({"width": 16, "heads": 2, "feed_forward_width": 64}, 1.0, (16, 2, 64, None)),
    ],
)
def test_the_generator_is_narrower_not_shallower(sizes: dict[str, Any], frac: float, expected: tuple[Any, ...]) -> None:
    """The first three are ELECTRA-small, -base and -large."""
    made = generator_config(EncoderConfig(vocabulary_size=9, layers=12, max_length=4, **sizes), frac)
    assert (made.width, made.heads, made.feed_forward_width, made.embedding_width) == expected
    assert made.layers == 12


def test_a_recipe_decides_the_sizes() -> None:
    settings = ModelSettings(family="electra", layers=2, heads=4, width=64, embedding_width=64, generator_frac=0.5)
    model = build(settings, vocabulary_size=50, length=16, pad_id=0, pairs=False, seed=1)
    sizes = model.encoder.config
    assert sizes.embedding_width is None and sizes.segment_types == 2
    assert sizes.generator is not None and sizes.generator.width == 32
    assert model.masked_tokens.bias.shape == (50,)
