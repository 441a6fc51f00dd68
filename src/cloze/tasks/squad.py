"""Questions about texts in SQuAD's JSON: SQuAD 1.1 and 2.0, KorQuAD 1.0, KLUE-MRC.

{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]};
version 2.0 adds "is_impossible", KLUE calls the id "guid". An answer that doesn't stand where the file says is taken to
stand where its text occurs, if that is once; else it has no place. A question none of whose answers has one can't be
learned from, and is scored by the answers' texts, as the official scripts do, which look at no places. All of these are
counted, and named, as are ids that occur twice.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cloze.errors import ClozeError
from cloze.tasks.datasets import parse_json, read_text
from cloze.tasks.faults import NAMED, Faults, count_repeated

COUNTS = (
    "examples",
    "contexts",
    "unanswerable",
    "empty",
    "repaired_answers",
    "unlocated_answers",
    "unlocated_questions",
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
    """Characters of the first answer that was found in the context; None: there is none."""

    @property
    def unlocated(self) -> bool:
        """Whether it has answers, and none was found in the context."""
        return bool(self.answers) and self.span is None


@dataclass(frozen=True, slots=True)
class Questions:
    """One file, in its order."""

    path: Path
    contexts: list[str]
    questions: list[Question]
    counts: dict[str, int]
    """examples: questions; contexts; unanswerable; empty: questions or contexts without a visible character;
    repaired_answers, unlocated_answers, unlocated_questions (see above); left_out: questions that are none;
    repeated_ids: questions with the id of an earlier one."""


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
                counts["unanswerable"] += not question.answers
                counts["unlocated_questions"] += question.unlocated
                counts["empty"] += not (question.text.strip() and context.strip())
            contexts.append(context)
    counts["left_out"], counts["repeated_ids"] = faults.settle(len(found)), count_repeated(path, ids)
    if misplaced:
        more = f" and {len(misplaced) - NAMED:,} more" if len(misplaced) > NAMED else ""
        named = f"{'; '.join(misplaced[:NAMED])}{more}"
        warnings.warn(f"{path}: {len(misplaced):,} answers don't stand where it says: {named}", stacklevel=2)
    if not found:
        raise ClozeError(f"{path} has no questions that could be used: a task needs at least one.")
    counts |= Counter(examples=len(found), contexts=len(contexts))
    return Questions(path, contexts, found, {name: counts[name] for name in COUNTS})


def _question(
    asked: Mapping[str, Any],
    number: str,
    context: str,
    place: int,
    title: str,
    counts: Counter[str],
    misplaced: list[str],
) -> Question:
    """Raises ValueError that says why it is none."""
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
        if not wanted or context[max(start, 0) : max(start, 0) + len(wanted)] != wanted:
            once = bool(wanted) and context.count(wanted) == 1
            start = context.find(wanted) if once else -1
            counts["repaired_answers" if once else "unlocated_answers"] += 1
            done = "found elsewhere" if once else "not found"
            misplaced.append(f"{title}, question {number}: {wanted[:30]!r} {done}")
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
