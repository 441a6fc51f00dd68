"""Files that are one document each, in HTML or Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cloze.corpus.counts import Counts
from cloze.corpus.document import Markup, RawDocument
from cloze.corpus.readers.record import decode_line, drop_record
from cloze.corpus.streams import open_source, source_name
from cloze.recipe import CorpusSettings

MAX_BYTES = 1 << 24
"""A larger file is dropped and counted: it would have to be in memory as a tree."""


class MarkdownReader:
    """A file of Markdown (CommonMark with tables)."""

    markup: Markup = "markdown"

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its one document."""
        with open_source(self.path, counts, self.settings) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            drop_record(counts, self.settings, self.path, 1, f"longer than {MAX_BYTES:,} bytes", "page")
            return
        text = decode_line(data, counts, self.settings, self.path, 1).removeprefix("\ufeff")
        yield RawDocument(f"{source_name(self.path)}:1", self._title(text), text, self.markup)

    def _title(self, text: str) -> str:
        return self.path.name.partition(".")[0]


class HtmlReader(MarkdownReader):
    """A page of HTML; its title is that of the page."""

    markup: Markup = "html"

    def _title(self, text: str) -> str:
        from cloze.corpus.html import title

        return title(text) or super()._title(text)
