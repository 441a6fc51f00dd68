"""Namuwiki's dump: one JSON array, on one line, of {"namespace", "title", "text", "contributors"}; many GB.

It is streamed, one record in memory at a time, and a bad one does not stop it (`array`). Dumps differ: the namespace
is "0" or 0 for articles, and contributors may be absent. Redirects and other namespaces (templates, categories, files,
users) are not articles.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.encoding import decode
from cloze.corpus.pages import NOT_AN_ARTICLE, Namespaces
from cloze.corpus.readers.array import ArrayReader
from cloze.corpus.readers.record import drop_record, json_type
from cloze.corpus.streams import open_source, source_name
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

_REDIRECT = re.compile(r"\s*#(?:redirect|넘겨주기)\b", re.IGNORECASE)


class NamuwikiReader:
    """A dump as published, in its .7z, unpacked, or packed in any other way that `sources` knows."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings
        self._namespaces = Namespaces(settings)

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its articles. Raises ClozeError for what is no array, and SourceDamaged for one that ends in the middle."""
        number, where = 0, f"{source_name(self.path)}, near record"
        with open_source(self.path, counts, self.settings) as file:
            array = ArrayReader(
                file,
                self._skip_bracket(file),
                lambda data: decode(data, self.settings.encoding, counts, f"{where} {number + 1:,}"),
            )
            for number, found in enumerate(array, start=1):
                record = found.value
                if problem := found.problem or _problem(record):
                    place = f" at byte {found.place:,}" if found.problem else ""
                    drop_record(counts, self.settings, self.path, number, f"{problem}{place}")
                elif not self._namespaces.has(str(record["namespace"])):
                    _drop(counts, NOT_AN_ARTICLE, record)
                elif _REDIRECT.match(record["text"]):
                    _drop(counts, "redirect", record)
                else:
                    yield RawDocument(f"{source_name(self.path)}:{number}", record["title"], record["text"], "namumark")
            if not array.ended:
                raise SourceDamaged(
                    f"{self.path} ends in the middle of its array, after record {number:,}: it was cut off. Fetch or "
                    "unpack the dump again."
                )

    def _skip_bracket(self, file: io.BufferedReader) -> int:
        """Read the array's opening bracket; returns its place. Raises ClozeError if there is none."""
        place = 1
        while (byte := file.read(1)) and (byte.isspace() or byte in codecs.BOM_UTF8):
            place += 1
        if byte != b"[":
            shown = (byte + file.peek(40))[:40].decode(errors="replace")
            found = f"it begins with {shown!r}" if byte else "it is empty"
            raise ClozeError(
                f"{self.path} is no JSON array; {found}. Expected a dump: "
                '[{"namespace": "0", "title": "...", "text": "..."}, ...]; for plain text, set corpus.kind: text.'
            )
        return place


def _problem(record: Any) -> str:
    """What keeps a record from being read; empty if nothing does."""
    if not isinstance(record, dict):
        return f"{json_type(record)}, expected an object"
    for key in ("title", "text"):
        if not isinstance(record.get(key), str):
            return f"{key} is {json_type(record[key]) if key in record else 'missing'}, expected a string"
    namespace = record.get("namespace")
    if not isinstance(namespace, str | int) or isinstance(namespace, bool):
        found = json_type(namespace) if "namespace" in record else "missing"
        return f"namespace is {found}, expected a string or a whole number"
    return ""


def _drop(counts: Counts, reason: str, record: dict[str, Any]) -> None:
    counts.drop(reason, documents=1, characters=len(record["text"]), example=record["title"])
