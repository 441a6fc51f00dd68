"""Scores of a classifier, and their mean and spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """How well logits fit labels."""

    accuracy: float
    """Share of rows whose largest logit is the label's; the first of equal ones counts."""
    loss: float
    """Mean cross-entropy over rows. Unit: nats."""
    confusion: list[list[int]]
    """Rows of each true class (outer) that were given each class (inner)."""


def score(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Scores:
    """Score `logits` [N, C] against class indices `labels` [N], in float64; N is at least 1."""
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    losses = -log_softmax(logits)[np.arange(len(labels)), labels]
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return Scores(float((predicted == labels).mean()), float(losses.mean()), confusion.tolist())


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log of the class probabilities [N, C], in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); one value alone has no spread: None."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
