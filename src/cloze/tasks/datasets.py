"""Labelled texts and pairs of texts: UTF-8 tables whose first line names the columns, or JSON lines.

A .csv has quotes, as spreadsheets write them; a .jsonl has an object a line; everything else is tab-separated without
quoting, the format of NSMC, and of KorSTS, KorNLI and the question pairs, which have two columns of text: there quotes
and commas mean nothing, so a review such as `"최고!` is read as it stands. Empty texts are examples like any other:
they are kept and counted. Texts are composed to NFC, as the corpus is.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloze.errors import ClozeError


@dataclass(frozen=True, slots=True)
class Examples:
    """One labelled file; the lists run in file order."""

    path: Path
    ids: list[str]
    """The `id` column where there is one, otherwise the line number."""
    texts: list[str]
    second: list[str] | None
    """The second texts of pairs; None: the examples are single texts."""
    labels: list[str]
    label_column: str
    lines: list[int]
    """Where each example ends in the file; the header is line 1."""
    counts: dict[str, int]
    """examples; empty: texts without any visible character; recomposed: texts that NFC changed."""


def read_table(
    path: Path,
    text_column: str,
    label_column: str | Sequence[str],
    second_text_column: str | None = None,
    *,
    label: Callable[[list[str]], str] | None = None,
    columns: Sequence[str] = (),
) -> Examples:
    """Read every example of `path`; with `second_text_column` each is a pair.

    `columns` names those of a file whose first line does not. A value within an object of JSON has a dotted name.
    `label` makes an example's label, which may then be empty, of its values in the columns `label_column`. Raises
    ClozeError for a file that is missing, not UTF-8 (naming line and byte), without one of the columns (naming those it
    has), without examples, or with a line that has a wrong number of fields or no label (naming the line).
    """
    text_columns = [text_column] if second_text_column is None else [text_column, second_text_column]
    label_columns = [label_column] if isinstance(label_column, str) else list(label_column)
    header, rows = columns_of(path, [*text_columns, *label_columns], columns)
    text_places = [header.index(column) for column in text_columns]
    label_places = [header.index(column) for column in label_columns]
    id_place = header.index("id") if "id" in header else None
    ids, labels, lines = [], [], []
    texts: list[list[str]] = [[] for _ in text_columns]
    recomposed = 0
    for number, fields in rows:
        values = [fields[place] for place in label_places]
        found = values[0].strip() if label is None else label(values)
        if not found and label is None:
            raise ClozeError(
                f"{path}, line {number}: no label in column {label_columns[0]!r}. Remove the line or label it."
            )
        for place, of_column in zip(text_places, texts, strict=True):
            text = unicodedata.normalize("NFC", fields[place])
            recomposed += text != fields[place]
            of_column.append(text)
        ids.append(str(number) if id_place is None else fields[id_place])
        labels.append(found)
        lines.append(number)
    empty = sum(not text.strip() for column in texts for text in column)
    counts = {"examples": len(labels), "empty": empty, "recomposed": recomposed}
    second = texts[1] if second_text_column else None
    return Examples(path, ids, texts[0], second, labels, ", ".join(label_columns), lines, counts)


def columns_of(
    path: Path, wanted: Sequence[str], columns: Sequence[str] = ()
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of a table's columns, and each row with the line it ends on.

    Raises ClozeError if a column of `wanted` is missing, or if there are no rows.
    """
    header, rows = _rows(path, columns)
    for column in wanted:
        if column not in header:
            raise ClozeError(
                f"{path} has no column {column!r}; it has {', '.join(map(repr, header))}. Name some of these as text, "
                "second text and label (in a recipe text_column, second_text_column, label_column), or add a first "
                "line that names the columns."
            )
    if not rows:
        raise ClozeError(f"{path} has a header but no examples: a task needs at least one line after it.")
    return header, rows


def _rows(path: Path, columns: Sequence[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and each row with the line it ends on. Raises ClozeError for one that does not fit."""
    if path.suffix.lower() == ".jsonl":
        return _as_rows(_lines_of_json(path))
    if path.suffix.lower() == ".json":
        return _as_rows(_array_of_json(path))
    separator, rows = ("comma", _csv_rows(path)) if path.suffix.lower() == ".csv" else ("tab", _tsv_rows(path))
    headed = not columns or rows[0][1] == list(columns)  # Published copies of a file differ in this line.
    header, rest = (rows[0][1], rows[1:]) if headed else (list(columns), rows)
    for number, fields in rest:
        if len(fields) != len(header):
            advice = "A tab or line break inside a text must become a space" if separator == "tab" else "Check quotes"
            raise ClozeError(
                f"{path}, line {number}: {len(fields)} {separator}-separated field(s), expected {len(header)} "
                f"({', '.join(header)}). {advice}: {separator.join(fields)[:80]!r}"
            )
    return header, rest


def _tsv_rows(path: Path) -> list[tuple[int, list[str]]]:
    return [(number, line.split("\t")) for number, line in enumerate(read_lines(path), start=1)]


def _csv_rows(path: Path) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        return [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        raise ClozeError(f"{path}, line {reader.line_num}: {error}. Check the quotes in and before it.") from None


def _lines_of_json(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """An object a line."""
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ClozeError(f"{path}, line {number}: no JSON ({error}). Expected one object a line.") from None
        if not isinstance(record, dict):
            raise ClozeError(f"{path}, line {number}: {line[:40]!r} is no object. Expected one object a line.")
        yield number, record


def _array_of_json(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """One array of objects, as KLUE publishes its tasks; what stands for the line is the object's number."""
    try:
        records = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ClozeError(f"{path} is no JSON ({error}). Expected an array of objects.") from None
    if not isinstance(records, list):
        raise ClozeError(f"{path} holds no array. Expected [{{...}}, ...]; for one object a line call it .jsonl.")
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise ClozeError(f"{path}, object {number}: {str(record)[:40]!r} is no object. Expected [{{...}}, ...].")
        yield number, record


def _as_rows(records: Iterable[tuple[int, dict[str, Any]]]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The columns are those of the first object, and a number becomes the text it is written as."""
    columns: list[str] = []
    rows = []
    for number, record in records:
        flat = _flat(record)
        columns = columns or list(flat)
        values = [flat.get(column) for column in columns]
        rows.append((number, ["" if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]))
    return columns, rows


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """{"labels": {"label": 3.7}} -> {"labels.label": 3.7}, one level deep."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, without their ends.

    Only \\n and \\r\\n end one: texts hold U+2028, where splitlines would cut.
    """
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def read_text(path: Path) -> str:
    """A UTF-8 file's text. Raises ClozeError for one that is missing, empty or of another encoding."""
    if path.is_dir():
        raise ClozeError(f"{path} is a folder; expected a file. Name the file in it that the task reads.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClozeError(
            f"{path} cannot be read ({error.strerror}). Check the task's path; "
            "a relative one starts from the recipe's `data` folder."
        ) from error
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ClozeError(
            f"{path}, line {line}: byte {error.start:,} (0x{data[error.start]:02x}) is not UTF-8. Convert the file "
            f"first, for example: iconv -f CP949 -t UTF-8 {path.name} > {path.stem}.utf8{path.suffix}"
        ) from error
    if not text.strip():
        raise ClozeError(f"{path} is empty; expected labelled examples.")
    return text
