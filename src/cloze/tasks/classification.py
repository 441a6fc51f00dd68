"""One of several classes for a text or a pair of texts (Devlin et al. 2019, section 4.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.tasks.datasets import Examples
from cloze.tasks.faults import refuse_unknown, refuse_unseen
from cloze.tasks.intervals import calibration_error
from cloze.tasks.metrics import log_softmax
from cloze.tasks.mistakes import most_confident
from cloze.tasks.relations import auprc, micro_f1
from cloze.tasks.task import (
    Inputs,
    Labels,
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


def class_names(train: Examples, test: Examples) -> tuple[str, ...]:
    """The classes of `train`, in numeric order when all are whole numbers, otherwise in code-point order.

    Raises ClozeError when training has one class only, or when `test` has a label that training never saw.
    """
    known = set(train.labels)
    if len(known) == 1:
        raise ClozeError(
            f"{train.path}: every one of the {len(train.labels):,} examples has the label {train.labels[0]!r}. "
            "A classifier needs two classes or more: check the labels' column, or shuffle the file before cutting it."
        )
    classes = sorted(known)  # So that 1 and 01, which are one number, have an order, too.
    if all(_is_whole_number(name) for name in known):
        classes.sort(key=int)
    refuse_unseen(train.path, test.path, zip(test.lines, test.labels, strict=True), classes)
    return tuple(classes)


def _names(classes: tuple[str, ...], examples: Examples) -> tuple[str, ...]:
    """transformers calls classes without names LABEL_0, LABEL_1, ...: in files these are 0, 1, ..."""
    unnamed = all(re.fullmatch(r"LABEL_\d+", name) for name in classes) and not set(classes) & set(examples.labels)
    return tuple(name.removeprefix("LABEL_") for name in classes) if unnamed else classes


def _settings(train: Examples, task: TaskSettings) -> Mapping[str, Any]:
    relations = {"entity_columns": task.entity_columns, "null_class": task.null_class}
    return {**settings_of_texts(train, task), **relations}


def _refuse(examples: Examples, classes: tuple[str, ...], settings: Mapping[str, Any], model: Path) -> None:
    refuse_unknown(model, examples.path, zip(examples.lines, examples.labels, strict=True), classes)


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Place in `classes` of every label."""
    index = {name: place for place, name in enumerate(classes)}
    return [index[label] for label in labels]


def balanced_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """What an example of each class counts, float32 [classes]: examples / (classes that occur x examples of its class).

    The mean over the examples is 1. A class that does not occur, as in a part of the training file, has 0.
    """
    counts = np.bincount(labels, minlength=classes)
    found = np.zeros(classes, dtype=np.float32)
    known = counts > 0
    found[known] = len(labels) / (known.sum() * counts[known])
    return found


def _is_whole_number(name: str) -> bool:
    return name.isascii() and name.removeprefix("-").isdigit()


def _inputs(examples: Examples, classes: tuple[str, ...], layout: Layout, task: TaskSettings) -> Inputs:
    labels = np.array(class_indices(examples.labels, classes))
    if task.null_class not in (None, *classes):
        raise ClozeError(
            f"task {task.name}: null_class is {task.null_class!r}, and the classes are {', '.join(map(repr, classes))}."
        )
    scores = partial(_score, labels=labels, examples=examples, classes=classes, null_class=task.null_class)
    predictions = partial(_predictions, examples=examples, classes=classes)
    return Inputs(rows_of_texts(examples, layout), labels, scores, predictions)


def _predictions(logits: Outputs, examples: Examples, classes: tuple[str, ...]) -> list[Record]:
    predicted, probabilities = logits.argmax(axis=1), np.exp(log_softmax(logits)).max(axis=1)
    rows = zip(examples.ids, examples.labels, predicted.tolist(), probabilities.tolist(), strict=True)
    return [
        {"id": name, "label": label, "predicted": classes[place], "probability": probability}
        for name, label, place, probability in rows
    ]


def _score(
    logits: Outputs, labels: NDArray[np.int64], examples: Examples, classes: tuple[str, ...], null_class: str | None
) -> Mapping[str, Any]:
    """`score`, KLUE-RE's measures if there is a class for none, F1 of each class, and the most confident mistakes."""
    predicted, scores = logits.argmax(axis=1), score(logits, labels)
    counts = np.array(scores["confusion"])
    if null_class is not None:
        of_relations = micro_f1(counts, classes.index(null_class))
        scores = {**scores, "micro_f1": of_relations, "auprc": auprc(np.exp(log_softmax(logits)), labels)}

    def describe(place: int) -> dict[str, Any]:
        second = {} if examples.second is None else {"second": examples.second[place]}
        named = {"label": examples.labels[place], "predicted": classes[predicted[place]]}
        return {"id": examples.ids[place], "text": examples.texts[place], **second, **named}

    probabilities = np.exp(log_softmax(logits)).max(axis=1)
    rows = zip(classes, f1_of_classes(counts).tolist(), counts.sum(axis=1).tolist(), strict=True)
    parts = {name: {"f1": None if np.isnan(value) else value, "count": count} for name, value, count in rows}
    return {**scores, "parts": parts, "mistakes": most_confident(probabilities, predicted == labels, describe)}


def score(logits: Outputs, labels: Labels) -> Mapping[str, Any]:
    """`logits` [N, C] against class indices `labels` [N], in float64; N is at least 1.

    accuracy: share of rows whose largest logit is the label's, the first of equal ones; loss: mean cross-entropy, nats;
    confusion: rows of each true class (outer) that were given each class (inner); macro_f1: mean of the classes' F1
    without those that nobody has and nobody was given, as scikit-learn and KLUE's script have it; matthews: correlation
    of true and predicted class (Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006), 0 where one of them is always
    the same; f1: of two classes, that of the second one (1 of 0 and 1).
    """
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    shares, right = log_softmax(logits), predicted == labels
    losses = -shares[np.arange(len(labels)), labels]
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    measured = {"accuracy": float(right.mean()), "loss": float(losses.mean()), "confusion": confusion.tolist()}
    measured |= {"macro_f1": macro_f1(confusion), "matthews": matthews(confusion)}
    measured |= {"f1": micro_f1(confusion, left_out=0)} if classes == 2 else {}
    surest = np.exp(shares).max(axis=1)
    return measured | {"calibration_error": calibration_error(surest, right), "per_example": right.astype(np.float64)}


def f1_of_classes(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) of each class, of true (outer) x predicted (inner) counts [C, C]; NaN for one that nobody
    has and nobody was given."""
    right = np.diag(confusion).astype(np.float64)
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.asarray(np.divide(2 * right, both, out=np.full_like(right, np.nan), where=both > 0))


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean of `f1_of_classes` that exist; there is at least one example."""
    return float(np.nanmean(f1_of_classes(confusion)))


def matthews(confusion: NDArray[np.int64]) -> float:
    """Matthews' correlation of true (outer) and predicted (inner) classes, counts [C, C]."""
    true, predicted = (confusion.sum(axis=axis).astype(np.float64) for axis in (1, 0))
    rows = true.sum()
    spread = (rows**2 - true @ true) * (rows**2 - predicted @ predicted)
    return float((np.trace(confusion) * rows - true @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


KIND = TaskKind(
    name="classification",
    measures=("accuracy", "loss"),
    learned=("accuracy", "loss"),
    read=read_texts,
    classes=class_names,
    inputs=_inputs,
    keys=keys_of_texts,
    take=take,
    labels=lambda examples: [(label,) for label in examples.labels],
    settings=_settings,
    names=_names,
    refuse=_refuse,
)
