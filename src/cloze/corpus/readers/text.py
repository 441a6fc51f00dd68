"""Plain text: one sentence a line, a blank line between documents (the format of BERT's create_pretraining_data.py)."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.sources import open_source
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

MAX_LINES = 10_000
"""A longer document becomes several, so that memory stays bounded in a file without blank lines."""
MAX_BYTES = 1 << 24
"""A document that is longer becomes several, too; a line that is longer is an error."""


_SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace()).encode()
"""The bytes of all white space, that of Unicode too: U+00A0 and U+3000 stand alone on lines of real text."""


def _is_blank(line: bytes) -> bool:
    """Whether a line has nothing but white space. Decodes only what has no other bytes."""
    return not line.strip(_SPACES) and line.decode(errors="replace").isspace()


class TextReader:
    """A file of UTF-8 lines."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path = path

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its documents. Raises ClozeError for bytes that are not UTF-8, naming the line and the byte."""
        with open_source(self.path, counts) as file:
            for number, block in enumerate(self._blocks(file, counts), start=1):
                yield RawDocument(f"{self.path.name}:{number}", "", block, "lines")

    def _blocks(self, file: io.BufferedReader, counts: Counts) -> Iterator[str]:
        """The text between blank lines."""
        place = len(file.read(3)) if file.peek(3).startswith(codecs.BOM_UTF8) else 0  # of the block's beginning
        line_number = 0
        lines: list[bytes] = []
        size = 0
        for line in iter(lambda: file.readline(MAX_BYTES), b""):
            blank = _is_blank(line)
            full = len(lines) == MAX_LINES or size + len(line) > MAX_BYTES
            if len(line) == MAX_BYTES:
                raise self._long_line(line_number + len(lines) + 1)
            if lines and (blank or full):
                if not blank:
                    counts.change(
                        "long document cut in pieces", documents=1, example=f"{self.path.name}, byte {place:,}"
                    )
                yield self._decode(b"".join(lines), place, line_number)
                place, line_number = place + size, line_number + len(lines)
                lines, size = [], 0
            if blank:
                place, line_number = place + len(line), line_number + 1
            else:
                lines.append(line)
                size += len(line)
        if lines:
            yield self._decode(b"".join(lines), place, line_number)

    def _decode(self, data: bytes, place: int, line_number: int) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":  # Only the file's end can be inside a character and no error.
                raise ClozeError(
                    f"{self.path} ends in the middle of a character, at byte {place + error.start:,} of the (unpacked) "
                    "text: it was cut off. Fetch it again, or remove the last line."
                ) from None
            name, line = self.path.name, line_number + data.count(b"\n", 0, error.start) + 1
            raise ClozeError(
                f"{self.path}, line {line:,}: byte {place + error.start:,} of the (unpacked) text, "
                f"0x{data[error.start]:02x}, is not UTF-8. Text in the older Korean encoding must be converted first: "
                f"iconv -f CP949 -t UTF-8 {name} > {self.path.stem}.utf8.txt (unpack before; UTF-16 needs -f UTF-16)."
            ) from None

    def _long_line(self, line: int) -> ClozeError:
        return ClozeError(
            f"{self.path}, line {line:,} has {MAX_BYTES:,} bytes or more. Expected one sentence a line and a "
            "blank line between documents; break the text into lines first."
        )
