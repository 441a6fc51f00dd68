"""Hangul that somebody read in a wrong encoding, back again: only where no other reading is possible.

Two accidents lose nothing. UTF-8 read as Latin-1 or CP1252 (한국어 is then í•œêµ­ì–´): ftfy finds and undoes it. EUC-KR
read as either (ÇÑ±¹¾î), which ftfy does not know: every letter above ASCII must be half of a character of KS X 1001,
and all of these Hangul or Korean punctuation, at least four of them Hangul. A line that has Hangul already is left
alone, and so is one whose other reading has none. Where bytes were lost (U+FFFD, question marks) nothing is guessed.
"""

from __future__ import annotations

import re
from contextlib import suppress

from cloze.corpus.counts import Counts

# The first byte of a syllable in UTF-8 (0xEA-0xED) or in EUC-KR (0xB0-0xC8), and something that is no ASCII behind it.
_SUSPICIOUS = re.compile("[\xb0-\xc8\xea-\xed][^\x00-\x7f가-힣]")
_HANGUL = re.compile("[가-힣]+")
_KOREAN = re.compile("[\x00-\x7f가-힣ㄱ-ㆎ\u00b7\u2010-\u2027\u3000-\u3015\uff01-\uff5e]*")
_LATIN = re.compile("[À-ÿ]")  # What ftfy leaves of EUC-KR in which it finds a syllable of UTF-8 by chance.
_LEAST_SYLLABLES = 4


def repair(text: str, counts: Counts, where: str) -> str:
    """Repair `text` line by line; the lines repaired are entered into `counts`, with `where` and their Hangul."""
    if not _SUSPICIOUS.search(text):
        return text
    lines = text.split("\n")
    for place, line in enumerate(lines):
        repaired = _repaired(line)
        if repaired != line:
            hangul = " ".join(_HANGUL.findall(repaired))
            counts.change("encoding repaired", characters=len(repaired), example=f"{where}: {hangul}")
            lines[place] = repaired
    return "\n".join(lines)


def _repaired(line: str) -> str:
    if not _SUSPICIOUS.search(line) or _HANGUL.search(line):
        return line
    from ftfy import fix_encoding

    with suppress(UnicodeError):
        from_euc_kr = line.encode("latin-1").decode("euc_kr")
        if _KOREAN.fullmatch(from_euc_kr) and sum(map(len, _HANGUL.findall(from_euc_kr))) >= _LEAST_SYLLABLES:
            return from_euc_kr
    from_utf8 = fix_encoding(line)
    return from_utf8 if _HANGUL.search(from_utf8) and not _LATIN.search(from_utf8) else line
