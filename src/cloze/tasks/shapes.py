"""What kind of task a user's own file is for, where its shape says so: tags, questions on texts, options to choose.

Everything else is a table, whose columns the user names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

from cloze.errors import ClozeError

Kind = Literal[
    "auto", "classification", "multi_label", "regression", "tagging", "question_answering", "multiple_choice"
]
"""As `cloze finetune` takes it."""
LINES = 200
"""Of a file, looked at."""
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
        if re.search(r'"paragraphs"\s*:', start):
            return {"kind": "question_answering"}
        return {"kind": "multiple_choice"} if _has_options(lines[0] if lines else "") else {}
    return _tagged([line.rstrip("\r\n") for line in lines])


def _has_options(line: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and "questions" in record and "options" in record


def _tagged(lines: list[str]) -> dict[str, Any]:
    """Whether all lines hold words and their tags: a sentence a line, or a word or character a line."""
    filled = [line for line in lines if line.strip() and not line.startswith("##")]
    rows = [line.split("\t") for line in filled]
    if not rows or any(len(row) != 2 for row in rows):
        return {}
    if all(len(words.split()) == len(tags.split()) and _are_tags(tags.split()) for words, tags in rows):
        alone = [words for words, _ in rows if len(words.split()) == 1]
        if len(alone) < len(rows):
            return {"kind": "tagging", "tag_format": "sentences"}
    if all(_are_tags([tag]) for _, tag in rows):
        characters = all(len(word) <= 1 for word, _ in rows)
        return {"kind": "tagging", "tag_format": "characters" if characters else "words"}
    return {}


def _are_tags(tags: list[str]) -> bool:
    return all(_TAG.fullmatch(tag) for tag in tags)
