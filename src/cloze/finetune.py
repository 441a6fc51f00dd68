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
from cloze.recipe import Recipe, TaskSettings
from cloze.report.cells import Table
from cloze.report.wording import humanised
from cloze.tasks.named import TASKS
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
    shape = shape_of(file)
    if kind not in ("auto", shape.get("kind")):
        shape = {"kind": kind}
    task: dict[str, Any] = {"name": name_of(file), **shape}
    rows: list[tuple[str, str]] = []
    note = f"The test split: {_how(test)}."
    if shape.get("kind", "classification") in ("classification", "multi_label", "regression"):
        columns = {"text_column": text, "second_text_column": second, "label_column": label}
        split, found, rows = _split_table(file, test, folder, columns, kind)
        names = {"text_column": "text", "second_text_column": None if second is None else "second"}
        task |= {"kind": found, "train": split.train, "test": split.test, **names}
        if split.counts["left_out"]:
            note += f" Left out: {split.counts['left_out']:,} rows that could not be used."
    elif test is None:
        raise ClozeError(
            f"{file} is for {humanised(task['kind']).lower()}, and there is no test file. Only tables of texts and "
            "labels are split by themselves: name one with --test."
        )
    else:
        task |= {"train": file.resolve(), "test": test.resolve()}
        if shape["kind"] == "multiple_choice":
            task |= {"text_column": text, "label_column": label}
    recipe = _recipe(model, folder, folder / "data", task | dict(settings or {}), f"{model} fine-tuned on {file}.")
    if show is not None:
        show(Table(str(file), ("", ""), _read_rows(recipe, rows)))
    sources = sources_of({f"task {recipe.tasks[0].name}": [file, *([] if test is None else [test])]}, file.parent)
    return _carry_out(recipe, folder, progress, note, sources)


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
    find_files(name, data, paths)
    if show is not None:
        show(Table(f"{name}: {found.title}", ("", ""), _read_rows(recipe)))
    split = found.split if test is None else f"{test}, which is not the published one ({found.split})"
    files = {f"task {name}": [file for path in paths for file in files_below(path)]}
    return _carry_out(recipe, folder, progress, f"The test split: {split}.", sources_of(files, data))


def find_files(name: str, data: Path, paths: Sequence[Path]) -> None:
    """Raise ClozeError, which says how to get them, if files of the published task `name` are not there."""
    from cloze.corpus.catalogue import sets_of

    if missing := [path for path in paths if not path.exists()]:
        flag = "" if data == Path("data") else f" --data {data}"
        known = "".join(f" `cloze data get {one}{flag}` fetches it." for one in sets_of(missing))
        raise ClozeError(
            f"the task {name} needs {' and '.join(map(str, missing))}.{known} --test FILE tests on another file."
        )


def _split_table(
    file: Path, test: Path | None, folder: Path, columns: Mapping[str, str | None], kind: str
) -> tuple[Split, str, list[tuple[str, str]]]:
    """A table of texts, cut in two, its kind, and what it was understood to hold.

    What is wrong with it is told with the user's own files and lines, not those of the two parts.
    """
    from cloze.tasks.own import describe, kind_of_labels, labels_of, write_split
    from cloze.tasks.task import kind_of

    files = [file, *([] if test is None else [test])]
    named = [name for name in columns.values() if name is not None]
    labels = [label for path in files for label in labels_of(path, named, str(columns["label_column"]))]
    found = kind_of_labels(labels) if kind == "auto" else kind
    settings = TaskSettings.model_validate({"name": "own", "kind": found, "train": file, "test": files[-1], **columns})
    of_kind = kind_of(found)
    examples, *tested = (of_kind.read(path, settings) for path in files)
    of_kind.classes(examples, *(tested or [examples]))
    split = write_split(examples, tested[0] if tested else None, folder / "data", found)
    rows = describe(examples, found)
    rows[0] = (rows[0][0], rows[0][1] + ("; --kind decides otherwise" if kind == "auto" else ""))
    rows.append(("Split", f"{split.counts['train']:,} to train, {split.counts['test']:,} to test, {_how(test)}"))
    if split.counts["moved"]:
        rows.append(("Moved", f"{split.counts['moved']:,} rows to train, which would not have had their labels"))
    if split.counts["spaced"]:
        rows.append(("Changed", f"{split.counts['spaced']:,} texts had tabs or line breaks, which became spaces"))
    return replace(split, train=Path("train.tsv"), test=Path("test.tsv")), found, rows


def _read_rows(recipe: Recipe, table: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """What the files of a task were understood to hold; `table`: what is known already of a user's table.

    Raises ClozeError for files that don't fit the task.
    """
    from cloze.tasks.selection import read_splits

    splits = read_splits(recipe.data, recipe.tasks[0])
    if table:
        shared = splits.counts["test"]["shared_with_train"]
        return [*table, ("Shared", f"{shared:,} test examples have the very text of a training example")]
    rows = [("Kind", humanised(recipe.tasks[0].kind))]
    for name, part in (("To train", "train"), ("To test", "test")):
        counts = splits.counts[part].items()
        rows.append((name, ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in counts if count)))
    if recipe.tasks[0].kind not in ("classification", "multi_label", "tagging"):
        return rows
    classes = splits.classes
    more = f" and {len(classes) - 12:,} more" if len(classes) > 12 else ""
    return [*rows, ("Classes", ", ".join(classes[:12]) + more)]


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
        "model": {"family": family.name, "norm": config.norm, "norm_position": config.norm_position},
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


def name_of(file: Path) -> str:
    """What a task on a file of the user's is called.

    A report compares a published task with others' scores; a file of its name need not be that task.
    """
    return f"my-{_name(file)}" if _name(file) in TASKS else _name(file)


def _name(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-_") or "task"


def _how(test: Path | None) -> str:
    return "a tenth, chosen by a hash of the texts" if test is None else f"the file {test}"
