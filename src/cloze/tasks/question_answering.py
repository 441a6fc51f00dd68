"""Where in a text the answer to a question stands (Devlin et al. 2019, section 4.2 and 4.3).

A row is question and context; a long context is read in overlapping windows (google-research/bert, run_squad.py). Each
row is trained to point at the answer's first and last token, or at [CLS] if the answer isn't wholly in it.

The answer is the best sum of a start and an end logit over all windows, at most `longest_answer` tokens long, each
start in the window where it has the most context; every pair is tried, where the reference tries those of the best 20
starts and ends. It is given as the very characters of the context, whatever the tokenizer made of them. If a file has
questions without an answer, that is said where the sum at [CLS], the lowest of all windows, beats the best answer's by
more than `null_threshold`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.tasks.answer_scores import Rules, answer_scores
from cloze.tasks.features import IGNORED, Features, RowBuilder
from cloze.tasks.metrics import log_softmax_in_groups
from cloze.tasks.squad import Question, Questions, count_questions, learnable, read_questions
from cloze.tasks.task import Inputs, Layout, Outputs, Record, TaskKind
from cloze.tasks.windows import best_windows, tokenise, windows

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings

Int64 = NDArray[np.int64]
OUTPUTS = ("start", "end")
CANDIDATES = 20
"""Answers between which a probability is shared out (run_squad.py, n_best_size)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How questions and contexts are laid out, and answers chosen; defaults: run_squad.py."""

    stride: int = 128
    longest_question: int = 64
    longest_answer: int = 30
    null_threshold: float | None = None
    """None: every question has an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Characters `start` to `end` of a context; empty, with both 0: it has no answer."""

    text: str
    start: int
    end: int
    probability: float
    """Among the best candidates."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Questions as rows, and what their tokens are."""

    features: Features
    question_rows: Int64
    """[questions + 1]: where each question's rows begin."""
    tokens: Int64
    """[all tokens]: number of the token in its context; -1 where it is none of it, or only white space."""
    may_start: NDArray[np.bool_]
    """[all tokens]: tokens of the context in the window where they have the most context."""
    spans: list[Int64]
    """Of each context, characters of its tokens, [tokens, 2]."""


def _read(path: Path, task: TaskSettings) -> Questions:
    return read_questions(path)


def _classes(train: Questions, test: Questions) -> tuple[str, ...]:
    """Raises ClozeError if training can't teach what the test asks."""
    if test.counts["unanswerable"] and not train.counts["unanswerable"]:
        first = next(question.id for question in test.questions if question.unanswerable)
        raise ClozeError(
            f"{test.path}, question {first}: it has no answer, and every question of {train.path} has one. Train on "
            "questions without an answer, too (SQuAD 2.0), or leave them out."
        )
    return OUTPUTS


