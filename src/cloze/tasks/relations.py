"""Relations between two entities of a sentence, as KLUE-RE has them (Park et al. 2021, arXiv:2105.09680, section 3.5).

A sentence is classified with its entities marked: `@ 비틀즈 @ 가`, `# 조지 해리슨 #`. These are punctuation marks as in
Zhou and Chen (2022, arXiv:2102.01373, "entity marker (punct)"), which tokenizers know; KLUE's baseline adds four tokens
to the vocabulary, and keeps particles parts of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloze.tasks.faults import Faults, place

MARKS = ("@", "#")
"""Around the first and the second entity."""
Row = tuple[int, list[str]]
"""Number of a line, and its fields."""


def places_of(columns: Sequence[str]) -> list[str]:
    """Names of the columns that say where the entities stand."""
    return [f"{column}.{end}" for column in columns for end in ("start_idx", "end_idx")]


def mark_entities(
    path: Path, header: Sequence[str], rows: Sequence[Row], text_column: str, entities: Sequence[str], faults: Faults
) -> list[Row]:
    """The rows with marks in their text; `faults` gets those whose entities do not stand where they should."""
    marked = []
    for number, fields in rows:
        row = dict(zip(header, fields, strict=True))
        try:
            row[text_column] = _marked(row, text_column, entities)
        except ValueError as error:
            faults.add(place(path, number), str(error))
        else:
            marked.append((number, list(row.values())))
    return marked


def _marked(row: Mapping[str, str], text_column: str, entities: Sequence[str]) -> str:
    """Raises ValueError that says what is wrong with an entity."""
    text, found = row[text_column], []
    for entity, mark in zip(entities, MARKS, strict=True):
        start, last = (row[name] for name in places_of([entity]))
        if not start.isdigit() or not last.isdigit() or not int(start) <= int(last) < len(text):
            raise ValueError(f"{entity} is said to be characters {start!r} to {last!r} of a text of {len(text):,}")
        begin, end = int(start), int(last) + 1
        word = row.get(f"{entity}.word", text[begin:end])
        if word != text[begin:end]:
            raise ValueError(f"{entity} is {word!r}, but the text has {text[begin:end]!r} in its place")
        found.append((begin, end, mark))
    (_, first_end, _), (second_begin, _, _) = sorted(found)
    if first_end > second_begin:
        raise ValueError(f"{' and '.join(entities)} overlap")
    for begin, end, mark in sorted(found, reverse=True):
        text = f"{text[:begin]} {mark} {text[begin:end]} {mark} {text[end:]}"
    return " ".join(text.split())


def micro_f1(confusion: NDArray[np.int64], left_out: int) -> float:
    """F1 over all classes but one, of true (outer) x predicted (inner) counts [C, C]: KLUE-RE's without no_relation."""
    rest = np.arange(len(confusion)) != left_out
    right = np.diag(confusion)[rest].sum()
    both = confusion[rest].sum() + confusion[:, rest].sum()
    return float(2 * right / both) if both else 0.0


def auprc(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean over classes of the area under the precision-recall curve, by trapezoids as in KLUE's script.

    `probabilities` [N, C], `labels` [N]. A class that no example has is left out: it has no recall.
    """
    areas = []
    for name in np.unique(labels):
        order = np.argsort(-probabilities[:, name], kind="stable")
        scores, right = probabilities[order, name], np.cumsum(labels[order] == name)
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # of equal scores the threshold is one
        precision, recall = np.append(1.0, right[last] / (last + 1)), np.append(0.0, right[last] / right[-1])
        areas.append((np.diff(recall) * (precision[1:] + precision[:-1]) / 2).sum())
    return float(np.mean(areas))
