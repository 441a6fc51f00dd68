"""Any number of labels at once for a text or a pair of texts: toxic kinds of a comment, topics of an article.

The labels of an example stand in one column with a separator between (none: an empty cell), or as a list of JSON; or in
several columns: a column of yes or no (true, false, 1, 0) is a label of its own name, one of other values a label for
each, written column=value; no, false, 0, none and an empty cell are no label. Each label is judged by itself, with its
own sigmoid, and given where its probability is above one half. F1 is scikit-learn's: micro over all labels, macro the
mean over labels; a label that the test never has and nobody gives counts as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloze.errors import ClozeError
from cloze.tasks.datasets import ITEM_END, Examples, read_table
from cloze.tasks.faults import refuse_unknown, refuse_unseen
from cloze.tasks.intervals import f1
from cloze.tasks.metrics import require_extra
from cloze.tasks.task import (
    Inputs,
    Labels,
    Layout,
    Outputs,
    Record,
    TaskKind,
    keys_of_texts,
    rows_of_texts,
    settings_of_texts,
    take,
)

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings

YES, NO = ("true", "yes", "1"), ("false", "no", "0", "none", "")
SEPARATOR = "\x1f"
"""Between the labels of an example once it is read; no label can hold it."""


def _read(path: Path, task: TaskSettings) -> Examples:
    """`Examples.labels` hold all labels of an example, in order, with SEPARATOR between."""
    columns = task.label_columns or [task.label_column]

    def joined(values: list[str]) -> str:
        if task.label_columns is None:
            mark = ITEM_END if ITEM_END in values[0] else task.label_separator
            found = [name.strip() for name in values[0].split(mark)]
        else:
            of_columns = ((c, part.strip()) for c, value in zip(columns, values, strict=True) for part in _items(value))
            found = [_label(column, part) for column, part in of_columns]
        return SEPARATOR.join(sorted({name for name in found if name}))

    second = task.second_text_column
    return read_table(path, task.text_column, columns, second, label=joined, columns=task.columns or ())


def _items(value: str) -> list[str]:
    """Those of a list of JSON, or the value alone."""
    return value.split(ITEM_END) if ITEM_END in value else [value]


def _label(column: str, value: str) -> str:
    if value.casefold() in NO:
        return ""
    return column if value.casefold() in YES else f"{column}={value}"


def _labels(examples: Examples, place: int) -> list[str]:
    return [name for name in examples.labels[place].split(SEPARATOR) if name]


def label_names(train: Examples, test: Examples) -> tuple[str, ...]:
    """The labels of `train`, in code-point order.

    Raises ClozeError when training has none, or one that every example has and no other; or when `test` has a label
    that training never saw; and, before anything is trained, if scikit-learn is missing.
    """
    require_extra("tasks", "sklearn")
    known = sorted({name for place in range(len(train.labels)) for name in _labels(train, place)})
    if len(set(train.labels)) == 1:
        has = train.labels[0].replace(SEPARATOR, ", ")
        raise ClozeError(
            f"{train.path}: every one of the {len(train.labels):,} examples has {has or 'no label'}, so there is "
            "nothing to learn. Check the task's label_column, label_columns and label_separator."
        )
    labels = ((line, name) for place, line in enumerate(test.lines) for name in _labels(test, place))
    refuse_unseen(train.path, test.path, labels, known)
    return tuple(known)


def _refuse(examples: Examples, classes: tuple[str, ...], settings: Mapping[str, Any], model: Path) -> None:
    require_extra("tasks", "sklearn")
    places = enumerate(examples.lines)
    refuse_unknown(
        model, examples.path, ((line, name) for place, line in places for name in _labels(examples, place)), classes
    )


def _settings(train: Examples, task: TaskSettings) -> Mapping[str, Any]:
    columns = {"label_columns": task.label_columns, "label_separator": task.label_separator}
    return {**settings_of_texts(train, task), **columns}


def _inputs(examples: Examples, classes: tuple[str, ...], layout: Layout, task: TaskSettings) -> Inputs:
    index = {name: place for place, name in enumerate(classes)}
    labels = np.zeros((len(examples.labels), len(classes)), dtype=np.float32)
    for place in range(len(labels)):
        labels[place, [index[name] for name in _labels(examples, place)]] = 1
    scores = partial(score, labels=labels, classes=classes)
    predictions = partial(_predictions, examples=examples, classes=classes)
    return Inputs(rows_of_texts(examples, layout), labels, scores, predictions)


def _predictions(logits: Outputs, examples: Examples, classes: tuple[str, ...]) -> list[Record]:
    given, probabilities = logits > 0, 1 / (1 + np.exp(-logits.astype(np.float64)))
    return [
        {
            "id": examples.ids[place],
            "label": _labels(examples, place),
            "predicted": [name for name, chosen in zip(classes, given[place], strict=True) if chosen],
            "probability": dict(zip(classes, probabilities[place].tolist(), strict=True)),
        }
        for place in range(len(given))
    ]


def score(logits: Outputs, labels: Labels, classes: tuple[str, ...]) -> Mapping[str, Any]:
    """`logits` [N, C] against `labels` [N, C], 0 or 1.

    exact_match: rows with all labels right; `parts`: F1 of each label, and how often the test has it.
    """
    from sklearn.metrics import f1_score

    given, wanted, wide = logits > 0, labels > 0.5, logits.astype(np.float64)
    of_labels = [float(f1_score(a, b, zero_division=0)) for a, b in zip(wanted.T, given.T, strict=True)]
    counts = wanted.sum(axis=0).tolist()
    return {
        "micro_f1": float(f1_score(wanted.ravel(), given.ravel(), zero_division=0)),
        "macro_f1": float(np.mean(of_labels)),
        "exact_match": float((given == wanted).all(axis=1).mean()),
        "loss": float((np.logaddexp(0, wide) - wide * labels).mean()),
        "per_example": np.stack([(given & wanted).sum(1), given.sum(1), wanted.sum(1)], axis=1).astype(np.float64),
        "parts": {
            name: {"f1": value, "count": count} for name, value, count in zip(classes, of_labels, counts, strict=True)
        },
    }


KIND = TaskKind(
    name="multi_label",
    measures=("micro_f1", "macro_f1", "exact_match", "loss"),
    learned=("loss",),
    read=_read,
    classes=label_names,
    inputs=_inputs,
    resample=f1,
    keys=keys_of_texts,
    take=take,
    labels=lambda examples: [_labels(examples, place) for place in range(len(examples.labels))],
    settings=_settings,
    refuse=_refuse,
)
