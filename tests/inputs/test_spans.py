"""Spans of whole words: the lengths of the papers, apart from one another, the same in any company."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cloze.inputs.planning import Bool, Int64
from cloze.inputs.spans import boundaries, choose_spans, length_probabilities, runs
from cloze.recipe import MaskingSettings

SPAN, NGRAM = MaskingSettings(unit="span"), MaskingSettings(unit="ngram")

STRETCHES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=25), min_size=1, max_size=3)
"""The words of a row by their tokens, in stretches between special tokens."""
ROWS = st.lists(STRETCHES, min_size=1, max_size=4)


def choose(
    rows: list[list[list[int]]],
    budget: list[int],
    numbers: Int64 | None = None,
    *,
    settings: MaskingSettings = SPAN,
    copy: int = 0,
) -> list[list[list[bool]]]:
    """`choose_spans` on rows of stretches of word sizes: rows of stretches of whether a word is chosen."""
    stretches = [stretch for row in rows for stretch in row]
    lengths = list(map(len, stretches))
    chosen: Bool = choose_spans(
        np.array([size for stretch in stretches for size in stretch]),
        np.repeat(np.arange(len(rows)), [sum(map(len, row)) for row in rows]),
        np.repeat(np.arange(len(stretches)), lengths),
        np.array(budget),
        np.arange(len(rows)) if numbers is None else numbers,
        length_probabilities(settings),
        1,
        copy,
    )
    parts = iter(np.split(chosen, np.cumsum(lengths)[:-1]))
    return [[next(parts).tolist() for _ in row] for row in rows]


def spans_of(stretch: list[bool]) -> list[tuple[int, int]]:
    """First word and one past the last of each run of chosen words."""
    edges = np.flatnonzero(np.diff([False, *stretch, False])).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


# ---------------------------------------------------------------------------------------------------- distributions


def test_span_lengths_are_geometric_cut_at_ten_and_renormalised() -> None:
    probabilities = length_probabilities(SPAN)
    truncated = stats.geom.pmf(np.arange(1, 11), 0.2) / stats.geom.cdf(10, 0.2)
    assert np.allclose(probabilities, truncated, rtol=1e-12)
    assert (probabilities * np.arange(1, 11)).sum() == pytest.approx(3.8, abs=0.01)  # the mean that the paper names


def test_ngram_lengths_are_as_one_over_n() -> None:
    assert length_probabilities(NGRAM) == pytest.approx(np.array([6, 3, 2]) / 11)
    assert length_probabilities(MaskingSettings(unit="ngram", longest_ngram=1)).tolist() == [1.0]
    halves = MaskingSettings(unit="span", span_p=0.5, longest_span=2)
    assert length_probabilities(halves) == pytest.approx(np.array([2, 1]) / 3)


@pytest.mark.parametrize("settings", [SPAN, NGRAM], ids=["span", "ngram"])
@pytest.mark.parametrize("sizes", [[1], [1, 3, 2]], ids=["tokens", "words"])
def test_drawn_spans_have_these_lengths(settings: MaskingSettings, sizes: list[int]) -> None:
    """Over long rows, where the one span that the budget cuts short does not count."""
    words = (sizes * 3_000)[:3_000]
    chosen = choose([[words]] * 12, [int(0.15 * sum(words))] * 12, settings=settings)
    lengths = [end - first for row in chosen for first, end in spans_of(row[0])]
    probabilities = length_probabilities(settings)
    found = np.bincount(lengths, minlength=probabilities.size + 1)[1:]
    assert found.size == probabilities.size and found.sum() > 1_000
    assert stats.chisquare(found, found.sum() * probabilities).pvalue > 1e-3


def test_spans_begin_anywhere() -> None:
    settings = MaskingSettings(unit="ngram", longest_ngram=1)
    chosen = np.array([row[0] for row in choose([[[1] * 30]] * 8_000, [1] * 8_000, settings=settings)])
    assert chosen.sum() == 8_000 and stats.chisquare(chosen.sum(axis=0)).pvalue > 1e-4


# ------------------------------------------------------------------------------------------------------- properties


@pytest.mark.parametrize("settings", [SPAN, NGRAM], ids=["span", "ngram"])
@given(rows=ROWS, share=st.floats(0.01, 0.99), copy=st.integers(0, 5))
def test_spans_are_whole_words_within_the_budget_and_apart(
    settings: MaskingSettings, rows: list[list[list[int]]], share: float, copy: int
) -> None:
    """And as many as fit: no word that is free, and beside no span, could still be afforded."""
    budget = [max(1, round(share * sum(map(sum, row)))) for row in rows]
    longest = length_probabilities(settings).size
    for row, chosen, most in zip(rows, choose(rows, budget, settings=settings, copy=copy), budget, strict=True):
        spent = sum(np.concatenate(row)[np.concatenate(chosen)].tolist())
        spans = [span for taken in chosen for span in spans_of(taken)]
        assert spans and max(end - first for first, end in spans) <= longest
        smallest = min(map(min, row))
        assert spent <= most or (len(spans) == 1 and most < smallest)
        for sizes, taken in zip(row, chosen, strict=True):
            near = [any(taken[max(0, i - 1) : i + 2]) for i in range(len(taken))]
            assert all(beside or size > most - spent for size, beside in zip(sizes, near, strict=True))


@given(row=STRETCHES, others=ROWS, copy=st.integers(0, 5), number=st.integers(0, 10**9))
def test_a_row_has_the_same_spans_in_any_company(
    row: list[list[int]], others: list[list[list[int]]], copy: int, number: int
) -> None:
    def budget(of: list[list[int]]) -> int:
        return max(1, sum(map(sum, of)) // 3)

    alone = choose([row], [budget(row)], np.array([number]), copy=copy)[0]
    rows = [*others, row, *others]
    numbers = np.array([*range(len(others)), number, *range(len(others))])
    assert choose(rows, list(map(budget, rows)), numbers, copy=copy)[len(others)] == alone


def test_rows_and_copies_have_different_spans() -> None:
    row = [[1] * 100]
    found = [choose([row], [15], np.array([number]), copy=copy) for number, copy in ((0, 0), (1, 0), (0, 1))]
    assert found[0] != found[1] and found[0] != found[2]


def test_a_span_that_is_too_long_for_every_stretch_is_shortened() -> None:
    settings = MaskingSettings(unit="span", span_p=1e-9, longest_span=1_000)
    for row in choose([[[1, 1, 1], [1, 1]]] * 50, [3] * 50, np.arange(50), settings=settings):
        assert row == [[True] * 3, [False] * 2]


def test_one_word_is_taken_where_none_fits() -> None:
    chosen = choose([[[4, 4, 4]]] * 300, [2] * 300)
    places = np.array([row[0] for row in chosen])
    assert (places.sum(axis=1) == 1).all()
    assert stats.chisquare(places.sum(axis=0)).pvalue > 1e-4


# ------------------------------------------------------------------------------------------------------------- runs


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=8))
def test_runs_and_boundaries_of_positions(spans: list[tuple[int, int]]) -> None:
    """Spans as (gap before, length): positions, their ends, and the tokens just outside."""
    expected, at = [], 0
    for gap, length in spans:
        expected.append((at + gap, at + gap + length - 1))
        at += gap + length
    positions = np.array([i for first, last in expected for i in range(first, last + 1)], dtype=np.int64)
    first, last, span = runs(positions)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == expected
    left, right, places = boundaries(positions)
    assert {left.dtype, right.dtype, places.dtype} == {np.dtype(np.int64)}
    for i, position in enumerate(positions.tolist()):
        begin, end = expected[int(span[i])]
        assert (left[i], right[i], places[i]) == (begin - 1, end + 1, position - begin + 1)


def test_boundaries_need_spans() -> None:
    with pytest.raises(ValueError, match="boundaries are those of spans, but unit is word"):
        MaskingSettings(unit="word", boundaries=True)
