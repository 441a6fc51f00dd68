"""A set is a set, also when it grows and where hashes meet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.hashes import HashSet


@given(st.lists(st.integers(1, 40) | st.integers(1, 2**64 - 1) | st.integers(1, 9).map(lambda n: n << 40)))
def test_it_holds_what_was_added(values: list[int]) -> None:
    hashes, expected = HashSet(), set[int]()
    for value in values:
        assert (value in hashes) == (value in expected)
        hashes.add(value)
        expected.add(value)
        assert value in hashes
        assert len(hashes) == len(expected)


def test_it_grows() -> None:
    values = [(number * 0x9E3779B97F4A7C15) % 2**64 for number in range(1, 50_000)]
    hashes = HashSet()
    for value in values:
        hashes.add(value)
    assert len(hashes) == len(values)
    assert all(value in hashes for value in values)
    assert not any(value + 1 in hashes for value in values)
    assert len(hashes) * 24 >= hashes._slots.itemsize * len(hashes._slots)


def test_nought_is_a_hash_too() -> None:
    hashes = HashSet()
    assert 0 not in hashes
    hashes.add(0)
    assert 0 in hashes
