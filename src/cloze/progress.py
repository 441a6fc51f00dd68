"""How far a stage is: bars on a terminal, plain lines in a log, nothing in tests.

with progress.stage("tokenizer", total=characters, unit="characters") as meter:
    meter.advance(len(text))
    meter.note("counting words")
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Meter(Protocol):
    """One stage's dial."""

    def advance(self, amount: float = 1.0) -> None:
        """Add to what is done, in the stage's unit."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar; it replaces the one before."""


class Progress(Protocol):
    """What every stage is handed to say how far it is."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Meter]:
        """A dial for one stage; `total` in `unit`, None if it is not known beforehand."""


class Silent:
    """Says nothing."""

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Meter]:
        """A dial that nobody sees."""
        yield _SilentMeter()


class RichProgress:
    """Bars on a terminal; elsewhere one plain line at the start and end of a stage and now and then between."""

    def __init__(self, console: Console | None = None, *, line_every_s: float = 15.0) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._line_every_s = line_every_s

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Meter]:
        """A bar, or lines, for one stage."""
        started_at = time.monotonic()
        if self._console.is_terminal:
            with _bar(self._console, name, total, unit) as meter:
                yield meter
        else:
            self._print(name)
            yield _LineMeter(self._console, name, total, unit, self._line_every_s)
        self._print(f"{name}: {time.monotonic() - started_at:.1f} s")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class _SilentMeter:
    def advance(self, amount: float = 1.0) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class _LineMeter:
    """Plain lines, at most one every `line_every_s` seconds."""

    def __init__(self, console: Console, name: str, total: float | None, unit: str, line_every_s: float) -> None:
        self._console, self._name, self._total, self._unit = console, name, total, unit
        self._line_every_s = line_every_s
        self._done = 0.0
        self._note = ""
        self._printed_at = time.monotonic()

    def advance(self, amount: float = 1.0) -> None:
        self._done += amount
        self._print_now_and_then()

    def note(self, text: str) -> None:
        self._note = text
        self._print_now_and_then()

    def _print_now_and_then(self) -> None:
        if time.monotonic() - self._printed_at < self._line_every_s:
            return
        self._printed_at = time.monotonic()
        line = f"{self._name}: {_amount(self._done, self._total, self._unit)}  {self._note}".rstrip()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _amount(done: float, total: float | None, unit: str) -> str:
    return (f"{done:,.0f}" + (f" of {total:,.0f}" if total else "") + f" {unit}").strip()


@contextmanager
def _bar(console: Console, name: str, total: float | None, unit: str) -> Iterator[Meter]:
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_amount(task.completed, task.total, unit))

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        Amount(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(name, total=total, note="")

        class BarMeter:
            def advance(self, amount: float = 1.0) -> None:
                bars.advance(task, amount)

            def note(self, text: str) -> None:
                bars.update(task, note=text)

        yield BarMeter()
