"""A number for a text or a pair of texts, such as how alike two sentences are (STS; Cer et al. 2017, arXiv:1708.00055).

The head has one output and is trained on the squared error, as transformers' models with one label are. The measures
are Spearman's and Pearson's correlation, by scipy. Where all outputs or all labels are equal there is no correlation:
null, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.tasks.datasets import Examples
from cloze.tasks.intervals import spearman
from cloze.tasks.task import (
    Inputs,
    Layout,
    Outputs,
    Record,
    TaskKind,
    keys_of_texts,
    read_texts,
    rows_of_texts,
    settings_of_texts,
    take,
)

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings


LARGEST = float(np.finfo(np.float32).max)
"""Of a number that training can take."""


def number(label: str) -> float | None:
    """The number that a label is; None: it is none, or not finite in float32."""
    if not label.isascii() or "_" in label:  # Python reads 1_000, and the digits of every script.
        return None
    try:
        value = float(label)
    except ValueError:
        return None
    return value if abs(value) <= LARGEST else None


def _read(path: Path, task: TaskSettings) -> Examples:
    return read_texts(path, task, wrong=_no_number)


def _no_number(label: str) -> str:
    return f"the label {label!r} is not a number such as 3.5" if number(label) is None else ""


def _numbers(examples: Examples) -> NDArray[np.float64]:
    return np.array([float(label) for label in examples.labels], dtype=np.float64)


def _settings(train: Examples, task: TaskSettings) -> Mapping[str, Any]:
    return {**settings_of_texts(train, task), "positive_from": task.positive_from}


def _classes(train: Examples, test: Examples) -> tuple[str, ...]:
    numbers = _numbers(train)
    if numbers.min() == numbers.max():
        raise ClozeError(
            f"{train.path}: every one of the {len(numbers):,} examples has the number {train.labels[0]}, so there is "
            "nothing to learn. Check the task's label_column."
        )
    return (train.label_column,)


def _inputs(examples: Examples, classes: tuple[str, ...], layout: Layout, task: TaskSettings) -> Inputs:
    labels = _numbers(examples)
    scores = partial(score, labels=labels, positive_from=task.positive_from)
    predictions = partial(_predictions, ids=examples.ids, labels=labels)
    return Inputs(rows_of_texts(examples, layout), labels.astype(np.float32), scores, predictions)


def _predictions(outputs: Outputs, ids: Sequence[str], labels: NDArray[np.float64]) -> list[Record]:
    rows = zip(ids, labels.tolist(), outputs[:, 0].tolist(), strict=True)
    return [{"id": name, "label": label, "predicted": number} for name, label, number in rows]


def score(
    outputs: Outputs, labels: NDArray[np.float32] | NDArray[np.float64], positive_from: float | None = None
) -> Mapping[str, Any]:
    """Outputs [N, 1] against numbers [N], in float64: in float32 a label such as 3.8 would not be itself.

    `f1`: of those from `positive_from` on, if it is given.
    """
    from scipy import stats

    found, wanted = outputs[:, 0].astype(np.float64), labels.astype(np.float64)
    varies = len(found) > 1 and np.ptp(found) > 0 and np.ptp(wanted) > 0
    positive = {}
    if positive_from is not None:
        given, real = (column >= positive_from for column in (found, wanted))
        positive["f1"] = float(2 * (given & real).sum() / max(1, given.sum() + real.sum()))
    return {
        "spearman": float(stats.spearmanr(found, wanted).statistic) if varies else None,
        "pearson": float(stats.pearsonr(found, wanted).statistic) if varies else None,
        **positive,
        "loss": float(np.square(found - wanted).mean()),
        "per_example": np.stack([found, wanted], axis=1),
    }


KIND = TaskKind(
    name="regression",
    measures=("spearman", "pearson", "loss"),
    learned=("loss",),
    read=_read,
    classes=_classes,
    inputs=_inputs,
    resample=spearman,
    keys=keys_of_texts,
    take=take,
    settings=_settings,
)
