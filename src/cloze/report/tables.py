"""The tables of a run, once, for the page and for the terminal.

The first two are those of the study that this project began from: pretraining (NSP, MLM) x (loss, accuracy) and
fine-tuning (train, test) x (accuracy, loss). Losses are means in nats; accuracies are in per cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.report.run import STAGES, Json, RunData, TaskRun, dig, number, read_run
from cloze.report.wording import (
    MISSING,
    OBJECTIVES,
    compact,
    decimal,
    duration,
    humanised,
    percent,
    shortened,
    whole,
    with_spread,
    with_unit,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

STARTS = {"pretrained": "From the pretrained model", "random_weights": "From random weights"}
"""Key in results.json -> title of its table."""
CONFUSION_CLASSES = 12
"""Tasks with more classes get no confusion table: it would not fit a page."""


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    """A sentence under the table."""


@dataclass(frozen=True)
class Figure:
    """A headline: one number and what it is."""

    value: str
    unit: str
    label: str
    detail: str = ""


def headline(run: RunData) -> list[Figure]:
    """The few numbers that a reader wants first; what was not measured is left out."""
    counts = run.counts("pretraining")
    last = run.train[-1] if run.train else {}
    elapsed_s = number(counts.get("elapsed_s")) or number(last.get("elapsed_s"))
    tokens = number(counts.get("tokens")) or number(last.get("tokens"))
    parameters = number(counts.get("parameters"))
    figures = [_task_figure(task) for task in run.tasks if task.results]
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
    columns = ("", "Validation loss", "Validation accuracy", "Training loss", "Training accuracy")
    return Table("Pretraining", columns, rows, " ".join(notes))


def finetuning_tables(task: TaskRun) -> list[Table]:
    """Train and test x accuracy and loss, mean ± standard deviation over seeds; then from random weights."""
    return [_finetuning_table(task, start, title) for start, title in STARTS.items() if task.results.get(start)]


def gain(task: TaskRun) -> str:
    """What pretraining gives over random weights, in one sentence; empty if only one of them was run."""
    means = [number(dig(task.results, start, "mean", "test", "accuracy")) for start in STARTS]
    if means[0] is None or means[1] is None:
        return ""
    points = (means[0] - means[1]) * 100
    verb = "adds" if points >= 0 else "takes away"
    return f"Pretraining {verb} {abs(points):.2f} points of test accuracy over random weights."


def seeds_table(task: TaskRun) -> Table:
    """Every seed of every start."""
    rows = [
        (
            f"{dig(run, 'seed')}",
            "pretrained" if start == "pretrained" else "random",
            *(percent(number(dig(run, split, "accuracy"))) for split in ("train", "test")),
            *(decimal(number(dig(run, split, "loss"))) for split in ("train", "test")),
            duration(number(dig(run, "elapsed_s"))),
        )
        for start in STARTS
        for run in _list(dig(task.results, start, "seeds"))
    ]
    columns = ("Seed", "Start", "Train accuracy", "Test accuracy", "Train loss", "Test loss", "Time")
    words = _sentences((humanised(key), str(value)) for key, value in _object(task.results.get("meaning")).items())
    return Table("Seeds", columns, rows, " ".join(words))


def confusion_table(task: TaskRun) -> Table | None:
    """True class x predicted class on the test file, in % of the true class, over all pretrained seeds."""
    classes = [str(name) for name in _list(task.results.get("classes"))]
    runs = [_list(dig(run, "test", "confusion")) for run in _list(dig(task.results, "pretrained", "seeds"))]
    runs = [matrix for matrix in runs if len(matrix) == len(classes)]
    if not runs or not 1 < len(classes) <= CONFUSION_CLASSES:
        return None
    rows = []
    for i, name in enumerate(classes):
        sums = [sum(number(value) or 0.0 for value in column) for column in zip(*(m[i] for m in runs), strict=False)]
        total = sum(sums)
        rows.append((name, *(percent(value / total if total else None, 1) for value in sums), whole(total / len(runs))))
    return Table("Which classes are confused", ("True class", *classes, "Texts"), rows, "In % of the true class, test.")


def task_counts_table(task: TaskRun) -> Table | None:
    """What was read, cut or empty in the task's files."""
    counts = _object(task.results.get("counts"))
    return _side_by_side("What was read", counts) if counts else None


