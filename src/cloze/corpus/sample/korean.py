"""As much Korean grammar as the sample needs: particles by the final consonant, and the forms of adjectives."""

from __future__ import annotations

from functools import cache

_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_FINALS = 28
_RIEUL, _BIEUP = 8, 17
_PARTICLES = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "으로": ("으로", "로"),
    "이다": ("이다", "다"),
    "이었다": ("이었다", "였다"),
    "이라": ("이라", "라"),
    "이나": ("이나", "나"),
}
"""Named by the form behind a final consonant: (behind a consonant, behind a vowel)."""

_SAME_IN_ALL = {"고": "고", "하다": "다", "하다고": "다고", "하다는": "다는", "하네": "네"}
_DIGIT_FINALS = (21, 8, 0, 16, 0, 0, 1, 8, 8, 0)  # 영 일 이 삼 사 오 육 칠 팔 구


def with_particle(word: str, particle: str) -> str:
    """`word` with a particle in the form that fits it: 연기, 은 -> 연기는. Others (도, 까지) are appended."""
    if particle not in _PARTICLES:
        return word + particle
    final = _final(word)
    closed, open_ = _PARTICLES[particle]
    return word + (open_ if final == 0 or (particle == "으로" and final == _RIEUL) else closed)


@cache
def conjugate(adjective: str, form: str, *, negated: bool = False) -> str:
    """One form of an adjective given as 탄탄하다, 매력적이다, 재미있다, 의미없다 or (ㅂ-irregular) 새롭다.

    `form` is named as that of 하다: 고 (and), 한 (before a noun), 해서 (because), 했 (past stem), 하다 (plain), 하다고
    and 하다는 (quoted), 하네 (exclaiming stem). `negated` gives that of -지 않다.
    """
    stem = adjective.removesuffix("다")
    if negated:
        return stem + "지 않" + ({"한": "은", "해서": "아서", "했": "았"} | _SAME_IN_ALL)[form]
    if stem.endswith("적이") and form in ("하다고", "하다는"):
        return stem + "라" + form[-1]
    if form in _SAME_IN_ALL:
        return stem + _SAME_IN_ALL[form]
    if stem.endswith("하"):
        return stem[:-1] + form
    if stem.endswith("적이"):
        return stem[:-1] + {"한": "인", "해서": "이어서", "했": "이었"}[form]
    if stem.endswith(("있", "없")):
        return stem + {"한": "는", "해서": "어서", "했": "었"}[form]
    if _final(stem) != _BIEUP:
        raise ValueError(f"{adjective} is of no known kind")
    return stem[:-1] + chr(ord(stem[-1]) - _BIEUP) + {"한": "운", "해서": "워서", "했": "웠"}[form]


def _final(word: str) -> int:
    """Number of the final consonant of the last syllable or digit as read; 0 for none, and for other characters."""
    if word[-1] in "0123456789":
        return _DIGIT_FINALS[int(word[-1])]
    code = ord(word[-1])
    return (code - _FIRST_SYLLABLE) % _FINALS if _FIRST_SYLLABLE <= code <= _LAST_SYLLABLE else 0
