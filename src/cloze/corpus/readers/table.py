"""Tables of text, a document a row: JSON lines, and CSV or TSV with a header. Plain or compressed.

A row that cannot be read is named by its place, left out and counted; a missing column is an error.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloze.corpus.counts import Counts
from cloze.corpus.csv_rows import Row, csv_rows
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.record import MAX_DOCUMENT_BYTES, decode_line, drop_record, json_type, markup_of_column
from cloze.corpus.streams import open_source, source_name
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings


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

    dialect: type[csv.Dialect] = csv.excel

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its rows. Raises ClozeError for a missing column."""
        with open_source(self.path, counts, self.settings) as file:
            too_long = f"a line of {MAX_DOCUMENT_BYTES:,} bytes or more"
            rows = csv_rows(self._lines(file, counts), self.dialect, too_long=too_long)
            line_number, _, header, problem = next(rows, Row(1, 1, [], ""))
            if problem:
                raise ClozeError(
                    f"{self.path}, line {line_number}: the names of the columns can't be read ({problem}); expected "
                    f"{self._expected}."
                )
            _check_columns(self.path, header, self.settings)
            for number, (line_number, _, row, problem) in enumerate(rows, start=1):
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
