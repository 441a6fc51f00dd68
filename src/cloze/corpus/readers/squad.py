"""Questions in SQuAD's format (KorQuAD, SQuAD 1.1 and 2.0): each context is a document, its article's title the title.

{"version": ..., "data": [{"title": ..., "paragraphs": [{"context": ..., "qas": [...]}]}]}; an article at a time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.encoding import decode
from cloze.corpus.readers.array import ArrayReader
from cloze.corpus.readers.record import drop_record, json_type
from cloze.corpus.streams import open_source, source_name
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

_HEAD_BYTES, _KEY_BYTES = 1 << 16, 100
_DATA = re.compile(rb'"data"\s*:\s*\[')


class SquadReader:
    """A file of questions, plain or compressed."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its contexts. Raises ClozeError for a file without articles, and SourceDamaged for one that is cut off."""
        number, articles, name = 0, 0, source_name(self.path)
        with open_source(self.path, counts, self.settings) as file:
            array = ArrayReader(
                file,
                self._skip_head(file),
                lambda data: decode(data, self.settings.encoding, counts, f"{name}, near article {articles + 1:,}"),
                nested=True,
            )
            for articles, found in enumerate(array, start=1):
                paragraphs = found.value.get("paragraphs") if isinstance(found.value, dict) else None
                if not isinstance(paragraphs, list):
                    problem = f"{found.problem} at byte {found.place:,}" if found.problem else "no list of paragraphs"
                    drop_record(counts, self.settings, self.path, articles, problem, "article")
                    continue
                title = str(found.value.get("title") or "").replace("_", " ")
                for context in map(_context, paragraphs):
                    number += 1
                    if isinstance(context, str):
                        yield RawDocument(f"{name}:{number}", title, context, "prose")
                    else:
                        drop_record(counts, self.settings, self.path, number, f"context is {json_type(context)}")
            if not array.ended:
                raise SourceDamaged(
                    f"{self.path} ends in the middle, after article {articles:,}: it was cut off. Fetch it again."
                )
        if not articles:
            raise self._no_articles()

    def _skip_head(self, file: io.BufferedReader) -> int:
        """Read what stands before the first article; returns its place. Raises ClozeError if there is none."""
        head = bytearray()
        while len(head) < _HEAD_BYTES and (byte := file.read(1)):
            head += byte
            if byte == b"[" and _DATA.search(head, max(0, len(head) - _KEY_BYTES)):
                return len(head)
        raise self._no_articles()

    def _no_articles(self) -> ClozeError:
        return ClozeError(f'{self.path} has no articles; expected {{"data": [{{"paragraphs": [...]}}, ...]}}.')


def _context(paragraph: Any) -> Any:
    return paragraph.get("context") if isinstance(paragraph, dict) else None
