"""What kind of task a user's own file is for, where its shape says so: tags, questions on texts, options to choose.

Everything else is a table, whose columns the user names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from cloze.corpus.csv_rows import csv_rows
from cloze.errors import ClozeError
from cloze.tasks.faults import MOST_FRAC

Kind = Literal[
    "auto", "classification", "multi_label", "regression", "tagging", "question_answering", "multiple_choice"
]
"""As `cloze finetune` takes it."""
LINES = 200
"""Of a file, looked at."""
ASKED = ("context", "question", "answers")
"""Keys of an object that is a question, as the Hugging Face Hub has them."""
_TAG = re.compile(r"O|[BI]-\S+|\S+-[BI]")


def shape_of(path: Path) -> dict[str, Any]:
    """Settings of `TaskSettings` that the file's shape decides, `kind` among them; empty for a table of texts.

    Raises ClozeError for a file that cannot be read.
    """
    if path.is_dir():
        return {"kind": "multiple_choice"}
    try:
        with path.open("rb") as file:
            lines = [line.decode("utf-8-sig", errors="replace") for _, line in zip(range(LINES), file, strict=False)]
    except OSError as error:
        raise ClozeError(f"{path} cannot be read ({error.strerror}); expected a labelled file.") from error
    start = "".join(lines)[:100_000]
    if path.suffix.lower() in (".json", ".jsonl"):
        if re.search(r'"paragraphs"\s*:', start) or all(re.search(rf'"{key}"\s*:', start) for key in ASKED):
            return {"kind": "question_answering"}
        first = _first_object(start)
        return {"kind": "multiple_choice"} if {"questions", "options"} <= first.keys() else _choices(list(first))
    first_line = "".join(lines[:1])[:10_000].rstrip("\r\n")
    columns = first_line.split("\t")
    if path.suffix.lower() == ".csv":
        columns = next((row.fields for row in csv_rows([first_line])), [])
    return _tagged([line.rstrip("\r\n") for line in lines]) or _choices(columns)


def _first_object(text: str) -> dict[str, Any]:
    """Of lines of JSON, an array, or the one object; empty if there is none."""
    try:
        record, _ = json.JSONDecoder().raw_decode(text.lstrip().removeprefix("[").lstrip())
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _choices(columns: list[str]) -> dict[str, Any]:
    """Whether a table has a question and options, which are called A, B and so on."""
    letters = [letter for letter in ascii_uppercase if letter in columns]
    if "question" not in columns or letters[:2] != ["A", "B"]:
        return {}
    return {"kind": "multiple_choice", "option_columns": letters}


def _tagged(lines: list[str]) -> dict[str, Any]:
    """Whether lines hold words and their tags: a sentence a line, or a word or character a line.

    The first line must, and nearly all others: what is wrong with a few is told when they are read.
    """
    filled = [line for line in lines if line.strip() and not line.startswith("##")]
    rows = [line.rsplit("\t" if "\t" in line else None, 1) for line in filled]
    tagged = [
        (words, tags.split()) for words, tags in (row for row in rows if len(row) == 2) if _are_tags(tags.split())
    ]
    if not tagged or tagged[0][0] != rows[0][0] or len(tagged) < (1 - MOST_FRAC) * len(rows):
        return {}
    if any(len(tags) > 1 for _, tags in tagged):
        return {"kind": "tagging", "tag_format": "sentences"}
    characters = all(len(words) <= 1 for words, _ in tagged)
    return {"kind": "tagging", "tag_format": "characters" if characters else "words"}


def _are_tags(tags: list[str]) -> bool:
    return bool(tags) and all(_TAG.fullmatch(tag) for tag in tags)
