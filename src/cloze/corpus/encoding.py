"""Bytes to text: UTF-8, or the older Korean encoding CP949 where it is certain, and nothing else by guessing.

Bytes that are not UTF-8 are taken for CP949 if they decode and most of what is not ASCII in them is Hangul of the 2,350
syllables that Korean is written with, or laughter: other encodings come out as rare syllables, single letters and
Chinese signs. A word that passes by chance is too short for that to matter much, and it is counted.
"""

from __future__ import annotations

import codecs
import io
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.corpus.chunks import read_chunk
from cloze.corpus.counts import Counts
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HANGUL_FRAC = 0.7
"""Of the characters that are not ASCII, common Hangul; the rest may be punctuation, Chinese signs, kana."""
CP949 = "decoded from CP949"
_MARKS = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
REPLACED = "bytes of an unknown encoding"
_ASCII = re.compile("[\\x00-\\x7f]+")


def decode(data: bytes, encoding: str, counts: Counts, where: str) -> str | None:
    """The text of `data`, None if it has none in `encoding`; auto: UTF-8, else CP949 (see above).

    What was not UTF-8 is entered into `counts` with `where` as its example.
    """
    if encoding != "auto":
        return _strict(data, "utf-8" if is_wide(encoding) else encoding)
    text = _strict(data, "utf-8")
    if text is None and (text := _strict(data, "cp949")) is not None:
        if not is_korean(text):
            return None
        counts.change(CP949, characters=len(text), example=where)
    return text


@cache
def is_wide(encoding: str) -> bool:
    """Whether a line break is another byte than in ASCII, as in UTF-16 and UTF-32: `sources` makes UTF-8 of those."""
    return encoding != "auto" and not "a\n".encode(encoding).endswith(b"a\n")


def is_korean(text: str) -> bool:
    """Whether most of what is not ASCII in it is common Hangul, and there is some."""
    foreign = _ASCII.sub("", text)
    return bool(foreign) and len(_common_syllables().sub("", foreign)) <= (1.0 - HANGUL_FRAC) * len(foreign)


@cache
def _common_syllables() -> re.Pattern[str]:
    """The syllables of KS X 1001, which EUC-KR holds and CP949 extends, and letters that stand alone in chats."""
    every = map(chr, range(0xAC00, 0xD7A4))
    return re.compile(f"[{''.join(filter(_encodes, every))}ㅋㅎㅠㅜ]+")


def _encodes(character: str) -> bool:
    try:
        return len(character.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


class Recoded(io.RawIOBase):
    """A stream of bytes in one encoding as UTF-8; what is none of it becomes U+FFFD and is counted.

    Raises ClozeError for that, while it is read, where `corpus.tolerate` lets nothing pass.
    """

    def __init__(
        self, file: io.BufferedReader, encoding: str, path: Path, counts: Counts, settings: CorpusSettings
    ) -> None:
        if (marks := _MARKS.get(codecs.lookup(encoding).name)) and not file.peek(4).startswith(marks):
            encoding += "-le"  # as Windows writes it; Python wants the mark
        self._file, self._encoding, self._path = file, encoding, path
        self._counts, self._settings = counts, settings
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._rest = memoryview(b"")
        self._error: ClozeError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if self._error is not None:
            raise self._error
        while not self._rest:
            chunk = read_chunk(self._file, 1 << 17)
            self._rest = memoryview(self._decoded(chunk).encode(errors="replace"))
            if not chunk:
                break
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _decoded(self, chunk: bytes) -> str:
        try:
            return self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            if self._settings.tolerate == "nothing":
                self._error = ClozeError(  # It stays: who reads on would read behind it.
                    f"{self._path} holds bytes that are not {self._encoding} ({error.reason}). With corpus.tolerate: "
                    "records they would be taken out."
                )
                raise self._error from None
        self._decoder.errors = "replace"
        text = self._decoder.decode(chunk, final=not chunk)
        self._decoder.errors = "strict"
        self._counts.change(REPLACED, characters=text.count("\ufffd"), example=self._path.name)
        return text
