"""Learning from teachers: what fine-tuned models say of a text, beside its label (Hinton et al. 2015,
arXiv:1503.02531, sections 2 and 3).

The mean of several teachers is what a student of one model's size learns from. Teachers of the student's own size and
training are born-again networks (Furlanello et al. 2018, arXiv:1805.04770). A text without a label is learned from the
teachers alone (Turc et al. 2019, arXiv:1908.08962). Teachers judge every text once, before training; what they said is
kept by a hash of teacher and texts, so that tasks which differ in something else share it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor
from torch.nn import functional as F

from cloze.errors import ClozeError, DamagedError
from cloze.files import hash_json, os_errors, write_bytes
from cloze.interop.huggingface import is_classifier, load_classifier
from cloze.interop.start import fingerprint_of_start
from cloze.models.classifier import Classifier, TokenClassifier
from cloze.objectives import Sums
from cloze.tasks.features import IGNORED, Features, featurise, map_rows
from cloze.tasks.metrics import log_softmax
from cloze.tasks.unlabelled import read_unlabelled
from cloze.training.cpu import choose_dtype

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.progress import Meter, Progress
    from cloze.recipe import Recipe, TaskSettings
    from cloze.tasks.selection import Splits
    from cloze.tasks.task import Inputs, Layout
    from cloze.tokens.tokenizer import Tokenizer

TAUGHT = "taught"
"""Name of a batch's target that holds what the teachers say of its rows."""
JUDGED_TEXTS = 10_000
"""Texts that a teacher judges between two signs of progress."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student learns from."""

    inputs: Inputs
    """The labelled examples, then the unlabelled texts, which have IGNORED for a class or the teachers' own number."""
    taught: NDArray[np.float32]
    """[examples, C]: the teachers' mean probabilities at the temperature; of a regression [examples, 1] mean number."""
    weight: float
    """Of the teachers in the loss of a labelled example."""
    temperature: float | None
    """None: a regression."""
    fingerprints: tuple[str, ...]
    """Of the teachers' folders."""
    counts: Mapping[str, Mapping[str, int]]
    """Of the unlabelled texts, if there are any."""
    elapsed_s: float
    """That the teachers took, now or when what they said was kept."""

    def describe(self) -> dict[str, Any]:
        """What results.json says of it."""
        models = len(self.fingerprints)
        return {"models": models, "weight": self.weight, "temperature": self.temperature, "elapsed_s": self.elapsed_s}

    def losses(self, classifier: Classifier | TokenClassifier, batch: Batch) -> dict[str, Sums]:
        """Sums over the rows of a batch with the targets of `classifier.objective` and TAUGHT."""
        labels, taught = (batch.targets[name].labels for name in (classifier.objective, TAUGHT))
        logits = classifier.logits(batch).float()
        if self.temperature is None:
            return {classifier.objective: taught_numbers(logits, labels, taught, self.weight)}
        return {classifier.objective: taught_classes(logits, labels, taught, self.weight, self.temperature)}


def taught_classes(logits: Tensor, labels: Tensor, taught: Tensor, weight: float, temperature: float) -> Sums:
    """logits [R, C], labels int64 [R], taught [R, C], probabilities at `temperature` T -> Sums over rows.

    A row's loss is (1 - weight) x its cross-entropy with the label + weight x T^2 x the cross-entropy of the softmax at
    T with what was taught; T^2 keeps the second's gradient at one size (section 2). A row without a label (IGNORED) has
    the second alone, and counts as right if it has the teachers' class.
    """
    hard = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    soft = temperature**2 * F.cross_entropy(logits / temperature, taught, reduction="none")
    weights = torch.where(labels == IGNORED, 1.0, weight)
    wanted = torch.where(labels == IGNORED, taught.argmax(dim=1), labels)
    loss = ((1 - weights) * hard + weights * soft).sum()
    return Sums(loss, len(labels), (logits.argmax(dim=1) == wanted).sum())


def taught_numbers(outputs: Tensor, labels: Tensor, taught: Tensor, weight: float) -> Sums:
    """outputs [R, 1], labels float32 [R], taught [R, 1] -> Sums over rows: squared errors from label and teachers."""
    hard, soft = ((outputs[:, 0] - wanted).square() for wanted in (labels, taught[:, 0]))
    return Sums(((1 - weight) * hard + weight * soft).sum(), len(labels), outputs.new_zeros(()))


def kept_model(folder: Path, task: TaskSettings, seed: int) -> Path:
    """Where the task in `folder` keeps the model of a seed: that of the first always, the others' if it teaches."""
    return folder / "model" if seed == task.seeds[0] else folder / "models" / f"seed-{seed}"


def teachers_of(recipe: Recipe, task: TaskSettings, made: Mapping[str, Path]) -> list[Path]:
    """The folders of a task's teachers; `made`: where the tasks before it are, by their names."""
    tasks, folders = recipe.teachers_of(task)
    return [kept_model(made[other.name], other, seed) for other in tasks for seed in other.seeds] + folders


def open_teacher(folder: Path, task: TaskSettings, classes: Sequence[str]) -> tuple[Classifier, Tokenizer, list[int]]:
    """A teacher for a task, its tokenizer, and which of its outputs stands for each of `classes`.

    Raises ClozeError for a folder that holds none.
    """
    if not is_classifier(folder):
        raise ClozeError(
            f"task {task.name}: {folder} holds a pretrained model, which can't teach. Name a fine-tuned one, such as "
            "runs/NAME/tasks/TASK/model."
        )
    model, tokenizer = load_classifier(folder)
    if model.objective != task.kind or not isinstance(model, Classifier):
        raise ClozeError(f"task {task.name} is {task.kind}, but the teacher in {folder} does {model.objective}.")
    if model.settings.get("pairs") is not None and model.settings["pairs"] != (task.second_text_column is not None):
        theirs, ours = ("pairs of texts", "single texts") if model.settings["pairs"] else ("single texts", "pairs")
        raise ClozeError(f"task {task.name} is of {ours}, but the teacher in {folder} was fine-tuned on {theirs}.")
    if task.kind == "regression":
        return model.eval(), tokenizer, [0]
    if set(model.classes) != set(classes):
        theirs, ours = (", ".join(sorted(names)) for names in (model.classes, classes))
        raise ClozeError(
            f"task {task.name} has the classes {ours}, but the teacher in {folder} tells {theirs} apart. A teacher "
            "must have been fine-tuned on the same classes."
        )
    return model.eval(), tokenizer, [model.classes.index(name) for name in classes]


