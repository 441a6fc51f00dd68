"""Stage folders: named by what made them, made once, linked from the folder of each run that uses them.

<output>/stages/<stage>-<hash> holds one stage; the hash covers its settings, the content of the files it reads, and the
folders of the stages before it. So a stage that is up to date is never made again, recipes that begin alike share
folders, and a changed setting makes a new folder beside the old one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloze.errors import ClozeError, DamagedError
from cloze.files import (
    PARTIAL,
    aside_of,
    check_files,
    files_below,
    finish_folder,
    hash_json,
    open_lock,
    os_errors,
    read_manifest,
    sha256_file,
    write_folder,
)

if TYPE_CHECKING:
    from cloze.progress import Progress
    from cloze.recipe import Recipe

VERSIONS = {"corpus": 3, "tokenizer": 2, "store": 2, "pretraining": 4, "task": 6}
"""Raise a stage's number when the same settings would now give something else: its folders are then made again."""
HASH_DIGITS = 12
"""Of a stage's identity in its folder's name."""
RESUMABLE = {"corpus", "store", "pretraining", "task"}
"""Stages that go on where they were stopped, so their `.partial` folders are kept."""
ONLY_WATCHED = {
    *("log_every_steps", "validate_every_steps", "checkpoint_every_steps", "keep_checkpoints"),
    *("micro_batch_rows", "compile", "device"),
}
"""Settings of training that change how it is watched or cut up, not what comes out."""
PACKAGES = ("cloze", "numpy", "pyarrow", "safetensors", "scipy", "tokenizers", "torch")

Work = Callable[[Path], dict[str, Any]]
"""Fills a folder; returns what its manifest says besides the usual: {"counts": ..., ...}."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of one recipe."""

    kind: str
    folder: Path
    link: str
    """Its place in the run's folder."""
    identity: Mapping[str, Any]
    """What the folder is named by: stage, version, settings, inputs, parents. The manifest begins with it."""

    @property
    def partial(self) -> Path:
        """The folder while it is being made."""
        return self.folder.with_name(self.folder.name + PARTIAL)

    @property
    def finished(self) -> bool:
        """Whether the folder is whole. Raises DamagedError if one of its files was changed afterwards."""
        if read_manifest(self.folder) is None:
            return False
        check_files(self.folder)
        return True


