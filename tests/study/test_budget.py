"""What cells cost, and budgets that are not what they promise."""

from __future__ import annotations

import pytest

from cloze.errors import ClozeError
from cloze.models import build
from cloze.recipe import Recipe
from cloze.study.budget import flops, limits, step_flops, steps_for, tokens, unequal


def make(**settings: object) -> Recipe:
    return Recipe.model_validate({"name": "a", "model": {"layers": 2, "heads": 2, "width": 16}} | settings)


def test_tokens_and_operations_are_those_of_full_rows() -> None:
    recipe = make(training={"steps": 10, "batch_rows": 4}, inputs={"length": 32})
    assert tokens(recipe) == 10 * 4 * 32
    assert flops(recipe) == 10 * step_flops(recipe)
    assert tokens(make(training={"steps": None, "epochs": 1.0})) is None


def test_a_step_costs_what_the_weights_say() -> None:
    """6 operations a weight and token in products, and the attention's 12 x width x length, layer by layer."""
    recipe = make(training={"batch_rows": 3}, inputs={"length": 20}, masking={"target_frac": 0.5})
    model = build(recipe.model, vocabulary_size=16_000, length=20, pad_id=0, pairs=False, seed=1)
    layers = sum(p.numel() for name, p in model.encoder.named_parameters() if "layers." in name and p.dim() == 2)
    head = 9 * (16 * 16 + 16 * 16_000)
    assert step_flops(recipe) == 3 * (6 * layers * 20 + 2 * 12 * 16 * 20 * 20 + 6 * head)


@pytest.mark.parametrize("family", ["bert", "albert", "electra", "spanbert", "modernbert"])
def test_every_family_has_a_cost(family: str) -> None:
    settings: dict[str, object] = {"family": family, "layers": 2, "heads": 4, "width": 16}
    masking: dict[str, object] = {}
    if family == "modernbert":
        settings["norm_position"] = "pre"
    if family == "spanbert":
        masking = {"unit": "span", "boundaries": True}
    formats = {"bert": "segment-pair", "albert": "sentence-order"}
    inputs = {"format": formats.get(family, "full-sentences"), "length": 32}
    assert step_flops(make(model=settings, masking=masking, inputs=inputs)) > 0


def test_equal_flops_set_the_steps() -> None:
    small, large = make(), make(model={"layers": 4, "heads": 2, "width": 32})
    amount = 100.0 * step_flops(large)
    assert steps_for(large, amount) == 100 < steps_for(small, amount)
    assert steps_for(small, 1.0) == 1
    with pytest.raises(ClozeError, match="start_from"):
        steps_for(make(start_from="folder"), amount)


@pytest.mark.parametrize(
    ("budget", "first", "second", "told"),
    [
        ("equal steps", {"steps": 5}, {"steps": 5, "batch_rows": 64}, ""),
        ("equal steps", {"steps": 5}, {"steps": 6}, "a has 5 steps and b 6"),
        ("equal tokens", {"steps": 6, "batch_rows": 8}, {"steps": 3, "batch_rows": 16}, ""),
        ("equal tokens", {"steps": 6, "batch_rows": 8}, {"steps": 6, "batch_rows": 16}, "a has 6,144 tokens and b 12"),
        ("equal minutes", {"minutes": 2.0}, {"minutes": 2.0, "steps": 7}, ""),
        ("equal minutes", {"minutes": 2.0}, {}, "b has no limit of minutes; set training.minutes"),
        ("equal epochs", {"steps": None, "epochs": 0.5}, {"steps": None, "epochs": 0.5, "batch_rows": 7}, ""),
        ("equal epochs", {"steps": None, "epochs": 1.0}, {"steps": None, "epochs": 2.0}, "a has 1.0 epochs and b 2.0"),
        ("equal epochs", {"steps": None, "epochs": 1.0}, {"epochs": 1.0}, "b may end before: set training.steps"),
        ("equal epochs", {"steps": None, "minutes": 1.0, "schedule": "constant"}, {}, "a may end before"),
        ("equal FLOPs", {"steps": 5}, {"steps": 6}, ""),
        ("equal FLOPs", {"steps": 5}, {"steps": 6, "minutes": 1.0}, "b may end before: set training.minutes to null"),
        ("equal steps", {"steps": 5, "epochs": 2.0}, {"steps": 5}, "a may end before: set training.epochs to null"),
        ("equal tokens", {"minutes": 1.0}, {"minutes": 1.0}, "a may end before: set training.minutes to null"),
        ("varies", {"steps": 5}, {"steps": 6}, ""),
    ],
)
def test_a_budget_that_is_not_equal_is_told(budget: str, first: object, second: object, told: str) -> None:
    found = unequal(budget, {"a": make(training=first), "b": make(training=second)})
    assert told in found and bool(found) == bool(told)


def test_a_run_that_only_fine_tunes_has_no_pretraining() -> None:
    task = {"name": "t", "train": "a.txt", "test": "b.txt"}
    alone, longer = make(start_from="model", tasks=[task]), make(training={"steps": 5})
    assert (tokens(alone), limits(alone)) == (0, "none")
    assert unequal("no pretraining", {"a": alone, "b": alone}) == ""
    assert "but b pretrains: set start_from" in unequal("no pretraining", {"a": alone, "b": longer})
    assert "a has 0 tokens and b" in unequal("equal tokens", {"a": alone, "b": longer})
