"""Questions about texts in SQuAD's JSON: SQuAD 1.1 and 2.0, KorQuAD 1.0.

{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]};
version 2.0 adds "is_impossible". An answer that doesn't stand where the file says is taken to stand where its text
occurs, if that is once; else it is dropped, and with its last answer the question. Both are counted, and named.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cloze.errors import ClozeError
from cloze.tasks.datasets import read_text

NAMED = 5
"""Misplaced answers that a warning names."""


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
    """Characters of the first answer in the context; None: it has none."""


@dataclass(frozen=True, slots=True)
class Questions:
    """One file, in its order."""

    path: Path
    contexts: list[str]
    questions: list[Question]
    counts: dict[str, int]
    """examples: questions; contexts; unanswerable; empty: questions or contexts without a visible character;
    repaired_answers, dropped_answers, dropped_questions."""


def read_questions(path: Path) -> Questions:
    """Raises ClozeError for what is no such file, and for an id that occurs twice, naming article and question."""
    try:
        whole = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ClozeError(f"{path} is no JSON: {error}. Expected questions in SQuAD's format.") from None
    contexts: list[str] = []
    found: dict[str, Question] = {}
    counts: Counter[str] = Counter()
    misplaced: list[str] = []
    for i, article in enumerate(_get(whole, "data", list, str(path))):
        for j, paragraph in enumerate(_get(article, "paragraphs", list, f"{path}, data[{i}]")):
            where = f"{path}, article {article.get('title', i)!r}, paragraph {j}"
            context = _get(paragraph, "context", str, where)
            for asked in _get(paragraph, "qas", list, where):
                number = str(_get(asked, "id", (str, int), where))
                here = f"{path}, article {article.get('title', i)!r}, question {number}"
                if number in found:
                    raise ClozeError(f"{here}: the id occurs twice in the file. Give each question one of its own.")
                question = _question(asked, number, context, len(contexts), here, counts, misplaced)
                if question is None:
                    counts["dropped_questions"] += 1
                    continue
                found[number] = question
                counts["unanswerable"] += question.span is None
                counts["empty"] += not (question.text.strip() and context.strip())
            contexts.append(context)
    if not found:
        raise ClozeError(f"{path} has no questions: a task needs at least one.")
    if misplaced:
        more = f" and {len(misplaced) - NAMED:,} more" if len(misplaced) > NAMED else ""
        warnings.warn(f"answers that don't stand where {path} says: {'; '.join(misplaced[:NAMED])}{more}", stacklevel=2)
    named = ("unanswerable", "empty", "repaired_answers", "dropped_answers", "dropped_questions")
    sizes = {"examples": len(found), "contexts": len(contexts)}
    return Questions(path, contexts, list(found.values()), sizes | {name: counts[name] for name in named})


def _question(
    asked: Mapping[str, Any],
    number: str,
    context: str,
    place: int,
    here: str,
    counts: Counter[str],
    misplaced: list[str],
) -> Question | None:
    """None if no answer could be found in the context."""
    text = _get(asked, "question", str, here)
    if asked.get("is_impossible"):
        return Question(number, text, place, (), None)
    answers = _get(asked, "answers", list, here)
    if not answers:
        raise ClozeError(f"{here}: no answers. Give one, or say that there is none (is_impossible).")
    spans, texts = [], []
    for answer in answers:
        wanted, start = _get(answer, "text", str, here), _get(answer, "answer_start", int, here)
        texts.append(wanted)
        if not wanted or context[max(start, 0) : max(start, 0) + len(wanted)] != wanted:
            once = bool(wanted) and context.count(wanted) == 1
            start = context.find(wanted) if once else -1
            counts["repaired_answers" if once else "dropped_answers"] += 1
            misplaced.append(f"{here.split(', ', 1)[1]}: {wanted[:30]!r} {'found elsewhere' if once else 'dropped'}")
        if start >= 0:
            spans.append((start, start + len(wanted)))
    return Question(number, text, place, tuple(texts), spans[0]) if spans else None


T = TypeVar("T")


def _get(record: Any, key: str, kind: type[T] | tuple[type[T], ...], where: str) -> T:
    """`record[key]`, of that type. Raises ClozeError."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise ClozeError(f"{where}: {key!r} is {value!r:.60}, expected {kinds}, as in SQuAD's format.")
    return value
