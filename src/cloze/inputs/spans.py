"""Spans of whole words to mask: SpanBERT's (arXiv:1907.10529), section 3.1; ALBERT's n-grams (arXiv:1909.11942), 4.1.

A span's length is drawn first, then its place, evenly among the words where a span of this length may begin. So lengths
keep their distribution: were a span that meets another one drawn anew, long ones would be lost more often.

Spans neither overlap nor touch: the tokens on both sides are ordinary tokens that are no target, or special ones. So
SpanBERT's boundaries are always observed tokens, and spans can be read off the positions of the targets: `runs`.

Axes: W words of R rows end to end, C columns of a table with a row's words in each row, M targets.
"""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.hashing import integers, uniform
from cloze.inputs.planning import Bool, Int64
from cloze.recipe import MaskingSettings


def length_probabilities(settings: MaskingSettings) -> NDArray[np.float64]:
    """Float64 [longest]: the probability of a span of 1, 2, ... words, for units span and ngram."""
    if settings.unit == "ngram":
        weights = 1.0 / np.arange(1, settings.longest_ngram + 1, dtype=np.float64)
    else:
        weights = (1.0 - settings.span_p) ** np.arange(settings.longest_span, dtype=np.float64)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def runs(positions: Int64) -> tuple[Int64, Int64, Int64]:
    """Consecutive positions as spans: first [spans], last [spans], and the span of each position [M].

    A row begins and ends with a special token, so no run goes on from row to row.
    """
    opens = np.diff(positions, prepend=-2) > 1
    closes = np.append(opens[1:], True)[: positions.size]
    return positions[opens], positions[closes], np.cumsum(opens) - 1


def boundaries(positions: Int64) -> tuple[Int64, Int64, Int64]:
    """For each target: the flat positions just before and just after its span, and its place in the span, from 1."""
    first, last, span = runs(positions)
    left, right = first[span] - 1, last[span] + 1
    return left, right, positions - left


def choose_spans(
    sizes: Int64,
    row: Int64,
    stretch: Int64,
    budget: Int64,
    rows: Int64,
    probabilities: NDArray[np.float64],
    seed: int,
    copy: int,
) -> Bool:
    """Bool [W]: the words of the spans.

    sizes, row, stretch [W]: tokens of each word, its row, and its stretch, the words between two special tokens, which
    a span never leaves; budget [R]: most tokens to choose; rows [R]: their numbers in the plan. Spans are added until
    the budget is used up or nothing fits. The last one ends at the last whole word that fits; one that is too long for
    every place is as long as the longest that is not. Where no word fits, one is taken: every row has a target.
    """
    words = np.bincount(row, minlength=budget.size)
    column = np.arange(row.size) - np.repeat(np.cumsum(words) - words, words)
    shape = (budget.size, int(words.max(initial=0)) + 1)  # the last column stops every span
    size = np.zeros(shape, dtype=np.int64)
    size[row, column] = sizes
    of_stretch = np.full(shape, -1, dtype=np.int64)
    of_stretch[row, column] = stretch
    tokens_before = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    np.cumsum(size, axis=1, out=tokens_before[:, 1:])

    columns, every = np.arange(shape[1]), np.arange(shape[0])
    stretch_ends = _next(np.diff(of_stretch, axis=1, append=-2) != 0) + 1
    barred, taken, left = of_stretch < 0, np.zeros(shape, dtype=bool), budget.copy()
    cumulative = np.cumsum(probabilities)[:-1]
    for draw in count():
        room = np.minimum(_next(barred), stretch_ends) - columns
        room[barred | (size > left[:, None])] = 0
        longest = room.max(axis=1)
        if not longest.any():
            break
        drawn = 1 + np.searchsorted(cumulative, uniform(seed, "masking/span-length", copy, rows, draw), side="right")
        length = np.minimum(drawn, longest)
        fits = room >= np.maximum(length, 1)[:, None]
        which = integers(np.maximum(fits.sum(axis=1), 1), seed, "masking/span-start", copy, rows, draw)
        start = np.argmax(np.cumsum(fits, axis=1) > which[:, None], axis=1)
        affordable = (tokens_before <= (tokens_before[every, start] + left)[:, None]).sum(axis=1) - 1
        end = np.minimum(start + length, affordable)  # a row that is done ends where it starts
        taken |= (columns >= start[:, None]) & (columns < end[:, None])
        left -= tokens_before[every, end] - tokens_before[every, start]
        beside = (columns >= start[:, None] - 1) & (columns <= end[:, None])
        barred |= beside & (of_stretch == of_stretch[every, start][:, None])
    none = (left == budget) & (words > 0)
    taken[every[none], integers(np.maximum(words, 1), seed, "masking/span-start", copy, rows, 0)[none]] = True
    return np.asarray(taken[row, column])


def _next(marks: Bool) -> Int64:
    """Int64 [R, C]: the column of the first mark at or after each; C where there is none."""
    width = marks.shape[1]
    found = np.where(marks, np.arange(width), width)
    return np.minimum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
