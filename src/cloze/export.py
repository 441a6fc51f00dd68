"""A finished model in a folder of its own, with a model card (Mitchell et al. 2019, arXiv:1810.03993).

The weights are the stage's own files: they are kept in transformers' layout from the start, so nothing is converted.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cloze.errors import ClozeError, some
from cloze.files import MANIFEST, check_files, read_manifest, write_folder, write_text
from cloze.models.family import HEADS

if TYPE_CHECKING:
    from cloze.report.cells import Table
    from cloze.report.run import RunData

PIPELINES = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "tagging": "token-classification",
    "question_answering": "question-answering",
    "multiple_choice": "multiple-choice",
}
"""Kind of task -> what Hugging Face calls it."""
CALLS = {
    "": 'fill("... [MASK] ...")',
    "classification": 'predict(["..."])',
    "multi_label": 'labels(["..."])',
    "regression": 'score(["..."])',
    "tagging": 'tag(["..."])',
    "question_answering": 'answer([("question", "context")])',
    "multiple_choice": 'choose([("text", "question", ["option", "option"])])',
}
CURVE_ROWS = 12
"""Validations shown in a card; of more, evenly spaced ones and the last."""


def export(run_folder: Path, folder: Path, *, task: str | None = None, licence: str = "unknown") -> Path:
    """Copy the pretrained model of a run, or the classifier of its `task`, into the new `folder` with a README.md.

    `licence` is an identifier of Hugging Face's list (cc0-1.0, apache-2.0, ...). Raises ClozeError if the stage has not
    finished, the run has no such task, transformers has no such model, or `folder` is there already: an export never
    replaces anything; DamagedError if a file of the stage was changed afterwards.
    """
    from cloze.report.run import dig, read_run

    run_folder, folder = Path(run_folder), Path(folder)
    run = read_run(run_folder)
    names = [found.name for found in run.tasks]
    if task is not None and task not in names:
        raise ClozeError(f"{run_folder} has no task {task!r}; it has {', '.join(names) or 'none'}.")
    stage = run_folder / (f"tasks/{task}" if task else "pretraining")
    if (norm := dig(run.recipe, "model", "norm")) not in (None, "layer"):
        raise ClozeError(
            f"{run_folder} was made with model.norm {norm}, and no model of transformers has that norm: nothing can be "
            f"exported. cloze loads {stage / 'model'}; to hand it on to users of cloze, copy that folder."
        )
    if task is None and run.only_tasks:
        raise ClozeError(f"{run_folder} pretrained nothing: name the task, --task {' or '.join(names)}.")
    if read_manifest(stage) is None:
        raise ClozeError(f"{stage} has not finished. Run the recipe to its end, then export.")
    if folder.exists():
        raise ClozeError(f"{folder} exists, and an export replaces nothing. Name a new folder.")
    if not re.fullmatch(r"\S+", licence):
        raise ClozeError(f"the licence is {licence!r}, expected one word, as Hugging Face abbreviates it: cc0-1.0.")
    check_files(stage, full=True)
    manifest = {"run": run.name, "task": task, "licence": licence}
    with write_folder(folder, manifest=manifest, replaces=False) as aside:
        shutil.copytree(stage / "model", aside, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        write_text(aside / "README.md", card(run, task, licence))
    return folder


def card(run: RunData, task: str | None, licence: str) -> str:
    """The model card: what the model is, from which data, how it was trained, its scores, how to use it, its recipe."""
    from cloze.report.run import dig
    from cloze.report.tables import corpus_table, pretraining_table, tokenizer_tables, versions_table
    from cloze.report.task_tables import finetuning_tables

    family, title = str(dig(run.recipe, "model", "family")), run.name if task is None else f"{run.name}, {task}"
    counts = run.counts("pretraining")
    head: dict[str, Any] = {
        "library_name": "transformers",
        "license": licence,
        **_pipeline(family, "" if task is None else _kind(run, task)),
        "tags": ["cloze", family],
    }
    parts = [f"---\n{yaml.safe_dump(head, sort_keys=True)}---", f"# {title}", run.description, *run.notes]
    size = (
        f"{family}, {counts.get('parameters', 0):,} parameters; pretrained for {counts.get('steps', 0):,} steps, "
        f"{counts.get('tokens', 0):,} tokens, {counts.get('elapsed_s', 0.0) / 60:.1f} minutes."
    )
    parts += [
        f"Licence: {licence}. The data keep their own licences, listed below under Data.",
        size if counts else f"{family}; this run only fine-tuned it.",
        "## Use",
        _usage(family, "" if task is None else _kind(run, task), pairs=_has_pairs(run, task)),
        "## Scores",
    ]
    scores = [
        markdown(table, f"{found.name}: {table.title}")
        for found in run.tasks
        if found.results and task in (None, found.name)
        for table in finetuning_tables(found)
    ]
    parts += scores or ["No task has been fine-tuned in this run."]
    parts += ["## Pretraining"] if counts else []
    parts += [*map(markdown, filter(None, [pretraining_table(run)])), _curve(run)]
    parts += ["## Data", _sources(run, task), *map(markdown, filter(None, [corpus_table(run), *tokenizer_tables(run)]))]
    parts += [
        "## Recipe",
        f"~~~yaml\n{run.recipe_text.strip()}\n~~~",
        *map(markdown, filter(None, [versions_table(run)])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sources(run: RunData, task: str | None) -> str:
    """Whose the data are, as run.json has it: licences, what they forbid of a model trained on the data, citations."""
    from cloze.corpus.catalogue import terms
    from cloze.corpus.licences import START
    from cloze.report.cells import Table, as_list, as_object

    trained_on = {"corpus", START, f"task {task}"}
    rows: list[tuple[str, ...]] = []
    remarks, citations = [], []
    for record in map(as_object, as_list(run.info.get("sources"))):
        used_for = [str(use) for use in as_list(record.get("used_for")) if task is None or use in trained_on]
        if not used_for:
            continue
        if "licence" not in record:
            files = list(map(str, as_list(record.get("files"))))
            shown = some(files, len(files), total=record["count"])
            rows.append((shown, "licence not recorded", ", ".join(used_for), ""))
            continue
        name, licence = str(record.get("name")), str(record["licence"])
        rows.append((name, licence, ", ".join(used_for), str(record.get("address", ""))))
        remarks += terms(name, licence) if trained_on & set(used_for) else []
        remarks += [f"{file} was changed after it was fetched." for file in as_list(record.get("changed"))]
        citations += [f"- {name}: {_cell(str(record['citation']))}"] if record.get("citation") else []
    start = run.recipe.get("start_from")
    if start and not any(START in row[2] for row in rows):
        remarks.append(f"Training went on from {start}; what that model was trained on is not recorded here.")
    table = markdown(Table("Sources", ("Source", "Licence", "Used for", "Address"), rows)) if rows else ""
    found = table or "The run did not record where its data came from, nor their licences."
    return "\n\n".join(filter(None, [found, *map(_cell, remarks), "\n".join(citations)]))


def markdown(table: Table, title: str = "") -> str:
    """A table of the report as Markdown, its title above and its note below."""
    lines = [table.columns, ("---",) * len(table.columns), *table.rows]
    rows = "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)
    return "\n\n".join(filter(None, [f"**{title or table.title}**", rows, table.note]))


def _cell(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _curve(run: RunData) -> str:
    """Validation losses and accuracies by step."""
    from cloze.report.cells import Table

    lines = run.validation
    if not lines:
        return ""
    every = -(-len(lines) // CURVE_ROWS)
    shown = [line for place, line in enumerate(lines) if (len(lines) - 1 - place) % every == 0]
    keys = [key for key in lines[-1] if "/" in key]
    rows = [(f"{line['step']:,}", *(f"{line.get(key, float('nan')):.4f}" for key in keys)) for line in shown]
    return markdown(Table("Validation by step", ("step", *keys), rows))


def _kind(run: RunData, task: str) -> str:
    return next(str(found.results.get("kind", "classification")) for found in run.tasks if found.name == task)


def _has_pairs(run: RunData, task: str | None) -> bool:
    """Whether the examples of a task of the recipe are pairs of texts."""
    from cloze.report.cells import as_list, as_object

    described = [as_object(one) for one in as_list(run.recipe.get("tasks"))]
    return any(one.get("name") == task and bool(one.get("second_text_column")) for one in described)


def _pipeline(family: str, kind: str) -> dict[str, str]:
    """What Hugging Face calls what the model does; nothing for a discriminator, which fills no gaps."""
    if kind:
        return {"pipeline_tag": PIPELINES[kind]}
    return {} if _generator(family) else {"pipeline_tag": "fill-mask"}


def _generator(family: str) -> str | None:
    from cloze.models import family_of

    return family_of(family).generator_folder


def _usage(family: str, kind: str, *, pairs: bool) -> str:
    """Lines of Python; `kind` is that of a task, or empty for the pretrained model."""
    autos = [f"AutoModel{HEADS[kind]}" if kind else "AutoModelForMaskedLM"]
    made = [f'model = {autos[0]}.from_pretrained("FOLDER")']
    if not kind and (generator := _generator(family)):
        # The folder's own head judges tokens; what guesses them lies in a folder below.
        autos.append("AutoModelForPreTraining")
        made = [
            'model = AutoModelForPreTraining.from_pretrained("FOLDER")',
            f'generator = AutoModelForMaskedLM.from_pretrained("FOLDER", subfolder="{generator}")',
        ]
    lines = [f"from transformers import {', '.join([*autos, 'AutoTokenizer'])}", "", *made]
    lines += ['tokenizer = AutoTokenizer.from_pretrained("FOLDER")', "", "import cloze", ""]
    call = CALLS[kind].replace('["..."]', '[("...", "...")]') if pairs else CALLS[kind]
    return "\n".join(["```python", *lines, f'cloze.load("FOLDER").{call}', "```"])
