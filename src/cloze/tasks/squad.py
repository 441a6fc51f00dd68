"""Questions about texts in SQuAD's JSON: SQuAD 1.1 and 2.0, KorQuAD 1.0, KLUE-MRC.

{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]};
version 2.0 adds "is_impossible", KLUE calls the id "guid". Or an object for each question, one a line or in an array,
as the Hugging Face Hub has them: {"id", "context", "question", "answers": {"text": [...], "answer_start": [...]}}.

A question whose list of answers is empty has none in its context, as SQuAD 2.0's script takes it. An answer that
doesn't stand where the file says is taken to stand where its text occurs, if that is once; else it is unlocated. Both
are counted, and named, as are ids that occur twice. A question that has only such answers can be scored, since the
official scripts compare texts and look at no place, but not learned from (`learnable`).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from cloze.errors import ClozeError, some
from cloze.tasks.datasets import lines_of_json, parse_json, read_text
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
    """examples: questions; contexts: that are asked about; unanswerable, unlocated_questions: see `Question`; empty:
    questions or contexts without a visible character; repaired_answers, unlocated_answers; left_out: questions that
    are none; repeated_ids: questions with the id of an earlier one. Of a part of a file only what `count_questions`
    counts; `learnable` adds dropped_questions."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as a file has it."""

    record: Mapping[str, Any]
    id: str
    context: str
    paragraph: int
    """Number of the context in the file."""
    title: str
    """Where it stands, but for its id."""
    place: str
    """Where it stands."""


def read_questions(path: Path) -> Questions:
    """Raises ClozeError for what is no such file, and where more than a tenth of the questions are none."""
    contexts: list[str] = []
    found: list[Question] = []
    ids: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    misplaced: list[str] = []
    faults = Faults(path, "its format")
    paragraph = -1
    for asked in _asked(path, faults):
        if asked.paragraph != paragraph:
            contexts.append(asked.context)
            paragraph = asked.paragraph
        ids.append((asked.id, asked.place))
        try:
            found.append(_question(asked, len(contexts) - 1, counts, misplaced))
        except ValueError as error:
            faults.add(f"{asked.title}, question {asked.id}", str(error))
    counts["left_out"], counts["repeated_ids"] = faults.settle(len(found)), count_repeated(path, ids)
    if misplaced:
        named = some(misplaced, NAMED, mark="; ")
        warnings.warn(f"{path}: {len(misplaced):,} answers don't stand where it says: {named}", stacklevel=2)
    if not found:
        raise ClozeError(f"{path} has no questions that could be used: a task needs at least one.")
    counts |= Counter({**count_questions(found, contexts), "contexts": len(contexts)})
    return Questions(path, contexts, found, {name: counts[name] for name in COUNTS})


def _asked(path: Path, faults: Faults) -> Iterator[_Asked]:
    """Every question of a file, in its order; those of one context follow each other."""
    if path.suffix.lower() == ".jsonl":
        yield from _asked_in_rows("line", lines_of_json(path, faults), faults)
        return
    text = read_text(path)
    try:
        whole = parse_json(text)
    except (ValueError, RecursionError) as error:
        if _is_row(text.partition("\n")[0]):  # `datasets` writes lines into .json, too.
            yield from _asked_in_rows("line", lines_of_json(path, faults), faults)
            return
        raise ClozeError(f"{path} is no JSON: {error}. Expected questions in SQuAD's format.") from None
    if isinstance(whole, dict) and "context" in whole:
        whole = [whole]
    listed = whole if isinstance(whole, list) else _get(whole, "data", list, str(path))
    if listed and isinstance(listed[0], dict) and "context" in listed[0]:
        yield from _asked_in_rows("object", enumerate(listed, start=1), faults)
    else:
        yield from _asked_in_articles(path, listed, faults)


def _is_row(line: str) -> bool:
    """Whether a line is the object of one question."""
    try:
        record = parse_json(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "context" in record


def _asked_in_rows(kind: str, rows: Iterable[tuple[int, Any]], faults: Faults) -> Iterator[_Asked]:
    """An object for each question; one without an id has its number. The same context again is the same paragraph."""
    paragraph, last = -1, None
    for number, record in rows:
        place = f"{kind} {number}"
        try:
            context = _field(record, "context", str)
        except ValueError as error:
            faults.add(place, str(error))
            continue
        name = record.get("id", record.get("guid"))
        paragraph, last = paragraph + (context != last), context
        yield _Asked(record, str(number if name is None else name), context, paragraph, place, place)


def _asked_in_articles(path: Path, articles: Sequence[Any], faults: Faults) -> Iterator[_Asked]:
    """SQuAD's nested lists. Raises ClozeError where they are not."""
    number, paragraph_number = 0, -1
    for i, article in enumerate(articles):
        for j, paragraph in enumerate(_get(article, "paragraphs", list, f"{path}, data[{i}]")):
            title, paragraph_number = f"article {article.get('title', i)!r}", paragraph_number + 1
            where = f"{path}, {title}, paragraph {j}"
            context = _get(paragraph, "context", str, where)
            for record in _get(paragraph, "qas", list, where):
                number += 1
                place = f"{title}, paragraph {j}, question {number}"
                name = record.get("id", record.get("guid")) if isinstance(record, dict) else None
                if isinstance(name, str | int):
                    yield _Asked(record, str(name), context, paragraph_number, title, place)
                else:
                    faults.add(place, f"it has no 'id' (nor 'guid'), which answers go by: {str(record)[:40]!r}")


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
        named = some(dropped, NAMED)
        warnings.warn(
            f"{examples.path}: {len(dropped):,} of {len(examples.questions):,} questions can't be learned from, as "
            f"none of their answers was found in its context, and are left out: {named}",
            stacklevel=2,
        )
    counts = examples.counts | count_questions(kept, examples.contexts) | {"dropped_questions": len(dropped)}
    return replace(examples, questions=kept, counts=counts)


def _question(asked: _Asked, context: int, counts: Counter[str], misplaced: list[str]) -> Question:
    """Raises ValueError that says why it is no question."""
    text = _field(asked.record, "question", str)
    answers = [] if asked.record.get("is_impossible") else _answers(asked.record)
    spans = []
    for wanted, given in answers:
        start = given
        if not wanted or start < 0 or asked.context[start : start + len(wanted)] != wanted:
            places = asked.context.count(wanted) if wanted else 0
            start = asked.context.find(wanted) if places == 1 else -1
            counts["repaired_answers" if places == 1 else "unlocated_answers"] += 1
            told = {0: "not found", 1: "found elsewhere"}.get(places, f"found in {places} places")
            misplaced.append(f"{asked.title}, question {asked.id}: {wanted[:30]!r} {told}")
        if start >= 0:
            spans.append((start, start + len(wanted)))
    return Question(asked.id, text, context, tuple(wanted for wanted, _ in answers), spans[0] if spans else None)


def _answers(record: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Answers and where they are said to begin. Raises ValueError."""
    answers = _field(record, "answers", (list, dict))
    if isinstance(answers, list):
        return [(_field(answer, "text", str), _field(answer, "answer_start", int)) for answer in answers]
    texts, starts = _field(answers, "text", list), _field(answers, "answer_start", list)
    if len(texts) != len(starts):
        raise ValueError(f"{len(texts)} texts of answers and {len(starts)} places (answer_start), expected as many")
    pairs = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    return [(_field(pair, "text", str), _field(pair, "answer_start", int)) for pair in pairs]


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
