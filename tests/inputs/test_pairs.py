"""Pairs: BERT's line by line; labels even, true to the text and never from the wrong document."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cloze.errors import ClozeError
from cloze.inputs.formats import plan
from cloze.inputs.hashing import hash_u64, integers, uniform
from cloze.inputs.pairs import FOLLOWS, IN_ORDER, RANDOM, SWAPPED
from cloze.inputs.planning import Plan, ranges
from cloze.recipe import InputSettings
from tests.inputs.plans import CORPORA, LENGTHS, Corpus, Row, document_of, rows_of, sentence_of

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeStore, StoreMaker


def pairs(length: int, short_row_frac: float = 0.1) -> InputSettings:
    return InputSettings(format="segment-pair", length=length, short_row_frac=short_row_frac)


def sentences(length: int) -> InputSettings:
    return InputSettings(format="sentence-pair", length=length)


def order(length: int, short_row_frac: float = 0.1) -> InputSettings:
    return InputSettings(format="sentence-order", length=length, short_row_frac=short_row_frac)


# ---------------------------------------------------------------------------------------------------- segment-pair


def segment_pairs_by_sentence(store: FakeStore, settings: InputSettings, seed: int, copy: int) -> list[Row]:
    """create_instances_from_document of google-research/bert, line by line, with our draws in place of its `rng`."""
    offsets, documents = store.sentence_offsets.tolist(), store.document_offsets.tolist()
    max_num_tokens = settings.length - 3
    instances: list[Row] = []
    for document_index in range(len(documents) - 1):
        document = list(range(documents[document_index], documents[document_index + 1]))
        target_seq_length = max_num_tokens
        if float(uniform(seed, "segment-pair/short", copy, document_index)) < settings.short_row_frac:
            # rng.randint(2, max_num_tokens), inclusive
            target_seq_length = 2 + int(integers(max_num_tokens - 1, seed, "segment-pair/target", copy, document_index))
        current_chunk: list[int] = []
        current_length = 0
        i = 0
        while i < len(document):
            current_chunk.append(document[i])
            current_length += offsets[document[i] + 1] - offsets[document[i]]
            if i == len(document) - 1 or current_length >= target_seq_length:
                key = current_chunk[0]
                a_end = 1
                if len(current_chunk) >= 2:  # rng.randint(1, len(current_chunk) - 1), inclusive
                    a_end = 1 + int(integers(len(current_chunk) - 1, seed, "segment-pair/split", copy, key))
                a = [current_chunk[0], current_chunk[a_end - 1] + 1]
                length_a = offsets[a[1]] - offsets[a[0]]
                coin = int(hash_u64(seed, "segment-pair/random", copy, key)) >> 63
                if len(current_chunk) == 1 or coin:
                    label = RANDOM
                    other = int(integers(len(documents) - 2, seed, "segment-pair/other", copy, key))
                    other += other >= document_index
                    sentences = documents[other + 1] - documents[other]
                    first = documents[other] + int(integers(sentences, seed, "segment-pair/first", copy, key))
                    b = [first, first]
                    while b[1] < documents[other + 1]:
                        b[1] += 1
                        if offsets[b[1]] - offsets[b[0]] >= target_seq_length - length_a:
                            break
                    i -= len(current_chunk) - a_end
                else:
                    label = FOLLOWS
                    b = [a[1], current_chunk[-1] + 1]
                tokens_a, tokens_b = ([offsets[s[0]], offsets[s[1]]] for s in (a, b))
                truncate_seq_pair(tokens_a, tokens_b, max_num_tokens, seed, copy, key)
                instances.append(Row([(tokens_a[0], tokens_a[1]), (tokens_b[0], tokens_b[1])], label))
                current_chunk, current_length = [], 0
            i += 1
    return instances


def truncate_seq_pair(a: list[int], b: list[int], max_num_tokens: int, seed: int, copy: int, key: int) -> None:
    """truncate_seq_pair of google-research/bert, on (first, one past the last)."""
    draws = {"a": 0, "b": 0}
    while (a[1] - a[0]) + (b[1] - b[0]) > max_num_tokens:
        name, longer = ("a", a) if a[1] - a[0] > b[1] - b[0] else ("b", b)
        front = int(hash_u64(seed, f"segment-pair/front-{name}", copy, key, draws[name])) >> 63
        draws[name] += 1
        if front:
            longer[0] += 1
        else:
            longer[1] -= 1


@given(
    corpus=CORPORA, length=LENGTHS, seed=st.integers(0, 100), copy=st.integers(0, 5), short=st.sampled_from([0, 0.3])
)
def test_segment_pairs_equal_bert_line_by_line(
    make_store: StoreMaker, corpus: Corpus, length: int, seed: int, copy: int, short: float
) -> None:
    store = make_store(corpus)
    made = plan(store, pairs(length, short), seed, copy)
    assert rows_of(made) == segment_pairs_by_sentence(store, pairs(length, short), seed, copy)
    assert made.piece_segments.tolist() == [0, 1] * made.rows


@given(corpus=CORPORA, length=LENGTHS, copy=st.integers(0, 5))
def test_segment_pairs_use_every_token_once_or_count_it(
    make_store: StoreMaker, corpus: Corpus, length: int, copy: int
) -> None:
    """First and following segments cover the corpus: unused sentences are put back, what is cut off is counted."""
    made = plan(make_store(corpus), pairs(length), 1, copy)
    own = np.stack([np.ones(made.rows, dtype=bool), made.labels == FOLLOWS], axis=1).ravel()
    used = ranges(made.piece_starts[own], made.piece_lengths[own])
    assert np.unique(used).size == used.size
    assert used.size + made.dropped["truncated_tokens"] == sum(map(sum, corpus))


@given(corpus=CORPORA, copy=st.integers(0, 20))
def test_a_random_segment_never_comes_from_the_same_document(make_store: StoreMaker, corpus: Corpus, copy: int) -> None:
    store = make_store(corpus)
    for row in rows_of(plan(store, pairs(16), 1, copy)):
        (a, _), (b, _) = row.pieces
        assert (document_of(store, a) == document_of(store, b)) == (row.label == FOLLOWS)


def test_a_random_segment_comes_from_anywhere_in_the_corpus(make_store: StoreMaker) -> None:
    store = make_store([[6]] * 20)
    others = np.zeros((20, 20), dtype=np.int64)
    for copy in range(400):
        for row in rows_of(plan(store, pairs(16), 1, copy)):
            others[row.pieces[0][0] // 6, row.pieces[1][0] // 6] += 1
    assert not others.diagonal().any()
    assert stats.chisquare(others[~np.eye(20, dtype=bool)]).pvalue > 1e-4


def test_one_document_cannot_make_pairs(make_store: StoreMaker) -> None:
    with pytest.raises(ClozeError, match="at least 2 documents in a split, found 1 \\(of 3 sentences\\)"):
        plan(make_store([[4, 5, 6]]), pairs(32), 1, 0)


def test_a_chunk_of_one_sentence_is_always_a_random_pair(make_store: StoreMaker) -> None:
    made = plan(make_store([[9]] * 200), pairs(32), 1, 0)
    assert made.rows == 200 and (made.labels == RANDOM).all()
    long_sentences = plan(make_store([[40, 40, 40]] * 50), pairs(32, 0.0), 1, 0)
    assert long_sentences.rows == 150 and (long_sentences.labels == RANDOM).all()


def test_half_of_the_other_pairs_are_random(make_store: StoreMaker) -> None:
    """Where a chunk has two sentences or more, the label is an even coin; overall, random pairs exceed half."""
    store = make_store([[3] * 50] * 400)
    made = plan(store, pairs(32, 0.0), 1, 0)
    ends = made.piece_starts[0::2] + made.piece_lengths[0::2]
    free = made.labels[~((made.labels == RANDOM) & np.isin(ends, store.sentence_offsets[store.document_offsets]))]
    assert free.size > 2_000
    assert stats.binomtest(int((free == RANDOM).sum()), free.size, 0.5).pvalue > 1e-3
    assert (made.labels == RANDOM).mean() > 0.5


def targets_of_documents(made: Plan, documents: int, tokens: int) -> list[set[int]]:
    """Lengths of the pairs that follow, by document, without the last one of a document, which may be short."""
    found: list[set[int]] = [set() for _ in range(documents)]
    for row in rows_of(made):
        (a, _), (_, end) = row.pieces
        if row.label == FOLLOWS and end % tokens:
            found[a // tokens].add(end - a)
    return found


def test_the_short_target_is_drawn_once_per_document_from_two_to_the_longest(make_store: StoreMaker) -> None:
    """Sentences of one token make every pair exactly as long as its target."""
    documents, tokens = 3_000, 60
    store = make_store([[1] * tokens] * documents)
    found = targets_of_documents(plan(store, pairs(16, 1.0), 1, 0), documents, tokens)
    assert all(len(lengths) <= 1 for lengths in found)
    drawn = [length for lengths in found for length in lengths]
    counts = [drawn.count(length) for length in range(14)]
    assert counts[:2] == [0, 0] and min(counts[2:]) > 0 and max(drawn) == 13
    assert stats.chisquare(counts[2:8]).pvalue > 1e-4


def test_a_tenth_of_the_documents_has_a_short_target(make_store: StoreMaker) -> None:
    documents, tokens = 1_500, 200
    made = plan(make_store([[1] * tokens] * documents), pairs(16, 0.1), 1, 0)
    found = targets_of_documents(made, documents, tokens)
    short = sum(bool(lengths - {13}) for lengths in found)
    share = 0.1 * 11 / 12  # the draw may give the longest itself
    assert stats.binomtest(short, documents, share).pvalue > 1e-3
    again = targets_of_documents(plan(make_store([[1] * tokens] * documents), pairs(16, 0.1), 1, 1), documents, tokens)
    assert found != again


def test_the_longer_segment_is_truncated_front_or_back_at_even_odds(make_store: StoreMaker) -> None:
    documents = 2_000
    made = plan(make_store([[100]] * documents), pairs(43), 1, 0)
    assert made.piece_lengths.tolist() == [20, 20] * documents
    assert made.dropped == {"truncated_tokens": 80 * documents, "truncated_random_tokens": 80 * documents}
    front = made.piece_starts % 100
    assert stats.binomtest(int(front.sum()), 80 * front.size, 0.5).pvalue > 1e-3
    assert stats.binomtest(int((front <= 40).sum()), front.size, stats.binom.cdf(40, 80, 0.5)).pvalue > 1e-3


def test_a_short_segment_is_left_whole(make_store: StoreMaker) -> None:
    made = plan(make_store([[100], [3]]), pairs(43, 0.0), 1, 0)
    assert sorted(map(tuple, made.piece_lengths.reshape(-1, 2).tolist())) == [(3, 37), (37, 3)]


# --------------------------------------------------------------------------------------------------- sentence-pair


@given(corpus=CORPORA, length=LENGTHS, seed=st.integers(0, 100), copy=st.integers(0, 5))
def test_sentence_pairs_are_neighbours_or_of_two_documents(
    make_store: StoreMaker, corpus: Corpus, length: int, seed: int, copy: int
) -> None:
    """Each segment lies in one sentence; A and a B that follows walk through the corpus, sentence by sentence."""
    store = make_store(corpus)
    made = plan(store, sentences(length), seed, copy)
    own: list[int] = []
    for row in rows_of(made):
        (a, a_end), (b, b_end) = row.pieces
        first, second = sentence_of(store, a), sentence_of(store, b)
        assert (first, second) == (sentence_of(store, a_end - 1), sentence_of(store, b_end - 1))
        if row.label == FOLLOWS:
            assert second == first + 1 and document_of(store, a) == document_of(store, b)
        else:
            assert row.label == RANDOM and document_of(store, a) != document_of(store, b)
        own += [first, second] if row.label == FOLLOWS else [first]
    assert own == list(range(store.sentence_offsets.size - 1))
    assert made.piece_segments.tolist() == [0, 1] * made.rows


@given(corpus=CORPORA, length=LENGTHS, copy=st.integers(0, 5))
def test_sentence_pairs_count_what_they_truncate(
    make_store: StoreMaker, corpus: Corpus, length: int, copy: int
) -> None:
    store = make_store(corpus)
    made = plan(store, sentences(length), 1, copy)
    lost = {FOLLOWS: 0, RANDOM: 0}
    for row in rows_of(made):
        whole = [int(np.diff(store.sentence_offsets)[sentence_of(store, a)]) for a, _ in row.pieces]
        kept = [b - a for a, b in row.pieces]
        assert kept == whole if sum(whole) <= length - 3 else sum(kept) == length - 3
        lost[FOLLOWS] += whole[0] - kept[0] + (whole[1] - kept[1]) * (row.label == FOLLOWS)
        lost[RANDOM] += (whole[1] - kept[1]) * (row.label == RANDOM)
    assert made.dropped == {"truncated_tokens": lost[FOLLOWS], "truncated_random_tokens": lost[RANDOM]}


@pytest.mark.parametrize("sentences_each", [2, 3, 4, 5, 11])
def test_half_of_the_sentence_pairs_are_random_whatever_the_documents(
    make_store: StoreMaker, sentences_each: int
) -> None:
    made = plan(make_store([[6] * sentences_each] * 3_000), sentences(32), 1, 0)
    assert stats.binomtest(int((made.labels == RANDOM).sum()), made.rows, 0.5).pvalue > 1e-3


def test_neighbours_stand_anywhere_in_a_document(make_store: StoreMaker) -> None:
    """A document of four sentences has one pair of neighbours, at three places, or two."""
    made = plan(make_store([[6] * 4] * 6_000), sentences(32), 1, 0)
    patterns: dict[int, list[int]] = {}
    for row in rows_of(made):
        patterns.setdefault(row.pieces[0][0] // 24, []).append(row.label)
    found = [list(patterns.values()).count(p) for p in ([0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0])]
    assert sum(found) == 6_000
    assert stats.chisquare(found, 6_000 * np.array([2, 2, 2, 3]) / 9).pvalue > 1e-4


def test_a_random_sentence_is_any_one_of_the_other_documents(make_store: StoreMaker) -> None:
    """As often from a long document as it has sentences: every sentence of the corpus is as likely to be a B."""
    store = make_store([[6] * 9, [6], [6] * 3, [6] * 7])
    found = np.zeros(20, dtype=np.int64)
    for copy in range(800):
        for row in rows_of(plan(store, sentences(32), 1, copy)):
            if row.pieces[0][0] // 6 == 9:  # the document of one sentence, which is always in a random pair
                found[row.pieces[1][0] // 6] += 1
    assert found[9] == 0 and found.sum() == 800
    assert stats.chisquare(np.delete(found, 9)).pvalue > 1e-4


def test_documents_of_one_sentence_can_only_be_in_random_pairs(make_store: StoreMaker) -> None:
    made = plan(make_store([[9]] * 200), sentences(32), 1, 0)
    assert made.rows == 200 and (made.labels == RANDOM).all()


def test_one_document_cannot_make_sentence_pairs(make_store: StoreMaker) -> None:
    with pytest.raises(ClozeError, match="sentence-pair needs at least 2 documents in a split, found 1 \\(of 3 sent"):
        plan(make_store([[4, 5, 6]]), sentences(32), 1, 0)


# -------------------------------------------------------------------------------------------------- sentence-order


def chunks_by_sentence(store: FakeStore, settings: InputSettings, seed: int, copy: int) -> list[tuple[int, int]]:
    """First and end of each chunk: sentences are gathered to the target, and none is left alone."""
    lengths, documents = np.diff(store.sentence_offsets).tolist(), store.document_offsets.tolist()
    longest = settings.length - 3
    chunks: list[tuple[int, int]] = []
    for number, (here, end) in enumerate(pairwise(documents)):
        target = longest
        if float(uniform(seed, "sentence-order/short", copy, number)) < settings.short_row_frac:
            target = 2 + int(integers(longest - 1, seed, "sentence-order/target", copy, number))
        while end - here >= 2:
            stop = here + 1
            while stop < end and (stop - here < 2 or sum(lengths[here:stop]) < target):
                stop += 1
            if end - stop == 1:
                stop += -1 if stop - here > 2 else 1
            chunks.append((here, stop))
            here = stop
    return chunks


@given(
    corpus=CORPORA, length=LENGTHS, seed=st.integers(0, 100), copy=st.integers(0, 5), short=st.sampled_from([0, 0.3])
)
def test_sentence_order_is_two_parts_of_one_chunk_split_at_a_sentence(
    make_store: StoreMaker, corpus: Corpus, length: int, seed: int, copy: int, short: float
) -> None:
    """Never another document; the parts touch at a sentence's edge unless a token was cut off there."""
    store = make_store([*corpus, [3, 4]])
    made = plan(store, order(length, short), seed, copy)
    expected = chunks_by_sentence(store, order(length, short), seed, copy)
    assert made.rows == len(expected)
    lost = 0
    for row, (first, end) in zip(rows_of(made), expected, strict=True):
        assert row.label in (IN_ORDER, SWAPPED)
        earlier, later = row.pieces if row.label == IN_ORDER else row.pieces[::-1]
        middle = first + 1 + int(integers(end - first - 1, seed, "sentence-order/split", copy, first))
        assert first < middle < end
        bounds = store.sentence_offsets[[first, middle, end]].tolist()
        assert bounds[0] <= earlier[0] < earlier[1] <= bounds[1] <= later[0] < later[1] <= bounds[2]
        kept = earlier[1] - earlier[0] + later[1] - later[0]
        assert kept == min(bounds[2] - bounds[0], length - 3)
        lost += bounds[2] - bounds[0] - kept
    alone = sum(document[0] for document in corpus if len(document) == 1)
    assert made.dropped == {"truncated_tokens": lost, "unpaired_tokens": alone}
    assert made.piece_segments.tolist() == [0, 1] * made.rows


