"""The tables of a run, once, for the page and for the terminal.

The first two are those of the study that this project began from: pretraining (NSP, MLM) x (loss, accuracy) and
fine-tuning (train, test) x (accuracy, loss). Losses are means in nats; accuracies are in per cent.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.report.cells import Figure, Table, as_list, as_object, cell, flat, is_object, sentences, side_by_side
from cloze.report.run import STAGES, Json, RunData, dig, number, read_run
from cloze.report.task_tables import finetuning_tables, gain, references_table, task_figure
from cloze.report.terminal import as_rich
from cloze.report.wording import (
    MISSING,
    OBJECTIVES,
    compact,
    decimal,
    duration,
    humanised,
    percent,
    whole,
    with_unit,
)

if TYPE_CHECKING:
    from rich.console import RenderableType


def headline(run: RunData) -> list[Figure]:
    """The few numbers that a reader wants first; what was not measured is left out."""
    counts = run.counts("pretraining")
    last = run.train[-1] if run.train else {}
    elapsed_s = number(counts.get("elapsed_s")) or number(last.get("elapsed_s"))
    tokens = number(counts.get("tokens")) or number(last.get("tokens"))
    parameters = number(counts.get("parameters"))
    figures = [task_figure(task) for task in run.tasks if task.results]
    if not figures and run.validation:
        accuracy = number(run.validation[-1].get("masked_tokens/accuracy"))
        figures.append(Figure(percent(accuracy, 1), "%", "Masked words guessed right", "validation"))
    if elapsed_s is not None:
        time = (decimal(elapsed_s / 60, 1), "min") if elapsed_s >= 60 else _split(duration(elapsed_s))
        figures.append(Figure(*time, "Pretraining", _steps(counts, last)))
    if tokens is not None:
        speed = f"{whole(tokens / elapsed_s)} a second" if elapsed_s else ""
        figures.append(Figure(*_split(compact(tokens)), "Tokens read", speed))
    if parameters is not None:
        figures.append(Figure(*_split(compact(parameters)), "Parameters", _shape(run.recipe)))
    return figures


def pretraining_table(run: RunData) -> Table | None:
    """Objectives x loss and accuracy: the last validation beside the last logged training steps. None: no line yet.

    NSP and MLM always have their rows, as in the study, unless the run has objectives of another kind.
    """
    if not run.train and not run.validation:
        return None
    last = run.validation[-1] if run.validation else {}
    train = run.train[-1] if run.train else {}
    names = [name for name in OBJECTIVES if run.measured(name)]
    if not set(names) - {"masked_tokens", "sentence_pair"}:
        names = ["masked_tokens", "sentence_pair"]
    rows: list[tuple[str, ...]] = [
        (run.label(name), *_loss_and_accuracy(last, name), *_loss_and_accuracy(train, name)) for name in reversed(names)
    ]
    notes = [f"Validation: the whole split after step {whole(number(last.get('step')))}."] if last else []
    notes += [] if last else [f"No validation{'' if run.counts('pretraining') else ' yet'}: only training has figures."]
    notes += ["Training: mean over the last logged steps, with dropout."] if train else []
    if "sentence_pair" in names and not run.measured("sentence_pair"):
        layout = dig(run.recipe, "inputs", "format")
        notes.append(f"No NSP: rows of format {layout} carry no sentence pairs." if layout else "This run has no NSP.")
    notes.append("Loss in nats a target; accuracy in %.")
    if (bits := number(last.get("masked_tokens/bits_per_character"))) is not None:
        name = run.label("masked_tokens")
        notes.append(f"Validation of {name}: {decimal(bits)} bits a character of the masked text.")
    columns = ("", "Validation loss", "Validation accuracy", "Training loss", "Training accuracy")
    return Table("Pretraining", columns, rows, " ".join(notes))


def corpus_table(run: RunData) -> Table | None:
    """What was kept and changed, by reason, and what was dropped unless the funnel says it.

    A dash for 0, since a reason counts only what it acts on.
    """
    counts = run.counts("corpus")
    hidden = ("funnel", "tests", "dropped") if len(as_list(counts.get("funnel"))) > 1 else ("funnel", "tests")
    counts = {key: value for key, value in counts.items() if key not in hidden}
    reasons = dict(_reasons(counts))
    columns = dict.fromkeys(key for values in reasons.values() for key in values if number(values[key]) is not None)
    rows = [(name, *(cell(key, values.get(key) or None) for key in columns)) for name, values in reasons.items()]
    notes = ["Nothing was dropped."] if counts.get("dropped") == {} else []
    notes += sentences(flat({key: value for key, value in counts.items() if not is_object(value)}))
    title = "Kept and changed" if "dropped" in hidden else "Kept and dropped"
    return Table(title, ("", *map(humanised, columns)), rows, " ".join(notes)) if rows else None


def corpus_examples(run: RunData) -> list[tuple[str, list[str]]]:
    """Reason -> examples of what was kept or dropped for it."""
    reasons = ((name, as_list(values.get("examples"))) for name, values in _reasons(run.counts("corpus")))
    return [(name, [cell("", example) for example in examples]) for name, examples in reasons if examples]


def tokenizer_tables(run: RunData) -> list[Table]:
    """Quality of the tokenizer on training and validation text, and what it was trained on."""
    manifest = run.manifests.get("tokenizer", {})
    quality, counts = as_object(manifest.get("quality")), run.counts("tokenizer")
    tables = [side_by_side("Quality", quality)] if quality else []
    return tables + ([Table("Training of the tokenizer", ("", ""), flat(counts))] if counts else [])


def store_table(run: RunData) -> Table | None:
    """What the token store holds."""
    counts = run.counts("store")
    return side_by_side("Token store", counts) if counts else None


def rows_table(run: RunData) -> Table | None:
    """Rows of an epoch, and what the format cut, split or left out on the way."""
    counts = as_object(run.manifests.get("pretraining", {}).get("rows"))
    return side_by_side("Rows of the first epoch", counts) if counts else None


def throughput_table(run: RunData) -> Table | None:
    """Speed of pretraining, its share of the machine's measured peak, and memory."""
    counts, speeds = run.counts("pretraining"), [number(line.get("tokens_per_s")) for line in run.train]
    shares = [number(line.get("peak_frac")) for line in run.train]
    rows = [
        ("Tokens a second, median", whole(_median(speeds))),
        ("Share of the measured peak, median", with_unit(percent(_median(shares), 1), "%", "")),
        ("Matrix products in", str(counts.get("precision") or MISSING)),
        ("Measured peak (matrix product)", with_unit(whole(number(counts.get("peak_gflops")) or None), "GFLOP/s")),
        ("Peak memory", with_unit(whole(number(counts.get("peak_memory_mb"))), "MiB")),
    ]
    kept = [row for row in rows if row[1] != MISSING]
    return Table("Throughput of pretraining", ("", ""), kept) if kept else None