@dataclass(frozen=True, slots=True)
class Question:
    """What all teachers are asked."""

    texts: Sequence[str]
    second: Sequence[str] | None
    length: int
    """Longest row in tokens, as the student reads it; each teacher has its own tokens."""
    dtype: torch.dtype
    """Of matrix products: that of training."""

    @property
    def fingerprint(self) -> str:
        return hash_json([self.texts, self.second, self.length, str(self.dtype)])


def teach(
    recipe: Recipe,
    task: TaskSettings,
    splits: Splits,
    inputs: Inputs,
    layout: Layout,
    teachers: Sequence[Path],
    device: torch.device,
    progress: Progress,
) -> Lesson:
    """What the teachers say of the training examples of `splits`, whose rows are `inputs`, and of unlabelled texts.

    Raises ClozeError for teachers or texts that don't fit.
    """
    texts, counts = splits.train.texts, dict[str, dict[str, int]]()
    if task.unlabelled is not None:
        more, found = _unlabelled(recipe, task, splits)
        features = featurise(more, layout.tokenizer, layout.length)
        inputs = replace(inputs, features=_joined(inputs.features, features))
        texts, counts = texts + more, {"unlabelled": found | features.counts}
    question = Question(texts, splits.train.second, layout.length, choose_dtype(recipe.training.precision, device))
    asked, prints = question.fingerprint, [fingerprint_of_start(teacher) for teacher in teachers]
    judged, elapsed_s = [], 0.0
    for place, teacher in enumerate(teachers):
        model, tokenizer, order = open_teacher(teacher, task, splits.classes)
        path = recipe.output / "stages" / "teachers" / f"{hash_json([prints[place], asked])[:16]}.safetensors"
        if not path.is_file():
            title = f"{task.name}: teacher {place + 1} of {len(teachers)}"
            with progress.stage(title, total=len(texts), unit="texts") as meter:
                judge(model.to(device), tokenizer, question, path, meter)
        outputs, seconds = _read(path)
        judged.append(outputs[:, order])
        elapsed_s += seconds
    temperature = None if task.kind == "regression" else task.teacher_temperature
    taught = mean_of(judged, temperature)
    unnamed = taught[len(inputs.labels) :]
    labels = unnamed[:, 0] if temperature is None else np.full(len(unnamed), IGNORED)
    inputs = replace(inputs, labels=np.concatenate([inputs.labels, labels]))
    return Lesson(inputs, taught, task.teacher_weight, temperature, tuple(prints), counts, elapsed_s)


def judge(model: Classifier, tokenizer: Tokenizer, question: Question, path: Path, meter: Meter) -> None:
    """Write what a teacher says, float32 [texts, C], to `path`, and the seconds that it took. No dropout."""
    config, device, started_at = model.encoder.config, next(model.parameters()).device, time.perf_counter()
    longest, parts = min(question.length, config.max_length), []
    with torch.autocast(device.type, question.dtype, enabled=question.dtype is not torch.float32):
        for start in range(0, len(question.texts), JUDGED_TEXTS):
            piece = slice(start, start + JUDGED_TEXTS)
            second = None if question.second is None else question.second[piece]
            texts, segments = question.texts[piece], config.segment_types
            features = featurise(texts, tokenizer, longest, second=second, segments=segments)
            parts.append(map_rows(model.logits, features, device=device))
            meter.advance(len(texts))
    seconds = np.array(time.perf_counter() - started_at)
    write_bytes(path, save({"outputs": np.concatenate(parts), "elapsed_s": seconds}))


def mean_of(judged: Sequence[NDArray[np.float32]], temperature: float | None) -> NDArray[np.float32]:
    """Outputs [texts, C] of each teacher -> the mean of their probabilities at `temperature`; None: of the outputs."""
    each = judged if temperature is None else [np.exp(log_softmax(logits / temperature)) for logits in judged]
    return np.asarray(np.mean(each, axis=0, dtype=np.float64), dtype=np.float32)


def _unlabelled(recipe: Recipe, task: TaskSettings, splits: Splits) -> tuple[list[str], dict[str, int]]:
    """The task's unlabelled texts that are not in its other files, and the counts of all."""
    assert task.unlabelled is not None
    parts = {"train": splits.train, "development": splits.development, "test": splits.test}
    own = {part: examples.texts for part, examples in parts.items() if examples is not None}
    return read_unlabelled(recipe.data / task.unlabelled, task.text_column, own)


def _joined(first: Features, second: Features) -> Features:
    """The rows of both, of single texts, with the counts of the first."""
    offsets = np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]])
    return Features(np.concatenate([first.ids, second.ids]), offsets, first.counts)


def _read(path: Path) -> tuple[NDArray[np.float32], float]:
    """What `judge` wrote."""
    try:
        with os_errors(path):
            found = load(path.read_bytes())
    except SafetensorError as error:
        raise DamagedError(f"{path} is damaged ({error}). Delete it and run again: the teacher judges anew.") from None
    return found["outputs"], float(found["elapsed_s"])
