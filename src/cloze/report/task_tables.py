"""The tables of fine-tuning: what a task's seeds measured, where they disagree, and what was read.

Measures are those that the task's kind names, the one that papers report first; accuracies and correlations in %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cloze.report.cells import Figure, Table, as_list, as_object, sentences, side_by_side
from cloze.report.run import TaskRun, dig, number
from cloze.report.wording import (
    LOSSES,
    MEASURES,
    MISSING,
    decimal,
    duration,
    humanised,
    percent,
    shortened,
    whole,
    with_spread,
)
from cloze.tasks.metrics import mean_and_std
from cloze.tasks.named import TASKS

STARTS = {"pretrained": "From the pretrained model", "random_weights": "From random weights"}
"""Key in results.json -> title of its table."""
CONFUSION_CLASSES = 12
"""Tasks with more classes get no confusion table: it would not fit a page."""


def finetuning_tables(task: TaskRun) -> list[Table]:
    """Train and test x the measures, mean ± standard deviation over seeds; then from random weights."""
    return [_finetuning_table(task, start, title) for start, title in STARTS.items() if task.results.get(start)]


def measures(task: TaskRun) -> tuple[str, ...]:
    """What the task's kind measures; the first is its headline."""
    found = tuple(str(name) for name in as_list(task.results.get("measures")) if name in MEASURES)
    return found or ("accuracy", "loss")


def gain(task: TaskRun) -> str:
    """What pretraining gives over random weights, in one sentence; empty if only one of them was run."""
    measure = measures(task)[0]
    means = [number(dig(task.results, start, "mean", "test", measure)) for start in STARTS]
    if means[0] is None or means[1] is None:
        return ""
    points = (means[0] - means[1]) * 100
    if f"{abs(points):.2f}" == "0.00":
        return f"Pretraining makes no difference to test {_lower(measure)} over random weights."
    verb = "adds" if points > 0 else "takes away"
    return f"Pretraining {verb} {abs(points):.2f} points of test {_lower(measure)} over random weights."


def seeds_table(task: TaskRun) -> Table:
    """Every seed of every start."""
    starts = [(start, as_list(dig(task.results, start, "seeds"))) for start in STARTS]
    known = [
        (split, measure)
        for measure in measures(task)
        for split in ("train", "test")
        if any(number(dig(run, split, measure)) is not None for _, runs in starts for run in runs)
    ]
    every = [run for _, runs in starts for run in runs]
    more = [(title, cell) for title, cell in SEED_CELLS.items() if any(cell(run) != MISSING for run in every)]
    rows = [
        (
            f"{dig(run, 'seed')}",
            "pretrained" if start == "pretrained" else "random",
            *(shown(measure, dig(run, split, measure)) for split, measure in known),
            *(cell(run) for _, cell in more),
            duration(number(dig(run, "elapsed_s"))),
        )
        for start, runs in starts
        for run in runs
    ]
    names = [f"{humanised(split)} {_lower(measure)}" for split, measure in known]
    columns = ("Seed", "Start", *names, *(title for title, _ in more), "Time")
    words = sentences((humanised(key), str(value)) for key, value in as_object(task.results.get("meaning")).items())
    return Table("Seeds", columns, rows, " ".join(words))


def confusion_table(task: TaskRun) -> Table | None:
    """True class x predicted class on the test file, in % of the true class, over all pretrained seeds."""
    classes = [str(name) for name in as_list(task.results.get("classes"))]
    runs = [as_list(dig(run, "test", "confusion")) for run in as_list(dig(task.results, "pretrained", "seeds"))]
    runs = [matrix for matrix in runs if len(matrix) == len(classes)]
    if not runs or not 1 < len(classes) <= CONFUSION_CLASSES:
        return None
    rows = []
    for i, name in enumerate(classes):
        sums = [sum(number(value) or 0.0 for value in column) for column in zip(*(m[i] for m in runs), strict=False)]
        total = sum(sums)
        rows.append((name, *(percent(value / total if total else None, 1) for value in sums), whole(total / len(runs))))
    return Table("Which classes are confused", ("True class", *classes, "Texts"), rows, "In % of the true class, test.")


