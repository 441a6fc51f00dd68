"""Namuwiki's dump: one JSON array, on one line, of {"namespace", "title", "text", "contributors"}; many GB.

It is streamed (ijson), one record in memory at a time. Dumps differ: the namespace is "0" or 0 for articles, and
contributors may be absent. Redirects and other namespaces (templates, categories, files, users) are not articles.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.record import json_type
from cloze.corpus.sources import open_source
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

_ARTICLES = ("0", "문서")
_REDIRECT = re.compile(r"\s*#(?:redirect|넘겨주기)\b", re.IGNORECASE)


class NamuwikiReader:
    """A dump as published, unpacked or in gzip or Zstandard."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path = path

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its articles. Raises ClozeError for JSON that is cut, damaged or no array."""
        with open_source(self.path, counts) as file:
            self._check_array(file.peek(1 << 12)[: 1 << 12])
            for number, record in enumerate(self._records(_Utf8(file, self.path)), start=1):
                if problem := _problem(record):
                    counts.drop(
                        "malformed record", documents=1, example=f"{self.path.name}, record {number}: {problem}"
                    )
                elif str(record["namespace"]) not in _ARTICLES:
                    _drop(counts, "not an article", record)
                elif _REDIRECT.match(record["text"]):
                    _drop(counts, "redirect", record)
                else:
                    yield RawDocument(f"{self.path.name}:{number}", record["title"], record["text"], "namumark")

    def _check_array(self, start: bytes) -> None:
        shown = start.removeprefix(codecs.BOM_UTF8).lstrip()
        if shown[:1] not in (b"[", b""):
            raise ClozeError(
                f"{self.path} is no JSON array; it begins with {shown[:40].decode(errors='replace')!r}. Expected a "
                'dump: [{"namespace": "0", "title": "...", "text": "..."}, ...]; for plain text, set corpus.kind: text.'
            )

    def _records(self, file: _Utf8) -> Iterator[Any]:
        import ijson

        number = 0
        try:
            for record in ijson.items(file, "item", use_float=True):
                number += 1
                yield record
        except ijson.IncompleteJSONError as error:
            found = "ends in the middle: it was cut off" if file.ended else f"is not valid JSON ({_first_line(error)})"
            raise ClozeError(
                f"{self.path} {found}, after record {number:,} and before byte {file.place:,} of the (unpacked) text. "
                "Expected one JSON array. Fetch or unpack the dump again."
            ) from None


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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].strip()


def _drop(counts: Counts, reason: str, record: dict[str, Any]) -> None:
    counts.drop(reason, documents=1, characters=len(record["text"]), example=record["title"])


class _Utf8:
    """Passes bytes on and checks that they are UTF-8, so that the error can name the byte."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.place = 0
        """Bytes passed on so far."""
        self.ended = False
        """The file has no more bytes."""

    def read(self, size: int) -> bytes:
        if size == 0:  # ijson asks for nothing first, to see that it gets bytes
            return b""
        data = self._file.read(size)
        self.ended = not data
        pending = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(data, final=self.ended)
        except UnicodeDecodeError as error:
            if self.ended:  # in the middle of a character: the parser will say that the array has no end
                return b""
            place = self.place - pending + error.start
            raise ClozeError(
                f"{self._path}: byte {place:,} of the (unpacked) text is not UTF-8, as JSON must be. Convert it first, "
                f"for example: iconv -f CP949 -t UTF-8 {self._path.name} > {self._path.stem}.utf8.json"
            ) from None
        if self.place == 0 and data.startswith(codecs.BOM_UTF8):
            self.place += len(codecs.BOM_UTF8)
            data = data[len(codecs.BOM_UTF8) :]
        self.place += len(data)
        return data
