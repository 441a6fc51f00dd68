"""What a table of a report is, and how values of JSON files become its cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloze.report.run import Json, number
from cloze.report.wording import MISSING, decimal, duration, humanised, percent, shortened, whole


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    """A sentence under the table."""


@dataclass(frozen=True)
class Figure:
    """A headline: one number and what it is."""

    value: str
    unit: str
    label: str
    detail: str = ""


def side_by_side(title: str, columns: Mapping[str, object]) -> Table:
    """{"train": {key: value}, "validation": {...}} as one row a key. Lists and single values stand in the note.

    Without any columns inside, the values themselves are the rows.
    """
    if not any(map(is_object, columns.values())):
        return Table(title, ("", ""), flat(columns))
    inner = {name: as_object(value) for name, value in columns.items() if is_object(value)}
    lists = {f"{key}, {name}": v for name, values in inner.items() for key, v in values.items() if as_list(v)}
    cells = {
        name: dict(flat({key: value for key, value in values.items() if not as_list(value)}))
        for name, values in inner.items()
    }
    keys = dict.fromkeys(key for column in cells.values() for key in column)
    rows = [(key, *(column.get(key, MISSING) for column in cells.values())) for key in keys]
    single = {key: value for key, value in columns.items() if key not in inner}
    return Table(title, ("", *map(humanised, inner)), rows, " ".join(sentences(flat(lists | single))))


def flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Nested keys and values as rows of words; lists are joined by commas."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            rows += flat(value, f"{name}: ")
        else:
            rows.append((humanised(name), cell(key, value)))
    return rows


def cell(key: str, value: object) -> str:
    """A value of a JSON file as text; shares by their names' endings in per cent."""
    if isinstance(value, list | tuple):
        return shortened(", ".join(cell(key, part) for part in value)) or MISSING
    amount = number(value)
    if amount is None or isinstance(value, str):
        return MISSING if value is None else shortened(str(value), 12 if key == "fingerprint" else 160)
    if key.endswith(("_share", "_frac")):
        return f"{percent(amount)}%"
    if key.startswith("bytes"):
        return f"{decimal(amount / 1e6, 1)} MB"
    if key.endswith("_s"):
        return duration(amount)
    return whole(amount) if isinstance(value, int) else decimal(amount)


def sentences(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{key}: {value}." for key, value in pairs]


def is_object(value: object) -> bool:
    return isinstance(value, dict)


def as_object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []
