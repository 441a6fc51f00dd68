"""Rows of a CSV, in which a quote that never closes costs its own row and no other."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

LONGEST_FIELD = 2**31 - 1
"""In characters: Python's own limit, 131,072, is less than a long text."""
LONGEST_ROW = 1 << 24
"""In characters; a longer row is one whose quote never closes."""
LONGEST_BEHIND = 1 << 16
"""Behind such a row: each further one would be read so far for nothing."""


def csv_rows(text: str) -> Iterator[tuple[int, list[str], str]]:
    """(the line that a row ends on, its fields, what is wrong with it), from 1; empty rows are none.

    Behind a quote that never closes all text would be one field: the row behind its first line is a new one, and that
    line is cut at its commas.
    """
    csv.field_size_limit(LONGEST_FIELD)
    lines = io.StringIO(text, newline="").readlines()
    begins, longest = 0, LONGEST_ROW  # begins: place of the line that the row under way begins with

    def rest() -> Iterator[str]:
        characters = 0
        for place in range(begins, len(lines)):
            characters = len(lines[place]) + (0 if place == begins else characters)
            if place > begins and characters > longest:
                raise csv.Error("a quote that does not close")
            yield lines[place]

    while begins < len(lines):
        reader, first = csv.reader(rest(), strict=True), begins
        try:
            for fields in reader:
                begins = first + reader.line_num
                if fields:
                    yield begins, fields, ""
            return
        except csv.Error as error:
            yield begins + 1, lines[begins].rstrip("\r\n").split(","), str(error)
            begins, longest = begins + 1, LONGEST_BEHIND
