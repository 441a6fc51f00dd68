"""A recipe from raw text to the report: corpus -> tokenizer -> store -> pretraining -> task ... -> report.

A recipe that starts from a model and has no corpus begins with its tasks.

`stages` says which folder each stage has and whether it is up to date; this file says what each one does. The run's own
folder, <output>/<name>, holds the resolved recipe, links to the stage folders, run.json and report.html.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloze.errors import ClozeError, OutOfMemoryError
from cloze.files import files_below, os_errors, read_manifest, write_json, write_text
from cloze.interop.start import load_start, tokenizer_of_start, with_sizes_of_start
from cloze.recipe import SEGMENT_FORMATS, Recipe, TaskSettings
from cloze.recipe_file import show
from cloze.stages import (
    Stage,
    decontamination_files,
    forget_others,
    is_main,
    is_whole,
    make,
    plan_stages,
    siblings,
    versions,
    without_own_links,
)

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.inputs.rows import Rows
    from cloze.models import PretrainingModel
    from cloze.progress import Progress
    from cloze.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Prepared:
    """What pretraining reads."""

    tokenizer: Tokenizer
    train: Rows
    validation: Rows | None
    """None if the validation split gives no row."""


def run(recipe: Recipe, progress: Progress) -> Path:
    """Make every stage that is not up to date; return the run's folder.

    Under torchrun the first rank makes the stages, all train together, and the others return when training is over.
    Raises ClozeError for wrong input, a damaged file or a full disk; Stopped, which is one, after a signal in training.
    """
    with _memory_errors(recipe):
        return _run(with_sizes_of_start(without_own_links(recipe)), progress)


@contextmanager
def _memory_errors(recipe: Recipe) -> Iterator[None]:
    """Turn a lack of memory, on the device or beside it, into a ClozeError: a study's other cells can go on."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        import torch

        of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not of_memory and "can't allocate memory" not in str(error):  # A CPU's has no class of its own.
            raise
        first = str(error).partition("\n")[0][:200] or "no memory is left"
        raise OutOfMemoryError(
            f"the run {recipe.name} does not fit into memory ({first}). Set training.micro_batch_rows (or, for a task, "
            "its batch_rows) to less than now, or take shorter rows or a smaller model; what is finished is kept."
        ) from error


def _run(recipe: Recipe, progress: Progress) -> Path:
    folder, stages = recipe.output / recipe.name, plan_stages(recipe)
    _check_tasks(recipe, stages)
    if is_main():
        sources = _sources(recipe)  # before the hours of training: a SOURCE.json may have a mistake
        if not is_whole(recipe, stages):
            forget_others(folder, stages)  # the folder is no finished run until all of them are there
        write_text(folder / "recipe.yaml", show(recipe))
    if not recipe.only_tasks:
        make_store(recipe, stages, progress)
        make(stages["pretraining"], folder, progress, partial(_pretraining, recipe, stages, progress))
    if is_main():
        for task in recipe.tasks:
            work = partial(_task, recipe, task, stages, progress)
            make(stages[f"task-{task.name}"], folder, progress, work)
        _finish(stages, folder, progress, sources)
    return folder


def make_store(recipe: Recipe, stages: Mapping[str, Stage], progress: Progress) -> None:
    """Make corpus, tokenizer and store unless they are up to date. Raises ClozeError for a recipe that has none."""
    if recipe.only_tasks:
        raise ClozeError(
            f"the recipe {recipe.name} only fine-tunes {recipe.start_from}: without corpus there are no rows."
        )
    folder = recipe.output / recipe.name
    corpus, tokens = stages["corpus"].folder, stages["tokenizer"].folder
    make(stages["corpus"], folder, progress, partial(_corpus, recipe, progress))
    make(stages["tokenizer"], folder, progress, partial(_tokenizer, recipe, corpus, progress))
    make(stages["store"], folder, progress, partial(_store, recipe, corpus, tokens, progress))


def open_rows(recipe: Recipe, stages: Mapping[str, Stage]) -> Prepared:
    """The rows of both splits of a store that was made. Raises ClozeError if training has less than one.

    A validation split smaller than a row is scored as one short row.
    """
    from cloze.inputs.rows import Rows
    from cloze.tokens.store import Store
    from cloze.tokens.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(stages["tokenizer"].folder)
    train, validation = (
        Rows(
            Store.open(stages["store"].folder, split, tokenizer),
            tokenizer,
            recipe.inputs,
            recipe.masking,
            recipe.seed,
            shuffle=split == "train",
        )
        for split in ("train", "validation")
    )
    if not train.rows_in_epoch(0):
        raise ClozeError(
            f"the corpus gives no row for training; {stages['corpus'].folder / 'manifest.json'} counts what was read "
            "and dropped. Add text to corpus.sources, or lower corpus.validation_frac or corpus.min_characters."
        )
    tokens = int(train.store.sentence_offsets[-1])
    if tokens < recipe.inputs.length:
        raise ClozeError(
            f"the corpus has {tokens:,} tokens for training, fewer than one row of inputs.length "
            f"{recipe.inputs.length:,}. Add text to corpus.sources or lower inputs.length."
        )
    return Prepared(tokenizer, train, validation if validation.rows_in_epoch(0) else None)


