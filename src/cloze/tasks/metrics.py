"""Arithmetic of scores: probabilities, and mean and spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log of the class probabilities [N, C], in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def log_softmax_in_groups(logits: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log of the probabilities [N, C] within groups that begin at `offsets` [G + 1], none of them empty."""
    lengths, wide = np.diff(offsets), logits.astype(np.float64)
    shifted = wide - np.repeat(np.maximum.reduceat(wide, offsets[:-1], axis=0), lengths, axis=0)
    sums = np.add.reduceat(np.exp(shifted), offsets[:-1], axis=0)
    return np.asarray(shifted - np.repeat(np.log(sums), lengths, axis=0))


def mean_and_std(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation (n - 1). One value alone has no spread, one that is missing no mean: None."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None, None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None


def require_extra(extra: str, *modules: str) -> None:
    """Raise ClozeError that says what to install if one of these can't be imported. Imports nothing."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise ClozeError(
            f"scoring this kind of task needs {' and '.join(missing)}, not installed: pip install 'cloze[{extra}]'"
        )
