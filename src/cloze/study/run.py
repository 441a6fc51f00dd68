"""Carry a study out: every cell that is not finished.

Cells share stages as any runs do, so corpus, tokenizer and store are made once. A cell is claimed by a lock on a file
in the study's folder: the same command, given again in another process or on another machine that sees the folder,
takes the cells that nobody works on. A killed study goes on where it stood. A cell that fails is told at the end, and
the others are run all the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.errors import ClozeError
from cloze.files import open_lock
from cloze.progress import Silent
from cloze.stages import Stage, is_whole, plan_stages
from cloze.study.grid import Cell, StudySettings

if TYPE_CHECKING:
    from cloze.progress import Progress

LOOK_AGAIN_S = 5.0
"""How often a process that waits for the cells of others looks whether they are done."""


def folder_of(study: StudySettings, cells: Sequence[Cell]) -> Path:
    """<output>/studies/<name>."""
    return cells[0].recipe.output / "studies" / study.name


def finished(cell: Cell) -> bool:
    """Whether a cell's run is whole."""
    run = cell.recipe.output / cell.recipe.name / "run.json"
    return run.is_file() and is_whole(cell.recipe, _stages(cell))  # The second reads all source files.


def to_be_made(cell: Cell) -> list[str]:
    """Names of the cell's stages that are not there yet, in order.

    Raises ClozeError if the cell starts from a folder that is no pretrained model.
    """
    return [name for name, stage in _stages(cell).items() if not stage.finished]


def _stages(cell: Cell) -> dict[str, Stage]:
    from cloze.interop.start import with_sizes_of_start

    return plan_stages(with_sizes_of_start(cell.recipe))


def run_cells(folder: Path, cells: Sequence[Cell], progress: Progress) -> dict[str, str]:
    """Run cells until all are done, by this process or another; returns run -> why it failed.

    Raises Stopped at once after a signal in training.
    """
    from cloze.pipeline import run
    from cloze.training.signals import Stopped

    waiting, failures, told = list(cells), dict[str, str](), 0
    while waiting:
        taken = []
        for cell in waiting:
            with open_lock(folder / ".locks" / cell.recipe.name) as lock:
                if not lock.take(wait=False):
                    taken.append(cell)
                else:
                    try:
                        if not finished(cell):
                            run(cell.recipe, progress)
                    except Stopped:
                        raise
                    except ClozeError as error:
                        failures[cell.recipe.name] = str(error)
        if len(taken) == len(waiting):
            shown = Silent() if told == len(taken) else progress
            with shown.stage(f"waiting for {len(taken)} cells, which other processes run"):
                time.sleep(LOOK_AGAIN_S)
            told = len(taken)
        waiting = taken
    return {cell.recipe.name: failures[cell.recipe.name] for cell in cells if _failed(cell, failures)}


def others_runs(cells: Sequence[Cell]) -> dict[str, str]:
    """Run -> what is wrong with it, of cells whose folders hold the finished run of another recipe of their names."""
    ended = (cell for cell in cells if (cell.recipe.output / cell.recipe.name / "run.json").is_file())
    return {cell.recipe.name: "its folder holds another recipe's run" for cell in ended if not finished(cell)}


def told_once(failures: Mapping[str, str]) -> list[str]:
    """Why cells failed, each reason once, after the runs it holds for: the first three by their names."""
    runs: dict[str, list[str]] = {}
    for run, message in failures.items():
        runs.setdefault(message, []).append(run)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}: {message}"
        for message, names in runs.items()
    ]


def _failed(cell: Cell, failures: Mapping[str, str]) -> bool:
    """Whether a cell that failed here has not been finished by another process since."""
    try:
        return cell.recipe.name in failures and not finished(cell)
    except ClozeError:
        return True
