"""Texts as their letters, and hashes of sequences."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.shingles import letters, window_hashes


def test_only_letters_and_digits_count() -> None:
    assert letters("  한글, ABC_123! ㅋㅋㅋㅋ 와아아아… \t") == "한글abc123ㅋㅋ와아아"


@given(st.text(max_size=80), st.integers(1, 60))
def test_a_hash_depends_on_its_sequence_alone(text: str, size: int) -> None:
    hashes = window_hashes(text, size).tolist()
    assert len(hashes) == max(0, len(text) - size + 1)
    assert hashes == [window_hashes(text[place : place + size], size).item() for place in range(len(hashes))]


@given(st.text(min_size=3, max_size=3), st.text(min_size=3, max_size=3))
def test_equal_hashes_mean_equal_text(one: str, other: str) -> None:
    assert (window_hashes(one, 3) == window_hashes(other, 3)).item() == (one == other)


def test_the_hash_is_the_polynomial_that_it_is_said_to_be() -> None:
    value = 0
    for character in "가나다라마":
        value = (value * 0x9E3779B97F4A7C15 + ord(character)) % 2**64
    value = (value ^ value >> 32) * 0xFF51AFD7ED558CCD % 2**64
    assert window_hashes("가나다라마", 5).item() == value ^ value >> 32
