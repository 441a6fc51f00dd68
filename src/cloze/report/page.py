"""report.html: one file that shows a run, without a network, on a phone, on paper, in light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from cloze.files import write_text
from cloze.report import tables
from cloze.report.funnel import funnel_table, test_sets_table
from cloze.report.guesses import gaps
from cloze.report.health import alarm_texts, health_table
from cloze.report.plots import POINTS, finetuning_plots, learning_plots, share_plots, speed_plots
from cloze.report.run import RunData, TaskRun, read_run
from cloze.report.task_tables import (
    confusion_table,
    finetuning_tables,
    gain,
    mistakes_table,
    parts_table,
    references_table,
    seeds_table,
    shares_table,
    task_counts_table,
)

if TYPE_CHECKING:
    from cloze.report.cells import Figure, Table
    from cloze.report.plots import Plot
    from cloze.study.grid import StudySettings

NAME = "report.html"
"""Name of the page in the run folder."""
MARGIN = 9.0
"""Points around a drawing in a file of its own: labels may reach a little beyond it."""


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
    return _fill("page.html.j2", _values(run))


@dataclass(frozen=True)
class Section:
    """A part of a study's page: words, then plots with a note, then tables; `missing` if there is neither of these."""

    title: str
    words: str = ""
    plots: Sequence[Plot] = ()
    note: str = ""
    """A sentence under the plots."""
    tables: Sequence[Table] = ()
    missing: str = ""


def render_study(
    study: StudySettings,
    sections: Sequence[Section],
    *,
    headline: Sequence[Figure] = (),
    notices: Sequence[tuple[str, str]] = (),
) -> str:
    """The page of a study as HTML, everything escaped. `notices` (kind, text) stand at the top."""
    settings = yaml.safe_dump(study.model_dump(mode="json", exclude_defaults=True), allow_unicode=True, sort_keys=False)
    values = {"study": study, "sections": sections, "headline": headline, "notices": notices, "settings": settings}
    return _fill("study.html.j2", values | {"made": _now()})


def standalone(plot: Plot) -> str:
    """A plot as an SVG file of its own, in the page's light colours on its light paper: for Markdown, slides, print."""
    colours: dict[str, str] = {}
    for name, colour in re.findall(r"--(\w+): (#[0-9a-f]{6})", _source("style.css")):
        colours.setdefault(name, colour)  # The light ones stand first.
    svg = re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], str(plot.svg)).removeprefix("<svg")
    opening, _, rest = svg.partition(">")
    left, top, width, height = map(float, re.findall(r'viewBox="([^"]+)"', opening)[0].split())
    left, top, width, height = left - MARGIN, top - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN
    opening = re.sub(r'viewBox="[^"]+"', f'viewBox="{left:g} {top:g} {width:g} {height:g}"', opening, count=1)
    size = f'width="{width:g}pt" height="{height:g}pt"'
    paper = f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="{colours["paper"]}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}{opening}>{paper}{rest}\n'


def _fill(template: str, values: dict[str, Any]) -> str:
    return _environment().get_template(template).render(values)


def _source(template: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, template)[0]


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cloze.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _values(run: RunData) -> dict[str, Any]:
    """What the template shows."""
    filled = gaps(run)
    guesses = (guess for gap in filled for _, row in gap.rows for guess in row)
    return {
        "run": run,
        "made": _now(),
        "headline": tables.headline(run),
        "pretraining": tables.pretraining_table(run),
        "health": health_table(run),
        "alarms": alarm_texts(run),
        "learning": learning_plots(run),
        "points": POINTS,
        "tasks": [_task_values(task) for task in run.tasks],
        "gaps": filled,
        "continues": any(guess.token.startswith("##") for guess in guesses),
        "corpus": [table for table in (funnel_table(run), tables.corpus_table(run), test_sets_table(run)) if table],
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
        "scores": [*finetuning_tables(task), *(table for table in (references_table(task),) if table)],
        "gain": gain(task),
        "plots": finetuning_plots(task),
        "development": any(line.get("kind") == "development" for line in task.curves),
        "random": any(line.get("start") == "random" for line in task.curves),
        "shares": shares_table(task),
        "share_plots": share_plots(task),
        "details": [
            table
            for table in (
                seeds_table(task),
                confusion_table(task),
                mistakes_table(task),
                parts_table(task),
                task_counts_table(task),
            )
            if table and table.rows
        ],
    }
