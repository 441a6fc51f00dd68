"""Norms on their own, and what BatchNorm makes of rows: company in training, none in evaluation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from cloze.models.encoder import Encoder, EncoderConfig, initialise_normal
from cloze.models.norms import BatchNorm, NormKind, make_norm
from tests.parity.conftest import VOCABULARY, make_rows

LENGTHS = [7, 3, 1, 7]


def values(tokens: int, width: int = 6) -> Tensor:
    return 3 * torch.randn(tokens, width, generator=torch.Generator().manual_seed(tokens)) + 1


def encoder(**changes: Any) -> Encoder:
    sizes: dict[str, Any] = {"vocabulary_size": VOCABULARY, "layers": 2, "heads": 2, "width": 16}
    sizes |= {"feed_forward_width": 24, "max_length": 12, "dropout": 0.0, "attention_dropout": 0.0, "norm": "batch"}
    model = Encoder(EncoderConfig(**sizes | changes))
    initialise_normal(model, 0.2, seed=3)
    return model


@pytest.mark.parametrize("kind", get_args(NormKind))
def test_without_training_a_norm_is_torchs(kind: NormKind) -> None:
    norms: dict[str, nn.Module] = {"layer": nn.LayerNorm(6, 1e-3), "rms": nn.RMSNorm(6, 1e-3)}
    norms |= {"batch": nn.BatchNorm1d(6, 1e-3), "none": nn.Identity()}
    ours, theirs = make_norm(kind, 6, eps=1e-3), norms[kind]
    for seed, (mine, its) in enumerate(zip(ours.parameters(), theirs.parameters(), strict=True)):
        mine.data.copy_(values(1)[0] + seed)
        its.data.copy_(mine.data)
    assert {name for name, _ in ours.named_parameters()} == {name for name, _ in theirs.named_parameters()}
    for _ in range(2):
        torch.testing.assert_close(ours(values(9)), theirs(values(9)))
    torch.testing.assert_close(ours.eval()(values(4)), theirs.eval()(values(4)))


def test_running_averages_are_of_the_passes_of_training() -> None:
    norm = BatchNorm(6, eps=1e-12)
    first, second = values(9), values(5)
    norm(first), norm(second)
    mean = 0.1 * (0.9 * first.mean(0) + second.mean(0))
    variance = 0.81 + 0.1 * (0.9 * first.var(0, correction=1) + second.var(0, correction=1))
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    before, found = norm.running_mean.clone(), norm.eval()(values(4))
    torch.testing.assert_close(found, (values(4) - mean) / variance.sqrt())
    assert torch.equal(norm.running_mean, before), "evaluation leaves it alone"
    assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_var"}
    assert {tensor.dtype for tensor in norm.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("attention", ["explicit", "padded"])
@pytest.mark.parametrize("norm_position", ["post", "pre"])
def test_a_row_depends_on_the_others_in_training_alone(attention: str, norm_position: str) -> None:
    model = encoder(attention=attention, norm_position=norm_position)
    rows = make_rows(LENGTHS, VOCABULARY, 0, segments=True).flat
    others = torch.where(torch.arange(rows.tokens) < LENGTHS[0], rows.ids, rows.ids.roll(1))
    first = slice(0, LENGTHS[0])
    assert not torch.allclose(model(replace(rows, ids=others))[first], model(rows)[first], atol=1e-3)
    hidden = model.eval()(rows)
    torch.testing.assert_close(model(replace(rows, ids=others))[first], hidden[first])
    for start, end in pairwise(rows.offsets.tolist()):
        parts = {name: getattr(rows, name)[start:end] for name in ("ids", "positions", "segments")}
        alone = replace(rows, offsets=torch.tensor([0, end - start]), longest=end - start, **parts)
        torch.testing.assert_close(model(alone), hidden[start:end], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["rms", "batch", "none"])
@pytest.mark.parametrize("norm_position", ["post", "pre"])
def test_gradients_reach_every_parameter(norm: str, norm_position: str) -> None:
    model = encoder(norm=norm, norm_position=norm_position)
    hidden = model(make_rows(LENGTHS, VOCABULARY, 0, segments=True).flat)
    (hidden * values(*hidden.shape)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
