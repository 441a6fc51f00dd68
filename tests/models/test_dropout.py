"""Dropout is a function of (seed, step, micro-batch), drops the share it says, and keeps the mean."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cloze.models.dropout
from cloze.models.dropout import Dropout, seed_dropout


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_share_and_scale(share: float) -> None:
    dropout = Dropout(share)
    seed_dropout(dropout.modules(), 1, 0)
    y = dropout(torch.ones(1000, 257))
    zeros = (y == 0).float().mean().item()
    assert abs(zeros - share) < 0.004
    assert abs(y.mean().item() - 1.0) < 0.005
    assert len(y.unique()) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_scale_is_no_number_of_half_precision(dtype: torch.dtype) -> None:
    """256 / 230 is between two of bfloat16; values of many digits show which one they are multiplied by."""
    dropout = Dropout(0.1)
    seed_dropout(dropout.modules(), 1, 0)
    x = (torch.rand(100_000, generator=torch.Generator().manual_seed(1)) + 0.5).to(dtype)
    y = dropout(x)
    assert y.dtype == dtype
    kept = y != 0
    assert (y[kept].double() / x[kept].double()).mean().item() == pytest.approx(dropout.scale, rel=2e-4)


def test_a_share_near_one_leaves_one_value_of_256() -> None:
    dropout = Dropout(0.9985)
    seed_dropout(dropout.modules(), 1, 0)
    y = dropout(torch.ones(256_000))
    assert abs((y != 0).float().mean().item() - 1 / 256) < 5e-4 and y.max() == dropout.scale == 256.0
    assert dropout.kept(10).dtype == torch.uint8


def test_masks_depend_on_seed_step_micro_and_site_alone() -> None:
    model = nn.ModuleList([Dropout(0.5), Dropout(0.5)])

    def masks(*key: int) -> list[torch.Tensor]:
        seed_dropout(model.modules(), *key)
        return [site(torch.ones(64)) for site in model]

    first = masks(1, 7, 0)
    masks(1, 8, 0)
    again = masks(1, 7, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    for other in ((2, 7, 0), (1, 8, 0), (1, 7, 1)):
        assert not torch.equal(first[0], masks(*other)[0])


def test_evaluation_and_zero_share_change_nothing() -> None:
    x = torch.randn(10)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5).eval()(x) is x


def test_gradient_passes_where_values_passed() -> None:
    dropout = Dropout(0.5)
    seed_dropout(dropout.modules(), 1, 0)
    x = torch.ones(100, requires_grad=True)
    y = dropout(x)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("stream_words", [1_000, 8_000])
def test_neighbours_and_streams_are_independent(stream_words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight streams of a thousand words, and one of all."""
    monkeypatch.setattr(cloze.models.dropout, "STREAM_WORDS", stream_words)
    dropout = Dropout(0.5)
    dropped = []
    for step in range(20):
        seed_dropout(dropout.modules(), 1, step)
        dropped.append(dropout(torch.ones(8 * 8 * 1000)) == 0)
    x = torch.stack(dropped).float() - 0.5
    tolerance = 5 * 0.25 / x.numel() ** 0.5
    for lag in (1, 7, 8, 64, 8 * 1000):  # bits of a byte's neighbours, the next word, the next word of the stream
        assert abs((x[:, lag:] * x[:, :-lag]).mean().item()) < tolerance
