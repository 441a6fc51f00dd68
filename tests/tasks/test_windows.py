"""Windows lose nothing, and spans mean the characters of the text as it was given."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.tasks.windows import best_windows, compose, windows


@given(st.integers(0, 200), st.integers(1, 40), st.integers(1, 60))
def test_every_token_is_in_a_window_and_belongs_to_one(tokens: int, room: int, stride: int) -> None:
    found = windows(tokens, room, stride)
    assert {token for start, end in found for token in range(start, end)} == set(range(tokens))
    assert all(end - start <= room for start, end in found)
    assert room == 1 or all(later < end for (_, end), (later, _) in pairwise(found)), "an answer may stand on a seam"
    best = best_windows(found)
    assert len(best) == tokens
    assert all(found[window][0] <= token < found[window][1] for token, window in enumerate(best.tolist()))


def test_windows_of_the_reference() -> None:
    assert windows(10, 6, 3) == [(0, 6), (3, 9), (6, 10)]
    assert windows(0, 6, 3) == [(0, 0)]
    # Token 4 has one token to its right in the first window, and one to its left in the second: the first wins.
    assert best_windows([(0, 6), (3, 9)]).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert best_windows([(0, 6), (3, 9), (6, 10)])[7] == 1


@pytest.mark.parametrize(
    "text", ["한국어", "각a é", unicodedata.normalize("NFD", "각 한국 café"), "e\u0301\u0323x", ""]
)
def test_composed_characters_know_their_origin(text: str) -> None:
    found = compose(text)
    assert found.text == unicodedata.normalize("NFC", text)
    for place, character in enumerate(found.text):
        start, end = found.given(place, place + 1)
        assert character in unicodedata.normalize("NFC", text[start:end])
    assert found.given(0, len(found.text)) == (0, len(text))


@given(st.text(alphabet="가각\u1100\u1161\u11a8e\u0301\u0323\u0f73\u0344 a", max_size=12))
def test_composition_is_nfc(text: str) -> None:
    assert compose(text).text == unicodedata.normalize("NFC", text)
    origins = compose(text).origins
    assert origins is None or np.all(np.diff(np.array(origins).reshape(-1, 2), axis=0) >= 0)
