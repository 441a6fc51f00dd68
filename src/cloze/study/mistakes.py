"""What is wrong with a study's file, in words, with lines."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloze.yaml_file import Key, Problems, shown

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_NUMBERS = ("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing", "finite_number")
EXPECTED = {
    "missing": "missing",
    **dict.fromkeys(_NUMBERS, "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "settings, such as {{training.steps: 1000}}"),
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("path_type", "path_parsing"), "a path"),
    "list_type": "a list",
    "none_required": "null",
    "too_short": "enough: {min_length} or more are needed",
    "greater_than_equal": "at least {ge}",
    "greater_than": "above {gt}",
    "string_pattern_mismatch": "a name of letters, digits, dots, dashes and underscores",
}
"""Type of a mistake, as pydantic calls it -> what was expected."""


def tell(problems: Problems, data: object, error: ValidationError, sections: Sequence[type[BaseModel]]) -> None:
    """Add where in the file that holds `data` something is wrong, what stands there, and what should. `sections`: those
    of each depth."""
    wanted: dict[Key, list[str]] = {}
    values: dict[Key, object] = {}
    for detail in error.errors(include_url=False):
        kind, context = detail["type"], detail.get("ctx", {})
        key = _way(data, (*detail["loc"],), missing=kind == "missing")
        if kind == "unfit":
            for names, message in context["problems"]:
                problems.add(_way(data, (*key, *names.split()[0].split(".")), missing=True), message)
        elif kind == "extra_forbidden":
            known = list(sections[min(len(key), len(sections)) - 1].model_fields)
            problems.add(key, f"no such key. {_nearest(str(key[-1]), known)}")
        elif kind == "literal_error":
            value, names = shown(detail["input"]), re.findall(r"'([^']+)'", context["expected"])
            problems.add(key, f"{value} is not possible. {_nearest(value, names)}")
        elif "[key]" in detail["loc"]:
            problems.add(key, f"{shown(detail['input'])} is not a name; quote it")
        elif kind in EXPECTED:
            values[key] = detail["input"]
            wanted.setdefault(key, []).append(EXPECTED[kind].format(**context))
        else:
            problems.add(key, f"{detail['msg']}, found {shown(detail['input'])}")
    for key, words in wanted.items():
        alike = list(dict.fromkeys(words))
        problems.add(key, "missing" if alike == ["missing"] else f"{shown(values[key])} is not {' or '.join(alike)}")


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {near[0]}?" if near else f"Expected one of {', '.join(known)}."


def _way(data: object, parts: Key, *, missing: bool) -> Key:
    """The way to a value in what a file holds, without what the checks call themselves on it (`range`, `[key]`). Parts
    of a dotted key are one; with `missing` the last may be a key that is not there."""
    found: list[str | int] = []
    while parts:
        if isinstance(data, dict):
            names = {str(key): key for key in data}
            ends = [end for end in range(len(parts), 0, -1) if ".".join(map(str, parts[:end])) in names]
            taken = ends[0] if ends else 1
            name = ".".join(map(str, parts[:taken]))
            if ends or (missing and len(parts) == 1):
                found.append(name)
                data = data.get(names.get(name))
        else:
            taken = 1
            if isinstance(data, list) and isinstance(parts[0], int) and parts[0] < len(data):
                found.append(parts[0])
                data = data[parts[0]]
        parts = parts[taken:]
    return tuple(found)