def lay_out(
    questions: Sequence[Question], contexts: Sequence[str], layout: Layout, reading: Reading
) -> tuple[Rows, Int64]:
    """Rows of all questions, and the labels of their answers, int64 [rows, 2]: places in the row, 0 for [CLS], IGNORED
    for a question whose answers were not found.

    Raises ClozeError if a row has no room for a context.
    """
    builder = RowBuilder(layout.tokenizer, pair=True, segments=layout.segments)
    if layout.length <= builder.specials + reading.longest_question:
        raise ClozeError(
            f"rows of {layout.length} tokens have no room for a context beside a question of up to "
            f"{reading.longest_question} and {builder.specials} special tokens. Raise the length (--length), or lower "
            "the task's longest_question."
        )
    read = list(tokenise(contexts, layout.tokenizer))
    texts = layout.tokenizer.encode([normalize("NFC", question.text) for question in questions])
    labels: list[tuple[int, int]] = []
    rows, tokens, may_start = [0], [], []
    counts = dict.fromkeys(("questions_cut", "answers_without_token", "answers_in_no_window", "answers_too_long"), 0)
    for question, whole in zip(questions, texts, strict=True):
        asked, (ids, spans) = whole[: reading.longest_question], read[question.context]
        answer = None if question.span is None else _tokens_of(question.span, spans)
        found = windows(len(ids), layout.length - builder.specials - len(asked), reading.stride)
        fits = answer is not None and any(start <= answer[0] and answer[1] < end for start, end in found)
        counts["questions_cut"] += len(asked) < len(whole)
        counts["answers_without_token"] += question.span is not None and answer is None
        counts["answers_in_no_window"] += answer is not None and not fits
        counts["answers_too_long"] += answer is not None and answer[1] - answer[0] >= reading.longest_answer
        # Not "no answer": there is one, which no row shows whole.
        unseen = question.unlocated or (question.span is not None and not fits)
        best, before = best_windows(found), builder.start_of_last_text(asked)
        for number, (start, end) in enumerate(found):
            builder.add(asked, ids[start:end])
            of_row = np.full(builder.specials + len(asked) + end - start, -1)
            visible = spans[start:end, 0] < spans[start:end, 1]
            of_row[before : before + end - start] = np.where(visible, np.arange(start, end), -1)
            tokens.append(of_row)
            may = np.zeros(len(of_row), dtype=np.bool_)
            may[before : before + end - start] = visible & (best[start:end] == number)
            may_start.append(may)
            inside = answer is not None and start <= answer[0] and answer[1] < end
            here = (before + answer[0] - start, before + answer[1] - start) if answer and inside else (0, 0)
            labels.append((IGNORED, IGNORED) if unseen else here)
        rows.append(len(builder))
    features = builder.features(counts)
    laid = Rows(
        features, np.array(rows), np.concatenate(tokens), np.concatenate(may_start), [spans for _, spans in read]
    )
    return laid, np.array(labels, dtype=np.int64)


def _tokens_of(span: tuple[int, int], spans: Int64) -> tuple[int, int] | None:
    """First and last token with a character of the span; None if there is none."""
    inside = np.flatnonzero((spans[:, 1] > span[0]) & (spans[:, 0] < span[1]) & (spans[:, 0] < spans[:, 1]))
    return (int(inside[0]), int(inside[-1])) if len(inside) else None


def _inputs(examples: Questions, classes: tuple[str, ...], layout: Layout, task: TaskSettings) -> Inputs:
    reading = _reading(task, examples)
    rows, labels = lay_out(examples.questions, examples.contexts, layout, reading)
    chosen = partial(score, labels=labels, rows=rows, examples=examples, reading=reading, rules=task.answer_rules)
    predictions = partial(_predictions, rows=rows, examples=examples, reading=reading)
    return Inputs(rows.features, labels, chosen, predictions)


def _predictions(outputs: Outputs, rows: Rows, examples: Questions, reading: Reading) -> list[Record]:
    """`label`: all right answers, none for a question without one, whose right prediction is empty."""
    found = answers(outputs, rows, examples.questions, examples.contexts, reading, top=1)
    return [
        {
            "id": question.id,
            "label": list(question.answers),
            "predicted": best[0].text,
            "probability": best[0].probability,
        }
        for question, best in zip(examples.questions, found, strict=True)
    ]


def _reading(task: TaskSettings, examples: Questions) -> Reading:
    threshold = task.null_threshold if examples.counts["unanswerable"] else None
    return Reading(task.stride, task.longest_question, task.longest_answer, threshold)


def score(
    outputs: Outputs, labels: Int64, rows: Rows, examples: Questions, reading: Reading, rules: Rules
) -> Mapping[str, Any]:
    """Outputs [tokens, 2] against the answers of `examples`; the loss against `labels` [rows, 2], None without any."""
    found = answers(outputs, rows, examples.questions, examples.contexts, reading, top=1)
    given = [best[0].text for best in found]
    known = labels[:, 0] != IGNORED
    places = rows.features.offsets[:-1][known, None] + labels[known]
    chosen = log_softmax_in_groups(outputs, rows.features.offsets)[places, [0, 1]]
    return {
        **answer_scores(given, [question.answers for question in examples.questions], rules),
        "loss": -float(chosen.mean()) if len(chosen) else None,
    }


