"""What a run left on the disk, read so that a missing or damaged part never hides the others.

A file that does not exist is a stage that has not run: its value is empty. A file that cannot be read is named in
`problems`, which the page shows at its top.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cloze.errors import ClozeError
from cloze.report.wording import OBJECTIVES, shortened

Json = dict[str, Any]

STAGES = ("corpus", "tokenizer", "store", "pretraining")
"""Folders of a run in the order in which they are made; the tasks follow."""
SYNTHETIC = "The text is synthetic: it was generated. The figures say nothing about real language."
"""Stands at the top when the recipe or the corpus says so and run.json has no words of its own for it."""


@dataclass(frozen=True)
class TaskRun:
    """One fine-tuning task."""

    name: str
    results: Json
    """results.json; empty if the task has not finished."""
    curves: list[Json]
    """Lines of metrics.jsonl."""
    manifest: Json
    published: bool = False
    """Whether it is a published task by its name, its test file and all that its scores depend on."""


@dataclass
class RunData:
    """A run folder, read once."""

    folder: Path
    recipe: Json = field(default_factory=dict)
    recipe_text: str = ""
    """recipe.yaml as it stands."""
    info: Json = field(default_factory=dict)
    """run.json."""
    manifests: dict[str, Json] = field(default_factory=dict)
    """Stage -> manifest.json; empty for a stage that has not finished."""
    train: list[Json] = field(default_factory=list)
    """Lines of pretraining/metrics.jsonl of kind "train"."""
    validation: list[Json] = field(default_factory=list)
    """Lines of pretraining/metrics.jsonl of kind "validation"."""
    alarms: list[Json] = field(default_factory=list)
    """Lines of pretraining/metrics.jsonl of kind "alarm"."""
    guesses: list[Json] = field(default_factory=list)
    """Lines of pretraining/guesses.jsonl."""
    tasks: list[TaskRun] = field(default_factory=list)
    """In the recipe's order; a task of the recipe that has no folder yet is in it as well."""
    problems: list[str] = field(default_factory=list)
    """Files that could not be read, in words."""

    def stage(self, link: str) -> Path:
        """The folder that a link in the run's folder leads to; runs that share a stage have the same."""
        return (self.folder / link).resolve()

    @cached_property
    def name(self) -> str:
        """The recipe's name, else the folder's."""
        return str(self.recipe.get("name") or self.folder.name)

    @cached_property
    def description(self) -> str:
        """The recipe's description."""
        return str(self.recipe.get("description") or "").strip()

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know before the figures: run.json's notes, and that the text is synthetic if it is."""
        found = self.info.get("notes")
        notes = [str(note) for note in found] if isinstance(found, list) else []
        said = any("synthetic" in note.lower() for note in notes)
        sources = json.dumps([self.manifests.get("corpus", {}).get(key) for key in ("settings", "counts", "notes")])
        if not said and "synthetic" in (self.description + sources).lower():
            notes.insert(0, SYNTHETIC)
        return notes

    @cached_property
    def only_tasks(self) -> bool:
        """Whether the run pretrains nothing (`Recipe.only_tasks`)."""
        return bool(self.recipe.get("start_from")) and dig(self.recipe, "corpus", "sources") == []

    @cached_property
    def unfinished(self) -> list[str]:
        """Stages that have not finished, in words."""
        if self.only_tasks:
            return [f"Fine-tuning on {task.name} has not finished." for task in self.tasks if not task.results]
        made = {stage for stage in STAGES if (self.folder / stage / "manifest.json").exists()}
        missing = [f"The {stage} stage has not finished." for stage in STAGES[:-1] if stage not in made]
        if "pretraining" not in made:
            step = max((number(line.get("step")) or 0 for line in self.train + self.validation), default=None)
            total = number(dig(self.recipe, "training", "steps"))
            where = "" if step is None else f": step {step:,.0f}" + (f" of {total:,.0f}" if total else "")
            missing.append(f"Pretraining has not {'started' if step is None else 'finished'}{where}.")
        return missing + [f"Fine-tuning on {task.name} has not finished." for task in self.tasks if not task.results]

    def counts(self, stage: str) -> Json:
        """The counts in a stage's manifest; empty if it has none."""
        found = self.manifests.get(stage, {}).get("counts")
        return found if isinstance(found, dict) else {}

    def label(self, objective: str) -> str:
        """What papers call an objective, in this run."""
        if objective == "sentence_pair" and dig(self.recipe, "inputs", "format") == "sentence-order":
            return "SOP"
        if objective == "masked_tokens" and self.measured("replaced_tokens"):
            return "Generator MLM"
        return OBJECTIVES[objective][0]

    def measured(self, objective: str) -> bool:
        """Whether pretraining has reported on an objective."""
        return any(number(line.get(f"{objective}/loss")) is not None for line in self.train + self.validation)


