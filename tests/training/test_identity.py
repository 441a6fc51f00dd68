"""Settings decide the numbers of a run, or only how it is computed and watched; each is one of the two."""

from __future__ import annotations

from typing import Any

import torch

from cloze.recipe import Recipe
from cloze.training.identity import MAY_CHANGE, identity

SECTIONS = Recipe.model_validate({"name": "tiny", "data": "data"}).model_dump()


def made_of(**sections: Any) -> dict[str, Any]:
    return identity(Recipe.model_validate({"name": "tiny", "data": "data", **sections}), "0123", torch.bfloat16)


def test_all_that_may_change_is_left_out_and_nothing_else() -> None:
    parts = ("inputs", "masking", "model", "training")
    every = {f"{part}.{name}" for part in parts for name in SECTIONS[part]}
    assert every >= MAY_CHANGE, "a misspelt name would let nothing change"
    assert made_of().keys() == every - MAY_CHANGE | {"seed", "store.fingerprint"}


def test_the_precision_is_the_one_in_use_and_batch_norm_binds_its_micro_batches() -> None:
    assert made_of(training={"precision": "auto"})["training.precision"] == "bfloat16"
    assert made_of(training={"minutes": 1}) == made_of(training={"minutes": 2})
    ones, twos = (made_of(model={"norm": "batch"}, training={"micro_batch_rows": rows}) for rows in (1, 2))
    assert ones != twos and ones.keys() - made_of().keys() == {"training.micro_batch_rows"}
