"""Plain text: a sentence or a paragraph a line, a blank line between documents (BERT's create_pretraining_data.py)."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from cloze.corpus.chunks import BREAKS
from cloze.corpus.counts import Counts
from cloze.corpus.document import Markup, RawDocument
from cloze.corpus.encoding import decode
from cloze.corpus.readers.record import decode_line
from cloze.corpus.streams import open_source, source_name
from cloze.recipe import CorpusSettings

MAX_LINES = 10_000
"""A longer document becomes several, so that memory stays bounded in a file without blank lines."""
MAX_BYTES = 1 << 24
"""A document or a line that is longer becomes several, too."""
_WORD_BYTES = 1 << 12


_SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace()).encode()
"""The bytes of all white space, that of Unicode too: U+00A0 and U+3000 stand alone on lines of real text."""


def _is_blank(line: bytes) -> bool:
    """Whether a line has nothing but white space. Decodes only what has no other bytes."""
    return not line.strip(_SPACES) and line.decode(errors="replace").isspace()


def _rest_of_word(file: io.BufferedReader) -> bytes:
    """What follows up to a space or the like, where neither UTF-8 nor CP949 has a character go on."""
    rest = bytearray()
    while len(rest) < _WORD_BYTES and (byte := file.read(1)):
        rest += byte
        if byte < b"@":
            return bytes(rest)
    following = file.peek(3)[:3]
    return bytes(rest) + file.read(len(following) - len(following.lstrip(bytes(range(0x80, 0xC0)))))


class TextReader:
    """A file of lines."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its documents."""
        with open_source(self.path, counts, self.settings) as file:
            for number, block in enumerate(self._blocks(file, counts), start=1):
                markup: Markup = "lines" if self.settings.lines == "sentences" else "prose"
                yield RawDocument(f"{source_name(self.path)}:{number}", "", block, markup)

    def _blocks(self, file: io.BufferedReader, counts: Counts) -> Iterator[str]:
        """The text between blank lines."""
        place = len(file.read(3)) if file.peek(3).startswith(codecs.BOM_UTF8) else 0  # of the block's beginning
        line_number = 0
        lines: list[bytes] = []
        size = 0
        broken: list[Exception] = []

        def next_line() -> bytes:
            try:
                return file.readline(MAX_BYTES)
            except BREAKS as error:
                broken.append(error)
                return b""

        for line in iter(next_line, b""):
            blank = _is_blank(line)
            full = len(lines) == MAX_LINES or size + len(line) > MAX_BYTES
            if len(line) == MAX_BYTES and not line.endswith(b"\n"):
                line += _rest_of_word(file)
                counts.change(
                    "long line cut in pieces",
                    documents=1,
                    example=f"{source_name(self.path)}, line {line_number + len(lines) + 1:,}",
                )
            if lines and (blank or full):
                if not blank:
                    counts.change(
                        "long document cut in pieces", documents=1, example=f"{source_name(self.path)}, byte {place:,}"
                    )
                yield self._decode(b"".join(lines), line_number, counts)
                place, line_number = place + size, line_number + len(lines)
                lines, size = [], 0
            if blank:
                place, line_number = place + len(line), line_number + 1
            else:
                lines.append(line)
                size += len(line)
        if lines:
            yield self._decode(b"".join(lines), line_number, counts)
        if broken:  # Only now: of a file that is cut off, the document under way counts as far as it goes.
            raise broken[0]

    def _decode(self, data: bytes, line_number: int, counts: Counts) -> str:
        """A document's text: as a whole, or line by line where its lines are of different encodings."""
        encoding = self.settings.encoding
        where = f"{source_name(self.path)}, line {line_number + 1:,}"
        if (text := decode(data, encoding, counts, where)) is not None:
            return text
        lines = enumerate(data.splitlines(keepends=True), start=line_number + 1)
        return "".join(decode_line(line, counts, self.settings, self.path, number) for number, line in lines)
