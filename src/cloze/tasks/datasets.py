"""Labelled text in NSMC's format: UTF-8, one example a line, tab-separated, a header line, no quoting.

Quotes and commas mean nothing, so a review such as `"최고!` is read as it stands. Empty texts are examples like any
other: they are kept and counted. Texts are composed to NFC, as the corpus is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloze.errors import ClozeError


@dataclass(frozen=True, slots=True)
class Examples:
    """One labelled file; the three lists run in file order, and example i stands on line i + 2 (after the header)."""

    path: Path
    ids: list[str]
    """The `id` column where there is one, otherwise the line number."""
    texts: list[str]
    labels: list[str]
    counts: dict[str, int]
    """examples; empty: texts without any visible character; recomposed: texts that NFC changed."""


def read_table(path: Path, text_column: str, label_column: str) -> Examples:
    """Read every example of `path`.

    Raises ClozeError for a file that is missing, not UTF-8 (naming line and byte), without one of the columns (naming
    those it has), without examples, or with a line that has a wrong number of fields or no label (naming the line).
    """
    lines = _lines(path)
    header = lines[0].split("\t")
    for column in (text_column, label_column):
        if column not in header:
            raise ClozeError(
                f"{path} has no column {column!r}; its first line names {', '.join(map(repr, header))}. Set the task's "
                "text_column and label_column to two of these, or add a header line (tab-separated)."
            )
    text_place, label_place = header.index(text_column), header.index(label_column)
    id_place = header.index("id") if "id" in header else None
    ids, texts, labels = [], [], []
    recomposed = 0
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) != len(header):
            raise ClozeError(
                f"{path}, line {number}: {len(fields)} tab-separated field(s), expected {len(header)} "
                f"({', '.join(header)}). A tab or line break inside a text must become a space: {line[:80]!r}"
            )
        label = fields[label_place].strip()
        if not label:
            raise ClozeError(
                f"{path}, line {number}: no label in column {label_column!r}. Remove the line or label it."
            )
        text = unicodedata.normalize("NFC", fields[text_place])
        recomposed += text != fields[text_place]
        ids.append(str(number) if id_place is None else fields[id_place])
        texts.append(text)
        labels.append(label)
    if not texts:
        raise ClozeError(f"{path} has a header but no examples: a task needs at least one line after it.")
    counts = {"examples": len(texts), "empty": sum(not text.strip() for text in texts), "recomposed": recomposed}
    return Examples(path, ids, texts, labels, counts)


def class_names(train: Examples, test: Examples) -> list[str]:
    """The classes of `train`, in numeric order when all are whole numbers, otherwise in code-point order.

    Raises ClozeError when training has one class only, or when `test` has a label that training never saw.
    """
    known = set(train.labels)
    if len(known) == 1:
        raise ClozeError(
            f"{train.path}: every one of the {len(train.labels):,} examples has the label {train.labels[0]!r}. "
            "A classifier needs at least two classes; check label_column, or shuffle the file before cutting it."
        )
    classes = sorted(known, key=int) if all(_is_whole_number(name) for name in known) else sorted(known)
    for line, label in enumerate(test.labels, start=2):
        if label not in known:
            shown = ", ".join(map(repr, classes[:10])) + (", ..." if len(classes) > 10 else "")
            raise ClozeError(
                f"{test.path}, line {line}: the label {label!r} never occurs in {train.path}, which has "
                f"{len(classes):,} class(es): {shown}. No classifier can predict it: correct the label, or train on it."
            )
    return classes


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Place in `classes` of every label."""
    index = {name: place for place, name in enumerate(classes)}
    return [index[label] for label in labels]


def _is_whole_number(name: str) -> bool:
    return name.isascii() and name.removeprefix("-").isdigit()


def _lines(path: Path) -> list[str]:
    """Lines without their ends. Only \\n and \\r\\n end one: texts hold U+2028, where splitlines would cut."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClozeError(
            f"{path} cannot be read ({error.strerror}); expected a tab-separated file. Check the task's path; "
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
        raise ClozeError(f"{path} is empty; expected a tab-separated file whose first line names the columns.")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
