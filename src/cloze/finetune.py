"""Fine-tune a model without a recipe: `cloze finetune MODEL TASK`, or on a file of the user's (`--data FILE`).

The folder it leaves is a run's: recipe.yaml, the two splits, tasks/NAME and report.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cloze.errors import ClozeError
from cloze.files import hash_json, os_errors, write_json, write_text
from cloze.recipe import Recipe
from cloze.report.cells import Table
from cloze.report.wording import humanised
from cloze.tasks.shapes import Kind, shape_of

if TYPE_CHECKING:
    from cloze.progress import Progress
    from cloze.tasks.own import Split


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
    kind: Kind = "auto",
    settings: Mapping[str, Any] | None = None,
    show: Callable[[Table], None] | None = None,
) -> Path:
    """Fine-tune the model in `model` on the labelled file `file`; returns the run's folder.

    `text`, `second` and `label` are columns of a table; without `test`, a tenth of its rows is set apart by a hash. A
    file of tags, of questions on texts or of options to choose from is known by its shape and needs a `test`.
    `settings` are those of a task (`TaskSettings`). `show` is given what was understood, before training. Raises
    ClozeError.
    """
    from cloze.corpus.licences import sources_of
    from cloze.interop.configuration import read_config

    read_config(model)  # A folder that is no model is told before anything is written.
    shape = shape_of(file) if kind == "auto" else {"kind": kind}
    task: dict[str, Any] = {"name": _name(file), **shape}
    rows: list[tuple[str, str]] = []
    if shape.get("kind", "classification") in ("classification", "regression"):
        split, found, rows = _split_table(file, test, folder, text, label, second, kind)
        names = {"text_column": "text", "second_text_column": None if second is None else "second"}
        task |= {"kind": found, "train": split.train, "test": split.test, **names}
    elif test is None:
        raise ClozeError(
            f"{file} is for {humanised(task['kind']).lower()}, and there is no test file. Only tables of texts are "
            "split by themselves: name one with --test."
        )
    else:
        task |= {"train": file.resolve(), "test": test.resolve()}
        if shape["kind"] in ("multi_label", "multiple_choice"):
            task |= {"text_column": text, "label_column": label}
    recipe = _recipe(model, folder, folder / "data", task | dict(settings or {}), f"{model} fine-tuned on {file}.")
    if show is not None:
        show(Table(str(file), ("", ""), rows or _read_rows(recipe)))
    sources = sources_of({f"task {recipe.tasks[0].name}": [file, *([] if test is None else [test])]}, file.parent)
    return _carry_out(recipe, folder, progress, f"The test split: {_how(test)}.", sources)


def finetune_named(
    model: Path,
    name: str,
    data: Path,
    folder: Path,
    progress: Progress,
    *,
    test: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    show: Callable[[Table], None] | None = None,
) -> Path:
    """Fine-tune the model in `model` on a published task (`tasks.named`), whose files are in `data`.

    `test` is tested on in place of the published split. Raises ClozeError, also for files that are not there.
    """
    from cloze.corpus.catalogue import sets_of
    from cloze.corpus.licences import sources_of
    from cloze.files import files_below
    from cloze.interop.configuration import read_config
    from cloze.tasks.named import named

    found = named(name)
    read_config(model)
    task = {"name": name, **found.settings, **(settings or {})}
    task |= {} if test is None else {"test": test.resolve()}
    recipe = _recipe(model, folder, data, task, f"{model} fine-tuned on {name}: {found.title}")
    paths = [data / path for path in (recipe.tasks[0].train, recipe.tasks[0].test)]
    if missing := [path for path in paths if not path.exists()]:
        flag = "" if data == Path("data") else f" --data {data}"
        known = "".join(f" `cloze data get {one}{flag}` fetches it." for one in sets_of(missing))
        raise ClozeError(
            f"the task {name} needs {' and '.join(map(str, missing))}.{known} --test FILE tests on another file."
        )
    if show is not None:
        show(Table(f"{name}: {found.title}", ("", ""), _read_rows(recipe)))
    split = found.split if test is None else f"{test}, which is not the published one ({found.split})"
    files = {f"task {name}": [file for path in paths for file in files_below(path)]}
    return _carry_out(recipe, folder, progress, f"The test split: {split}.", sources_of(files, data))


def _split_table(
    file: Path, test: Path | None, folder: Path, text: str, label: str, second: str | None, kind: str
) -> tuple[Split, str, list[tuple[str, str]]]:
    """A table of texts, cut in two, its kind, and what it was understood to hold."""
    from cloze.tasks.datasets import read_table
    from cloze.tasks.own import describe, kind_of_labels, write_split

    examples = read_table(file, text, label, second)
    tested = None if test is None else read_table(test, text, label, second)
    labels = [*examples.labels, *(tested.labels if tested else ())]
    found = kind_of_labels(labels) if kind == "auto" else kind
    split = write_split(examples, tested, folder / "data")
    rows = describe(examples, found)
    rows.append(("Split", f"{split.counts['train']:,} to train, {split.counts['test']:,} to test, {_how(test)}"))
    if split.counts["spaced"]:
        rows.append(("Changed", f"{split.counts['spaced']:,} texts had tabs or line breaks, which became spaces"))
    return replace(split, train=Path("train.tsv"), test=Path("test.tsv")), found, rows


def _read_rows(recipe: Recipe) -> list[tuple[str, str]]:
    """What the files of a task were understood to hold. Raises ClozeError for those that don't fit it."""
    from cloze.tasks.task import kind_of

    task = recipe.tasks[0]
    kind = kind_of(task.kind)
    train, test = (kind.read(recipe.data / path, task) for path in (task.train, task.test))
    classes = kind.classes(train, test)
    rows = [("Kind", humanised(task.kind))]
    for name, examples in (("To train", train), ("To test", test)):
        rows.append((name, ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in examples.counts.items())))
    more = f" and {len(classes) - 12:,} more" if len(classes) > 12 else ""
    return [*rows, ("Classes", ", ".join(classes[:12]) + more)] if len(classes) > 1 else rows


def _carry_out(
    recipe: Recipe, folder: Path, progress: Progress, note: str, sources: Sequence[Mapping[str, Any]]
) -> Path:
    """Fine-tune, and leave a run's folder."""
    from cloze.corpus.licences import sources_of_start
    from cloze.recipe_file import show as show_recipe
    from cloze.report.page import write_report
    from cloze.tasks.finetuning import finetune

    model, task = recipe.start_from, recipe.tasks[0]
    assert model is not None
    write_text(folder / "recipe.yaml", show_recipe(recipe))
    every = [*sources, *sources_of_start(model)]
    write_json(folder / "run.json", {"notes": [note], "only_tasks": True, "sources": every})
    place = folder / "tasks" / task.name
    with os_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    finetune(recipe, task, model, place, progress)
    write_report(folder)
    return folder


def _recipe(model: Path, folder: Path, data: Path, task: Mapping[str, Any], description: str) -> Recipe:
    """The run as a recipe that goes on from `model`. Raises ClozeError for settings of the task that don't fit."""
    from cloze.interop.configuration import read_config

    _, config, family = read_config(model)
    longest = min(config.max_length, MAX_LENGTH)
    described = {
        "name": folder.name,
        "description": description,
        "data": data.resolve(),
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
