"""The chunked cross-entropy equals torch's, with its gradients, whatever the chunk."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cloze.objectives import cross_entropy as module
from cloze.objectives.cross_entropy import cross_entropy


@pytest.mark.parametrize("targets", [1, 33, 200])
@pytest.mark.parametrize("chunk", [1, 50 * 4 * 64, 1 << 23])
def test_equals_torch(targets: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    generator = torch.Generator().manual_seed(targets)
    hidden, weight = (torch.randn(n, 16, generator=generator, requires_grad=True) for n in (targets, 50))
    bias = torch.randn(50, generator=generator, requires_grad=True)
    labels = torch.randint(0, 50, (targets,), generator=generator)
    sums = cross_entropy(hidden, weight, bias, labels)
    (sums.loss / 7).backward()  # type: ignore[no-untyped-call]
    found = [x.grad.clone() for x in (hidden, weight, bias) if x.grad is not None]
    for x in (hidden, weight, bias):
        x.grad = None
    logits = F.linear(hidden, weight, bias)
    truth = F.cross_entropy(logits, labels, reduction="sum")
    (truth / 7).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(sums.loss, truth)
    assert sums.count == targets
    assert int(sums.correct) == int((logits.argmax(1) == labels).sum())
    for ours, x in zip(found, (hidden, weight, bias), strict=True):
        assert x.grad is not None
        torch.testing.assert_close(ours, x.grad)


def test_a_hopeless_label_has_a_finite_loss() -> None:
    hidden, weight = torch.full((1, 4), 100.0), torch.zeros(3, 4)
    weight[0] = 100.0
    sums = cross_entropy(hidden, weight, torch.zeros(3), torch.tensor([2]))
    assert sums.loss.item() == pytest.approx(40_000.0)


def test_scoring_makes_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their products cost as much as the loss."""

    def fail(*_: object) -> None:
        raise AssertionError("a product for a gradient")

    monkeypatch.setattr("cloze.objectives.cross_entropy._add_product", fail)
    weight = torch.randn(50, 16, requires_grad=True)
    with torch.no_grad():
        sums = cross_entropy(torch.randn(5, 16), weight, torch.zeros(50), torch.arange(5))
    assert not sums.loss.requires_grad


@pytest.mark.parametrize("trained", range(3))
def test_one_trained_tensor_is_enough(trained: int) -> None:
    hidden, weight, bias = parts = (torch.randn(5, 16), torch.randn(50, 16), torch.zeros(50))
    parts[trained].requires_grad_()
    cross_entropy(hidden, weight, bias, torch.arange(5)).loss.backward()  # type: ignore[no-untyped-call]
    assert [x.grad is not None for x in parts] == [i == trained for i in range(3)]


def test_autocast_products_stay_close() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 16, generator=generator) for n in (40, 50))
    labels = torch.randint(0, 50, (40,), generator=generator)
    exact = cross_entropy(hidden, weight, torch.zeros(50), labels).loss
    with torch.autocast("cpu", torch.bfloat16):
        rounded = cross_entropy(hidden, weight, torch.zeros(50), labels).loss
    assert rounded.dtype == torch.float32
    assert abs(float(rounded / exact) - 1) < 0.01
