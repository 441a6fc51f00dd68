"""Fine-tune a model on a file of the user's, without a recipe: `cloze finetune MODEL FILE`.

The folder it leaves is a run's: recipe.yaml, the two splits, tasks/NAME and report.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from cloze.errors import ClozeError
from cloze.files import hash_json, os_errors, write_json, write_text
from cloze.recipe import Recipe
from cloze.report.cells import Table

if TYPE_CHECKING:
    from cloze.progress import Progress


MAX_LENGTH = 512
"""Longest row in tokens where the user names none, however much longer the model can read."""


def finetune_file(
    model: Path,
    file: Path,
    folder: Path,
    progress: Progress,
    *,
    text: str,
    label: str,
    second: str | None = None,
    test: Path | None = None,
    kind: Literal["auto", "classification", "regression"] = "auto",
    settings: Mapping[str, Any] | None = None,
    show: Callable[[Table], None] | None = None,
) -> Path:
    """Fine-tune the model in `model` on the table `file`; returns the run's folder.

    `text`, `second` and `label` are columns; without `test`, a tenth of the rows is set apart by a hash. `settings` are
    those of a task (`TaskSettings`). `show` is given what was understood, before training. Raises ClozeError.
    """
    from cloze.corpus.licences import sources_of, sources_of_start
    from cloze.interop.configuration import read_config
    from cloze.recipe_file import show as show_recipe
    from cloze.report.page import write_report
    from cloze.tasks.datasets import read_table
    from cloze.tasks.finetuning import finetune
    from cloze.tasks.own import describe, kind_of_labels, write_split

    read_config(model)  # A folder that is no model is told before anything is written.
    examples = read_table(file, text, label, second)
    tested = None if test is None else read_table(test, text, label, second)
    found = kind_of_labels([*examples.labels, *(tested.labels if tested else ())]) if kind == "auto" else kind
    split = write_split(examples, tested, folder / "data")
    rows = describe(examples, found)
    rows.append(("Split", f"{split.counts['train']:,} to train, {split.counts['test']:,} to test, {_how(test)}"))
    if split.counts["spaced"]:
        rows.append(("Changed", f"{split.counts['spaced']:,} texts had tabs or line breaks, which became spaces"))
    if show is not None:
        show(Table(str(file), ("", ""), rows))
    columns = {"text_column": "text", "second_text_column": None if second is None else "second"}
    task = {"name": _name(file), "kind": found, "train": "train.tsv", "test": "test.tsv", **columns, **(settings or {})}
    recipe = _recipe(model, folder, task, f"{model} fine-tuned on {file} by `cloze finetune`.")
    write_text(folder / "recipe.yaml", show_recipe(recipe))
    sources = sources_of({f"task {recipe.tasks[0].name}": [file, *([] if test is None else [test])]}, file.parent)
    sources += sources_of_start(model)
    notes = [f"The test split: {_how(test)}."]
    write_json(folder / "run.json", {"notes": notes, "only_tasks": True, "sources": sources})
    place = folder / "tasks" / recipe.tasks[0].name
    with os_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    finetune(recipe, recipe.tasks[0], model, place, progress)
    write_report(folder)
    return folder


def _recipe(model: Path, folder: Path, task: Mapping[str, Any], description: str) -> Recipe:
    """The run as a recipe that goes on from `model`. Raises ClozeError for settings of the task that don't fit."""
    from cloze.interop.configuration import read_config

    _, config, family = read_config(model)
    longest = min(config.max_length, MAX_LENGTH)
    described = {
        "name": folder.name,
        "description": description,
        "data": (folder / "data").resolve(),
        "output": folder.parent,
        "start_from": model,
        "model": {"family": family.name, "norm_position": config.norm_position},
        "inputs": {"length": max(8, longest), "format": "full-sentences"},
        "masking": {"unit": "span", "boundaries": True} if family.name == "spanbert" else {},
        "tasks": [{"length": longest, **task}],
    }
    try:
        return Recipe.model_validate(described)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'][2:])) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise ClozeError(f"this can't be trained: {'; '.join(wrong)}.") from None


def default_folder(output: Path, model: Path, file: Path) -> Path:
    """<output>/finetune-<file>-<hash of model and file>: the same command goes on in the same folder."""
    return output / f"finetune-{_name(file)}-{hash_json([str(model.resolve()), str(file.resolve())])[:6]}"


def _name(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-_") or "task"


def _how(test: Path | None) -> str:
    return "a tenth, chosen by a hash of the texts" if test is None else f"the file {test}"
