"""What readers of records share: what is no text is counted."""

from __future__ import annotations

from typing import Any

from cloze.corpus.counts import Counts


def drop_record(counts: Counts, file: str, number: int, problem: str) -> None:
    """Enter a record that cannot be a document."""
    counts.drop("malformed record", documents=1, example=f"{file}, record {number:,}: {problem}")


def json_type(value: Any) -> str:
    """What JSON calls a value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
