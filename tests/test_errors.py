"""What messages have in common."""

from __future__ import annotations

import pytest

from cloze.errors import some


@pytest.mark.parametrize(
    ("names", "most", "total", "mark", "said"),
    [
        ([], 3, None, ", ", ""),
        (["a", "b"], 2, None, ", ", "a, b"),
        (["a", "b", "c"], 2, None, ", ", "a, b and 1 more"),
        (["a", "b", "c"], 2, None, "; ", "a; b; and 1 more"),
        (["a", "b"], 2, 2_002, ", ", "a, b and 2,000 more"),
        ([1, 2], 5, 2, ", ", "1, 2"),
    ],
)
def test_the_first_names_and_how_many_more(
    names: list[object], most: int, total: int | None, mark: str, said: str
) -> None:
    assert some(names, most, total=total, mark=mark) == said
