"""The averaged weights: a normalised exponential sum, in no way of training, and the same after a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cloze.training.averaging import WeightAverage


def weights_after(steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(4, 3, generator=generator) for _ in range(steps)]


def set_weight(model: torch.nn.Linear, value: torch.Tensor) -> None:
    with torch.no_grad():
        model.weight.copy_(value)


@pytest.mark.parametrize("decay", [0.1, 0.5, 0.999])
def test_it_is_the_sum_that_the_docstring_says(decay: float) -> None:
    model = torch.nn.Linear(3, 4)
    average = WeightAverage(model, decay)
    history = weights_after(7)
    for steps, value in enumerate(history, start=1):
        set_weight(model, value)
        average.update(steps)
        shares = np.array([decay ** (steps - i) for i in range(1, steps + 1)])
        by_hand = sum(w.numpy() * s for w, s in zip(history, shares / shares.sum(), strict=False))
        np.testing.assert_allclose(average.tensors["weight"], by_hand, atol=1e-5)
        if steps == 1:
            assert torch.equal(average.tensors["weight"], value), "what was there before training counts nothing"
    assert torch.equal(model.weight, history[-1]), "the weights that learn are left alone"


def test_the_model_has_it_within_the_block_alone() -> None:
    model = torch.nn.Linear(3, 4)
    average = WeightAverage(model, 0.5)
    first, last = weights_after(2)
    for steps, value in enumerate((first, last), start=1):
        set_weight(model, value)
        average.update(steps)
    expected = average.tensors["weight"].clone()
    with pytest.raises(KeyError), average.in_model():
        assert torch.equal(model.weight, expected)
        raise KeyError
    assert torch.equal(model.weight, last)
    assert torch.equal(average.tensors["weight"], expected)
    average.apply()
    assert torch.equal(model.weight, expected)


def test_frozen_parameters_are_not_averaged() -> None:
    model = torch.nn.Linear(3, 4)
    model.bias.requires_grad_(False)
    assert set(WeightAverage(model, 0.5).tensors) == {"weight"}


DECAY = 0.8


def state(run: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def test_pretraining_gives_the_average_and_learns_as_without_it(tmp_path: Path, tiny: Callable[..., Any]) -> None:
    plain, averaged = tiny(steps=12), tiny(steps=12, average_decay=DECAY)
    histories = [run.train(tmp_path / name) for run, name in ((plain, "plain"), (averaged, "averaged"))]
    assert histories[0].losses == histories[1].losses
    last = max((tmp_path / "averaged" / "checkpoints").iterdir())
    learned, saved = load_file(last / "model.safetensors"), load_file(last / "average.safetensors")
    own = dict(plain.model.named_parameters())
    for name, value in averaged.model.named_parameters():
        assert torch.equal(learned[name], own[name]), name
        assert torch.equal(saved[name], value), name
        assert not torch.equal(value, own[name]), name
    validations = [[x for x in h.lines if x["kind"] == "validation"][-1]["masked_tokens/loss"] for h in histories]
    assert validations[0] != validations[1], "what is validated is the average"
    before = state(averaged)
    averaged.train(tmp_path / "averaged")  # It is over: nothing is left but to give the average once more.
    assert all(torch.equal(before[name], value) for name, value in state(averaged).items())


def test_stop_and_resume_is_the_same_average(tmp_path: Path, tiny: Callable[..., Any]) -> None:
    straight = tiny(steps=12, average_decay=DECAY)
    lines = straight.train(tmp_path / "straight").lines
    tiny(steps=12, average_decay=DECAY).train(tmp_path / "stopped", stop_after=7)
    resumed = tiny(steps=12, average_decay=DECAY)
    again = resumed.train(tmp_path / "stopped").lines
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    scored = [[x["masked_tokens/loss"] for x in found if x["kind"] == "validation"] for found in (lines, again)]
    assert scored[0][-1] == scored[1][-1]
