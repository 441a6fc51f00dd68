"""Bytes to text: UTF-8, or the older Korean encoding CP949 where it is certain, and nothing else by guessing.

Bytes that are not UTF-8 are taken for CP949 if they decode and most of what is not ASCII in them is Hangul of the 2,350
syllables that Korean is written with, or laughter: other encodings come out as rare syllables, single letters and
Chinese signs. A word that passes by chance is too short for that to matter much, and it is counted.
"""

from __future__ import annotations

from functools import cache

from cloze.corpus.counts import Counts

HANGUL_FRAC = 0.7
"""Of the characters that are not ASCII, common Hangul; the rest may be punctuation, Chinese signs, kana."""
CP949 = "decoded from CP949"


def decode(data: bytes, encoding: str, counts: Counts, where: str) -> str | None:
    """The text of `data`, None if it has none in `encoding`; auto: UTF-8, else CP949 (see above).

    What was not UTF-8 is entered into `counts` with `where` as its example.
    """
    if encoding != "auto":
        return _strict(data, encoding)
    text = _strict(data, "utf-8")
    if text is None and (text := _strict(data, "cp949")) is not None:
        if not is_korean(text):
            return None
        counts.change(CP949, characters=len(text), example=where)
    return text


def is_korean(text: str) -> bool:
    """Whether most of what is not ASCII in it is common Hangul, and there is some."""
    foreign = [character for character in text if character > "\x7f"]
    common = _common_syllables()
    return bool(foreign) and sum(character in common for character in foreign) >= HANGUL_FRAC * len(foreign)


@cache
def _common_syllables() -> frozenset[str]:
    """The syllables of KS X 1001, which EUC-KR holds and CP949 extends, and letters that stand alone in chats."""
    every = map(chr, range(0xAC00, 0xD7A4))
    return frozenset(character for character in every if _encodes(character)) | frozenset("ㅋㅎㅠㅜ")


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
