"""A dump of Wikipedia or another MediaWiki: its export format (XML, versions 0.3 to 0.11), plain or compressed.

Read by expat as a stream, one page in memory at a time. Of a page with its history the last revision is read. Redirects
and pages of other namespaces (templates, files, categories, talk) are no documents. A dump declares no entities and no
document type, so a file that does is refused: nothing is expanded or fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from xml.parsers import expat

from cloze.corpus.chunks import Readable, read_chunk
from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.encoding import Recoded
from cloze.corpus.pages import NOT_AN_ARTICLE, Namespaces
from cloze.corpus.readers.record import drop_record
from cloze.corpus.streams import open_source, source_name
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

MAX_CHARACTERS = 1 << 24
"""A page with more is dropped and counted; MediaWiki itself takes 2 MiB."""

_CHUNK_BYTES = 1 << 18
_REDIRECT = re.compile(r"\s*#\s*(?:redirect|넘겨주기)\b", re.IGNORECASE)
_TEXT_ELEMENTS = frozenset(("title", "ns", "model", "text", "namespace"))
_WIKITEXT = ("wikitext", "")


@dataclass(slots=True)
class _Page:
    """What is known of a page so far."""

    title: str | None = None
    namespace: str | None = None
    text: str | None = None
    """Of the last revision."""
    model: str = ""
    redirect: bool = False
    too_long: bool = False
    earlier_revisions: int = 0
    """Their characters."""


class WikipediaReader:
    """A dump as published: pages-articles.xml.bz2, a part of it, its multistream form, or unpacked."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings
        self._namespaces = Namespaces(settings)

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its articles. Raises ClozeError for XML that is cut, damaged or no dump, naming the place."""
        with open_source(self.path, counts, self.settings) as file:
            dump = _Dump(self.path, recoded=isinstance(cast(object, file.raw), Recoded))
            for number, page in enumerate(dump.pages(file), start=1):
                if (raw := self._document(page, number, dump.namespaces, counts)) is not None:
                    yield raw

    def _document(self, page: _Page, number: int, names: dict[str, str], counts: Counts) -> RawDocument | None:
        if problem := _problem(page):
            drop_record(counts, self.settings, self.path, number, problem, "page")
            return None
        title, text = page.title or "", page.text or ""
        if page.earlier_revisions:
            counts.drop("earlier revision", characters=page.earlier_revisions, example=title)
        namespace = page.namespace if page.namespace is not None else _namespace_of(title, names)
        reason = ""
        if not self._namespaces.has(namespace, names.get(namespace, "")):
            reason = NOT_AN_ARTICLE
        elif page.redirect or _REDIRECT.match(text):
            reason = "redirect"
        elif page.model not in _WIKITEXT:
            reason = f"not wikitext, but {page.model}"
        if reason:
            counts.drop(reason, documents=1, characters=len(text), example=title)
            return None
        return RawDocument(f"{source_name(self.path)}:{number}", title, text, "mediawiki")


def _problem(page: _Page) -> str:
    """What keeps a page from being read; empty if nothing does."""
    if page.title is None:
        return "a page without a title"
    if page.too_long:
        return f"{page.title}: longer than {MAX_CHARACTERS:,} characters"
    return f"{page.title}: no text" if page.text is None else ""


def _namespace_of(title: str, names: dict[str, str]) -> str:
    """For dumps before version 0.6, which say it in the title only."""
    prefix, colon, _ = title.partition(":")
    return next((key for key, name in names.items() if colon and name == prefix), "0")


class _Dump:
    """Events of the parser to pages.

    `recoded`: the bytes are UTF-8, whatever their declaration says.
    """

    def __init__(self, path: Path, *, recoded: bool = False) -> None:
        self._path = path
        self.namespaces: dict[str, str] = {}
        """Number -> name; the articles' has none."""
        self._parser = expat.ParserCreate("utf-8" if recoded else None)
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_document_type
        self._page: _Page | None = None
        self._done: list[_Page] = []
        self._read = 0
        self._last_title = ""
        self._pieces: list[str] = []
        self._characters = 0
        self._key = ""
        self._root = ""

    def pages(self, file: Readable) -> Iterator[_Page]:
        """In the dump's order."""
        ended = False
        while not ended:
            chunk = read_chunk(file, _CHUNK_BYTES)
            ended, damage = not chunk, ""
            try:
                self._parser.Parse(chunk, ended)
            except (ValueError, LookupError) as error:  # of Python, which expat asks for encodings that it lacks
                raise ClozeError(
                    f"{self._path} declares an encoding that is not read ({error}). Convert the file to UTF-8, and "
                    'take encoding="..." out of its first line.'
                ) from None
            except expat.ExpatError as error:
                damage = "ends in the middle: it was cut off" if ended else f"is no valid XML ({error})"
            yield from self._done  # also those before the damage
            self._done.clear()
            if damage:
                behind = f"after page {self._read:,}" + (f" ({self._last_title})" if self._last_title else "")
                raise SourceDamaged(
                    f"{self._path} {damage}, {behind}, at byte {self._parser.CurrentByteIndex:,} of the (unpacked) "
                    "text. Expected a dump of MediaWiki. Fetch or unpack it again."
                )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._root:
            self._root = name
            if name != "mediawiki":
                raise ClozeError(
                    f"{self._path} begins with <{name}>. Expected a dump of MediaWiki, <mediawiki ...>; set "
                    "corpus.kind to what it is."
                )
        elif name == "page":
            self._page = _Page()
        elif name == "redirect" and self._page:
            self._page.redirect = True
        elif name in _TEXT_ELEMENTS:
            self._key = attributes.get("key", "")
            self._characters = 0
            self._parser.CharacterDataHandler = self._piece

    def _piece(self, piece: str) -> None:
        self._characters += len(piece)
        if self._characters <= MAX_CHARACTERS:
            self._pieces.append(piece)

    def _end(self, name: str) -> None:
        if name in _TEXT_ELEMENTS:
            self._parser.CharacterDataHandler = None
            text = "".join(self._pieces)
            self._pieces.clear()
            if self._page is None:
                if name == "namespace":
                    self.namespaces[self._key] = text
            elif name == "title":
                self._page.title = text
            elif name == "ns":
                self._page.namespace = text.strip()
            elif name == "model":
                self._page.model = text.strip()
            elif name == "text":
                self._page.earlier_revisions += len(self._page.text or "")
                self._page.text = text
                self._page.too_long = self._characters > MAX_CHARACTERS
        elif name == "page" and self._page is not None:
            self._done.append(self._page)
            self._read += 1
            self._last_title = self._page.title or ""
            self._page = None

    def _refuse_document_type(self, *_: object) -> None:
        raise ClozeError(
            f"{self._path} declares a document type, line {self._parser.CurrentLineNumber:,}; a dump of MediaWiki has "
            "none, and entities of one's own are not expanded. Take the declaration out, or set corpus.kind."
        )
