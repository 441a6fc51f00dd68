"""How sure a test score is: percentile bootstrap over the test's examples (Efron and Tibshirani 1993, chapter 13).

A resample draws as many examples as there are, with replacement; it is held as how often each was drawn. A measure is
computed anew for every resample from the model's predictions, so the interval says how much another test set of the
same kind would move it. It says nothing of other seeds: that is the standard deviation over seeds. All seeds of a task
meet the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.hashing import integers

Floats = NDArray[np.float64]
Resample = Callable[[Floats, Floats], Floats]
"""(what a measure needs of each example [N, ...], how often each was drawn [B, N]) -> the measure [B], NaN where there
is none."""

RESAMPLES, FEWEST_RESAMPLES = 1_000, 100
DRAWS = 50_000_000
"""Examples drawn in all: a test of more than 50,000 examples gets fewer resamples, so that this takes seconds."""
CHUNK_DRAWS = 2_000_000
"""Examples drawn at once."""
CONFIDENCE = 0.95
BINS = 15


def bootstrap(per_example: Floats, resample: Resample) -> dict[str, Any] | None:
    """low, high: ends of the 95% interval; resamples. None if the measure doesn't exist for one of them."""
    examples = len(per_example)
    resamples = max(FEWEST_RESAMPLES, min(RESAMPLES, DRAWS // max(1, examples)))
    found = np.concatenate([resample(per_example, drawn) for drawn in _drawn(examples, resamples)])
    if not np.isfinite(found).all():
        return None
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [outside, 1 - outside]).tolist()
    return {"low": low, "high": high, "resamples": resamples}


def _drawn(examples: int, resamples: int) -> Iterator[Floats]:
    """How often each example is in each resample, [some resamples, examples] at a time."""
    step = max(1, CHUNK_DRAWS // max(1, examples))
    for first in range(0, resamples, step):
        numbers = np.arange(first, min(first + step, resamples))[:, None]
        chosen = integers(examples, 0, "bootstrap", numbers, np.arange(examples))
        places = (chosen + (numbers - first) * examples).ravel()
        yield np.bincount(places, minlength=len(numbers) * examples).reshape(-1, examples).astype(np.float64)


def mean(per_example: Floats, drawn: Floats) -> Floats:
    """The mean of a score [N]: accuracy, exact match, F1 of answers."""
    return np.asarray(drawn @ per_example / drawn.sum(axis=1))


def f1(per_example: Floats, drawn: Floats) -> Floats:
    """F1 over everything that is right, given and wanted; `per_example` [N, 3] has how many of each. 0 of nothing."""
    right, given, wanted = (drawn @ per_example).T
    both = given + wanted
    return np.asarray(np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0))


def spearman(per_example: Floats, drawn: Floats) -> Floats:
    """Rank correlation of two columns [N, 2], equal values with their mean rank; NaN where a column doesn't vary."""
    ranks = [_ranks(column, drawn) for column in per_example.T]
    total = drawn.sum(axis=1, keepdims=True)
    # Of any resample the mean of the ranks is the same.
    x, y = (rank - (total + 1) / 2 for rank in ranks)
    products = [(drawn * one * other).sum(axis=1) for one, other in ((x, y), (x, x), (y, y))]
    spread = np.sqrt(products[1] * products[2])
    return np.asarray(np.divide(products[0], spread, out=np.full_like(spread, np.nan), where=spread > 0))


def _ranks(values: Floats, drawn: Floats) -> Floats:
    """Of each example, its mean rank among those drawn, [B, N]."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    counts = np.add.reduceat(drawn[:, order], starts, axis=1)
    ranks: Floats = np.cumsum(counts, axis=1) - (counts - 1) / 2
    return ranks[:, group]


def calibration_error(probabilities: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error of what was predicted, its probability and whether it was right, [N] each.

    15 bins of equal width; the distance of a bin's accuracy from its mean probability, weighed by its share of the
    examples (Guo et al. 2017, arXiv:1706.04599, section 2).
    """
    bins = np.clip(np.ceil(probabilities * BINS).astype(np.int64) - 1, 0, BINS - 1)
    distances = np.bincount(bins, right - probabilities, minlength=BINS)
    return float(np.abs(distances).sum() / len(probabilities))
