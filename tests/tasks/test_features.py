"""Rows and batches: nothing lost, nothing twice, little padding, the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cloze.tasks.features import BUCKET_BATCHES, featurise, fitting, scoring_batches, training_batches

if TYPE_CHECKING:
    from cloze.tokens.tokenizer import Tokenizer


class Characters:
    """One id a character: enough of a tokenizer to see where every token went."""

    unknown_id, cls_id, sep_id = 1, 2, 3
    pair_layout = ((2, 0), (None, 0), (3, 0), (None, 1), (3, 1))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[1 if letter == "?" else 100 + ord(letter) for letter in text] for text in texts]


CHARACTERS = cast("Tokenizer", Characters())


def test_rows_carry_their_specials_and_lose_only_their_end() -> None:
    features = featurise(["abc", "", "a?cdef"], CHARACTERS, length=6)
    a = 100 + ord("a")
    assert features.ids.tolist() == [2, a, a + 1, a + 2, 3, 2, 3, 2, a, 1, a + 2, a + 3, 3]
    assert features.lengths.tolist() == [5, 2, 6] and len(features) == 3
    assert len(replace(features, parts=np.array([0, 2, 3]))) == 2, "examples, of one row or more"
    assert features.counts == {"rows": 3, "tokens": 7, "unknown_tokens": 1, "truncated": 1, "truncated_tokens": 2}


def test_a_batch_is_flat_and_carries_its_labels() -> None:
    features = featurise(["abc", "", "abcd"], CHARACTERS, length=9)
    batch = features.batch(np.array([2, 1]), {"classification": np.array([5, 6, 7])})
    assert batch.ids.tolist() == [*features.ids[7:].tolist(), 2, 3]
    assert batch.positions.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert batch.offsets.tolist() == [0, 6, 8]
    assert (batch.longest, batch.rows.tolist()) == (6, [2, 1])
    target = batch.targets["classification"]
    assert (target.positions.tolist(), target.labels.tolist()) == ([0, 6], [7, 6])
    assert not features.batch(np.array([0])).targets


def test_a_pair_is_one_row_with_two_segments() -> None:
    features = featurise(["ab", ""], CHARACTERS, 8, second=["c", "d"])
    a = 100 + ord("a")
    assert features.ids.tolist() == [2, a, a + 1, 3, a + 2, 3, 2, 3, a + 3, 3]
    batch = features.batch(np.array([1, 0]))
    assert batch.segments.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 1, 1]
    for segments in (0, 1):
        assert featurise(["ab"], CHARACTERS, 8, second=["c"], segments=segments).segments is None


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 30))
def test_the_longer_of_a_pair_loses_token_by_token(first: int, second: int, room: int) -> None:
    kept = [first, second]
    while sum(kept) > room:
        kept[0 if kept[0] > kept[1] else 1] -= 1
    assert fitting([first, second], room) == kept
    texts = ["a" * first], ["b" * second]
    features = featurise(texts[0], CHARACTERS, room + 3, second=texts[1])
    assert features.counts["truncated_tokens"] == first + second - sum(kept)
    assert features.counts["tokens"] == sum(kept)


LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=300).map(lambda values: np.array(values, dtype=np.int64))


@given(lengths=LENGTHS, batch_rows=st.integers(1, 20), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_holds_every_row_once(lengths: NDArray[np.int64], batch_rows: int, seed: int, epoch: int) -> None:
    batches = training_batches(lengths, batch_rows, seed, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert sum(len(batch) != batch_rows for batch in batches) <= 1
    again = training_batches(lengths, batch_rows, seed, epoch)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_the_order_differs_by_seed_and_epoch_and_batches_are_even() -> None:
    lengths = np.random.default_rng(3).integers(5, 120, size=32 * BUCKET_BATCHES * 2)
    first = np.concatenate(training_batches(lengths, 32, 1, 0))
    for seed, epoch in ((1, 1), (2, 0)):
        assert not np.array_equal(first, np.concatenate(training_batches(lengths, 32, seed, epoch)))
    padded = sum(len(batch) * lengths[batch].max() for batch in training_batches(lengths, 32, 1, 0))
    assert padded / lengths.sum() < 1.05, "unsorted batches of 32 would pad these lengths by 90%"
    orders = [np.concatenate(training_batches(lengths, 32, seed, 0)) for seed in range(20)]
    drift = [np.corrcoef(np.arange(len(order)), lengths[order])[0, 1] for order in orders]
    assert np.abs(drift).mean() < 0.2, "batches come in random order of length"


@given(lengths=LENGTHS, tokens=st.integers(1, 500))
def test_scoring_batches_fit_the_budget_or_hold_one_row(lengths: NDArray[np.int64], tokens: int) -> None:
    batches = scoring_batches(lengths, tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens


def test_no_texts_are_no_rows() -> None:
    features = featurise([], CHARACTERS, length=8)
    assert features.counts["rows"] == 0
    assert scoring_batches(features.lengths, 100) == []
