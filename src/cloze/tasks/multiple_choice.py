"""Which of several options answers a question about a text (RACE: Lai et al. 2017, arXiv:1704.04683).

Every option is a row of its own: the text, then question and option as the second text (a `_` in the question is where
the option goes, as in RACE's gaps). One number a row, and a softmax over the rows of a question (Devlin et al. 2019,
section 4.4). Of a row that is too long the text loses its end, never question or option, unless those alone are too
long; what is lost is counted.

Files: RACE's, a JSON object each ({"id", "article", "questions", "options", "answers": "A"...}) in a folder, however
deep; the same objects as JSON lines; or a table with columns for text, question, options and label.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.files import files_below
from cloze.tasks.datasets import columns_of, read_lines, read_text
from cloze.tasks.features import Features, RowBuilder
from cloze.tasks.intervals import calibration_error
from cloze.tasks.metrics import log_softmax_in_groups
from cloze.tasks.mistakes import most_confident
from cloze.tasks.task import Inputs, Labels, Layout, Outputs, TaskKind, take

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
GAP = "_"


@dataclass(frozen=True, slots=True)
class Choice:
    """One question; `answer` is the place of the right option."""

    text: str
    question: str
    options: tuple[str, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class Choices:
    """A file or folder, in its order."""

    path: Path
    choices: list[Choice]
    counts: dict[str, int]
    """examples: questions; options; empty: texts or options without a visible character."""


def _read(path: Path, task: TaskSettings) -> Choices:
    """Raises ClozeError, with file and line, for what is no such file, a question without options or right answer."""
    if path.is_dir():
        found = _unique((_object(read_text(file), file), str(file)) for file in _race_files(path))
    elif path.suffix.lower() in (".json", ".txt"):
        found = _of_object(_object(read_text(path), path), path)
    elif path.suffix.lower() == ".jsonl" and "questions" in _object(read_lines(path)[0], f"{path}, line 1"):
        found = _unique(
            (_object(line, f"{path}, line {number}"), f"{path}, line {number}")
            for number, line in enumerate(read_lines(path), start=1)
            if line.strip()
        )
    else:
        found = _of_table(path, task)
    if not found:
        raise ClozeError(f"{path} has no questions: a task needs at least one.")
    empty = sum(not text.strip() for choice in found for text in (choice.text, *choice.options))
    counts = {"examples": len(found), "options": sum(len(choice.options) for choice in found), "empty": empty}
    return Choices(path, found, counts)


def _race_files(folder: Path) -> list[Path]:
    found = [file for file in files_below(folder) if file.suffix.lower() in (".txt", ".json")]
    if not found:
        raise ClozeError(f"{folder} holds no .txt or .json file; expected RACE's, a text with its questions in each.")
    return found


def _object(text: str, where: object) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClozeError(f"{where}: no JSON ({error}). Expected RACE's format.") from None
    if not isinstance(record, dict):
        raise ClozeError(f"{where}: {text[:40]!r} is no object. Expected RACE's format.")
    return record


def _unique(records: Iterable[tuple[dict[str, Any], str]]) -> list[Choice]:
    """Choices of all objects, whose ids differ."""
    seen: dict[str, str] = {}
    found = []
    for record, where in records:
        if "id" in record and seen.setdefault(str(record["id"]), where) != where:
            raise ClozeError(f"{where}: the id {record['id']!r} is that of {seen[str(record['id'])]}, too. Remove one.")
        found += _of_object(record, where)
    return found


def _of_object(record: Mapping[str, Any], where: object) -> list[Choice]:
    fields = [record.get(name) for name in ("questions", "options", "answers")]
    if not isinstance(record.get("article"), str) or not all(isinstance(field, list) for field in fields):
        raise ClozeError(f"{where}: expected article (text), questions, options and answers (lists), as in RACE.")
    questions, options, answers = fields
    assert isinstance(questions, list) and isinstance(options, list) and isinstance(answers, list)
    if not len(questions) == len(options) == len(answers):
        raise ClozeError(f"{where}: {len(questions)} questions, {len(options)} options and {len(answers)} answers.")
    found = []
    for number, (question, choices, answer) in enumerate(zip(questions, options, answers, strict=True), start=1):
        if not isinstance(choices, list) or not all(isinstance(text, str) for text in [question, *choices]):
            raise ClozeError(f"{where}: question {number} or its options are no texts.")
        names = LETTERS[: len(choices)]
        found.append(_choice(record["article"], question, choices, names, answer, f"{where}, question {number}"))
    return found


def _of_table(path: Path, task: TaskSettings) -> list[Choice]:
    names = task.option_columns
    header, rows = columns_of(path, [task.text_column, task.question_column, *names, task.label_column])
    found = []
    for line, fields in rows:
        row = dict(zip(header, fields, strict=True))
        known = [name for name in names if row[name].strip()]
        where = f"{path}, line {line}"
        answer = row[task.label_column].strip()
        options = [row[name] for name in known]
        found.append(_choice(row[task.text_column], row[task.question_column], options, known, answer, where))
    return found


def _choice(
    text: str, question: str, options: Sequence[str], names: Sequence[str], answer: object, where: str
) -> Choice:
    if len(options) < 2:
        raise ClozeError(f"{where}: {len(options)} option(s); a choice needs two or more.")
    if not isinstance(answer, str) or answer not in list(names):
        raise ClozeError(f"{where}: the answer is {answer!r}; expected one of {', '.join(names)}.")
    return Choice(text, question, tuple(options), list(names).index(answer))


def _classes(train: Choices, test: Choices) -> tuple[str, ...]:
    """One number for each option. Raises ClozeError if the right one always stands in the same place."""
    places = {choice.answer for choice in train.choices}
    if len(places) == 1 and len(train.choices) > 1:
        raise ClozeError(
            f"{train.path}: the right answer of all {len(train.choices):,} questions is option {places.pop() + 1}, so "
            "place is all there is to learn. Shuffle the options, or check the labels."
        )
    return ("option",)


def lay_out(choices: Sequence[Choice], layout: Layout) -> Features:
    """A row for every option; the rows of a question are one example."""
    builder = RowBuilder(layout.tokenizer, pair=True, segments=layout.segments)
    room = layout.length - builder.specials
    asked = [_asked(choice.question, option) for choice in choices for option in choice.options]
    texts = layout.tokenizer.encode([normalize("NFC", choice.text) for choice in choices])
    seconds = iter(layout.tokenizer.encode([normalize("NFC", text) for text in asked]))
    cut = []
    for choice, text in zip(choices, texts, strict=True):
        for _ in choice.options:
            second = next(seconds)
            kept = second[:room]
            first = text[: room - len(kept)]
            cut.append(len(text) + len(second) - len(first) - len(kept))
            builder.add(first, kept)
    counts = {"truncated": sum(tokens > 0 for tokens in cut), "truncated_tokens": sum(cut)}
    return builder.features(counts, [len(choice.options) for choice in choices])


def _asked(question: str, option: str) -> str:
    return question.replace(GAP, option, 1) if GAP in question else f"{question} {option}".strip()


def _inputs(examples: Choices, classes: tuple[str, ...], layout: Layout, task: TaskSettings) -> Inputs:
    features = lay_out(examples.choices, layout)
    labels = np.array([choice.answer for choice in examples.choices], dtype=np.int64)
    assert features.parts is not None
    return Inputs(features, labels, partial(_score, labels=labels, parts=features.parts, choices=examples.choices))


def _score(outputs: Outputs, labels: Labels, parts: NDArray[np.int64], choices: Sequence[Choice]) -> Mapping[str, Any]:
    """`score`, and the most confident mistakes."""
    shares, best = _shares_and_best(outputs, parts)

    def describe(place: int) -> dict[str, Any]:
        choice = choices[place]
        named = {"label": choice.options[choice.answer], "predicted": choice.options[best[place] - parts[place]]}
        return {"text": choice.question, **named}

    right = best == parts[:-1] + labels
    return {**score(outputs, labels, parts), "mistakes": most_confident(np.exp(shares[best]), right, describe)}


def score(outputs: Outputs, labels: Labels, parts: NDArray[np.int64]) -> Mapping[str, Any]:
    """Outputs [options, 1] against the places of the right ones, [questions]; `parts`: where each question begins."""
    shares, best = _shares_and_best(outputs, parts)
    wanted = parts[:-1] + labels
    right = best == wanted
    return {
        "accuracy": float(right.mean()),
        "loss": -float(shares[wanted].mean()),
        "calibration_error": calibration_error(np.exp(shares[best]), right),
        "per_example": right.astype(np.float64),
    }


def _shares_and_best(outputs: Outputs, parts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log of the probability of each option among those of its question, and the place of the best of each question."""
    shares = log_softmax_in_groups(outputs, parts)[:, 0]
    return shares, np.array([start + shares[start:end].argmax() for start, end in pairwise(parts)])


KIND = TaskKind(
    name="multiple_choice",
    measures=("accuracy", "loss"),
    learned=("accuracy", "loss"),
    read=_read,
    classes=_classes,
    inputs=_inputs,
    keys=lambda examples: [choice.text for choice in examples.choices],
    take=take,
)