def batch_of_step(recipe: Recipe, prepared: Prepared, step: int, rows: int) -> Batch:
    """The first `rows` rows of optimiser step `step` (the first is 1), as training sees them."""
    import numpy as np

    epoch, place, batch_rows = 0, step - 1, prepared.train.rows_per_step(recipe.training.batch_rows)
    while place >= (steps := -(-prepared.train.rows_in_epoch(epoch) // batch_rows)):
        epoch, place = epoch + 1, place - steps
    first = place * batch_rows
    end = min(first + min(rows, batch_rows), prepared.train.rows_in_epoch(epoch))
    return prepared.train.batch(epoch, np.arange(first, end))


def _corpus(recipe: Recipe, progress: Progress, folder: Path) -> dict[str, Any]:
    from cloze.corpus.build import build_corpus

    return {"counts": build_corpus(recipe.corpus, recipe.data, folder, progress, decontamination_files(recipe))}


def _tokenizer(recipe: Recipe, corpus_folder: Path, progress: Progress, folder: Path) -> dict[str, Any]:
    from cloze.corpus.corpus import Corpus
    from cloze.tokens.quality import quality
    from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

    corpus = Corpus(corpus_folder)
    if recipe.start_from is None:
        counts = train_tokenizer(corpus, recipe.tokenizer, folder, progress)
    else:
        taken, pieces = tokenizer_of_start(recipe)
        taken.save(folder)
        counts = {"kind": taken.kind, "vocabulary_size": taken.vocabulary_size, "fingerprint": taken.fingerprint}
        counts |= {"new_entries": len(pieces)} if recipe.tokenizer.new_words else {}
    return {"counts": counts, "quality": quality(Tokenizer.load(folder), corpus)}


def _store(
    recipe: Recipe, corpus_folder: Path, tokenizer_folder: Path, progress: Progress, folder: Path
) -> dict[str, Any]:
    from cloze.corpus.corpus import Corpus
    from cloze.tokens.store import build_store

    return {"counts": build_store(Corpus(corpus_folder), tokenizer_folder, recipe.store, folder, progress)}


def _pretraining(recipe: Recipe, stages: Mapping[str, Stage], progress: Progress, folder: Path) -> dict[str, Any]:
    """Train; `folder` may hold checkpoints of an earlier process."""
    from cloze.interop.huggingface import save_model
    from cloze.training.checkpoint import any_checkpoint
    from cloze.training.cpu import prepare_cpu
    from cloze.training.loop import pretrain

    prepare_cpu()
    prepared = open_rows(recipe, stages)
    guesses, start = folder / "guesses.jsonl", folder / "start.json"
    begins = not any_checkpoint(folder / "checkpoints")  # `pretrain` finds out whether they are whole
    model, made = _model(recipe, prepared, progress, initialise=begins)
    if begins and is_main():
        write_text(guesses, _guesses(recipe, prepared, 0, model))
        write_json(start, made)  # for the manifest of a process that goes on from a checkpoint

    def on_validation(step: int, model: PretrainingModel) -> None:
        with os_errors(guesses), guesses.open("a", encoding="utf-8") as file:
            file.write(_guesses(recipe, prepared, step, model))
            file.flush()
            os.fsync(file.fileno())  # Before a checkpoint says that its steps are done.

    history = pretrain(
        recipe, model, prepared.train, prepared.validation, folder, progress, on_validation=on_validation
    )
    if is_main():
        with os_errors(folder):
            (folder / "model").mkdir(exist_ok=True)
        save_model(folder / "model", model, prepared.tokenizer)
        made = json.loads(start.read_bytes())
    return {"counts": history.counts(), "rows": _rows(prepared), **made}


def _rows(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Rows of the first epoch of each split, and what did not enter them as it stood."""
    splits = {"train": prepared.train, "validation": prepared.validation}
    plans = {split: rows.epoch(0).plan for split, rows in splits.items() if rows is not None}
    return {split: {"rows": plan.rows, **plan.dropped} for split, plan in plans.items()}


def _model(
    recipe: Recipe, prepared: Prepared, progress: Progress, *, initialise: bool
) -> tuple[PretrainingModel, dict[str, Any]]:
    """The model before its first step, and what the manifest says of its start.

    Without `initialise` its weights are about to be replaced by a checkpoint's.
    """
    from cloze.models import build
    from cloze.models.initialisation import initialise as initialise_from_corpus

    tokenizer, pairs = prepared.tokenizer, recipe.inputs.format in SEGMENT_FORMATS
    if recipe.start_from is not None:
        model, new = load_start(recipe, tokenizer, pairs=pairs, seed=recipe.seed)
        return model, {"new_tensors": new}
    model = build(
        recipe.model,
        vocabulary_size=tokenizer.vocabulary_size,
        length=recipe.inputs.length,
        pad_id=tokenizer.pad_id,
        pairs=pairs,
        seed=recipe.seed,
    )
    # Under torchrun the first rank's weights are copied to all.
    if not (initialise and is_main()):
        return model, {}
    counted = initialise_from_corpus(model, recipe.model, prepared.train.store, tokenizer, recipe.seed, progress)
    return model, {"initialisation": counted} if counted else {}


def _guesses(recipe: Recipe, prepared: Prepared, step: int, model: PretrainingModel) -> str:
    """JSON lines: the top guesses for every gap of the report's sentences."""
    from cloze.predict import LoadedModel

    loaded = LoadedModel(model, prepared.tokenizer, name="the model in training")
    lines = []
    for sentence in recipe.report.fill_sentences:
        found = [
            [{"token": guess.token, "probability": guess.probability} for guess in gap]
            for gap in loaded.fill(sentence, recipe.report.fill_top)
        ]
        lines.append(json.dumps({"step": step, "sentence": sentence, "guesses": found}, ensure_ascii=False) + "\n")
    return "".join(lines)


def _check_tasks(recipe: Recipe, stages: Mapping[str, Stage]) -> None:
    """Read the labelled files of unfinished tasks, and open their teachers: a mistake in them must not show after hours
    of pretraining."""
    from cloze.tasks.preparation import read_task

    if is_main():
        for task in recipe.tasks:
            if read_manifest(stages[f"task-{task.name}"].folder) is None:
                splits = read_task(recipe, task)
                for folder in recipe.teachers_of(task)[1]:
                    from cloze.tasks.distillation import open_teacher

                    open_teacher(folder, task, splits.classes)


def _task(
    recipe: Recipe, task: TaskSettings, stages: Mapping[str, Stage], progress: Progress, folder: Path
) -> dict[str, Any]:
    from cloze.tasks.finetuning import finetune

    made = {other.name: stages[f"task-{other.name}"].folder for other in recipe.tasks}
    model = recipe.start_from if recipe.only_tasks else stages["pretraining"].folder / "model"
    assert model is not None
    earlier = siblings(stages[f"task-{task.name}"])
    results = finetune(recipe, task, model, folder, progress, made, earlier)
    runs = [run for start in ("pretrained", "random_weights") for run in (results[start] or {}).get("seeds", ())]
    return {"counts": {**results["counts"], "elapsed_s": sum(run["elapsed_s"] for run in runs)}}


def _sources(recipe: Recipe) -> list[dict[str, Any]]:
    """Whose the files of corpus and tasks are, and those that the model saw that training goes on from."""
    from cloze.corpus.licences import sources_of, sources_of_start
    from cloze.corpus.sources import on_disk, source_files

    files = {} if recipe.only_tasks else {"corpus": [*map(on_disk, source_files(recipe.corpus, recipe.data))]}
    for task in recipe.tasks:
        files[f"task {task.name}"] = [file for p in task.files.values() for file in files_below(recipe.data / p)]
    folders = [folder for task in recipe.tasks for folder in recipe.teachers_of(task)[1]]
    folders += [] if recipe.start_from is None else [recipe.start_from]
    before = [source for folder in folders for source in sources_of_start(folder)]
    return [*sources_of(files, recipe.data), *before]


def _notes(path: Path) -> dict[str, Any]:
    """What the user noted for readers in the run.json of a run that had ended; a report made anew keeps it."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {"notes": found["notes"]} if isinstance(found, dict) and "notes" in found else {}


def _finish(
    stages: Mapping[str, Stage], folder: Path, progress: Progress, sources: Sequence[Mapping[str, Any]]
) -> None:
    """run.json and the report."""
    from cloze.report.page import write_report

    made = {name: read_manifest(stage.folder) or {} for name, stage in stages.items()}
    write_json(
        folder / "run.json",
        {
            "stages": {
                name: {"folder": stages[name].folder.name, "elapsed_s": manifest.get("elapsed_s")}
                for name, manifest in made.items()
            },
            "sources": sources,
            "versions": versions() | {"python": platform.python_version()},
            "machine": {"system": platform.platform(), "cores": os.cpu_count()},
            **_notes(folder / "run.json"),
        },
    )
    with progress.stage("report"):
        write_report(folder)
