"""What a stage does is tested where it stands, whole runs in end_to_end; here is the arithmetic between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cloze.pipeline import Prepared, batch_of_step
from cloze.recipe import Recipe


class FakeRows:
    """Epochs of 10, 7, 10, 7, ... rows of half the length: twice as many a step. A batch is what was asked for."""

    def rows_per_step(self, batch_rows: int) -> int:
        return 2 * batch_rows

    def rows_in_epoch(self, number: int) -> int:
        return (10, 7)[number % 2]

    def batch(self, epoch: int, places: NDArray[np.int64]) -> tuple[int, list[int]]:
        return epoch, places.tolist()


@pytest.mark.parametrize(
    ("step", "rows", "expected"),
    [
        (1, 4, (0, [0, 1, 2, 3])),
        (1, 2, (0, [0, 1])),
        (3, 9, (0, [8, 9])),  # The epoch's last step is smaller.
        (4, 9, (1, [0, 1, 2, 3])),
        (5, 9, (1, [4, 5, 6])),
        (6, 1, (2, [0])),
    ],
)
def test_a_step_is_found_in_its_epoch(step: int, rows: int, expected: tuple[int, list[int]]) -> None:
    recipe = Recipe.model_validate({"name": "r", "training": {"batch_rows": 2}})
    tokenizer: Any = None
    fake: Any = FakeRows()
    found: Any = batch_of_step(recipe, Prepared(tokenizer, fake, None), step, rows)
    assert found == expected