def parts_table(task: TaskRun) -> Table | None:
    """Scores of the test's parts (types of entities, labels, questions with and without an answer), mean over seeds."""
    runs = [as_object(dig(run, "test", "parts")) for run in as_list(dig(task.results, "pretrained", "seeds"))]
    if not runs or not any(runs):
        return None
    names = list(dict.fromkeys(name for run in runs for name in run))
    keys = [key for key in as_object(next(filter(None, runs))[names[0]]) if key != "count"]
    rows = []
    for name in names:
        found = [as_object(run.get(name)) for run in runs]
        means = [mean_and_std([number(part.get(key)) for part in found])[0] for key in keys]
        rows.append((name, *map(percent, means), whole(number(found[0].get("count")))))
    columns = ("", *(MEASURES.get(key, humanised(key)) for key in keys), "Count")
    return Table("By part", columns, rows, "In %, test, mean over seeds.")


def references_table(task: TaskRun) -> Table | None:
    """A published task's score beside those that others reported of it."""
    found = TASKS.get(task.name)
    if found is None or not task.published or not task.results.get("pretrained"):
        return None  # A task of the name may have another test or other labels.
    published = {found.measure: found.references, **found.also}
    seeds = as_list(dig(task.results, "pretrained", "seeds"))
    ours = [mean_and_std([number(dig(seed, "test", measure)) for seed in seeds]) for measure in published]
    rows = [("this run", *(with_spread(percent(mean), percent(spread)) for mean, spread in ours))]
    for model in found.references:
        scores = (of_models.get(model) for of_models in published.values())
        rows.append((model, *(percent(None if score is None else score / 100) for score in scores)))
    note = f"In %. Published split: {found.split}."
    if found.source:
        note += f" The others are from {found.source}: models of other sizes and corpora."
    title = "Beside published scores" if found.references else "As its publishers measure it"
    return Table(title, ("Model", *(MEASURES[measure] for measure in published)), rows, note)


def task_counts_table(task: TaskRun) -> Table | None:
    """What was read, cut or empty in the task's files."""
    counts = as_object(task.results.get("counts"))
    return side_by_side("What was read", counts) if counts else None


def task_figure(task: TaskRun) -> Figure:
    """The headline of a task."""
    measure = measures(task)[0]
    mean, spread = (number(dig(task.results, "pretrained", key, "test", measure)) for key in ("mean", "std"))
    seeds = len(as_list(dig(task.results, "pretrained", "seeds")))
    detail = f"± {percent(spread)} over {seeds} seeds" if spread is not None else "one seed"
    random = number(dig(task.results, "random_weights", "mean", "test", measure))
    detail += f"; {percent(random)} from random weights" if random is not None else ""
    return Figure(percent(mean), "%", f"{task.name}, test {_lower(measure)}", detail)


def _finetuning_table(task: TaskRun, start: str, title: str) -> Table:
    names = measures(task)
    rows = []
    for split in ("train", "test"):
        mean, std = (dig(task.results, start, key, split) for key in ("mean", "std"))
        cells = (with_spread(*(shown(name, dig(value, name)) for value in (mean, std))) for name in names)
        rows.append((humanised(split), *cells))
    runs = as_list(dig(task.results, start, "seeds"))
    ends = _mean_interval(runs)
    if ends != MISSING:
        rows.append(("Test, 95% interval", ends, *(MISSING for _ in names[1:])))
    seeds = len(runs)
    over = f"Mean ± standard deviation over {seeds} seeds" if seeds > 1 else "One seed, so no spread"
    loss = LOSSES.get(str(task.results.get("kind")), LOSSES["classification"])
    shares = " and ".join(_lower(name) for name in names if name != "loss")
    notes = [f"{over}; {shares} in %, loss: {loss}.", *_practice(task, runs, with_interval=ends != MISSING)]
    return Table(title, ("", *(MEASURES[name] for name in names)), rows, " ".join(notes))


