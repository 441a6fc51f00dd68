from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cloze.models.encoder import Encoder, EncoderConfig
from cloze.training.optimizer import layer_factors, make_optimizer
from cloze.training.step import Learner, train_step


@pytest.mark.parametrize("norm", ["layer", "rms", "batch"])
def test_norms_and_biases_are_not_decayed(tiny: Callable[..., Any], norm: str) -> None:
    model = tiny(norm=norm).model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = make_optimizer(model, weight_decay=0.01).param_groups
    decayed, free = (
        {names[id(p)] for group in groups if (group["weight_decay"] > 0) == wanted for p in group["params"]}
        for wanted in (True, False)
    )
    assert decayed | free == set(names.values())
    assert free == {name for name in names.values() if "norm" in name or name.endswith("bias")}


def test_decay_is_decoupled() -> None:
    """With no gradient a weight shrinks by rate x decay a step, however large its moments are; a bias stays."""
    layer = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(layer, weight_decay=0.5)
    weight, bias = (p.detach().clone() for p in (layer.weight, layer.bias))
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(layer.weight.detach(), weight * (1 - 0.1 * 0.5))
    torch.testing.assert_close(layer.bias.detach(), bias, rtol=0, atol=0)


def test_frozen_parameters_are_left_out() -> None:
    layer = torch.nn.Linear(3, 2)
    layer.weight.requires_grad = False
    assert [len(group["params"]) for group in make_optimizer(layer, weight_decay=0.1).param_groups] == [1]


class Small(torch.nn.Module):
    """An encoder with something on it."""

    def __init__(self, layers: int, groups: int | None) -> None:
        super().__init__()
        sizes = {"vocabulary_size": 10, "width": 4, "layers": layers, "heads": 1, "feed_forward_width": 4}
        self.encoder = Encoder(EncoderConfig(**sizes, max_length=4, layer_groups=groups))  # type: ignore[arg-type]
        self.head = torch.nn.Linear(4, 2)


def heights(model: torch.nn.Module, layers: int) -> dict[str, float]:
    """Factors by the part that a parameter belongs to; 0.5 shows the number of steps down."""
    found: dict[str, set[float]] = {}
    for name, factor in layer_factors(model, layers, 0.5).items():
        part = ".".join(name.split(".")[: 3 if "layers" in name else 2 if "encoder" in name else 1])
        found.setdefault(part, set()).add(factor)
    assert all(len(factors) == 1 for factors in found.values())
    return {part: factors.pop() for part, factors in found.items()}


def test_lower_layers_learn_more_slowly() -> None:
    layers = {"encoder.layers.0": 0.25, "encoder.layers.1": 0.5, "encoder.layers.2": 1.0}
    assert heights(Small(3, None), 3) == {"encoder.embeddings": 0.125, **layers, "head": 1.0}


def test_a_shared_layer_learns_as_its_highest_use() -> None:
    groups = {"encoder.layers.0": 0.25, "encoder.layers.1": 1.0}
    assert heights(Small(4, 2), 4) == {"encoder.embeddings": 0.0625, **groups, "head": 1.0}
    assert heights(Small(4, 1), 4) == {"encoder.embeddings": 0.0625, "encoder.layers.0": 1.0, "head": 1.0}


def test_factors_reach_the_groups_and_the_step(tiny: Callable[..., Any]) -> None:
    model = Small(2, None)
    optimizer = make_optimizer(model, weight_decay=0.1, rate_factors=layer_factors(model, 2, 0.5))
    learner = Learner(model=model, losses=lambda batch: {}, objectives=("x",), optimizer=optimizer)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    train_step(learner, [], step=0, learning_rate=0.8)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    for name, factor in layer_factors(model, 2, 0.5).items():
        assert rates[id(model.get_parameter(name))] == 0.8 * factor
    assert len(optimizer.param_groups) == 6, "three factors, with decay and without"
