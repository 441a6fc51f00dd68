"""Readers: a source file to a stream of documents. A new format is one class with one method (docs/corpus.md)."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.readers.namuwiki import NamuwikiReader
from cloze.corpus.readers.text import TextReader
from cloze.corpus.sources import open_source
from cloze.errors import ClozeError

_BLANK = b" \t\r\n"


class Reader(Protocol):
    """A source file that can be read from its beginning."""

    def read(self, counts: Counts) -> Iterator[Document]:
        """Its documents in order, never all of them in memory; what is left out is entered into `counts`.

        Raises ClozeError, naming the file and the byte or record, for input that cannot be read.
        """


READERS: dict[str, Callable[[Path], Reader]] = {"text": TextReader, "namuwiki": NamuwikiReader}
"""By `corpus.kind`."""


def open_reader(path: Path, kind: str) -> Reader:
    """The reader of a file; kind "auto" looks at the file's content. Raises ClozeError."""
    return READERS[_kind_of(path) if kind == "auto" else kind](path)


def _kind_of(path: Path) -> str:
    """A JSON array of objects is a Namuwiki dump, everything else is text."""
    with open_source(path, Counts()) as file:
        start = file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)
    if start.startswith(b"[") and start[1:].lstrip(_BLANK)[:1] in (b"{", b"]", b""):
        return "namuwiki"
    if start.startswith(b"{") and start[1:].lstrip(_BLANK)[:1] in (b'"', b"}"):
        raise ClozeError(
            f"{path} begins with a JSON object; a Namuwiki dump is a JSON array of objects: [{{...}}, ...]. "
            "Convert it, or set corpus.kind: text if these are lines of plain text."
        )
    return "text"