def corpus_table(run: RunData) -> Table | None:
    """What was kept, dropped and changed, by reason; a dash for 0, since a reason counts only what it acts on."""
    counts = run.counts("corpus")
    reasons = dict(_reasons(counts))
    columns = dict.fromkeys(key for values in reasons.values() for key in values if number(values[key]) is not None)
    rows = [(name, *(_cell(key, values.get(key) or None) for key in columns)) for name, values in reasons.items()]
    notes = ["Nothing was dropped."] if counts.get("dropped") == {} else []
    notes += _sentences(_flat({key: value for key, value in counts.items() if not _is_object(value)}))
    return Table("Kept and dropped", ("", *map(humanised, columns)), rows, " ".join(notes)) if rows else None


def corpus_examples(run: RunData) -> list[tuple[str, list[str]]]:
    """Reason -> examples of what was kept or dropped for it."""
    reasons = ((name, _list(values.get("examples"))) for name, values in _reasons(run.counts("corpus")))
    return [(name, [_cell("", example) for example in examples]) for name, examples in reasons if examples]


def tokenizer_tables(run: RunData) -> list[Table]:
    """Quality of the tokenizer on training and validation text, and what it was trained on."""
    manifest = run.manifests.get("tokenizer", {})
    quality, counts = _object(manifest.get("quality")), run.counts("tokenizer")
    tables = [_side_by_side("Quality", quality)] if quality else []
    return tables + ([Table("Training of the tokenizer", ("", ""), _flat(counts))] if counts else [])


def store_table(run: RunData) -> Table | None:
    """What the token store holds."""
    counts = run.counts("store")
    return _side_by_side("Token store", counts) if counts else None


def rows_table(run: RunData) -> Table | None:
    """Rows of an epoch, and what the format cut, split or left out on the way."""
    counts = _object(run.manifests.get("pretraining", {}).get("rows"))
    return _side_by_side("Rows of the first epoch", counts) if counts else None


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
    found: list[Json] = [_object(part.get("versions")) for part in (run.info, *reversed(manifests))]
    rows = _flat({**next(filter(None, found), {}), **_object(run.info.get("machine"))})
    return Table("Versions and machine", ("", ""), rows) if rows else None


