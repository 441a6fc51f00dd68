"""Questions about texts in SQuAD's JSON: SQuAD 1.1 and 2.0, KorQuAD 1.0, KLUE-MRC.

{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]};
version 2.0 adds "is_impossible", KLUE calls the id "guid". An answer that doesn't stand where the file says is taken to
stand where its text occurs, if that is once; else it is unlocated. Both are counted, and named, as are ids that occur
twice. A question that has only such answers can be scored, since the official scripts compare texts and look at no
place, but not learned from (`learnable`).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from cloze.errors import ClozeError
from cloze.tasks.datasets import parse_json, read_text
from cloze.tasks.faults import NAMED, Faults, count_repeated

COUNTS = (
    "examples",
    "contexts",
    "unanswerable",
    "unlocated_questions",
    "empty",
    "repaired_answers",
    "unlocated_answers",
    "left_out",
    "repeated_ids",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question."""

    id: str
    text: str
    context: int
    """Number of its context."""
    answers: tuple[str, ...]
    """Every right one; none: the context has no answer."""
    span: tuple[int, int] | None
    """Characters in the context of the first answer that was located; None: there is none."""

    @property
    def unanswerable(self) -> bool:
        """Whether the context has no answer, so that the empty one is right."""
        return not self.answers

    @property
    def unlocated(self) -> bool:
        """Whether there are answers, and none of them was located."""
        return self.span is None and not self.unanswerable


@dataclass(frozen=True, slots=True)
class Questions:
    """One file, in its order."""

    path: Path
    contexts: list[str]
    questions: list[Question]
    counts: dict[str, int]
    """examples: questions; contexts; unanswerable, unlocated_questions: see `Question`; empty: questions or contexts
    without a visible character; repaired_answers, unlocated_answers; left_out: questions that are none; repeated_ids:
    questions with the id of an earlier one. Of a part of a file only what `count_questions` counts; `learnable` adds
    dropped_questions."""


def read_questions(path: Path) -> Questions:
    """Raises ClozeError for what is no such file, and where more than a tenth of the questions are none."""
    try:
        whole = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ClozeError(f"{path} is no JSON: {error}. Expected questions in SQuAD's format.") from None
    contexts: list[str] = []
    found: list[Question] = []
    ids: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    misplaced: list[str] = []
    faults = Faults(path, "its format")
    for i, article in enumerate(_get(whole, "data", list, str(path))):
        for j, paragraph in enumerate(_get(article, "paragraphs", list, f"{path}, data[{i}]")):
            title = f"article {article.get('title', i)!r}"
            context = _get(paragraph, "context", str, f"{path}, {title}, paragraph {j}")
            for asked in _get(paragraph, "qas", list, f"{path}, {title}, paragraph {j}"):
                key = "guid" if isinstance(asked, dict) and "id" not in asked else "id"
                number = str(_get(asked, key, (str, int), f"{path}, {title}, paragraph {j}"))
                ids.append((number, f"{title}, paragraph {j}, question {len(ids) + 1}"))
                try:
                    question = _question(asked, number, context, len(contexts), title, counts, misplaced)
                except ValueError as error:
                    faults.add(f"{title}, question {number}", str(error))
                    continue
                found.append(question)
            contexts.append(context)
    counts["left_out"], counts["repeated_ids"] = faults.settle(len(found)), count_repeated(path, ids)
    if misplaced:
        more = f" and {len(misplaced) - NAMED:,} more" if len(misplaced) > NAMED else ""
        named = f"{'; '.join(misplaced[:NAMED])}{more}"
        warnings.warn(f"{path}: {len(misplaced):,} answers don't stand where it says: {named}", stacklevel=2)
    if not found:
        raise ClozeError(f"{path} has no questions that could be used: a task needs at least one.")
    counts |= Counter({**count_questions(found, contexts), "contexts": len(contexts)})
    return Questions(path, contexts, found, {name: counts[name] for name in COUNTS})


def count_questions(questions: Sequence[Question], contexts: Sequence[str]) -> dict[str, int]:
    """What is counted of any part of a file."""
    return {
        "examples": len(questions),
        "unanswerable": sum(question.unanswerable for question in questions),
        "unlocated_questions": sum(question.unlocated for question in questions),
        "empty": sum(not (question.text.strip() and contexts[question.context].strip()) for question in questions),
    }


def learnable(examples: Questions) -> Questions:
    """Without the questions whose answers are all unlocated: there is no place to point at.

    Raises ClozeError if no question is left that has an answer.
    """
    kept = [question for question in examples.questions if not question.unlocated]
    dropped = [question.id for question in examples.questions if question.unlocated]
    if all(question.unanswerable for question in kept):
        raise ClozeError(
            f"{examples.path}: no question has an answer that was found in its context, so there is nothing to learn."
        )
    if dropped:
        named = ", ".join(dropped[:NAMED]) + (f" and {len(dropped) - NAMED:,} more" if len(dropped) > NAMED else "")
        warnings.warn(
            f"{examples.path}: {len(dropped):,} of {len(examples.questions):,} questions can't be learned from, as "
            f"none of their answers was found in its context, and are left out: {named}",
            stacklevel=2,
        )
    counts = examples.counts | count_questions(kept, examples.contexts) | {"dropped_questions": len(dropped)}
    return replace(examples, questions=kept, counts=counts)


def _question(
    asked: Mapping[str, Any],
    number: str,
    context: str,
    place: int,
    title: str,
    counts: Counter[str],
    misplaced: list[str],
) -> Question:
    """Raises ValueError that says why it is no question."""
    text = _field(asked, "question", str)
    if asked.get("is_impossible"):
        return Question(number, text, place, (), None)
    answers = _field(asked, "answers", list)
    if not answers:
        raise ValueError("no answers, and it does not say that there are none (is_impossible)")
    spans, texts = [], []
    for answer in answers:
        wanted, start = _field(answer, "text", str), _field(answer, "answer_start", int)
        texts.append(wanted)
        if not wanted or start < 0 or context[start : start + len(wanted)] != wanted:
            places = context.count(wanted) if wanted else 0
            start = context.find(wanted) if places == 1 else -1
            counts["repaired_answers" if places == 1 else "unlocated_answers"] += 1
            told = {0: "not found", 1: "found elsewhere"}.get(places, f"found in {places} places")
            misplaced.append(f"{title}, question {number}: {wanted[:30]!r} {told}")
        if start >= 0:
            spans.append((start, start + len(wanted)))
    return Question(number, text, place, tuple(texts), spans[0] if spans else None)


T = TypeVar("T")


def _field(record: Any, key: str, kind: type[T] | tuple[type[T], ...]) -> T:
    """`record[key]`, of that type. Raises ValueError."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise ValueError(f"{key!r} is {value!r:.60}, expected {kinds}, as in SQuAD's format")
    return value


def _get(record: Any, key: str, kind: type[T] | tuple[type[T], ...], where: str) -> T:
    """`record[key]`, of that type. Raises ClozeError."""
    try:
        return _field(record, key, kind)
    except ValueError as error:
        raise ClozeError(f"{where}: {error}.") from None
