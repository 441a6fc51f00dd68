"""The span-boundary objective is that of its formula, and sees nothing of the span itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from cloze.inputs.batch import Batch, Target
from cloze.inputs.spans import boundaries
from cloze.models.heads import SpanBoundaryHead
from cloze.models.spanbert import SpanBert
from tests.models.test_encoder import batch, config, filled
from tests.models.test_heads import gradients


def spanbert(**changes: Any) -> SpanBert:
    model = filled(SpanBert(config(**changes)))
    assert isinstance(model, SpanBert)
    return model


def spans() -> Batch:
    """The rows of `batch` with a span of up to three tokens behind each [CLS]."""
    rows = batch()
    starts, lengths = rows.offsets[:-1].numpy(), rows.offsets.diff().numpy()
    where = np.concatenate([s + 1 + np.arange(min(3, n - 2)) for s, n in zip(starts, lengths, strict=True) if n > 2])
    labels = torch.randint(5, 90, (len(where),), generator=torch.Generator().manual_seed(2))
    masked = Target(torch.from_numpy(where), labels)
    sides = [torch.from_numpy(found) for found in boundaries(where)]
    return replace(rows, targets={"masked_tokens": masked, "span_boundary": Target(masked.positions, labels, *sides)})


def test_losses_and_gradients_are_those_of_the_formula() -> None:
    model, rows = spanbert(), spans()
    target, head, table = rows.targets["span_boundary"], model.span_boundary, model.encoder.embeddings.token.weight
    assert target.left is not None and target.right is not None and target.places is not None
    places = target.places

    def dense() -> torch.Tensor:
        hidden = model.encoder(rows)
        x = torch.cat([hidden[target.left], hidden[target.right], head.place.weight[places - 1]], 1)
        for layer, norm in ((head.first, head.first_norm), (head.second, head.second_norm)):
            x = F.layer_norm(F.gelu(F.linear(x, layer.weight, layer.bias)), (16,), norm.weight, norm.bias, norm.eps)
        logits: torch.Tensor = x @ table.T + head.bias
        torch.testing.assert_close(head.logits(hidden, target), logits)
        return F.cross_entropy(logits, target.labels, reduction="sum")

    sums = model.losses(rows)
    assert sums.keys() == {"masked_tokens", "span_boundary"}
    assert sums["span_boundary"].count == sums["masked_tokens"].count == len(target.labels)
    torch.testing.assert_close(sums["span_boundary"].loss, dense())
    ours, theirs = gradients(model.losses(rows)["span_boundary"].loss, model), gradients(dense(), model)
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_the_head_sees_both_sides_alone() -> None:
    model, rows = spanbert(), spans()
    target = rows.targets["span_boundary"]
    assert target.left is not None and target.right is not None
    hidden = torch.full((rows.tokens, 16), torch.nan)
    beside = torch.cat([target.left, target.right]).unique()  # type: ignore[no-untyped-call]
    hidden[beside] = 0.5
    assert not set(beside.tolist()) & set(target.positions.tolist())
    assert model.span_boundary.losses(hidden, target).loss.isfinite()


def test_the_far_places_of_a_long_span_are_one() -> None:
    model, rows = spanbert(), spans()
    target = rows.targets["span_boundary"]
    last, beyond = (replace(target, places=torch.full_like(target.positions, n)) for n in (SpanBoundaryHead.PLACES, 57))
    hidden = model.encoder(rows)
    assert torch.equal(model.span_boundary.logits(hidden, last), model.span_boundary.logits(hidden, beyond))


def test_the_table_is_tied() -> None:
    model, rows = spanbert(), spans()
    assert [name for name, p in model.named_parameters() if p.shape == (96, 16)] == ["encoder.embeddings.token.weight"]
    found = gradients(model.losses(rows)["span_boundary"].loss, model)
    assert found["encoder.embeddings.token.weight"][rows.targets["span_boundary"].labels].abs().sum() > 0
