"""The arithmetic that all formats share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.inputs.hashing import integers
from cloze.inputs.planning import Plan, ranges, walk


@given(spans=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9))))
def test_ranges_are_concatenated(spans: list[tuple[int, int]]) -> None:
    starts, lengths = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    assert ranges(starts, lengths).tolist() == [i for start, length in spans for i in range(start, start + length)]
    assert ranges(0, lengths).tolist() == [i for _, length in spans for i in range(length)]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1_000])
def test_the_walk_does_not_depend_on_its_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    following = np.arange(100) + 1 + integers(9, 1, "walk", np.arange(100))
    expected = [0]
    while following[expected[-1]] < 100:
        expected.append(int(following[expected[-1]]))
    monkeypatch.setattr("cloze.inputs.planning._WALK_CHUNK", chunk)
    assert walk(following).tolist() == expected


def test_rows_that_are_cut_have_more_special_tokens() -> None:
    arrays = (np.array([0, 5, 9]), np.array([5, 4, 3]), np.zeros(3, dtype=np.uint8), np.array([0, 2, 3]))
    labels = np.full(2, -1, dtype=np.int8)
    assert Plan(*arrays, labels, {}).row_lengths().tolist() == [1 + 5 + 1 + 4 + 1, 1 + 3 + 1]
    assert Plan(*arrays, labels, {}, cut=True).row_lengths().tolist() == [1 + 5 + 1 + 1 + 4 + 1, 1 + 3 + 1]
