"""Which of several options answers a question about a text (RACE: Lai et al. 2017, arXiv:1704.04683).

Every option is a row of its own: the text, then question and option as the second text (a `_` in the question is where
the option goes, as in RACE's gaps). One number a row, and a softmax over the rows of a question (Devlin et al. 2019,
section 4.4). Of a row that is too long the text loses its end, never question or option, unless those alone are too
long; what is lost is counted.

Files: RACE's, a JSON object each ({"id", "article", "questions", "options", "answers": "A"...}) in a folder, however
deep; the same objects as JSON lines or an array; or a table with columns for text, question, options and label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from cloze.tasks.datasets import array_of_json, columns_of, parse_json, read_lines, read_text
from cloze.tasks.faults import Faults, count_repeated, place
from cloze.tasks.features import Features, RowBuilder
from cloze.tasks.intervals import calibration_error
from cloze.tasks.metrics import log_softmax_in_groups
from cloze.tasks.mistakes import most_confident
from cloze.tasks.task import Inputs, Labels, Layout, Outputs, Record, TaskKind, take

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
    """examples: questions; options; empty: texts or options without a visible character; left_out: questions, or texts
    with theirs, that cannot be used; repeated_ids."""


class _Found:
    """What has been read of a file or folder so far, and what is wrong in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.faults = path, Faults(path, "its format")
        self.choices: list[Choice] = []
        self.ids: list[tuple[str, str]] = []

    def add(
        self, text: str, question: str, options: Sequence[str], names: Sequence[str], answer: object, where: str
    ) -> None:
        """A question; `names` are those of its options, `answer` is one of them."""
        if len(options) < 2:
            self.faults.add(where, f"{len(options)} option(s), and a choice needs two or more")
        elif not isinstance(answer, str) or answer not in list(names):
            self.faults.add(where, f"the answer is {answer!r}, expected one of {', '.join(names)}")
        else:
            self.choices.append(Choice(text, question, tuple(options), list(names).index(answer)))


def _read(path: Path, task: TaskSettings) -> Choices:
    """Raises ClozeError for what is no such file, or has too many questions without options or a right answer."""
    found = _Found(path)
    if path.is_dir():
        for file in _race_files(path):
            _of_json(found, read_text(file), str(file.relative_to(path)))
    elif path.suffix.lower() == ".json" and read_text(path).lstrip().startswith("["):
        _of_array(found, task)
    elif path.suffix.lower() in (".json", ".txt"):
        _of_json(found, read_text(path), "the object")
    elif path.suffix.lower() == ".jsonl" and '"questions"' in next(filter(str.strip, read_lines(path))):
        for number, line in enumerate(read_lines(path), start=1):
            if line.strip():
                _of_json(found, line, f"line {number}")
    else:
        _of_table(found, task)
    if not found.choices and not found.faults.count:
        raise ClozeError(f"{path} has no questions: a task needs at least one.")
    choices = found.choices
    empty = sum(not text.strip() for choice in choices for text in (choice.text, *choice.options))
    counts = {"examples": len(choices), "options": sum(len(choice.options) for choice in choices), "empty": empty}
    counts |= {"left_out": found.faults.settle(len(choices)), "repeated_ids": count_repeated(path, found.ids)}
    return Choices(path, choices, counts)


def _race_files(folder: Path) -> list[Path]:
    found = [file for file in files_below(folder) if file.suffix.lower() in (".txt", ".json")]
    if not found:
        raise ClozeError(f"{folder} holds no .txt or .json file; expected RACE's, a text with its questions in each.")
    return found


def _of_array(found: _Found, task: TaskSettings) -> None:
    """RACE's objects, or the rows of a table."""
    _, first = next(array_of_json(found.path, Faults(found.path)), (0, {}))
    if "questions" not in first:
        _of_table(found, task)
        return
    for number, record in array_of_json(found.path, found.faults):
        _of_record(found, record, place(found.path, number))


def _of_json(found: _Found, text: str, where: str) -> None:
    """`_of_record` of what is read as JSON first."""
    try:
        record = parse_json(text)
    except (ValueError, RecursionError) as error:
        found.faults.add(where, f"no JSON ({error})")
        return
    _of_record(found, record, where)


def _of_record(found: _Found, record: Any, where: str) -> None:
    """One object of RACE's: a text with its questions."""
    names = ("questions", "options", "answers")
    lists: list[Any] = [record.get(name) for name in names] if isinstance(record, dict) else []
    if not lists or not isinstance(record.get("article"), str) or not all(isinstance(one, list) for one in lists):
        wish = "an object with article (text), questions, options and answers (lists), as in RACE"
        found.faults.add(where, f"{json.dumps(record, ensure_ascii=False)[:40]!r} is not {wish}")
        return
    if len({len(one) for one in lists}) > 1:
        sizes = " and ".join(f"{len(one)} {name}" for one, name in zip(lists, names, strict=True))
        found.faults.add(where, sizes)
        return
    found.ids.append((str(record.get("id", "")), where))
    for number, (question, options, answer) in enumerate(zip(*lists, strict=True), start=1):
        here = f"{where}, question {number}"
        if not isinstance(options, list) or not all(isinstance(text, str) for text in [question, *options]):
            found.faults.add(here, "the question or its options are no texts")
        else:
            found.add(record["article"], question, options, LETTERS[: len(options)], answer, here)


def _of_table(found: _Found, task: TaskSettings) -> None:
    names = task.option_columns
    wanted = [task.text_column, task.question_column, *names, task.label_column]
    header, rows = columns_of(found.path, wanted, found.faults, task.columns or (), optional=names)
    for line, fields in rows:
        row = dict(zip(header, fields, strict=True))
        known = [name for name in names if row[name].strip()]
        answer, where = row[task.label_column].strip(), place(found.path, line)
        found.ids.append((row.get("id", ""), where))
        found.add(row[task.text_column], row[task.question_column], [row[name] for name in known], known, answer, where)


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
    scores = partial(_score, labels=labels, parts=features.parts, choices=examples.choices)
    predictions = partial(_predictions, parts=features.parts, choices=examples.choices)
    return Inputs(features, labels, scores, predictions)


def _predictions(outputs: Outputs, parts: NDArray[np.int64], choices: Sequence[Choice]) -> list[Record]:
    """`label` and `predicted`: places of options, from 0, whose texts may be alike."""
    shares, best = _shares_and_best(outputs, parts)
    rows = zip(choices, (best - parts[:-1]).tolist(), np.exp(shares[best]).tolist(), strict=True)
    return [
        {"number": number, "label": choice.answer, "predicted": place, "probability": probability}
        for number, (choice, place, probability) in enumerate(rows, start=1)
    ]


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
    keys=lambda examples: [choice.text.strip() or choice.question for choice in examples.choices],
    take=take,
    settings=lambda train, task: {"question_column": task.question_column, "option_columns": task.option_columns},
)
