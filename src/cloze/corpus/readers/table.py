"""Tables of text, a document a row: JSON lines, and CSV or TSV with a header. Plain or compressed.

A row that cannot be read is named by its place, left out and counted; a missing column is an error.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.record import MAX_DOCUMENT_BYTES, decode_line, drop_record, json_type, markup_of_column
from cloze.corpus.streams import open_source, source_name
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

MAX_ROW_CHARACTERS = 1 << 24
"""A longer row of CSV is one whose quotes do not close."""
MAX_CHARACTERS_BEHIND = 1 << 16
"""Behind such a row: each further one would be read so far for nothing."""


class JsonLinesReader:
    """An object a line, as `datasets` and most crawlers write them."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its lines. Raises ClozeError if the first object lacks a column."""
        checked = False
        with open_source(self.path, counts, self.settings) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_DOCUMENT_BYTES), b""), start=1):
                if len(line) == MAX_DOCUMENT_BYTES and not line.endswith(b"\n"):
                    drop_record(
                        counts, self.settings, self.path, number, f"{MAX_DOCUMENT_BYTES:,} bytes or more", "line"
                    )
                    skip_line(file)
                    continue
                if not (line := line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
                    continue
                record, problem = _parse(decode_line(line, counts, self.settings, self.path, number))
                if problem:
                    drop_record(counts, self.settings, self.path, number, problem)
                    continue
                if not checked:
                    _check_columns(self.path, list(record), self.settings)
                    checked = True
                title, text = _columns(record, self.settings)
                if not isinstance(text, str):
                    found = json_type(text) if self.settings.text_column in record else "missing"
                    drop_record(counts, self.settings, self.path, number, f"{self.settings.text_column} is {found}")
                    continue
                yield RawDocument(f"{source_name(self.path)}:{number}", title, text, markup_of_column(self.settings))


class CsvReader:
    """Comma-separated, quoted as spreadsheets do it; the first row names the columns."""

    dialect: Any = csv.excel

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its rows. Raises ClozeError for a missing column."""
        csv.field_size_limit(MAX_DOCUMENT_BYTES)
        with open_source(self.path, counts, self.settings) as file:
            rows = self._rows(file, counts)
            line_number, header, problem = next(rows, (1, [], ""))
            if problem:
                raise ClozeError(
                    f"{self.path}, line {line_number}: the names of the columns can't be read ({problem}); expected "
                    f"{self._expected}."
                )
            _check_columns(self.path, header, self.settings)
            for number, (line_number, row, problem) in enumerate(rows, start=1):
                if problem:
                    problem = f"{problem}, from line {line_number:,}; expected {self._expected}"
                    drop_record(counts, self.settings, self.path, number, problem)
                elif row and len(row) != len(header):
                    problem = f"{len(row)} fields, expected {len(header)}, from line {line_number:,}"
                    drop_record(counts, self.settings, self.path, number, problem)
                elif row:
                    title, text = _columns(dict(zip(header, row, strict=True)), self.settings)
                    yield RawDocument(
                        f"{source_name(self.path)}:{number}", title, text, markup_of_column(self.settings)
                    )

    def _rows(self, file: io.BufferedReader, counts: Counts) -> Iterator[tuple[int, list[str], str]]:
        """The number of a row's first line, its fields, and what is wrong with it.

        A quote that never closes would swallow all that follows. Behind its row's first line a new row begins.
        """
        lines = _Lines(self._lines(file, counts))
        while True:
            rows = csv.reader(lines, self.dialect, strict=True)
            try:
                lines.begin_row()
                for row in rows:
                    yield lines.row_begins, row, ""
                    lines.begin_row()
                return
            except csv.Error as error:
                yield lines.row_begins, [], str(error)
                lines.step_back()

    def _lines(self, file: io.BufferedReader, counts: Counts) -> Iterator[str | None]:
        """None in the place of a line that is too long."""
        for number, line in enumerate(iter(lambda: file.readline(MAX_DOCUMENT_BYTES), b""), start=1):
            if len(line) == MAX_DOCUMENT_BYTES and not line.endswith(b"\n"):
                skip_line(file)
                yield None
                continue
            text = decode_line(line, counts, self.settings, self.path, number)
            yield text.removeprefix("\ufeff") if number == 1 else text

    _expected = "comma-separated fields, in double quotes where they hold commas or line breaks"


class _Lines:
    """Lines that can be given once more, from the second one of the row that was begun last."""

    def __init__(self, lines: Iterator[str | None]) -> None:
        self._lines = lines
        self._again: deque[str | None] = deque()
        self._row: list[str | None] = []
        self._row_characters = 0
        self._longest = MAX_ROW_CHARACTERS
        self.row_begins = 1
        """Number of the row's first line."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._row_characters > self._longest:
            raise csv.Error(f"more than {self._longest:,} characters, or a quote that does not close")
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        if line is None:
            raise csv.Error(f"a line of {MAX_DOCUMENT_BYTES:,} bytes or more")
        self._row_characters += len(line)
        return line

    def begin_row(self) -> None:
        """What was given so far is done with."""
        self.row_begins += len(self._row)
        self._row, self._row_characters = [], 0

    def step_back(self) -> None:
        """All but the first line of the row come again."""
        self._longest = MAX_CHARACTERS_BEHIND
        self._again.extendleft(reversed(self._row[1:]))
        self._row = self._row[:1]


class _Tabs(csv.Dialect):
    delimiter, lineterminator, quoting = "\t", "\n", csv.QUOTE_NONE


class TsvReader(CsvReader):
    """Tab-separated without quoting, as NSMC and KorNLI are; the first row names the columns."""

    dialect = _Tabs
    _expected = "tab-separated fields without quotes"


def skip_line(file: io.BufferedReader) -> None:
    """Read on to the end of a line that is too long to be held."""
    while (rest := file.readline(MAX_DOCUMENT_BYTES)) and not rest.endswith(b"\n"):
        pass


def _parse(line: str) -> tuple[dict[str, Any], str]:
    """The object of a line, or what is wrong with it."""
    try:
        record = json.loads(line, strict=False)
    except (ValueError, RecursionError) as error:
        return {}, f"no JSON ({error})"
    return (record, "") if isinstance(record, dict) else ({}, f"{json_type(record)}, expected an object")


def _check_columns(path: Path, found: list[str], settings: CorpusSettings) -> None:
    for key, column in (("text_column", settings.text_column), ("title_column", settings.title_column)):
        if column is not None and column not in found:
            raise ClozeError(
                f"{path} has no column {column!r}; it has {', '.join(map(repr, found)) or 'none'}. Set corpus.{key} to "
                "one of these."
            )
        if column is not None and found.count(column) > 1:
            raise ClozeError(f"{path} has {found.count(column)} columns {column!r}. Give each a name of its own.")


def _columns(record: dict[str, Any], settings: CorpusSettings) -> tuple[str, Any]:
    """Title and text of a row."""
    title = "" if settings.title_column is None else record.get(settings.title_column)
    return (title if isinstance(title, str) else ""), record.get(settings.text_column)