def terminal_tables(run_folder: Path) -> RenderableType:
    """The two tables of the study and what is missing, for the end of `cloze run`. Raises ClozeError."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    from cloze.report.health import alarm_texts, health_table

    run = read_run(run_folder)
    parts: list[RenderableType] = [Text(note, style="yellow") for note in [*run.notes, *alarm_texts(run)]]
    parts += [_rich(table) for table in (pretraining_table(run), health_table(run)) if table]
    for task in run.tasks:
        tables = finetuning_tables(task)
        if tables:
            parts += [Text(f"\n{task.name}", style="bold"), Columns([_rich(table) for table in tables], padding=(0, 3))]
        parts += [Text(gain(task))] if gain(task) else []
    parts += [Text(line, style="yellow") for line in run.unfinished + run.problems]
    return Group(*parts)


def _rich(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    rich = RichTable(box=box.SIMPLE_HEAD, title=Text(table.title), title_justify="left", title_style="bold")
    rich.caption, rich.caption_justify = Text(table.note, style="dim"), "left"
    for i, column in enumerate(table.columns):
        rich.add_column(Text(column), justify="right" if i else "left")
    for row in table.rows:
        rich.add_row(*(Text(cell) for cell in row))
    return rich


def _task_figure(task: TaskRun) -> Figure:
    mean = number(dig(task.results, "pretrained", "mean", "test", "accuracy"))
    spread = number(dig(task.results, "pretrained", "std", "test", "accuracy"))
    seeds = len(_list(dig(task.results, "pretrained", "seeds")))
    detail = f"± {percent(spread)} over {seeds} seeds" if spread is not None else "one seed"
    random = number(dig(task.results, "random_weights", "mean", "test", "accuracy"))
    detail += f"; {percent(random)} from random weights" if random is not None else ""
    return Figure(percent(mean), "%", f"{task.name}, test accuracy", detail)


def _finetuning_table(task: TaskRun, start: str, title: str) -> Table:
    rows = []
    for split in ("train", "test"):
        mean, std = (dig(task.results, start, key, split) for key in ("mean", "std"))
        accuracy = with_spread(*(percent(number(dig(value, "accuracy"))) for value in (mean, std)))
        loss = with_spread(*(decimal(number(dig(value, "loss"))) for value in (mean, std)))
        rows.append((humanised(split), accuracy, loss))
    seeds = len(_list(dig(task.results, start, "seeds")))
    over = f"Mean ± standard deviation over {seeds} seeds" if seeds > 1 else "One seed, so no spread"
    return Table(title, ("", "Accuracy", "Loss"), rows, f"{over}; accuracy in %, loss in nats a text.")


def _loss_and_accuracy(line: Mapping[str, object], objective: str) -> tuple[str, str]:
    loss, accuracy = (number(line.get(f"{objective}/{measure}")) for measure in ("loss", "accuracy"))
    return decimal(loss), percent(accuracy)


def _side_by_side(title: str, columns: Mapping[str, object]) -> Table:
    """{"train": {key: value}, "validation": {...}} as one row a key. Lists and single values stand in the note.

    Without any columns inside, the values themselves are the rows.
    """
    if not any(map(_is_object, columns.values())):
        return Table(title, ("", ""), _flat(columns))
    inner = {name: _object(value) for name, value in columns.items() if _is_object(value)}
    lists = {f"{key}, {name}": v for name, values in inner.items() for key, v in values.items() if _list(v)}
    cells = {
        name: dict(_flat({key: value for key, value in values.items() if not _list(value)}))
        for name, values in inner.items()
    }
    keys = dict.fromkeys(key for column in cells.values() for key in column)
    rows = [(key, *(column.get(key, MISSING) for column in cells.values())) for key in keys]
    single = {key: value for key, value in columns.items() if key not in inner}
    return Table(title, ("", *map(humanised, inner)), rows, " ".join(_sentences(_flat(lists | single))))


def _reasons(counts: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """The innermost objects of the corpus's counts, each named by the keys that lead to it."""
    for key, value in counts.items():
        if _is_object(value) and all(map(_is_object, _object(value).values())):
            yield from _reasons(_object(value), f"{prefix}{key}: ")
        elif _is_object(value):
            yield humanised(prefix + key), _object(value)


def _flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Nested keys and values as rows of words; lists are joined by commas."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            rows += _flat(value, f"{name}: ")
        else:
            rows.append((humanised(name), _cell(key, value)))
    return rows


def _cell(key: str, value: object) -> str:
    """A value of a JSON file as text; shares by their names' endings in per cent."""
    if isinstance(value, list | tuple):
        return shortened(", ".join(_cell(key, part) for part in value)) or MISSING
    amount = number(value)
    if amount is None or isinstance(value, str):
        return MISSING if value is None else shortened(str(value), 12 if key == "fingerprint" else 160)
    if key.endswith(("_share", "_frac")):
        return f"{percent(amount)}%"
    if key.startswith("bytes"):
        return f"{decimal(amount / 1e6, 1)} MB"
    if key.endswith("_s"):
        return duration(amount)
    return whole(amount) if isinstance(value, int) else decimal(amount)


def _median(values: Iterable[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None


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


def _sentences(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{key}: {value}." for key, value in pairs]


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []
