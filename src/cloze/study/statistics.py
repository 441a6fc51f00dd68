"""How sure a mean is, and whether two variants differ.

Intervals and tests are Student's t: at three to five observations a percentile bootstrap is much too narrow.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
"""A difference is called real if its p, corrected for all comparisons of the study, is below this."""
NO_SPREAD = 1e-12
"""Shares of 1 closer than this differ by rounding alone."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and how sure it is."""

    mean: float
    low: float | None
    """Ends of the 95% interval; None with one observation."""
    high: float | None
    observations: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant minus its base, seed by seed."""

    mean: float
    p: float | None
    """Two-sided, of the paired t-test, not corrected. None with fewer than two pairs, and where all pairs differ by the
    same amount: the spread of seeds is then below what the test set can show, and t has nothing to divide by."""
    pairs: int


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval of independent observations, of which there is at least one."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, None, None, len(values))
    from scipy import stats

    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half, len(values))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Observations minus those of the base; they belong together in their order, and there is at least one pair."""
    pairs = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(pairs)
    if len(pairs) < 2:
        return Difference(mean, None, len(pairs))
    spread = statistics.stdev(pairs)
    if spread < NO_SPREAD:
        return Difference(mean, 1.0 if abs(mean) < NO_SPREAD else None, len(pairs))
    from scipy import stats

    t = mean / (spread / len(pairs) ** 0.5)
    return Difference(mean, float(2 * stats.t.sf(abs(t), len(pairs) - 1)), len(pairs))


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for their number (Holm 1979): the smallest times n, the next times n - 1, never falling."""
    corrected: dict[str, float] = {}
    highest = 0.0
    for place, (name, p) in enumerate(sorted(ps.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(ps) - place)))
        corrected[name] = highest
    return corrected
