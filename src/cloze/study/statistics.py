"""How sure a mean is, and whether two variants differ.

Scores of a variant come in groups: one group for each pretraining seed, with the scores of its fine-tuning seeds.
Fine-tuning seeds of one pretrained model share its luck, so with two or more groups the groups' means are the
observations. With one group its scores are, and the result says nothing of other pretraining seeds: `scope` says which.
Intervals and tests are Student's t: at three to five observations a percentile bootstrap is much too narrow.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Groups = Sequence[Sequence[float]]
Scope = Literal["pretraining seeds", "fine-tuning seeds"]

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
"""A difference is called real if its p, corrected for all comparisons of the study, is below this."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and how sure it is."""

    mean: float
    low: float | None
    """Ends of the 95% interval; None with one observation."""
    high: float | None
    observations: int
    scope: Scope


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant minus the base, seed by seed."""

    mean: float
    p: float | None
    """Two-sided, of the paired t-test; None with fewer than two pairs. Not corrected."""
    pairs: int


def observations(groups: Groups) -> tuple[list[float], Scope]:
    """What counts as one observation (see above)."""
    if len(groups) > 1:
        return [statistics.fmean(group) for group in groups], "pretraining seeds"
    return list(groups[0]), "fine-tuning seeds"


def estimate(groups: Groups) -> Estimate:
    """Mean and interval of a variant's scores; at least one score."""
    values, scope = observations(groups)
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, None, None, len(values), scope)
    from scipy import stats

    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half, len(values), scope)


def difference(groups: Groups, base: Groups) -> Difference:
    """A variant against the base; groups, and scores in a group, belong together in their order (equal seeds)."""
    ours, theirs = observations(groups)[0], observations(base)[0]
    pairs = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(pairs)
    if len(pairs) < 2:
        return Difference(mean, None, len(pairs))
    spread = statistics.stdev(pairs)
    if spread == 0.0:
        return Difference(mean, 1.0 if mean == 0.0 else 0.0, len(pairs))
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
