"""Curves: JSON lines to compute with, TensorBoard to look at. A resumed run continues both without a seam."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cloze.files import os_errors

METRICS = "metrics.jsonl"
"""Name of the file of lines in a run's folder."""


class Tracker(Protocol):
    """Where the numbers of a run go. Only the main rank has one."""

    def resume(self, step: int) -> None:
        """Begin, or go on after `step` finished steps: whatever was recorded of later steps is dropped."""

    def write(self, line: Mapping[str, Any]) -> None:
        """Record one line; "kind" is train, validation or alarm, "step" the finished steps."""

    def sync(self) -> None:
        """Make what was written survive a power cut."""

    def close(self) -> None:
        """Finish writing."""


class FolderTracker:
    """metrics.jsonl, and TensorBoard's event files in tensorboard/train and tensorboard/validation, in one folder.

    Both kinds use the same names, so TensorBoard draws them into one chart. Raises ClozeError if the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resume(self, step: int) -> None:
        """Open the files; drop lines of steps after `step`, here and in every other .jsonl file of the folder."""
        from torch.utils.tensorboard import SummaryWriter

        with os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob("*.jsonl"):
                cut_lines(path, step)
            self._lines = (self.folder / METRICS).open("a", encoding="utf-8")
            self._charts = {
                kind: SummaryWriter(str(self.folder / "tensorboard" / kind), purge_step=step + 1)
                for kind in ("train", "validation")
            }

    def write(self, line: Mapping[str, Any]) -> None:
        """One JSON line, and every number but the step into the charts. A process killed now loses no earlier line.

        An alarm has words in place of numbers: it is no chart.
        """
        with os_errors(self.folder / METRICS):
            self._lines.write(json.dumps(line) + "\n")
            self._lines.flush()
            for name, value in line.items() if line["kind"] in self._charts else ():
                if name not in ("kind", "step"):
                    self._charts[line["kind"]].add_scalar(name, value, line["step"])

    def sync(self) -> None:
        """Called before a checkpoint is written: the lines of its steps are safe before it is."""
        with os_errors(self.folder / METRICS):
            os.fsync(self._lines.fileno())
            for chart in self._charts.values():
                chart.flush()

    def close(self) -> None:
        """Close all files."""
        self._lines.close()
        for chart in self._charts.values():
            chart.close()


def cut_lines(path: Path, step: int) -> None:
    """Drop the lines of steps after `step` from the end of a JSON lines file in step order, and a line cut short.

    Reads backwards and truncates once: the cost depends on what is dropped alone, and a kill leaves the file whole.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            end = view.rfind(b"\n") + 1
            while end:
                start = view.rfind(b"\n", 0, end - 1) + 1
                if _step(view[start:end]) <= step:
                    break
                end = start
        file.truncate(end)
        os.fsync(file.fileno())


def _step(line: bytes) -> float:
    """The step of a line; infinite for a line that a power cut left unreadable."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