def stages_table(run: RunData) -> Table | None:
    """Time of each stage, when it was made, and its place."""
    manifests = {stage: run.manifests.get(stage, {}) for stage in STAGES}
    manifests |= {f"task {task.name}": task.manifest for task in run.tasks}
    made = {stage: manifest for stage, manifest in manifests.items() if manifest}
    times = {stage: number(manifest.get("elapsed_s")) for stage, manifest in made.items()}
    rows = [(humanised(stage), duration(times[stage]), _moment(made[stage].get("created"))) for stage in made]
    if not rows:
        return None
    total = sum(elapsed_s or 0.0 for elapsed_s in times.values())
    note = "A stage that an earlier run had finished is used again; its time is that of its making."
    return Table("Time", ("Stage", "Took", "Made"), [*rows, ("Together", duration(total), "")], note)


def versions_table(run: RunData) -> Table | None:
    """Versions and machine, as run.json or else the newest manifest has them."""
    manifests = [run.manifests.get(stage, {}) for stage in STAGES]
    found: list[Json] = [as_object(part.get("versions")) for part in (run.info, *reversed(manifests))]
    rows = flat({**next(filter(None, found), {}), **as_object(run.info.get("machine"))})
    return Table("Versions and machine", ("", ""), rows) if rows else None


def terminal_tables(run_folder: Path) -> RenderableType:
    """The two tables of the study and what is missing, for the end of `cloze run`. Raises ClozeError."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    from cloze.report.health import alarm_texts, health_table

    run = read_run(run_folder)
    parts: list[RenderableType] = [Text(note, style="yellow") for note in [*run.notes, *alarm_texts(run)]]
    parts += [as_rich(table) for table in (pretraining_table(run), health_table(run)) if table]
    for task in run.tasks:
        tables = finetuning_tables(task)
        if tables:
            parts += [
                Text(f"\n{task.name}", style="bold"),
                Columns([as_rich(table) for table in tables], padding=(0, 3)),
            ]
        parts += [as_rich(table)] if (table := references_table(task)) else []
        parts += [Text(gain(task))] if gain(task) else []
    parts += [Text(line, style="yellow") for line in run.unfinished + run.problems]
    return Group(*parts)


def _loss_and_accuracy(line: Mapping[str, object], objective: str) -> tuple[str, str]:
    loss, accuracy = (number(line.get(f"{objective}/{measure}")) for measure in ("loss", "accuracy"))
    return decimal(loss), percent(accuracy)


def _reasons(counts: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """The innermost objects of the corpus's counts, each named by the keys that lead to it."""
    for key, value in counts.items():
        if is_object(value) and all(map(is_object, as_object(value).values())):
            yield from _reasons(as_object(value), f"{prefix}{key}: ")
        elif is_object(value):
            yield humanised(prefix + key), as_object(value)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _split(text: str) -> tuple[str, str]:
    """A number and its unit: 8.47 M -> 8.47, M."""
    value, _, unit = text.partition(" ")
    return value, unit


def _steps(counts: Json, last: Json) -> str:
    steps = number(counts.get("steps")) or number(last.get("step"))
    epochs = number(counts.get("epochs")) or number(last.get("epoch"))
    return f"{whole(steps)} steps" + (f", {decimal(epochs, 1)} epochs" if epochs is not None else "")


def _shape(recipe: Json) -> str:
    """Layers, heads and width, where the resolved recipe has them."""
    layers, heads, width = (number(dig(recipe, "model", key)) for key in ("layers", "heads", "width"))
    if layers is None or width is None:
        return ""
    return f"{whole(layers)} layers, {whole(heads)} heads, width {whole(width)}"


def _moment(created: object) -> str:
    """An ISO time to the minute; seconds since 1970 as a date in UTC."""
    seconds = number(created)
    if seconds is not None:
        from datetime import UTC, datetime

        created = datetime.fromtimestamp(seconds, UTC).isoformat()
    return str(created or MISSING)[:16].replace("T", " ")
