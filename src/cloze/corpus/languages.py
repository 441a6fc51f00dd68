"""Which language a text is in, from its beginning.

Korean is told by its letters: no other language is written in Hangul, so counting is exact where a model guesses, and
needs no model. The others are told apart by py3langid (97 languages; the extra `languages`).
"""

from __future__ import annotations

import re

from cloze.errors import ClozeError

_CHARACTERS = 2_000
_HANGUL = re.compile(r"[가-힣ㄱ-ㅎㅏ-ㅣ]")
_LETTER = re.compile(r"[^\W\d_]")
_HANGUL_FRAC = 0.4
"""Less than half: a text on chemistry may have as many Latin letters as Hangul, and a Hangul is a syllable."""


def is_in(languages: list[str], sentences: list[str]) -> bool:
    """Whether a text is mostly in one of these languages (ISO 639-1). Raises ClozeError without py3langid."""
    text = _beginning(sentences)
    letters = len(_LETTER.findall(text))
    if letters and len(_HANGUL.findall(text)) >= _HANGUL_FRAC * letters:
        return "ko" in languages
    if not letters or languages == ["ko"]:
        return False
    try:
        import py3langid
    except ModuleNotFoundError:
        raise ClozeError(
            f"corpus.languages {languages} needs py3langid, which is not installed (ko alone does not). Run: "
            "pip install 'cloze[languages]'"
        ) from None
    return py3langid.classify(text)[0] in languages


def _beginning(sentences: list[str]) -> str:
    text = ""
    for sentence in sentences:
        text += sentence[: _CHARACTERS - len(text)] + " "
        if len(text) >= _CHARACTERS:
            break
    return text