def read_run(folder: Path) -> RunData:
    """Read a run folder. Raises ClozeError if it is none."""
    if not folder.is_dir():
        raise ClozeError(f"{folder} is not a folder. Give the folder of a run, the one that holds recipe.yaml.")
    if not any((folder / name).exists() for name in ("recipe.yaml", "run.json", *STAGES)):
        raise ClozeError(f"{folder} holds no recipe.yaml, run.json or stage: it is not the folder of a run.")
    run = RunData(folder)
    run.recipe_text = _read_text(folder / "recipe.yaml", run.problems)
    run.recipe = _parse_recipe(run.recipe_text, folder / "recipe.yaml", run.problems)
    run.info = _read_object(folder / "run.json", run.problems)
    run.manifests = {stage: _read_object(folder / stage / "manifest.json", run.problems) for stage in STAGES}
    lines = _read_lines(folder / "pretraining" / "metrics.jsonl", run.problems)
    run.train = [line for line in lines if line.get("kind") == "train"]
    run.validation = [line for line in lines if line.get("kind") == "validation"]
    run.alarms = [line for line in lines if line.get("kind") == "alarm"]
    run.guesses = _read_lines(folder / "pretraining" / "guesses.jsonl", run.problems)
    published = _published(run.recipe)
    run.tasks = [
        _read_task(name, folder / "tasks" / name, name in published, run.problems) for name in _task_names(run)
    ]
    return run


def number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None  # type: ignore[arg-type]


def dig(value: object, *keys: str) -> object:
    """The value under nested keys; None where the path ends."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _task_names(run: RunData) -> list[str]:
    """The recipe's tasks; without a readable recipe, the folders that are there."""
    listed = run.recipe.get("tasks")
    if isinstance(listed, list):
        return [str(task["name"]) for task in listed if dig(task, "name") is not None]
    return sorted(path.parent.name for path in run.folder.glob("tasks/*/results.json"))


def _published(recipe: Json) -> set[str]:
    """Names of the recipe's tasks that are published ones (`is_published`)."""
    from cloze.recipe import TaskSettings
    from cloze.tasks.named import TASKS, is_published

    found = set[str]()
    listed = recipe.get("tasks")
    for task in listed if isinstance(listed, list) else []:
        if dig(task, "name") in TASKS:
            with suppress(ValidationError):  # an older recipe, or one that was edited
                found |= {one.name for one in [TaskSettings.model_validate(task)] if is_published(one)}
    return found


def _read_task(name: str, folder: Path, published: bool, problems: list[str]) -> TaskRun:
    return TaskRun(
        name,
        _read_object(folder / "results.json", problems),
        _read_lines(folder / "metrics.jsonl", problems),
        _read_object(folder / "manifest.json", problems),
        published,
    )


def _read_text(path: Path, problems: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} could not be read: {error}.")
        return ""


def _read_object(path: Path, problems: list[str]) -> Json:
    text = _read_text(path, problems)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        problems.append(f"{path} is not JSON ({error}); what it says is missing here.")
        return {}
    if not isinstance(value, dict):
        problems.append(f"{path} holds {type(value).__name__}, expected an object; what it says is missing here.")
        return {}
    return value


def _read_lines(path: Path, problems: list[str]) -> list[Json]:
    """Objects of a JSON-lines file. The last line may be half-written while a run is going on: it is left out."""
    text = _read_text(path, problems)
    lines, damaged = [], 0
    for line in text.split("\n")[:-1]:  # Texts hold U+2028, where splitlines would cut.
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            lines.append(value)
        else:
            damaged += 1
    if damaged:
        problems.append(f"{path}: {damaged:,} of {damaged + len(lines):,} lines are not JSON objects and are left out.")
    return lines


def _parse_recipe(text: str, path: Path, problems: list[str]) -> Json:
    try:
        value = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        problems.append(f"{path} is not YAML ({shortened(str(error))}); what it says is missing here.")
        return {}
    return value if isinstance(value, dict) else {}
