"""Plans: every token once or counted, no row too long, the same rows as the papers read sentence by sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cloze.errors import ClozeError
from cloze.inputs.formats import FOLLOWS, RANDOM, Plan, _walk, plan, ranges
from cloze.inputs.hashing import hash_u64, integers, permutation, uniform
from cloze.recipe import InputSettings

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeStore, StoreMaker

Corpus = list[list[int]]
"""Documents as lists of sentence lengths."""

Piece = tuple[int, int]
"""Token positions: first, one past the last."""

CORPORA = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=2, max_size=8)
LENGTHS = st.integers(8, 48)


@dataclass
class Row:
    """A row of a plan, unpacked."""

    pieces: list[Piece]
    label: int


def rows_of(made: Plan) -> list[Row]:
    starts, ends = made.piece_starts.tolist(), (made.piece_starts + made.piece_lengths).tolist()
    pieces = list(zip(starts, ends, strict=True))
    cuts = made.row_offsets.tolist()
    return [Row(pieces[cuts[i] : cuts[i + 1]], int(made.labels[i])) for i in range(made.rows)]


def pairs(length: int, short_row_frac: float = 0.1) -> InputSettings:
    return InputSettings(format="segment-pair", length=length, short_row_frac=short_row_frac)


def full(length: int) -> InputSettings:
    return InputSettings(format="full-sentences", length=length)


def document_of(store: FakeStore, position: int) -> int:
    sentence = np.searchsorted(store.sentence_offsets, position, side="right") - 1
    return int(np.searchsorted(store.document_offsets, sentence, side="right") - 1)


# ---------------------------------------------------------------------------------------------------- both formats


@pytest.mark.parametrize("format", [full(24), pairs(24)])
@given(corpus=CORPORA, seed=st.integers(0, 100))
def test_a_plan_is_a_function_of_seed_and_copy(
    make_store: StoreMaker, format: InputSettings, corpus: Corpus, seed: int
) -> None:
    store = make_store(corpus)
    first, again = plan(store, format, seed, 3), plan(store, format, seed, 3)
    for name in ("piece_starts", "piece_lengths", "piece_segments", "row_offsets", "labels"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert first.dropped == again.dropped


@pytest.mark.parametrize("format", [full(32), pairs(32)])
def test_copies_and_seeds_differ(make_store: StoreMaker, format: InputSettings) -> None:
    store = make_store([[5, 9, 3, 7, 12, 4]] * 40)
    starts = [plan(store, format, seed, copy).piece_starts.tolist() for seed, copy in ((1, 0), (1, 1), (2, 0))]
    assert starts[0] != starts[1] != starts[2] != starts[0]


@pytest.mark.parametrize("format", [full(16), pairs(16)])
@given(corpus=CORPORA, length=LENGTHS, copy=st.integers(0, 5))
def test_rows_fit_and_their_dtypes_are_as_promised(
    make_store: StoreMaker, format: InputSettings, corpus: Corpus, length: int, copy: int
) -> None:
    store = make_store(corpus)
    made = plan(store, format.model_copy(update={"length": length}), 1, copy)
    assert made.row_lengths().tolist() == [1 + sum(b - a + 1 for a, b in row.pieces) for row in rows_of(made)]
    assert made.row_lengths().max() <= length
    assert made.piece_lengths.min() >= 1 and np.diff(made.row_offsets).min() >= 1
    for array in (made.piece_starts, made.piece_lengths, made.row_offsets):
        assert array.dtype == np.int64
    assert made.piece_segments.dtype == np.uint8 and made.labels.dtype == np.int8
    for row in rows_of(made):
        for a, b in row.pieces:
            assert document_of(store, a) == document_of(store, b - 1)


@pytest.mark.parametrize("format", [full(64), pairs(64)])
def test_an_empty_store_is_an_error_that_names_counts(make_store: StoreMaker, format: InputSettings) -> None:
    with pytest.raises(ClozeError, match="0 documents, 0 sentences and 0 tokens"):
        plan(make_store([]), format, 1, 0)


@pytest.mark.parametrize(("format", "expected"), [(full(64), [8]), (pairs(64), [8, 8])])
def test_a_corpus_smaller_than_a_row_makes_short_rows(
    make_store: StoreMaker, format: InputSettings, expected: list[int]
) -> None:
    assert plan(make_store([[3], [2]]), format, 1, 0).row_lengths().tolist() == expected


# -------------------------------------------------------------------------------------------------- full-sentences


def full_sentences_by_sentence(store: FakeStore, length: int, seed: int, copy: int) -> list[list[Piece]]:
    """RoBERTa 4.2 read literally: add sentences while they fit, a separator more where a document begins."""
    rows: list[list[Piece]] = []
    used = length
    for document in permutation(store.document_offsets.size - 1, seed, "full-sentences/documents", copy).tolist():
        fresh = True
        for sentence in range(store.document_offsets[document], store.document_offsets[document + 1]):
            start, stop = store.sentence_offsets[sentence : sentence + 2].tolist()
            for a in range(start, stop, length - 2):
                b = min(stop, a + length - 2)
                if used + (b - a) + fresh > length:
                    rows.append([(a, b)])
                    used = 2 + b - a
                elif fresh:
                    rows[-1].append((a, b))
                    used += 1 + b - a
                else:
                    rows[-1][-1] = (rows[-1][-1][0], b)
                    used += b - a
                fresh = False
    return rows


@given(corpus=CORPORA, length=LENGTHS, seed=st.integers(0, 100), copy=st.integers(0, 5))
def test_full_sentences_equal_the_literal_reading(
    make_store: StoreMaker, corpus: Corpus, length: int, seed: int, copy: int
) -> None:
    store = make_store(corpus)
    made = plan(store, full(length), seed, copy)
    assert [row.pieces for row in rows_of(made)] == full_sentences_by_sentence(store, length, seed, copy)
    assert not made.paired and not made.piece_segments.any()


@given(corpus=CORPORA, length=LENGTHS)
def test_full_sentences_use_every_token_exactly_once(make_store: StoreMaker, corpus: Corpus, length: int) -> None:
    made = plan(make_store(corpus), full(length), 1, 0)
    used = ranges(made.piece_starts, made.piece_lengths)
    assert np.array_equal(np.sort(used), np.arange(sum(map(sum, corpus))))
    assert made.dropped == {"split_sentences": sum(n > length - 2 for document in corpus for n in document)}


def test_documents_are_separated_and_rows_cross_them(make_store: StoreMaker) -> None:
    made = plan(make_store([[4, 4], [3]]), full(16), 1, 0)
    assert sorted(rows_of(made)[0].pieces) == [(0, 8), (8, 11)]
    assert made.row_lengths().tolist() == [1 + 8 + 1 + 3 + 1]


def test_a_long_sentence_fills_rows_and_its_rest_goes_on(make_store: StoreMaker) -> None:
    made = plan(make_store([[35, 4, 9]]), full(16), 1, 0)
    assert [row.pieces for row in rows_of(made)] == [[(0, 14)], [(14, 28)], [(28, 39)], [(39, 48)]]
    assert made.dropped == {"split_sentences": 1}


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


# --------------------------------------------------------------------------------------------------------- helpers


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
    monkeypatch.setattr("cloze.inputs.formats._WALK_CHUNK", chunk)
    assert _walk(following).tolist() == expected
