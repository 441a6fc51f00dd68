"""Rows of a CSV, in which a quote that never closes costs its own row and no other."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice

LONGEST_FIELD = 2**31 - 1
"""In characters: Python's own limit, 131,072, is less than a long text."""


def csv_rows(text: str) -> Iterator[tuple[int, list[str], str]]:
    """(the line that a row ends on, its fields, what is wrong with it), from 1; empty rows are none.

    Behind a quote that never closes all text would be one field: the row behind its first line is a new one, and that
    line is cut at its commas.
    """
    csv.field_size_limit(LONGEST_FIELD)
    lines, start = io.StringIO(text, newline="").readlines(), 0
    while start < len(lines):
        reader, end = csv.reader(islice(lines, start, None), strict=True), start
        try:
            for fields in reader:
                end = start + reader.line_num
                if fields:
                    yield end, fields, ""
            return
        except csv.Error as error:
            yield end + 1, lines[end].rstrip("\r\n").split(","), str(error)
            start = end + 1
