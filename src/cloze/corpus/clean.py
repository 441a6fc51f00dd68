"""The form that all text of a corpus has: NFC, no control characters, single spaces.

NFC, because decomposed Hangul (한글 as ㅎ ㅏ ㄴ ㄱ ㅡ ㄹ, common in files from macOS) would become other tokens than
composed. NFKC is not used: it maps ㅋㅋ to other code points. Letters are never dropped or replaced.
"""

from __future__ import annotations

import re
import unicodedata

from cloze.corpus.counts import Counts

# Control characters that are not white space, invisible format characters, lone surrogates and noncharacters.
# The zero-width joiners U+200C and U+200D stay: emoji and Persian need them.
_UNPRINTABLE = re.compile(
    "[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\\u00ad\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u2064\\u2066-\\u206f"
    "\\ufeff\\ufff9-\\ufffb\\ufdd0-\\ufdef\\ufffe\\uffff\\ud800-\\udfff]"
)
_REPLACEMENT = "\ufffd"


def normalize(text: str, counts: Counts, where: str) -> str:
    """Compose to NFC and take out unprintable characters; line breaks stay. `where` is named in the examples.

    U+FFFD in a valid file is the trace of somebody's failed conversion: what it stood for is lost, so it goes too.
    """
    if _UNPRINTABLE.search(text):
        text, removed = _UNPRINTABLE.subn("", text)
        counts.drop("unprintable characters", characters=removed, example=where)
    if _REPLACEMENT in text:
        counts.drop("U+FFFD from an earlier conversion", characters=text.count(_REPLACEMENT), example=where)
        text = text.replace(_REPLACEMENT, "")
    if not unicodedata.is_normalized("NFC", text):
        # After the removals, because an invisible character between two jamo would keep them apart.
        counts.change("composed to NFC", documents=1, characters=len(text), example=where)
        text = unicodedata.normalize("NFC", text)
    return text


def squeeze(text: str) -> str:
    """White space of every kind (tabs, U+3000, U+2028, ...) to single spaces, none at the ends."""
    return " ".join(text.split())