class _Plan:
    """Stages by name, in the order in which they are added."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.stages: dict[str, Stage] = {}

    def add(
        self, kind: str, *, of: Mapping[str, Any], inputs: str = "", after: Sequence[str] = (), task: str = ""
    ) -> None:
        name = f"{kind}-{task}" if task else kind
        parents = {parent: self.stages[parent].folder.name for parent in after}
        identity = {"stage": kind, "version": VERSIONS[kind], "settings": of, "inputs": inputs, "parents": parents}
        folder = self.output / "stages" / f"{name}-{hash_json(identity)[:HASH_DIGITS]}"
        self.stages[name] = Stage(kind, folder, f"tasks/{task}" if task else kind, identity)


def plan_stages(recipe: Recipe) -> dict[str, Stage]:
    """Every stage by name, in order; tasks are `task-<name>`. Reads all source files, for their hashes. Raises
    ClozeError if one is absent."""
    with os_errors(recipe.data, "--data"):
        return _plan(recipe)


def _plan(recipe: Recipe) -> dict[str, Stage]:
    from cloze.interop.start import fingerprint_of_start

    _check_sources(recipe)
    _check_teachers(recipe)
    settings = recipe.model_dump(mode="json")
    # BatchNorm takes its statistics from a micro-batch, whose size then decides what comes out.
    only_watched = ONLY_WATCHED - ({"micro_batch_rows"} if recipe.model.norm == "batch" else set())
    settings["training"] = {key: value for key, value in settings["training"].items() if key not in only_watched}
    start = "" if recipe.start_from is None else fingerprint_of_start(recipe.start_from)
    plan = _Plan(recipe.output)
    if not recipe.only_tasks:
        _plan_pretraining(plan, recipe, settings, start)
    _plan_tasks(plan, recipe, settings, start)
    return plan.stages


def _plan_pretraining(plan: _Plan, recipe: Recipe, settings: dict[str, Any], start: str) -> None:
    from cloze.corpus.build import fingerprint, source_files

    corpus, tokenizer, store = (dict(settings[name]) for name in ("corpus", "tokenizer", "store"))
    del corpus["sources"], corpus["processes"], corpus["engine"], store["processes"]
    sources = fingerprint(source_files(recipe.corpus, recipe.data))
    corpus["cleaning"] = {key: value for key, value in corpus["cleaning"].items() if key != "decontaminate_against"}
    if tests := decontamination_files(recipe):
        sources = hash_json([sources, {name: fingerprint(files_below(path)) for name, path in tests.items()}])
    plan.add("corpus", of=corpus, inputs=sources)
    new_words = recipe.tokenizer.new_words
    if new_words is not None:
        start = hash_json([start, sha256_file(recipe.data / new_words)])
    del tokenizer["new_words"]
    plan.add("tokenizer", of={} if start else tokenizer, inputs=start, after=["corpus"])
    plan.add("store", of=store, after=["corpus", "tokenizer"])
    shared = {key: settings[key] for key in ("seed", "inputs", "masking", "model", "training")}
    plan.add("pretraining", of=shared, inputs=start, after=["tokenizer", "store"])


def _plan_tasks(plan: _Plan, recipe: Recipe, settings: Mapping[str, Any], start: str) -> None:
    from cloze.corpus.build import fingerprint
    from cloze.interop.start import fingerprint_of_start
    from cloze.recipe import OBEYED_BY_TASKS

    for task, own in zip(recipe.tasks, settings["tasks"], strict=True):
        files = hash_json({name: fingerprint(files_below(recipe.data / path)) for name, path in task.files.items()})
        of = {
            **{key: value for key, value in own.items() if key not in (*task.files, "teachers")},
            "length": task.length or recipe.inputs.length,
            "training": {key: settings["training"][key] for key in OBEYED_BY_TASKS},
            **({"kept": "the models of all seeds"} if recipe.teaches(task) else {}),
        }
        tasks, folders = recipe.teachers_of(task)
        if folders:
            files = hash_json([files, *map(fingerprint_of_start, folders)])
        if recipe.only_tasks:
            files = hash_json([files, start])
        model = [] if recipe.only_tasks else ["pretraining"]
        plan.add("task", of=of, inputs=files, after=[*model, *(f"task-{one.name}" for one in tasks)], task=task.name)


def is_whole(recipe: Recipe, stages: Mapping[str, Stage]) -> bool:
    """Whether the recipe's run has ended with these stages; another recipe of its name may have run since."""
    try:
        found = json.loads((recipe.output / recipe.name / "run.json").read_bytes())
        made = {name: stage["folder"] for name, stage in found["stages"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
    return made == {name: stage.folder.name for name, stage in stages.items()} and all(
        stage.finished for stage in stages.values()
    )


def forget_others(folder: Path, stages: Mapping[str, Stage]) -> None:
    """Take out of a run's folder what says that the run has ended, and links to stages of another recipe of its name.

    What those made stays where it is made. Without this a run that is going on would be shown with another's results.
    """
    ours = {folder / stage.link: {stage.folder.resolve(), stage.partial.resolve()} for stage in stages.values()}
    shared = {stage.folder.parent.resolve() for stage in stages.values()}
    with os_errors(folder):
        for path in (*folder.glob("*"), *folder.glob("tasks/*")):
            target = path.resolve()
            if path.is_symlink() and target.parent in shared and target not in ours.get(path, ()):
                path.unlink()
        for name in ("run.json", "report.html"):
            (folder / name).unlink(missing_ok=True)


def without_own_links(recipe: Recipe) -> Recipe:
    """The recipe with the stages' own folders in place of links in its run's folder, which this run may change."""
    folder, stages = recipe.output / recipe.name, (recipe.output / "stages").resolve()

    def real(path: Path) -> Path:
        own = path.absolute().is_relative_to(folder.absolute()) and path.resolve().is_relative_to(stages)
        return recipe.output / "stages" / path.resolve().relative_to(stages) if own else path

    start = None if recipe.start_from is None else real(recipe.start_from)
    names = {task.name for task in recipe.tasks}
    tasks = [
        task.model_copy(update={"teachers": [one if one in names else str(real(Path(one))) for one in task.teachers]})
        for task in recipe.tasks
    ]
    return recipe.model_copy(update={"start_from": start, "tasks": tasks})


def siblings(stage: Stage) -> list[Path]:
    """Finished folders of the same kind, name and version, made of something else, by name."""
    name = stage.folder.name.rpartition("-")[0]
    folders = sorted(stage.folder.parent.glob(f"{name}-{'?' * HASH_DIGITS}"))
    return [one for one in folders if one != stage.folder and _version(one) == stage.identity["version"]]


def _version(folder: Path) -> object:
    """Of a finished folder; None for another one, and for one that is damaged, which whoever needs it will hear of."""
    try:
        return (read_manifest(folder) or {}).get("version")
    except DamagedError:
        return None


def decontamination_files(recipe: Recipe) -> dict[str, Path]:
    """The files whose texts must not be in the corpus: the tasks' test files by the tasks' names, and further ones."""
    cleaning = recipe.corpus.cleaning
    if cleaning.decontaminate == "no":
        return {}
    files = {task.name: recipe.data / task.test for task in recipe.tasks}
    return files | {str(path): recipe.data / path for path in cleaning.decontaminate_against}


def make(stage: Stage, run_folder: Path, progress: Progress, work: Work) -> None:
    """Make a stage unless it is up to date, and link to it from the run's folder.

    Under torchrun the first rank makes it and the others wait; in pretraining all work. Raises ClozeError.
    """
    _refuse_in_import_of_worker()
    if is_main():
        with _lock(stage, progress):
            if not stage.finished:
                _fill(stage, run_folder, work)
        link(run_folder / stage.link, stage.folder)
    elif stage.kind == "pretraining" and not stage.finished:
        work(stage.partial)
    while not stage.finished:  # Only ranks beside the first come here; torchrun ends them if the first one fails.
        time.sleep(0.2)


def _refuse_in_import_of_worker() -> None:
    """A worker process imports the script that started it. One that ran cloze again would wait for the stage that its
    parent is making, and the parent for the worker."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ClozeError('a script that runs cloze must do so under `if __name__ == "__main__":`: workers import it.')


def is_main() -> bool:
    """Whether this process is alone or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def link(path: Path, target: Path) -> None:
    """Let `path` be a relative symbolic link to `target`, whatever link was there before."""
    with os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_of(path)
        aside.symlink_to(os.path.relpath(target, path.parent), target_is_directory=True)
        aside.replace(path)


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # Run from a checkout that is not installed.
            found[package] = "not installed"
    return found


def _check_sources(recipe: Recipe) -> None:
    """All files that the recipe names are there, before the first stage begins."""
    from cloze.corpus.sources import is_pattern
    from cloze.corpus.streams import is_hub

    # Of a pattern that fits nothing `source_files` tells, with what there is.
    named = {
        f"corpus.sources.{place}": path
        for place, path in enumerate(recipe.corpus.sources)
        if not is_hub(path) and not is_pattern(recipe.data, path)
    }
    against = enumerate(recipe.corpus.cleaning.decontaminate_against)
    named |= {f"corpus.cleaning.decontaminate_against.{place}": path for place, path in against}
    missing = {key: recipe.data / path for key, path in named.items() if not (recipe.data / path).exists()}
    if (words := recipe.tokenizer.new_words) is not None and not (recipe.data / words).is_file():
        missing["tokenizer.new_words"] = recipe.data / words
    for place, task in enumerate(recipe.tasks):
        files = {f"tasks.{place}.{name}": path for name, path in task.files.items()}
        there = Path.exists if task.kind == "multiple_choice" else Path.is_file
        missing |= {key: recipe.data / path for key, path in files.items() if not there(recipe.data / path)}
    if missing:
        from cloze.corpus.catalogue import sets_of

        flag = "" if recipe.data == Path("data") else f" --data {recipe.data}"
        known = "".join(f"\n`cloze data get {name}{flag}` fetches {name}." for name in sets_of(missing.values()))
        raise ClozeError(
            "\n  ".join(["the recipe names files that are not there:", *(f"{key}: {p}" for key, p in missing.items())])
            + f"\nRelative paths start from the recipe's `data`, now {recipe.data}; --data DIR sets it. `cloze sample "
            f"data/sample` writes the built-in sample.{known}"
        )


def _check_teachers(recipe: Recipe) -> None:
    """All folders that teach a task are models, before the first stage begins."""
    for place, task in enumerate(recipe.tasks):
        for folder in recipe.teachers_of(task)[1]:
            if not (folder / "config.json").is_file():
                earlier = ", ".join(other.name for other in recipe.tasks[:place]) or "there is none"
                raise ClozeError(
                    f"tasks.{place}.teachers: {str(folder)!r} is neither an earlier task of the recipe ({earlier}) nor "
                    "the folder of a fine-tuned model, such as runs/NAME/tasks/TASK/model. A relative folder starts "
                    "where cloze is run."
                )


def _fill(stage: Stage, run_folder: Path, work: Work) -> None:
    """Let the work fill a folder aside, then finish it."""
    started_at = time.monotonic()
    manifest: dict[str, Any] = {**stage.identity, "created": datetime.now(UTC).isoformat(timespec="seconds")}
    manifest["versions"] = versions()

    def fill(aside: Path) -> None:
        found = work(aside)
        # Work that went on from an earlier process knows the time of both.
        elapsed_s = max(time.monotonic() - started_at, found["counts"].get("elapsed_s", 0.0))
        manifest.update(found, elapsed_s=round(elapsed_s, 3))

    if stage.kind not in RESUMABLE:
        with write_folder(stage.folder, manifest=manifest) as aside:
            fill(aside)
        return
    with os_errors(stage.partial):
        stage.partial.mkdir(parents=True, exist_ok=True)
        link(run_folder / stage.link, stage.partial)
        fill(stage.partial)
    finish_folder(stage.partial, stage.folder, manifest=manifest)


@contextmanager
def _lock(stage: Stage, progress: Progress) -> Iterator[None]:
    """Let one process at a time make a stage; another one waits, and says for whom."""
    with open_lock(stage.folder.parent / ".locks" / stage.folder.name) as lock:
        if not lock.take(wait=False):
            with progress.stage(f"waiting for process {lock.holder()}, which makes {stage.folder}"):
                lock.take(wait=True)
        yield