def answers(
    outputs: Outputs,
    rows: Rows,
    questions: Sequence[Question],
    contexts: Sequence[str],
    reading: Reading,
    top: int,
) -> Iterator[list[Answer]]:
    """The `top` best answers of each question, the best first; at least one."""
    scores, ends = _best_ends(outputs, rows, reading.longest_answer)
    offsets = rows.features.offsets
    for number, question in enumerate(questions):
        first, last = rows.question_rows[number], rows.question_rows[number + 1]
        start = offsets[first]
        mine = scores[start : offsets[last]]
        order = np.argsort(-mine, kind="stable")[: max(top, CANDIDATES)]
        spans, context = rows.spans[question.context], contexts[question.context]
        found: dict[tuple[int, int], float] = {}
        for place in order[np.isfinite(mine[order])]:
            here = spans[rows.tokens[start + place]][0], spans[rows.tokens[ends[start + place]]][1]
            found.setdefault((int(here[0]), int(here[1])), float(mine[place]))
        best = max(found.values(), default=-np.inf)
        null = float(outputs[offsets[first:last]].sum(axis=1).min())
        silent = not found or (reading.null_threshold is not None and null - best > reading.null_threshold)
        if reading.null_threshold is not None or not found:
            found[0, 0] = null
        yield _ranked(found, context, silent)[:top]


def _ranked(found: Mapping[tuple[int, int], float], context: str, silent: bool) -> list[Answer]:
    """Candidates with their scores as answers, the best first; the empty one, (0, 0), stands first if `silent`."""
    values = np.array(list(found.values()))
    shares = np.exp(values - values.max()) / np.exp(values - values.max()).sum()
    ranked = sorted(zip(found, shares.tolist(), strict=True), key=lambda pair: -pair[1])
    empty = [pair for pair in ranked if pair[0] == (0, 0)]
    full = [pair for pair in ranked if pair[0] != (0, 0)]
    ordered = [*empty, *full] if silent else [*full[:1], *(pair for pair in ranked if pair != full[0])]
    return [Answer(context[start:end], start, end, share) for (start, end), share in ordered]


def _best_ends(outputs: Outputs, rows: Rows, longest: int) -> tuple[NDArray[np.float64], Int64]:
    """For each token as a start: the best sum of logits, minus infinity where none may start, and the end's place."""
    start, end = outputs.astype(np.float64).T
    count = len(start)
    row = np.repeat(np.arange(len(rows.features.lengths)), rows.features.lengths)
    best, ends = np.full(count, -np.inf), np.arange(count)
    inside = rows.tokens >= 0
    for width in range(min(longest, count)):
        here, there = slice(0, count - width), slice(width, count)
        sums = start[here] + end[there]
        better = rows.may_start[here] & inside[there] & (row[here] == row[there]) & (sums > best[here])
        best[here][better] = sums[better]
        ends[here][better] = np.arange(width, count)[better]
    return best, ends


def _settings(train: Questions, task: TaskSettings) -> Mapping[str, Any]:
    reading = _reading(task, train)
    return {name: getattr(reading, name) for name in Reading.__slots__} | {"answer_rules": task.answer_rules}


def _refuse(examples: Questions, classes: tuple[str, ...], settings: Mapping[str, Any], model: Path) -> None:
    if examples.counts["unanswerable"] and settings.get("null_threshold", 0.0) is None:
        first = next(question.id for question in examples.questions if question.unanswerable)
        raise ClozeError(
            f"{examples.path}, question {first}: it has no answer, and {model} was fine-tuned on questions that all "
            "have one. Fine-tune on questions without an answer, too (SQuAD 2.0), or leave them out."
        )


def _take(examples: Questions, places: Sequence[int]) -> Questions:
    questions = [examples.questions[place] for place in places]
    return replace(examples, questions=questions, counts=count_questions(questions, examples.contexts))


def _labels(examples: Questions) -> list[tuple[str, ...]]:
    """Answers that can be learned from, and none; an answer that was not found is neither."""
    return [() if one.unlocated else ("no answer",) if one.unanswerable else ("answer",) for one in examples.questions]


KIND = TaskKind(
    name="question_answering",
    measures=("f1", "exact_match", "loss"),
    learned=("loss",),
    read=_read,
    classes=_classes,
    inputs=_inputs,
    keys=lambda examples: [examples.contexts[question.context] for question in examples.questions],
    take=_take,
    labels=_labels,
    learnable=learnable,
    per_token=True,
    settings=_settings,
    refuse=_refuse,
)