def _practice(task: TaskRun, runs: Sequence[object], *, with_interval: bool) -> list[str]:
    """How sure the scores are and how the epoch was chosen, in words; nothing for results that do not say it."""
    notes = []
    if with_interval:
        notes.append("Interval: bootstrap over the test's examples, mean of the seeds' ends.")
    errors = [number(dig(run, "test", "calibration_error")) for run in runs]
    if runs and None not in errors:
        notes.append(f"Expected calibration error of the test: {percent(mean_and_std(errors)[0])}%.")
    if taught := as_object(task.results.get("teachers")):
        notes.append(_of_teachers(taught, number(dig(task.results, "counts", "unlabelled", "kept"))))
    made = as_object(task.results.get("development"))
    if made:
        measure = _lower(str(made.get("measure"))) if made.get("measure") in MEASURES else "its first measure"
        how = "a hash of the training examples set apart" if made.get("share") else "a file of its own holds"
        epochs = ", ".join(whole(number(dig(run, "chosen_epoch"))) for run in runs)
        size = whole(number(made.get("examples")))
        notes.append(f"Epoch chosen by {measure} on {size} development examples, which {how}: {epochs}.")
    elif "development" in task.results:
        notes.append("No development set: no epoch was chosen, the last one is scored.")
    return notes


def _of_teachers(taught: dict[str, object], unlabelled: float | None) -> str:
    """How a model was distilled, in a sentence."""
    models, weight, temperature = (number(taught.get(key)) for key in ("models", "weight", "temperature"))
    parts = [f"weight {decimal(weight, 2)}"]
    parts += [] if temperature is None else [f"temperature {decimal(temperature, 1)}"]
    parts += [] if unlabelled is None else [f"{whole(unlabelled)} texts without a label as well"]
    return f"Distilled from {whole(models)} fine-tuned model{'s' * (models != 1)}: {', '.join(parts)}."


def mistakes_table(task: TaskRun) -> Table | None:
    """Where the kept classifier, that of the first seed, is surest and wrong."""
    runs = as_list(dig(task.results, "pretrained", "seeds"))
    found = as_list(dig(runs[0], "test", "mistakes")) if runs else []
    rows = []
    for one in found:
        texts = [dig(one, key) for key in ("text", "second")]
        text = " / ".join(shortened(str(value)) for value in texts if value is not None)
        probability = percent(number(dig(one, "probability")), 1)
        rows.append(
            (text or MISSING, *(shortened(str(dig(one, key)), 60) for key in ("label", "predicted")), probability)
        )
    note = f"Test, seed {dig(runs[0], 'seed')}, surest first." if runs else ""
    columns = ("Text", "Label", "Predicted", "Probability, %")
    return Table("Most confident mistakes", columns, rows, note) if rows else None


def shares_table(task: TaskRun) -> Table | None:
    """The headline of the test by the share of the training examples that was learned from; all of them come last."""
    parts = [as_object(part) for part in as_list(task.results.get("shares"))]
    if not parts:
        return None
    measure = measures(task)[0]
    starts = [start for start in STARTS if task.results.get(start)]
    rows = []
    for part in [*parts, {**task.results, "share": 1.0}]:
        ends = [[number(dig(part, start, key, "test", measure)) for key in ("mean", "std")] for start in starts]
        rows.append((f"{percent(number(part.get('share')), 1)}%", *(with_spread(*map(percent, pair)) for pair in ends)))
    note = (
        f"Test {_lower(measure)} in %, mean ± standard deviation over seeds; smaller shares are parts of larger ones."
    )
    return Table("By share of the training examples", ("Share", *(STARTS[start] for start in starts)), rows, note)


def interval(run: object) -> str:
    """Ends of the interval of a run's test, in %."""
    low, high = (number(dig(run, "test", "interval", end)) for end in ("low", "high"))
    return MISSING if low is None or high is None else f"{percent(low)} to {percent(high)}"


def _mean_interval(runs: Sequence[object]) -> str:
    """Means of the ends of the seeds' intervals."""
    ends = [
        mean_and_std([number(dig(run, "test", "interval", end)) for run in runs])[0] if runs else None
        for end in ("low", "high")
    ]
    return interval({"test": {"interval": dict(zip(("low", "high"), ends, strict=True))}})


SEED_CELLS: dict[str, Callable[[object], str]] = {
    "Test, 95% interval": interval,
    "Calibration error": lambda run: percent(number(dig(run, "test", "calibration_error"))),
    "Chosen epoch": lambda run: whole(number(dig(run, "chosen_epoch"))),
}
"""Columns of the table of seeds that not every task has."""


def shown(measure: str, value: object) -> str:
    """A measure as a cell: a loss as it is, anything else in %."""
    return decimal(number(value)) if measure == "loss" else percent(number(value))


def _lower(measure: str) -> str:
    """A measure inside a sentence; names of people stay as they are."""
    return measure if measure in ("accuracy", "loss") else MEASURES[measure]
