"""Score a fine-tuned model without training: `cloze evaluate MODEL TASK`, or on a file of the user's (`--data FILE`).

The file is read, laid out and scored by what fine-tuning tests with (`tasks.task`), and as the model was fine-tuned: it
keeps the length of its rows and the like. So on the test file the figures are those of fine-tuning's results.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cloze.errors import ClozeError
from cloze.files import os_errors, write_json, write_text
from cloze.finetune import COLUMNS, MAX_LENGTH, find_files, name_of, wrong_flags
from cloze.recipe import TaskSettings
from cloze.report.wording import humanised
from cloze.tasks.shapes import Kind, shape_of

if TYPE_CHECKING:
    from cloze.models.classifier import Classifier, TokenClassifier
    from cloze.predict import LoadedModel
    from cloze.progress import Progress

LAYOUT = ("length", "stride", "longest_question", "longest_answer", "null_threshold")
"""Settings of a task that belong to the model, whatever it is scored on; what else it keeps says how its files are
read, which a named task knows better."""
FLAGS = {**COLUMNS, "length": "--length", "answer_rules": "--answer-rules"}
"""Setting of a task -> its flag."""
MEANING = "the model on the whole file, without dropout, in float32"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model is worth on a file."""

    results: dict[str, Any]
    """test: measures, parts, mistakes and interval, as a seed of fine-tuning has them; what was scored on what; counts
    of the file; what others published, if it is the file of a named task."""
    predictions: list[dict[str, Any]]
    """`Inputs.predictions`."""


def evaluate_named(
    model: Path,
    name: str,
    data: Path,
    progress: Progress,
    *,
    test: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Score the fine-tuned model in `model` on a published task (`tasks.named`), whose test file is in `data`.

    `test`: another file in the same format. `settings`: of `TaskSettings`, before those that the model keeps. Raises
    ClozeError.
    """
    from cloze.tasks.named import is_published, named

    found = named(name)
    loaded, classifier = _load(model, name)
    _same_kind(loaded, str(found.settings.get("kind", "classification")), f"the task {name}")
    file = data / found.settings["test"] if test is None else test
    find_files(name, data, [file])
    kept = {key: value for key, value in classifier.settings.items() if key in LAYOUT}
    task = _task(name, file, kept, {**found.settings, **(settings or {})}, model)
    scores = {found.measure: found.references, **found.also}
    published = {"split": found.split, "scores": scores, "source": found.source}
    beside = published if test is None and is_published(task) else {}
    return _evaluate(loaded, classifier, task, progress, beside)


def evaluate_file(
    model: Path,
    file: Path,
    progress: Progress,
    *,
    text: str,
    label: str | None = None,
    second: str | None = None,
    kind: Kind = "auto",
    settings: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Score the fine-tuned model in `model` on the labelled file (or folder) `file`.

    `text`, `second` and `label` are columns of a table; without `label`, those of several labels that the model keeps,
    else the one called label. `settings`: of `TaskSettings`, before those that the model keeps. Raises ClozeError.
    """
    loaded, classifier = _load(model, f"--data {file}")
    shape = shape_of(file)
    if kind not in ("auto", shape.get("kind")):
        shape = {"kind": kind}
    # A table looks the same for a class, a number, several labels and options: the model knows which it gives.
    _same_kind(loaded, shape.get("kind", classifier.objective), str(file))
    columns: dict[str, Any] = {"text_column": text, "second_text_column": second}
    columns |= {} if label is None else {"label_column": label, "label_columns": None}
    asked = {**shape, "kind": classifier.objective, **columns, **(settings or {})}
    return _evaluate(loaded, classifier, _task(name_of(file), file, classifier.settings, asked, model), progress, {})


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the predictions and then results.json into `folder`, which is made if need be; returns the files.

    Predictions are JSON lines; of questions one object from id to answer, as the official scripts read it, unless ids
    occur twice. Raises ClozeError.
    """
    answers = {}
    if evaluation.results["kind"] == "question_answering":
        answers = {one["id"]: one["predicted"] for one in evaluation.predictions}
    if answers and len(answers) == len(evaluation.predictions):
        file, other = folder / "predictions.json", folder / "predictions.jsonl"
        write_json(file, answers)
    else:
        file, other = folder / "predictions.jsonl", folder / "predictions.json"
        write_text(file, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in evaluation.predictions))
    with os_errors(folder):
        other.unlink(missing_ok=True)  # of an evaluation before, once the new ones are safe
    write_json(folder / "results.json", evaluation.results)
    return [file, folder / "results.json"]


def _load(model: Path, on: str) -> tuple[LoadedModel, Classifier | TokenClassifier]:
    """Raises ClozeError for a model without a head for a task."""
    from cloze.models.classifier import Classifier, TokenClassifier
    from cloze.predict import load
    from cloze.training.cpu import prepare_cpu

    prepare_cpu()
    loaded = load(model)
    if not isinstance(loaded.model, Classifier | TokenClassifier):
        raise ClozeError(
            f"{model} has no head for a task: it was pretrained ({loaded.model.family}), not fine-tuned. Fine-tune it "
            f"first (cloze finetune {model} {on}); what that leaves in tasks/TASK/model can be evaluated."
        )
    return loaded, loaded.model


def _same_kind(loaded: LoadedModel, kind: str, what: str) -> None:
    if kind != loaded.task:
        raise ClozeError(
            f"{what} is for {humanised(kind).lower()}, and {loaded.name} was fine-tuned for "
            f"{humanised(str(loaded.task)).lower()} ({', '.join(loaded.classes[:10])}). Give a file or a task of that "
            "kind, or a model of this one."
        )


def _task(name: str, file: Path, kept: Mapping[str, Any], asked: Mapping[str, Any], model: Path) -> TaskSettings:
    """Settings as the model keeps them, under those that were asked for."""
    known = {key: value for key, value in kept.items() if key in TaskSettings.model_fields and value is not None}
    try:
        return TaskSettings.model_validate({**known, **asked, "name": name, "train": file, "test": file})
    except ValidationError as error:
        told = f"{file} can't be scored so; what no flag says, cloze_task in {model / 'config.json'} does:"
        raise ClozeError("\n  ".join([told, *wrong_flags(error, ("tasks", 0), FLAGS)])) from None


def _evaluate(
    loaded: LoadedModel,
    classifier: Classifier | TokenClassifier,
    task: TaskSettings,
    progress: Progress,
    published: Mapping[str, Any],
) -> Evaluation:
    from cloze.tasks.results import MEANING as WORDS
    from cloze.tasks.results import with_interval
    from cloze.tasks.task import Layout, kind_of, outputs_of

    kind, model, config = kind_of(task.kind), Path(loaded.name), classifier.encoder.config
    length = task.length or min(config.max_length, MAX_LENGTH)
    _fits(model, classifier, task, length)
    with progress.stage(f"{model} on {task.test}") as meter:
        examples = kind.read(task.test, task)
        classes = kind.names(classifier.classes, examples)
        kind.refuse(examples, classes, classifier.settings, model)
        inputs = kind.inputs(examples, classes, Layout(loaded.tokenizer, length, config.segment_types), task)
        meter.note(f"{examples.counts['examples']:,} examples")
        outputs = outputs_of(kind, classifier, inputs, next(classifier.parameters()).device)
        scores = with_interval(kind, inputs.score(outputs))
    results = {
        "task": task.name,
        "kind": kind.name,
        "measures": list(kind.measures),
        "classes": list(classes),
        "model": str(model),
        "file": str(task.test),
        "length": length,
        "test": scores,
        "counts": {"test": {**examples.counts, **inputs.features.counts}},
        "published": dict(published) or None,
        "meaning": {"test": MEANING, "interval": WORDS["interval"]},
    }
    return Evaluation(results, inputs.predictions(outputs))


def _fits(model: Path, classifier: Classifier | TokenClassifier, task: TaskSettings, length: int) -> None:
    """Raises ClozeError for what the model would read and be wrong about, and for what it cannot read."""
    longest, pairs = classifier.encoder.config.max_length, classifier.settings.get("pairs")
    if length > longest:
        raise ClozeError(f"rows of {length} tokens, but {model} has positions for {longest}. Give a smaller --length.")
    if pairs is True and task.second_text_column is None:
        raise ClozeError(f"{model} was fine-tuned on pairs of texts. Name the column of the second ones with --second.")
    if pairs is False and task.second_text_column is not None:
        raise ClozeError(f"{model} was fine-tuned on single texts, and {task.test} is read as pairs of them.")
