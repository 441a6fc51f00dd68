"""Labelled texts and pairs of texts: UTF-8 tables whose first line names the columns, or JSON lines.

A .csv has quotes, as spreadsheets write them; a .jsonl has an object a line; everything else is tab-separated without
quoting, the format of NSMC, and of KorSTS, KorNLI and the question pairs, which have two columns of text: there quotes
and commas mean nothing, so a review such as `"최고!` is read as it stands. Empty texts are examples like any other:
they are kept and counted. Texts are composed to NFC, as the corpus is. Lines with a wrong number of fields or no label
are left out, named and counted (`faults`).
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloze.corpus.csv_rows import csv_rows
from cloze.errors import ClozeError
from cloze.tasks.faults import Faults, count_repeated, place
from cloze.tasks.relations import mark_entities, places_of

ID_COLUMNS = ("id", "guid")
"""The first of these that a table has names its examples."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ITEM_END = "\x1f"
"""Behind each item of a list in JSON, once the list is a text; no item can hold it."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Absent:
    """Of ABSENT."""


ABSENT = _Absent()
"""The value of a column that an object of JSON does not have."""


@dataclass(frozen=True, slots=True)
class Examples:
    """One labelled file; the lists run in file order."""

    path: Path
    ids: list[str]
    """The `id` or `guid` column where there is one, otherwise the line number."""
    texts: list[str]
    second: list[str] | None
    """The second texts of pairs; None: the examples are single texts."""
    labels: list[str]
    label_column: str
    lines: list[int]
    """Where each example ends in the file; the header is line 1."""
    counts: dict[str, int]
    """examples; empty: texts without any visible character; recomposed: texts that NFC changed; left_out: lines that
    are no examples; repeated_ids: examples with the id of an earlier one."""


def read_table(
    path: Path,
    text_column: str,
    label_column: str | Sequence[str],
    second_text_column: str | None = None,
    *,
    label: Callable[[list[str]], str] | None = None,
    wrong: Callable[[str], str] | None = None,
    columns: Sequence[str] = (),
    entities: Sequence[str] = (),
) -> Examples:
    """Read every example of `path`; with `second_text_column` each is a pair.

    `columns` names those of a file whose first line does not. A value within an object of JSON has a dotted name.
    `entities` are two columns with parts of the text that are marked in it (`relations`).
    `label` makes an example's label, which may then be empty, of its values in the columns `label_column`; `wrong` says
    what is wrong with a label. Raises ClozeError for a file that is missing, not UTF-8 (naming line and byte), without
    one of the columns (naming those it has), without examples, or of which more than a tenth of the lines have a wrong
    number of fields, no label or a wrong one.
    """
    text_columns = [text_column] if second_text_column is None else [text_column, second_text_column]
    label_columns = [label_column] if isinstance(label_column, str) else list(label_column)
    faults = Faults(path)
    wanted, free = [*text_columns, *label_columns, *places_of(entities)], label_columns if label else ()
    header, rows = columns_of(path, wanted, faults, columns, lists=free, optional=free)
    if entities:
        rows = mark_entities(path, header, rows, text_column, entities, faults)
    text_places = [header.index(column) for column in text_columns]
    label_places = [header.index(column) for column in label_columns]
    id_place = next((header.index(column) for column in ID_COLUMNS if column in header), None)
    ids, labels, lines = [], [], []
    texts: list[list[str]] = [[] for _ in text_columns]
    recomposed = 0
    for number, fields in rows:
        values = [fields[column] for column in label_places]
        found = values[0].strip() if label is None else label(values)
        missing = f"no label in column {label_columns[0]!r}" if not found and label is None else ""
        if problem := missing or (wrong(found) if wrong else ""):
            faults.add(place(path, number), problem)
            continue
        for given, of_column in zip((fields[column] for column in text_places), texts, strict=True):
            text = unicodedata.normalize("NFC", given)
            recomposed += text != given
            of_column.append(text)
        ids.append(str(number) if id_place is None else fields[id_place])
        labels.append(found)
        lines.append(number)
    empty = sum(not text.strip() for column in texts for text in column)
    counts = {"examples": len(labels), "empty": empty, "recomposed": recomposed, "left_out": faults.settle(len(labels))}
    counts["repeated_ids"] = count_repeated(
        path, [(name, place(path, line)) for name, line in zip(ids, lines, strict=True)]
    )
    second = texts[1] if second_text_column else None
    return Examples(path, ids, texts[0], second, labels, ", ".join(label_columns), lines, counts)


def columns_of(
    path: Path,
    wanted: Sequence[str],
    faults: Faults,
    columns: Sequence[str] = (),
    *,
    lists: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of a table's columns, and each row with the line it ends on; `faults` gets those that don't fit.

    In an object of JSON a column of `lists` may hold a list, whose items then have ITEM_END behind each, and one of
    `optional` may be absent, which is an empty text, as null is. Raises ClozeError if a column of `wanted` is missing,
    or if there are no rows.
    """
    if path.suffix.lower() in (".json", ".jsonl"):
        return _of_objects(path, wanted, faults, lists, optional)
    header, rows = _rows(path, columns, faults)
    _check_header(path, header, wanted, faults)
    if not rows and not faults.count:
        raise ClozeError(f"{path} has a header but no examples: a task needs at least one line after it.")
    return header, rows


def _check_header(path: Path, header: Sequence[str], wanted: Sequence[str], faults: Faults) -> None:
    """Raises ClozeError if a column of `wanted` is missing or there more than once, or if all are missing."""
    if not header:
        faults.settle(0)
    for column in wanted:
        if column not in header:
            advice = _other_separator(path, header, wanted) or (
                "Name columns that it has (--text, --second, --label; in a recipe text_column, second_text_column, "
                "label_column), or add a first line that names them."
            )
            raise ClozeError(f"{path} has no column {column!r}; it has {', '.join(map(repr, header))}. {advice}")
        if header.count(column) > 1:
            raise ClozeError(
                f"{path} has {header.count(column)} columns {column!r}, and which one is meant can't be told. Give "
                "each a name of its own."
            )


