"""The tables of `cloze evaluate`: what a model is worth on one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloze.report.cells import Table, as_object
from cloze.report.run import TaskRun, dig, number
from cloze.report.task_tables import (
    interval,
    measures,
    mistakes_table,
    parts_table,
    references_table,
    shown,
    task_counts_table,
)
from cloze.report.wording import LOSSES, MEASURES, humanised, percent


def evaluation_tables(results: Mapping[str, Any]) -> list[Table]:
    """Measures; F1 by class, label, type or kind of question; what was read; published scores; mistakes."""
    # The tables of fine-tuning, of one seed.
    task = TaskRun(results["task"], {**results, "pretrained": {"seeds": [{"test": results["test"]}]}}, [], {}, True)
    parts, mistakes = parts_table(task), mistakes_table(task)
    found = [
        _measures_table(task),
        replace(parts, note="In %.") if parts else None,
        task_counts_table(task),
        references_table(task) if results["published"] else None,
        replace(mistakes, note="Surest first.") if mistakes else None,
    ]
    return [table for table in found if table is not None]


def _measures_table(task: TaskRun) -> Table:
    """All scores that the kind has, the headline with its interval."""
    test, kind = as_object(task.results["test"]), str(task.results["kind"])
    first, *rest = measures(task)
    names = [first, *rest, *(name for name in MEASURES if name in test and name not in (first, *rest))]
    rows = [
        (MEASURES[name], shown(name, test[name]), interval({"test": test}) if name == first else "") for name in names
    ]
    if number(dig(test, "calibration_error")) is not None:
        rows.append(("Calibration error", percent(number(test["calibration_error"])), ""))
    note = f"{humanised(kind)}; loss: {LOSSES[kind]}, all else in %. Interval: bootstrap over the examples."
    return Table(f"{task.name}: scores", ("", "Score", "95% interval"), rows, note)
