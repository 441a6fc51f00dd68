"""A user's own labelled file: which kind of task a table is for, and what a file of any kind was understood to hold."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cloze.errors import some
from cloze.tasks.datasets import ITEM_END, Examples, columns_of
from cloze.tasks.faults import MOST_FRAC, Faults
from cloze.tasks.regression import number
from cloze.tasks.task import kind_of

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings
    from cloze.tasks.multiple_choice import Choices
    from cloze.tasks.squad import Questions
    from cloze.tasks.tagging import TaggedTexts

Kind = Literal["classification", "multi_label", "regression"]
Rows = list[tuple[str, str]]
"""Of a table: what, and how it is."""

MOST_CLASSES = 20
"""A column of numbers with more different values than this is a regression's, unless the user says otherwise."""
NAMED = 10
"""Labels that are named with their shares; the others are counted."""
IMBALANCE = 10
"""From here on it is said how many times the most frequent label is as frequent as the rarest."""


def labels_of(path: Path, columns: Sequence[str], label_column: str) -> list[str]:
    """The labels of a table as they stand there. Raises ClozeError for one without these columns."""
    free = [label_column]
    header, rows = columns_of(path, columns, Faults(path), lists=free, optional=free)
    return [fields[header.index(label_column)].strip(" \t") for _, fields in rows]


def kind_of_labels(labels: Sequence[str]) -> Kind:
    """Regression for numbers of which one is no whole number or many are different, a few words among them aside.

    Several labels where some are lists of JSON, or have commas and their parts are no more than the different labels;
    else classification.
    """
    if any(ITEM_END in label for label in labels):
        return "multi_label"
    known = [label for label in labels if label and not _is_infinite(label)]
    numbers = [value for label in known if (value := number(label)) is not None]
    if len(known) - len(numbers) > MOST_FRAC * len(known) or not numbers:
        parts = {part.strip() for label in known for part in label.split(",")} - {""}
        several = any("," in label for label in known) and len(parts) <= len(set(known))
        return "multi_label" if several else "classification"
    whole = all(value.is_integer() for value in numbers)
    return "classification" if whole and len(set(known)) <= MOST_CLASSES else "regression"


def _is_infinite(label: str) -> bool:
    """Whether a number is missing or none, as tables and JSON write it: NaN, inf."""
    try:
        return not math.isfinite(float(label))
    except ValueError:
        return False


def describe(examples: Any, task: TaskSettings) -> Rows:
    """What a file was understood to hold, as rows of a table: kind, examples, what is left out, lengths, labels.

    `examples` are what the task's kind reads; there is at least one.
    """
    if task.kind == "tagging":
        return _of_tags(examples, task)
    if task.kind == "question_answering":
        return _of_questions(examples)
    return _of_choices(examples) if task.kind == "multiple_choice" else _of_table(examples, task)


def _of_table(examples: Examples, task: TaskSettings) -> Rows:
    name = "multi-label classification" if task.kind == "multi_label" else task.kind
    texts, counts = [*examples.texts, *(examples.second or ())], examples.counts
    rows = [
        ("Kind", f"{name} of {'texts' if examples.second is None else 'pairs of texts'}"),
        ("Examples", f"{counts['examples']:,}, {counts['empty']:,} empty texts"),
        ("Left out", f"{counts['left_out']:,} rows"),
        ("Characters a text", _lengths(texts)),
        _repeated("texts", zip(examples.texts, examples.second or examples.texts, strict=True)),
    ]
    if task.kind == "regression":
        numbers = [float(label) for label in examples.labels]
        spread = f"{min(numbers):g} to {max(numbers):g}, mean {statistics.fmean(numbers):.3g}"
        return [*rows, ("Numbers", spread)]
    found = Counter(name for names in kind_of(task.kind).labels(examples) for name in names)
    return [*rows, *_shares("labels" if task.kind == "multi_label" else "classes", found, counts["examples"])]


def _of_tags(examples: TaggedTexts, task: TaskSettings) -> Rows:
    units, counts = "characters" if task.tag_format == "characters" else "words", examples.counts
    found = Counter(name for names in kind_of(task.kind).labels(examples) for name in names)
    return [
        ("Kind", f"tagging of {units}"),
        ("Examples", f"{counts['examples']:,} sentences of {counts['units']:,} {units}, {counts['empty']:,} empty"),
        ("Left out", f"{counts['left_out']:,} sentences"),
        ("Characters a sentence", _lengths(examples.texts)),
        _repeated("text", examples.texts),
        ("Entities", f"{found.total():,}"),
        *_shares("types of entity", found, found.total()),
    ]


def _of_questions(examples: Questions) -> Rows:
    questions, counts = examples.questions, examples.counts
    answers = [question.answers[0] for question in questions if question.answers]
    repaired, lost = counts["repaired_answers"], counts["unlocated_answers"]
    return [
        ("Kind", "question answering"),
        ("Examples", f"{counts['examples']:,} questions on {counts['contexts']:,} texts, {counts['empty']:,} empty"),
        ("Without an answer", f"{counts['unanswerable']:,} ({counts['unanswerable'] / len(questions):.1%})"),
        ("Left out", f"{counts['left_out']:,} questions"),
        ("Misplaced answers", f"{repaired:,} found elsewhere in the text, {lost:,} not found"),
        ("Not learned from", f"{counts['unlocated_questions']:,} questions none of whose answers was found"),
        ("Characters a text", _lengths(examples.contexts)),
        ("Characters a question", _lengths([question.text for question in questions])),
        *([("Characters an answer", _lengths(answers))] if answers else []),
        _repeated("text and question", ((examples.contexts[one.context], one.text) for one in questions)),
    ]


def _of_choices(examples: Choices) -> Rows:
    choices, counts = examples.choices, examples.counts
    texts, sizes = {choice.text for choice in choices}, sorted({len(choice.options) for choice in choices})
    options = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    places = Counter(choice.answer for choice in choices)
    right = [f"option {place + 1} {count / len(choices):.1%}" for place, count in sorted(places.items())]
    return [
        ("Kind", "multiple choice"),
        ("Examples", f"{len(choices):,} questions on {len(texts):,} texts, {counts['empty']:,} empty texts or options"),
        ("Left out", f"{counts['left_out']:,} questions, or texts with theirs"),
        ("Options a question", options),
        ("The right one", ", ".join(right)),
        ("Characters a text", _lengths(list(texts))),
        ("Characters an option", _lengths([option for choice in choices for option in choice.options])),
        _repeated("text, question and options", ((one.text, one.question, one.options) for one in choices)),
    ]


def _lengths(texts: Sequence[str]) -> str:
    lengths = sorted(map(len, texts))
    return f"median {lengths[len(lengths) // 2]:,}, longest {lengths[-1]:,}"


def _repeated(what: str, contents: Iterable[object]) -> tuple[str, str]:
    seen = Counter(contents)
    return "Repeated", f"{seen.total() - len(seen):,} examples have the {what} of an earlier one"


def _shares(what: str, found: Counter[str], total: int) -> Rows:
    """How many labels there are, the most frequent ones with their shares of `total`, and a large imbalance."""
    ranked = found.most_common()
    shares = [f"{label} {count / total:.1%}" for label, count in ranked]
    rows = [(f"{len(ranked):,} {what}", some(shares, NAMED))]
    if len(ranked) > 1 and ranked[0][1] >= IMBALANCE * ranked[-1][1]:
        times = ranked[0][1] / ranked[-1][1]
        rows.append(("Imbalance", f"{ranked[0][0]} is {times:,.0f} times as frequent as {ranked[-1][0]}"))
    return rows
