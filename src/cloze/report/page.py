"""report.html: one file that shows a run, without a network, on a phone, on paper, in light and dark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cloze.files import write_text
from cloze.report import tables
from cloze.report.guesses import gaps
from cloze.report.health import alarm_texts, health_table
from cloze.report.plots import POINTS, finetuning_plots, learning_plots, speed_plots
from cloze.report.run import RunData, TaskRun, read_run

NAME = "report.html"
"""Name of the page in the run folder."""


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a run folder, whole or not at all, and return its path.

    Works at any moment of a run: what does not exist yet is said on the page. Raises ClozeError if the folder is no
    run's or cannot be written.
    """
    path = run_folder / NAME
    write_text(path, render(read_run(run_folder)))
    return path


def render(run: RunData) -> str:
    """The page of a run as HTML. Everything from the run is escaped."""
    environment = Environment(
        loader=PackageLoader("cloze.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(_values(run))


def _values(run: RunData) -> dict[str, Any]:
    """What the template shows."""
    filled = gaps(run)
    guesses = (guess for gap in filled for _, row in gap.rows for guess in row)
    return {
        "run": run,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "headline": tables.headline(run),
        "pretraining": tables.pretraining_table(run),
        "health": health_table(run),
        "alarms": alarm_texts(run),
        "learning": learning_plots(run),
        "points": POINTS,
        "tasks": [_task_values(task) for task in run.tasks],
        "gaps": filled,
        "continues": any(guess.token.startswith("##") for guess in guesses),
        "corpus": tables.corpus_table(run),
        "examples": tables.corpus_examples(run),
        "tokenizer": tables.tokenizer_tables(run),
        "store": tables.store_table(run),
        "rows": tables.rows_table(run),
        "throughput": tables.throughput_table(run),
        "speed": speed_plots(run),
        "stages": tables.stages_table(run),
        "versions": tables.versions_table(run),
    }


def _task_values(task: TaskRun) -> dict[str, Any]:
    return {
        "name": task.name,
        "scores": tables.finetuning_tables(task),
        "gain": tables.gain(task),
        "plots": finetuning_plots(task),
        "random": any(line.get("start") == "random" for line in task.curves),
        "details": [
            table
            for table in (tables.seeds_table(task), tables.confusion_table(task), tables.task_counts_table(task))
            if table and table.rows
        ],
    }
