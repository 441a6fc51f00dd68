"""Readers: a source file to a stream of raw documents. A new format is one class with one method (docs/corpus.md)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from cloze.corpus.chunks import read_chunk
from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.columns import ArrowReader, ParquetReader
from cloze.corpus.readers.hub import HubReader
from cloze.corpus.readers.namuwiki import NamuwikiReader
from cloze.corpus.readers.page import HtmlReader, MarkdownReader
from cloze.corpus.readers.squad import SquadReader
from cloze.corpus.readers.table import CsvReader, JsonLinesReader, TsvReader
from cloze.corpus.readers.text import TextReader
from cloze.corpus.readers.wikipedia import WikipediaReader
from cloze.corpus.streams import is_hub, open_source
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

_BLANK = b" \t\r\n"
_XML = re.compile(
    # Nothing is tried twice (?>, *+): so many comments would take ages.
    rb"(?:<\?xml[^>]*>\s*+)?(?:<!--(?>.*?-->)\s*+)*+(?:(<mediawiki[\s>])|<!doctype\s+html|<html[\s>])",
    re.I | re.S,
)
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".md": "markdown", ".markdown": "markdown"}


class Reader(Protocol):
    """A source file that can be read from its beginning."""

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its documents in order, never all of them in memory; what is left out is entered into `counts`.

        Raises ClozeError, naming the file and the byte or record, for input that cannot be read.
        """


READERS: dict[str, Callable[[Path, CorpusSettings], Reader]] = {
    "text": TextReader,
    "namuwiki": NamuwikiReader,
    "wikipedia": WikipediaReader,
    "html": HtmlReader,
    "markdown": MarkdownReader,
    "jsonl": JsonLinesReader,
    "csv": CsvReader,
    "tsv": TsvReader,
    "parquet": ParquetReader,
    "arrow": ArrowReader,
    "squad": SquadReader,
}
"""By `corpus.kind`."""


def open_reader(path: Path, settings: CorpusSettings) -> Reader:
    """The reader of a file; kind "auto" looks at the file's content. Raises ClozeError."""
    if is_hub(path):
        return HubReader(path, settings)
    kind = _kind_of(path, settings) if settings.kind == "auto" else settings.kind
    return READERS[kind](path, settings)


def _kind_of(path: Path, settings: CorpusSettings) -> str:
    """By the first bytes; only tables of plain text and Markdown, which look like text, are known by their names."""
    with open_source(path, Counts(), settings) as file:
        start = read_chunk(file, 4096).removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    if start.startswith(b"[") and start[1:].lstrip(_BLANK)[:1] in (b"{", b"]", b""):
        return "namuwiki"
    if start.startswith(b"{") and start[1:].lstrip(_BLANK)[:1] in (b'"', b"}"):
        return _kind_of_object(path, start)
    if begins := _XML.match(start):
        return "wikipedia" if begins[1] else "html"
    endings = [ending.lower() for ending in path.suffixes if ending.lower() in _ENDINGS]
    return _ENDINGS[endings[-1]] if endings else "text"


def _kind_of_object(path: Path, start: bytes) -> str:
    """An object with "data" and "paragraphs" is SQuAD's; one that ends on its line, or runs on, is a line of many."""
    if re.search(rb'"paragraphs"\s*:|"data"\s*:\s*\[', start):
        return "squad"
    first, ended, _ = start.partition(b"\n")
    if first.rstrip().endswith(b"}") or not ended:
        return "jsonl"
    raise ClozeError(
        f"{path} begins with a JSON object that goes on for several lines. Expected one object a line (JSON lines), a "
        "Namuwiki dump (an array of objects, [{...}, ...]) or questions in SQuAD's format. Convert it, for example "
        "with `jq -c`, or set corpus.kind: text if these are lines of plain text."
    )