@given(corpus=CORPORA, length=LENGTHS, copy=st.integers(0, 5))
def test_sentence_order_uses_every_token_once_or_counts_it(
    make_store: StoreMaker, corpus: Corpus, length: int, copy: int
) -> None:
    made = plan(make_store([*corpus, [3, 4]]), order(length), 1, copy)
    used = ranges(made.piece_starts, made.piece_lengths)
    assert np.unique(used).size == used.size
    assert used.size + sum(made.dropped.values()) == sum(map(sum, corpus)) + 7


def test_half_of_the_chunks_are_swapped(make_store: StoreMaker) -> None:
    made = plan(make_store([[5, 7, 4, 6, 9]] * 2_000), order(32), 1, 0)
    assert made.rows > 2_000
    assert stats.binomtest(int((made.labels == SWAPPED).sum()), made.rows, 0.5).pvalue > 1e-3


def test_labels_say_which_part_stands_first(make_store: StoreMaker) -> None:
    for row in rows_of(plan(make_store([[5, 7, 4, 6, 9]] * 100), order(32), 1, 0)):
        assert (row.pieces[0] > row.pieces[1]) == (row.label == SWAPPED)


def test_the_last_sentence_of_a_document_is_not_left_alone(make_store: StoreMaker) -> None:
    """Without any truncation: of three sentences that fill a row and a fourth, each chunk has two."""
    made = plan(make_store([[8, 8, 8, 4]]), order(27, 0.0), 1, 0)
    assert sorted(made.piece_starts.tolist()) == [0, 8, 16, 24]
    assert made.dropped == {"truncated_tokens": 0, "unpaired_tokens": 0}
    three = plan(make_store([[8, 8, 8]]), order(19, 0.0), 1, 0)
    assert three.rows == 1 and three.dropped == {"truncated_tokens": 8, "unpaired_tokens": 0}


def test_one_document_is_enough_for_sentence_order(make_store: StoreMaker) -> None:
    assert plan(make_store([[5, 7, 4]]), order(32), 1, 0).rows == 1


def test_sentence_order_needs_a_document_of_two_sentences(make_store: StoreMaker) -> None:
    with pytest.raises(ClozeError, match="at least 2 sentences in a split, but all 3 have 1"):
        plan(make_store([[5], [7], [4]]), order(32), 1, 0)
