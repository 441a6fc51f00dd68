"""What readers of records share: what is no document is counted, or ends the run if the recipe says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloze.corpus.counts import Counts
from cloze.corpus.document import Markup
from cloze.corpus.encoding import REPLACED, decode, is_wide
from cloze.corpus.streams import source_name
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

MAX_DOCUMENT_BYTES = 1 << 27
"""A longer document is left out: it would have to be in memory as a whole, several times over. The longest articles
have two million. Lines of plain text can be cut, and are (`text`)."""


def drop_record(
    counts: Counts, settings: CorpusSettings, path: Path, number: int, problem: str, unit: str = "record"
) -> None:
    """Enter a record that cannot be a document. Raises ClozeError where `corpus.tolerate` lets none pass."""
    if settings.tolerate == "nothing":
        raise ClozeError(f"{path}, {unit} {number:,}: {problem}. With corpus.tolerate: records it would be left out.")
    counts.drop("malformed record", documents=1, example=f"{source_name(path)}, {unit} {number:,}: {problem}")


def decode_line(data: bytes, counts: Counts, settings: CorpusSettings, path: Path, number: int) -> str:
    """The text of a line; bytes that are in no encoding become U+FFFD, which cleaning takes out, and are counted.

    Raises ClozeError for those where `corpus.tolerate` lets nothing pass.
    """
    where = f"{source_name(path)}, line {number:,}"
    if (text := decode(data, settings.encoding, counts, where)) is not None:
        return text
    encoding = "utf-8" if settings.encoding == "auto" or is_wide(settings.encoding) else settings.encoding
    if settings.tolerate == "nothing":
        raise ClozeError(
            f"{path}, line {number:,} holds bytes that are neither UTF-8 nor, for certain, CP949. Set corpus.encoding "
            "if you know what they are; with corpus.tolerate: records they would be taken out."
        )
    text = data.decode(encoding, errors="replace")
    counts.change(REPLACED, characters=text.count("\ufffd"), example=where)
    return text


def json_type(value: Any) -> str:
    """What JSON calls a value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def markup_of_column(settings: CorpusSettings) -> Markup:
    """How the text of a column is to be read."""
    return "prose" if settings.text_markup == "none" else settings.text_markup
