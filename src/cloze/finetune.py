"""Fine-tune a model without a recipe: `cloze finetune MODEL TASK`, or on a file of the user's (`--data FILE`).

What they ask for becomes a recipe that starts from the model and has no corpus, and is carried out as any recipe is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cloze.errors import ClozeError
from cloze.files import hash_json
from cloze.recipe import Recipe
from cloze.recipe_file import explain
from cloze.report.cells import Table
from cloze.report.wording import humanised
from cloze.tasks.named import TASKS
from cloze.tasks.shapes import Kind, shape_of
from cloze.yaml_file import Key, dotted

if TYPE_CHECKING:
    from cloze.progress import Progress


MAX_LENGTH = 512
"""Longest row in tokens where the user names none, however much longer the model can read."""
TEST_FRAC = 0.1
"""Share of a user's examples that is set apart where there is no test file."""
APART = "a tenth, chosen by a hash of the texts"
"""How that is said."""
SETTINGS = ("epochs", "batch_rows", "peak_learning_rate", "length", "seeds")
"""Settings of a task that have flags of their names."""
COLUMNS = {"text_column": "--text", "second_text_column": "--second", "label_column": "--label"}
FLAGS = {**COLUMNS, **{name: f"--{name.replace('_', '-')}" for name in SETTINGS}}
"""Setting of a task -> its flag."""
OF_TEXTS = ("classification", "multi_label", "regression")
"""Kinds whose examples are texts or pairs of them."""


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

    `text`, `second` and `label` are columns of a table; a file of tags, of questions on texts or of options to choose
    from is known by its shape. Without `test`, a tenth of the examples is set apart by a hash. `settings`: of
    `TaskSettings`. `show` is given what was understood, before training. Raises ClozeError; where the files are wrong,
    nothing is written.
    """
    from cloze.pipeline import run

    _refuse_unusable(model)
    found = _kind_of_file(file, test, {"text_column": text, "second_text_column": second, "label_column": label}, kind)
    path = file.resolve()
    apart = {"test": path.name, "test_frac": TEST_FRAC} if test is None else {"test": test.resolve()}
    task = {"name": name_of(file), **found, "train": path.name, **apart, **(settings or {})}
    how = APART if test is None else f"the file {test}"
    recipe = _recipe(model, folder, path.parent, task, f"{model} fine-tuned on {file}. The test split: {how}.")
    rows = _read_rows(recipe, how)
    if kind == "auto":
        rows[0] = (rows[0][0], f"{rows[0][1]}; --kind decides otherwise")
    if show is not None:
        show(Table(str(file), ("", ""), rows))
    return run(recipe, progress)


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
    from cloze.pipeline import run
    from cloze.tasks.named import named

    found = named(name)
    _refuse_unusable(model)
    task = {"name": name, **found.settings, **(settings or {})}
    task |= {} if test is None else {"test": test.resolve()}
    split = found.split if test is None else f"{test}, which is not the published one ({found.split})"
    about = f"{model} fine-tuned on {name}: {found.title}. The test split: {split}."
    recipe = _recipe(model, folder, data, task, about)
    find_files(name, data, [data / path for path in (recipe.tasks[0].train, recipe.tasks[0].test)])
    rows = _read_rows(recipe, split)
    if show is not None:
        show(Table(f"{name}: {found.title}", ("", ""), rows))
    return run(recipe, progress)


def _refuse_unusable(model: Path) -> None:
    """Raise ClozeError for a folder that is no pretrained model, before files are read and anything is written."""
    from cloze.interop.huggingface import is_classifier
    from cloze.tokens.tokenizer import Tokenizer

    if is_classifier(model):
        raise ClozeError(
            f"{model} was fine-tuned already, which left the head of pretraining behind. Name the pretrained model: "
            "runs/NAME/pretraining/model."
        )
    Tokenizer.load(model)


def find_files(name: str, data: Path, paths: Sequence[Path]) -> None:
    """Raise ClozeError, which says how to get them, if files of the published task `name` are not there."""
    from cloze.corpus.catalogue import sets_of

    if missing := [path for path in paths if not path.exists()]:
        flag = "" if data == Path("data") or not data.is_dir() else f" --data {data}"
        known = "".join(f" `cloze data get {one}{flag}` fetches it." for one in sets_of(missing))
        raise ClozeError(
            f"the task {name} needs {' and '.join(map(str, missing))}.{known} --test FILE tests on another file."
        )


def _kind_of_file(file: Path, test: Path | None, columns: Mapping[str, str | None], kind: Kind) -> dict[str, Any]:
    """Settings of the task that a user's file is for, by its shape or, if it is a table of texts, by its labels.

    Raises ClozeError for a file that cannot be read, and for a table without the columns.
    """
    from cloze.tasks.own import kind_of_labels, labels_of

    shape = shape_of(file)
    if kind not in ("auto", shape.get("kind")):
        shape = {"kind": kind}
    if not shape:
        named = [name for name in columns.values() if name is not None]
        files = [file, *([] if test is None else [test])]
        labels = [label for path in files for label in labels_of(path, named, str(columns["label_column"]))]
        shape = {"kind": kind_of_labels(labels)}
    if columns["second_text_column"] is not None and shape["kind"] not in OF_TEXTS:
        raise ClozeError(
            f"--second makes pairs of texts, and {file} is for {humanised(shape['kind']).lower()}. Leave it out, or "
            "say what the file is for with --kind."
        )
    return {**shape, **columns}


def _read_rows(recipe: Recipe, how: str) -> list[tuple[str, str]]:
    """What the files of a task were understood to hold; `how` its test part was made.

    Raises ClozeError for files that don't fit the task.
    """
    from cloze.tasks.own import describe
    from cloze.tasks.selection import read_splits

    splits, task = read_splits(recipe.data, recipe.tasks[0]), recipe.tasks[0]
    learned, tested = (splits.counts[part]["examples"] for part in ("train", "test"))
    shared = splits.counts["test"]["shared_with_train"]
    rows = [*describe(splits.labelled, task), ("Split", f"{learned:,} to train, {tested:,} to test, {how}")]
    if moved := splits.counts.get("labelled file", {}).get("moved_to_train"):
        rows.append(("Moved", f"{moved:,} examples to train, which would not have had their labels"))
    return [*rows, ("Shared", f"{shared:,} test examples have the very text of a training example")]


def _recipe(model: Path, folder: Path, data: Path, task: Mapping[str, Any], description: str) -> Recipe:
    """The run as a recipe that goes on from `model`. Raises ClozeError for settings of the task that don't fit."""
    from cloze.interop.configuration import read_config

    _, config, _ = read_config(model)
    longest, asked = min(config.max_length, MAX_LENGTH), task.get("length")
    if isinstance(asked, int) and asked > config.max_length:
        raise ClozeError(
            f"--length {asked:,}: {model} has positions for {config.max_length:,} tokens. Give at most as many."
        )
    described = {
        "name": folder.name,
        "description": description,
        "data": data.resolve(),
        "output": folder.parent,
        "start_from": model,
        "inputs": {"length": max(8, longest), "format": "full-sentences"},
        "tasks": [{"length": longest, **task}],
    }
    try:
        return Recipe.model_validate(described)
    except ValidationError as error:
        raise ClozeError("\n  ".join(["this can't be trained:", *wrong_flags(error, (), FLAGS)])) from None


def wrong_flags(error: ValidationError, section: Key, flags: Mapping[str, str]) -> list[str]:
    """What is wrong with the settings of a task, or with what is at `section`, as the `flags` for them are called."""
    found = []
    for keys, _, message in explain(error, section):
        name = str(keys[0][2]) if len(keys[0]) > 2 else dotted(keys[0])
        found.append(f"{flags.get(name, name)}: {message}")
    return found


def default_folder(output: Path, model: Path, file: Path, asked: Mapping[str, Any]) -> Path:
    """<output>/finetune-<file>-<hash of model, file and all that was asked for>: the same command goes on in the same
    folder, another one leaves its report alone. Seeds are no part of it: more of them are added to those there are."""
    wanted = {key: value for key, value in asked.items() if key != "seeds" and value is not None}
    given = [str(model.resolve()), str(file.resolve()), {key: str(value) for key, value in wanted.items()}]
    return output / f"finetune-{_name(file)}-{hash_json(given)[:6]}"


def name_of(file: Path) -> str:
    """What a task on a file of the user's is called.

    A report compares a published task with others' scores; a file of its name need not be that task.
    """
    return f"my-{_name(file)}" if _name(file) in TASKS else _name(file)


def _name(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-_") or "task"
