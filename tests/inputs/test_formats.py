"""Plans: every token once or counted, no row too long, the same rows as the papers read sentence by sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import ClozeError
from cloze.inputs.formats import FOLLOWS, plan, ranges, rows_of_tokens
from cloze.inputs.hashing import permutation
from cloze.recipe import SEGMENT_FORMATS, InputSettings
from tests.inputs.plans import CORPORA, LENGTHS, Corpus, Piece, document_of, rows_of

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeStore, StoreMaker


def full(length: int, *, across: bool = True) -> InputSettings:
    return InputSettings(format="full-sentences", length=length, cross_document_attention=across)


def doc(length: int) -> InputSettings:
    return InputSettings(format="doc-sentences", length=length)


def pairs(length: int) -> InputSettings:
    return InputSettings(format="segment-pair", length=length)


FORMATS = [
    full(24),
    full(24, across=False),
    doc(24),
    pairs(24),
    InputSettings(format="sentence-pair", length=24),
    InputSettings(format="sentence-order", length=24),
]


def name(format: InputSettings) -> str:
    return format.format + ("" if format.cross_document_attention else ", cut")


# ----------------------------------------------------------------------------------------------------- all formats


@pytest.mark.parametrize("format", FORMATS, ids=name)
@given(corpus=CORPORA, seed=st.integers(0, 100))
def test_a_plan_is_a_function_of_seed_and_copy(
    make_store: StoreMaker, format: InputSettings, corpus: Corpus, seed: int
) -> None:
    store = make_store([*corpus, [3, 4]])
    first, again = plan(store, format, seed, 3), plan(store, format, seed, 3)
    for name in ("piece_starts", "piece_lengths", "piece_segments", "row_offsets", "labels"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert first.dropped == again.dropped


@pytest.mark.parametrize("format", FORMATS, ids=name)
def test_copies_and_seeds_differ(make_store: StoreMaker, format: InputSettings) -> None:
    """But for doc-sentences, where nothing is left to chance."""
    store = make_store([[5, 9, 3, 7, 12, 4]] * 40)
    starts = [plan(store, format, seed, copy).piece_starts.tolist() for seed, copy in ((1, 0), (1, 1), (2, 0))]
    if format.format == "doc-sentences":
        assert starts[0] == starts[1] == starts[2]
    else:
        assert starts[0] != starts[1] != starts[2] != starts[0]


@pytest.mark.parametrize("format", FORMATS, ids=name)
@given(corpus=CORPORA, length=LENGTHS, copy=st.integers(0, 5))
def test_rows_fit_and_their_dtypes_are_as_promised(
    make_store: StoreMaker, format: InputSettings, corpus: Corpus, length: int, copy: int
) -> None:
    store = make_store([*corpus, [3, 4]])
    made = plan(store, format.model_copy(update={"length": length}), 1, copy)
    specials = [len(row.pieces) if made.cut else 1 for row in rows_of(made)]
    tokens = [sum(b - a + 1 for a, b in row.pieces) for row in rows_of(made)]
    assert made.row_lengths().tolist() == [sum(both) for both in zip(specials, tokens, strict=True)]
    assert made.row_lengths().max() <= length
    assert made.piece_lengths.min() >= 1 and np.diff(made.row_offsets).min() >= 1
    for array in (made.piece_starts, made.piece_lengths, made.row_offsets):
        assert array.dtype == np.int64
    assert made.piece_segments.dtype == np.uint8 and made.labels.dtype == np.int8
    assert made.paired == (format.format in SEGMENT_FORMATS) and made.cut != format.cross_document_attention
    for row in rows_of(made):
        for a, b in row.pieces:
            assert document_of(store, a) == document_of(store, b - 1)


@pytest.mark.parametrize("format", FORMATS, ids=name)
@given(corpus=CORPORA, length=LENGTHS)
def test_every_token_is_used_once_or_counted(
    make_store: StoreMaker, format: InputSettings, corpus: Corpus, length: int
) -> None:
    """A random second segment is an extra: it is not the place where its tokens are used."""
    store = make_store([*corpus, [3, 4]])
    made = plan(store, format.model_copy(update={"length": length}), 1, 0)
    own = np.ones(made.piece_starts.size, dtype=bool)
    if format.format in ("segment-pair", "sentence-pair"):
        own[1::2] = made.labels == FOLLOWS
    used = ranges(made.piece_starts[own], made.piece_lengths[own])
    lost = sum(made.dropped.get(kind, 0) for kind in ("truncated_tokens", "unpaired_tokens"))
    assert np.unique(used).size == used.size
    assert used.size + lost == store.sentence_offsets[-1]


@pytest.mark.parametrize("format", FORMATS, ids=name)
def test_an_empty_store_is_an_error_that_names_counts(make_store: StoreMaker, format: InputSettings) -> None:
    with pytest.raises(ClozeError, match="0 documents, 0 sentences and 0 tokens"):
        plan(make_store([]), format, 1, 0)


@pytest.mark.parametrize(
    ("format", "expected"),
    [(full(64), [8]), (full(64, across=False), [9]), (doc(64), [5, 4]), (pairs(64), [8, 8])],
    ids=str,
)
def test_a_corpus_smaller_than_a_row_makes_short_rows(
    make_store: StoreMaker, format: InputSettings, expected: list[int]
) -> None:
    assert plan(make_store([[3], [2]]), format, 1, 0).row_lengths().tolist() == expected


@pytest.mark.parametrize("format", FORMATS, ids=name)
@pytest.mark.parametrize("tokens", [1, 640, 10_000])
def test_rows_of_tokens_hold_about_so_many(make_store: StoreMaker, format: InputSettings, tokens: int) -> None:
    made = plan(make_store([[5, 9, 3, 7, 12, 4]] * 40), format, 1, 0)
    rows, mean = rows_of_tokens(made, tokens), made.row_lengths().mean()
    assert rows >= 1 and (rows == 1 or abs(rows * mean - tokens) <= mean / 2)


# -------------------------------------------------------------------------------------------------- full-sentences


def full_sentences_by_sentence(
    store: FakeStore, length: int, seed: int, copy: int, *, per_row: int = 1, per_piece: int = 1
) -> list[list[Piece]]:
    """RoBERTa 4.2 read literally: add sentences while they fit, a separator more where a document begins."""
    rows: list[list[Piece]] = []
    used = length
    for document in permutation(store.document_offsets.size - 1, seed, "full-sentences/documents", copy).tolist():
        fresh = True
        for sentence in range(store.document_offsets[document], store.document_offsets[document + 1]):
            start, stop = store.sentence_offsets[sentence : sentence + 2].tolist()
            for a in range(start, stop, length - 2):
                b = min(stop, a + length - 2)
                if used + (b - a) + per_piece * fresh > length:
                    rows.append([(a, b)])
                    used = per_row + per_piece + b - a
                elif fresh:
                    rows[-1].append((a, b))
                    used += per_piece + b - a
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


# ------------------------------------------------------------------------ full-sentences, attention cut at documents


@given(corpus=CORPORA, length=LENGTHS, seed=st.integers(0, 100), copy=st.integers(0, 5))
def test_rows_that_are_cut_equal_the_literal_reading(
    make_store: StoreMaker, corpus: Corpus, length: int, seed: int, copy: int
) -> None:
    store = make_store(corpus)
    made = plan(store, full(length, across=False), seed, copy)
    expected = full_sentences_by_sentence(store, length, seed, copy, per_row=0, per_piece=2)
    assert [row.pieces for row in rows_of(made)] == expected


def test_a_row_that_is_cut_pays_two_special_tokens_for_each_document(make_store: StoreMaker) -> None:
    store = make_store([[4, 4], [3]])
    assert plan(store, full(15, across=False), 1, 0).row_lengths().tolist() == [1 + 8 + 1 + 1 + 3 + 1]
    assert plan(store, full(14, across=False), 1, 0).rows == 2 and plan(store, full(14), 1, 0).rows == 1


# ---------------------------------------------------------------------------------------------------- doc-sentences


@given(corpus=CORPORA, length=LENGTHS)
def test_doc_sentences_equal_the_literal_reading(make_store: StoreMaker, corpus: Corpus, length: int) -> None:
    """Each document on its own, filled as full-sentences fills it."""
    expected: list[list[Piece]] = []
    start = 0
    for document in corpus:
        rows = full_sentences_by_sentence(make_store([document]), length, 1, 0)
        expected += [[(start + a, start + b) for a, b in row] for row in rows]
        start += sum(document)
    made = plan(make_store(corpus), doc(length), 1, 0)
    assert [row.pieces for row in rows_of(made)] == expected
    assert not made.paired and not made.piece_segments.any()
    assert made.dropped == {"split_sentences": sum(n > length - 2 for document in corpus for n in document)}


def test_a_row_ends_with_its_document_however_short(make_store: StoreMaker) -> None:
    made = plan(make_store([[4, 4, 4], [3], [20, 2]]), doc(12), 1, 0)
    assert [row.pieces for row in rows_of(made)] == [
        [(0, 8)],
        [(8, 12)],
        [(12, 15)],
        [(15, 25)],
        [(25, 35)],
        [(35, 37)],
    ]
