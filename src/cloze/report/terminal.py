"""A report's tables on a terminal: as tables, or row by row where words would have to be broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloze.report.cells import Table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement
    from rich.table import Table as RichTable

ANY_WIDTH = 1_000_000


def as_rich(table: Table) -> Fitted:
    """A table for the terminal; in one that is too narrow for the words of its columns each row becomes a list."""
    return Fitted(table)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What rich is given to print."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement
        from rich.text import Text

        rich = _as_table(self.table)
        boundless = options.update(max_width=ANY_WIDTH)  # rich measures no wider than it has room
        if Measurement.get(console, boundless, rich).minimum <= options.max_width:
            yield rich
            return
        yield Text(self.table.title, style="bold")
        for name, *cells in self.table.rows:
            yield Text(f"\n{name}", style="bold")
            for column, cell in zip(self.table.columns[1:], cells, strict=True):
                yield Text(f"  {column}: {cell}")
        if self.table.note:
            yield Text(f"\n{self.table.note}", style="dim")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement.get(console, options, _as_table(self.table)).with_maximum(options.max_width)


def _as_table(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    rich = RichTable(box=box.SIMPLE_HEAD, title=Text(table.title), title_justify="left", title_style="bold")
    rich.caption, rich.caption_justify = Text(table.note, style="dim"), "left"
    for i, column in enumerate(table.columns):
        rich.add_column(Text(column), justify="right" if i else "left", overflow="fold")
    for row in table.rows:
        rich.add_row(*(Text(cell) for cell in row))
    return rich
