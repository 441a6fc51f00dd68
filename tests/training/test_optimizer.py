from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from cloze.training.optimizer import make_optimizer


def test_norms_and_biases_are_not_decayed(tiny: Callable[..., Any]) -> None:
    model = tiny().model
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
