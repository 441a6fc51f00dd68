"""Rows of a CSV, read as a stream, in which a quote that never closes costs its own row and no other."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LONGEST_FIELD = 2**31 - 1
"""In characters: Python's own limit, 131,072, is less than a long text."""
LONGEST_ROW = 1 << 24
"""In characters; a longer row is one whose quote never closes."""
LONGEST_BEHIND = 1 << 16
"""Behind such a row: each further one would be read so far for nothing."""


class Row(NamedTuple):
    """One row; a blank line is a row without fields."""

    begins: int
    """Number of its first line, from 1."""
    ends: int
    """Number of its last line; of a row that can't be read, of its first."""
    fields: list[str]
    problem: str
    """What is wrong with it; then its fields are those of its first line, cut at commas."""


def csv_rows(
    lines: Iterable[str | None], dialect: type[csv.Dialect] = csv.excel, *, too_long: str = "a line that is too long"
) -> Iterator[Row]:
    """The rows of lines with their ends; None stands for a line that could not be held, which is told as `too_long`.

    Behind a quote that never closes all text would be one field: the row behind its first line is a new one.
    """
    csv.field_size_limit(LONGEST_FIELD)
    source = _Lines(iter(lines), too_long)
    while True:
        try:
            for fields in csv.reader(source, dialect, strict=True):
                yield Row(source.begins, source.begins + len(source.row) - 1, fields, "")
                source.begin_row()
            return
        except csv.Error as error:
            first = source.step_back()
            yield Row(source.begins, source.begins, first.rstrip("\r\n").split(","), str(error))
            source.begin_row()


class _Lines:
    """Lines that can be given once more, from the second one of the row that was begun last."""

    def __init__(self, lines: Iterator[str | None], too_long: str) -> None:
        self._lines, self._too_long = lines, too_long
        self._again: deque[str | None] = deque()
        self._longest, self._characters = LONGEST_ROW, 0
        self.begins = 1
        """Number of the row's first line."""
        self.row: list[str | None] = []
        """Its lines so far."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._characters > self._longest:
            raise csv.Error(f"more than {self._longest:,} characters, or a quote that does not close")
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        if line is None:
            raise csv.Error(self._too_long)
        self._characters += len(line)
        return line

    def begin_row(self) -> None:
        """What was given so far is done with."""
        self.begins += len(self.row)
        self.row, self._characters = [], 0

    def step_back(self) -> str:
        """All but the first line of the row come again; that line."""
        self._longest = LONGEST_BEHIND
        self._again.extendleft(reversed(self.row[1:]))
        self.row = self.row[:1]
        return self.row[0] or ""