def _of_objects(
    path: Path, wanted: Sequence[str], faults: Faults, lists: Sequence[str], optional: Sequence[str]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """`columns_of` for JSON: those of `wanted`, an id, and what a wanted object has as its `word`."""
    lines = path.suffix.lower() == ".jsonl"
    records = [(n, _flat(one)) for n, one in (lines_of_json(path, faults) if lines else array_of_json(path, faults))]
    found = dict.fromkeys(name for _, record in records for name in record)
    _check_header(path, list(found), wanted, faults)
    words = {f"{name.rpartition('.')[0]}.word" for name in wanted if "." in name}
    header = [name for name in found if name in {*wanted, *ID_COLUMNS, *words}]
    rows = []
    for number, record in records:
        problems = (_unfit(name, record.get(name, ABSENT), lists, optional) for name in wanted)
        if problem := next(filter(None, problems), ""):
            faults.add(place(path, number), problem)
        else:
            rows.append((number, [_as_text(record.get(name, ABSENT)) for name in header]))
    return header, rows


def _unfit(name: str, value: object, lists: Sequence[str], optional: Sequence[str]) -> str:
    """What is wrong with the value of an object's column; empty if nothing is."""
    if value is ABSENT and name not in optional:
        return f"the object has no {name!r}"
    if isinstance(value, list) and name not in lists:
        return f"{name!r} is a list, expected one value (of labels, several are for the kind multi_label)"
    return ""


def _as_text(value: object) -> str:
    """A number as it is written, null and what is absent as nothing, the items of a list with ITEM_END behind each."""
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, list):
        return "".join(_as_text(item) + ITEM_END for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _other_separator(path: Path, header: Sequence[str], wanted: Sequence[str]) -> str:
    """What to do if the header has the columns once it is cut at another mark; else nothing."""
    ours = "," if path.suffix.lower() == ".csv" else "\t"
    for mark, name in SEPARATORS.items():
        fields = [field.strip().strip('"') for field in ours.join(header).split(mark)]
        if mark != ours and set(wanted) <= set(fields):
            wish = {",": "call it .csv", "\t": "call it .tsv"}.get(mark, "save it with commas, as .csv")
            return f"Its columns have {name} between them, but such a file is cut at {SEPARATORS[ours]}: {wish}."
    return ""


def _rows(path: Path, columns: Sequence[str], faults: Faults) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and each row with the line it ends on; blank lines are none."""
    is_csv = path.suffix.lower() == ".csv"
    rows, name, mark = (_csv_rows(path, faults), "comma", ",") if is_csv else (_tsv_rows(path), "tab", "\t")
    if not rows:
        faults.settle(0)
    headed = not columns or rows[0][1] == list(columns)  # Published copies of a file differ in this line.
    header, rest = (rows[0][1], rows[1:]) if headed else (list(columns), rows)
    for number, fields in rest:
        if len(fields) != len(header):
            found = f"{len(fields)} {name}-separated field(s), expected {len(header)} ({', '.join(header)})"
            faults.add(f"line {number}", f"{found}: {mark.join(fields)[:80]!r}")
    return header, [row for row in rest if len(row[1]) == len(header)]


def _tsv_rows(path: Path) -> list[tuple[int, list[str]]]:
    return [(number, line.split("\t")) for number, line in enumerate(read_lines(path), start=1) if line]


def _csv_rows(path: Path, faults: Faults) -> list[tuple[int, list[str]]]:
    rows: list[tuple[int, list[str]]] = []
    for row in csv_rows(io.StringIO(read_text(path), newline="")):
        if row.problem:
            faults.add(f"line {row.begins}", f"{row.problem}, in the row that begins here: check its quotes")
        elif row.fields:
            rows.append((row.ends, row.fields))
    return rows


def lines_of_json(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """An object a line."""
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except (ValueError, RecursionError) as error:
            faults.add(f"line {number}", f"no JSON ({error}), expected one object a line")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            faults.add(f"line {number}", f"{line[:40]!r} is no object, expected one a line")


def array_of_json(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """One array of objects, as KLUE publishes its tasks; what stands for the line is the object's number."""
    try:
        records = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ClozeError(f"{path} is no JSON ({error}). Expected an array of objects.") from None
    if not isinstance(records, list):
        raise ClozeError(f"{path} holds no array. Expected [{{...}}, ...]; for one object a line call it .jsonl.")
    if not records:
        raise ClozeError(f"{path} holds an empty array; expected [{{...}}, ...] with at least one example.")
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict):
            yield number, record
        else:
            faults.add(place(path, number), f"{str(record)[:40]!r} is no object, expected [{{...}}, ...]")


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """{"labels": {"label": 3.7}} -> {"labels.label": 3.7}, one level deep."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def parse_json(text: str) -> Any:
    """Raises ValueError, as json does, also for half a character (a lone surrogate), which no file could hold."""
    value = json.loads(text)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


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
        other = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "CP949"
        raise ClozeError(
            f"{path}, line {line}: byte {error.start:,} (0x{data[error.start]:02x}) is not UTF-8. Convert the file "
            f"first, for example: iconv -f {other} -t UTF-8 {path.name} > {path.stem}.utf8{path.suffix}"
        ) from error
    if not text.strip():
        raise ClozeError(f"{path} is empty; expected labelled examples.")
    return text
