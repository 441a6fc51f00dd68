"""What the runs of one task share, made once: examples read and tokenised, the pretrained model, what teachers say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloze.errors import ClozeError
from cloze.files import files_below, hash_json, sha256_file
from cloze.interop.huggingface import CONFIG_FILE, WEIGHTS_FILE, load_model
from cloze.recipe import OBEYED_BY_TASKS
from cloze.tasks.distillation import TAUGHT, Lesson, teach
from cloze.tasks.overlap import learned_by_teachers, plain
from cloze.tasks.selection import Splits, of_part, read_splits
from cloze.tasks.task import Inputs, Labels, Layout, TaskKind, kind_of
from cloze.training.distributed import choose_device

if TYPE_CHECKING:
    import torch

    from cloze.models import PretrainingModel
    from cloze.progress import Progress
    from cloze.recipe import Recipe, TaskSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that the runs of one task share."""

    recipe: Recipe
    settings: TaskSettings
    kind: TaskKind[Any]
    model: PretrainingModel
    """As pretraining left it; runs copy its weights and never change it."""
    splits: Splits
    layout: Layout
    train: Inputs
    development: Inputs | None
    """What the epoch is chosen by; None: the last one is taken."""
    test: Inputs
    device: torch.device
    fingerprint: str
    """Hash of all that decides a run's numbers, its seed and start aside."""
    share: float = 1.0
    """Of the training examples that are learned from."""
    lesson: Lesson | None = None
    """What teachers say of the training examples."""

    @property
    def targets(self) -> dict[str, Labels]:
        """What the training examples are labelled with, by objective."""
        taught = {} if self.lesson is None else {TAUGHT: self.lesson.taught}
        return {self.kind.name: self.train.labels, **taught}

    @property
    def epoch_steps(self) -> int:
        return math.ceil(len(self.train.features) / self.settings.batch_rows)

    @property
    def steps(self) -> int:
        return max(1, round(self.settings.epochs * self.epoch_steps))


def read_task(recipe: Recipe, task: TaskSettings) -> Splits:
    """`read_splits`; of a task with teachers that are the recipe's, with the counts of what they learned of its parts.

    Raises ClozeError also if that is much of the development or the test set.
    """
    splits, teachers = read_splits(recipe.data, task), recipe.all_teachers_of(task)
    if not teachers:
        return splits
    kind = kind_of(task.kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They were told when the teacher's own files were read.
        theirs = [read_splits(recipe.data, teacher) for teacher in teachers]
    parts = [part for of_one in theirs for part in (of_one.train, of_one.development) if part is not None]
    learned = {plain(key) for part in parts for key in kind.keys(part)}
    try:
        found = learned_by_teachers(
            kind, {"train": splits.train, "development": splits.development, "test": splits.test}, learned
        )
    except ClozeError as error:
        raise ClozeError(f"task {task.name}: {error}") from None
    counts = {name: {**of_part, **found.get(name, {})} for name, of_part in splits.counts.items()}
    return replace(splits, counts=counts)


def prepare(recipe: Recipe, task: TaskSettings, model_folder: Path) -> tuple[Prepared, list[Prepared], dict[str, Any]]:
    """Read and tokenise the files and load the model.

    Returns the task, the same with each smaller share of the training examples, and the counts of what was read.
    """
    kind, splits = kind_of(task.kind), read_task(recipe, task)
    model, tokenizer = load_model(model_folder, headless=True)
    length = task.length or recipe.inputs.length
    if length > model.encoder.config.max_length:
        raise ClozeError(
            f"task {task.name}: rows of {length} tokens, but the model in {model_folder} has positions for "
            f"{model.encoder.config.max_length}. Set the task's length to that or less, or pretrain with a larger "
            "model.max_length."
        )
    layout = Layout(tokenizer, length, model.encoder.config.segment_types)
    parts = {"train": splits.train, "test": splits.test, "development": splits.development}
    inputs = {
        name: kind.inputs(examples, splits.classes, layout, task)
        for name, examples in parts.items()
        if examples is not None
    }
    files = {name: recipe.data / path for name, path in task.files.items()}
    model_files = [model_folder / name for name in (WEIGHTS_FILE, CONFIG_FILE)]  # Heads and dropout have no weights.
    decides = {
        "task": task.model_dump(exclude={"name", *task.files, "seeds", "shares", "from_random_weights", "teachers"}),
        "training": recipe.training.model_dump(include=OBEYED_BY_TASKS),
        "length": length,
        "tokenizer": tokenizer.fingerprint,
        "files": {name: [sha256_file(file) for file in files_below(path)] for name, path in files.items()},
        "model": [sha256_file(file) for file in model_files],
    }
    shared = Prepared(
        recipe=recipe,
        settings=task,
        kind=kind,
        model=model,
        splits=splits,
        layout=layout,
        train=inputs["train"],
        development=inputs.get("development"),
        test=inputs["test"],
        device=choose_device(recipe.training.device),
        fingerprint=hash_json(decides),
    )
    counts = {
        name: {**found, **(inputs[name].features.counts if name in inputs else {})}
        for name, found in splits.counts.items()
    }
    smaller = []
    for share in sorted({share for share in task.shares if share < 1}):
        part = kind.inputs(of_part(kind, splits.train, share), splits.classes, layout, task)
        smaller.append(replace(shared, train=part, share=share, fingerprint=hash_json([shared.fingerprint, share])))
    return shared, smaller, counts


def with_lesson(shared: Prepared, teachers: Sequence[Path], progress: Progress) -> Prepared:
    """The task with what its teachers say of the training examples, and with the texts that only they label."""
    recipe, task, device = shared.recipe, shared.settings, shared.device
    lesson = teach(recipe, task, shared.splits, shared.train, shared.layout, teachers, device, progress)
    fingerprint = hash_json([shared.fingerprint, *lesson.fingerprints])
    return replace(shared, train=lesson.inputs, lesson=lesson, fingerprint=fingerprint)
