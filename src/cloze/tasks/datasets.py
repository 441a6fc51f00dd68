"""Labelled texts and pairs of texts: UTF-8, one example a line, tab-separated, a header line, no quoting.

This is the format of NSMC, and of KorSTS, KorNLI and the question pairs, which have two columns of text. Quotes and
commas mean nothing, so a review such as `"최고!` is read as it stands. Empty texts are examples like any
other: they are kept and counted. Texts are composed to NFC, as the corpus is.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from cloze.errors import ClozeError


@dataclass(frozen=True, slots=True)
class Examples:
    """One labelled file; the lists run in file order, and example i stands on line i + 2 (after the header)."""

    path: Path
    ids: list[str]
    """The `id` column where there is one, otherwise the line number."""
    texts: list[str]
    second: list[str] | None
    """The second texts of pairs; None: the examples are single texts."""
    labels: list[str]
    label_column: str
    counts: dict[str, int]
    """examples; empty: texts without any visible character; recomposed: texts that NFC changed."""


def read_table(path: Path, text_column: str, label_column: str, second_text_column: str | None = None) -> Examples:
    """Read every example of `path`; with `second_text_column` each is a pair.

    Raises ClozeError for a file that is missing, not UTF-8 (naming line and byte), without one of the columns (naming
    those it has), without examples, or with a line that has a wrong number of fields or no label (naming the line).
    """
    lines = _lines(path)
    header = lines[0].split("\t")
    text_columns = [text_column] if second_text_column is None else [text_column, second_text_column]
    for column in (*text_columns, label_column):
        if column not in header:
            raise ClozeError(
                f"{path} has no column {column!r}; its first line names {', '.join(map(repr, header))}. Set the task's "
                "text_column, second_text_column and label_column to some of these, or add a header line "
                "(tab-separated)."
            )
    text_places, label_place = [header.index(column) for column in text_columns], header.index(label_column)
    id_place = header.index("id") if "id" in header else None
    ids, labels = [], []
    texts: list[list[str]] = [[] for _ in text_columns]
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
        for place, of_column in zip(text_places, texts, strict=True):
            text = unicodedata.normalize("NFC", fields[place])
            recomposed += text != fields[place]
            of_column.append(text)
        ids.append(str(number) if id_place is None else fields[id_place])
        labels.append(label)
    if not labels:
        raise ClozeError(f"{path} has a header but no examples: a task needs at least one line after it.")
    empty = sum(not text.strip() for column in texts for text in column)
    counts = {"examples": len(labels), "empty": empty, "recomposed": recomposed}
    return Examples(path, ids, texts[0], texts[1] if second_text_column else None, labels, label_column, counts)


def _lines(path: Path) -> list[str]:
    """Lines without their ends. Only \\n and \\r\\n end one: texts hold U+2028, where splitlines would cut."""
    if path.is_dir():
        raise ClozeError(f"{path} is a folder; expected a tab-separated file. Name the file in it that the task reads.")
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
