"""Film reviews as people type them, each with the side it is on: 1 good, 0 bad.

A review has one to three judging words out of hundreds, so a few hundred labelled reviews show many of them never or
once. The articles use the same words, good ones among good ones; who has read those knows their side.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloze.corpus.sample.grammar import Draws, Value, fill, judge
from cloze.corpus.sample.lexicon import (
    ASPECTS,
    DAYS,
    FILM_NOUNS,
    GENRES,
    GIVEN_FIRST,
    GIVEN_SECOND,
    SURNAMES,
    VERDICTS,
)

NEGATED_FRAC = 0.12
"""Share of judgements said as the opposite, denied."""
VERDICT_FRAC = 0.08
"""Share of reviews that also call the film by a noun (명작, 졸작)."""
_TRIES = 2

_ONE = (
    "{n1:이} {w1:했}어요",
    "{n1:이} {w1:하네}요",
    "{n1:은} {w1:했}음",
    "솔직히 {n1:이} {w1:했}다",
    "{w1:한} {n1:이었다}",
    "{n1:이} 이렇게 {w1:한} 영화는 오랜만",
    "다른 건 몰라도 {n1:은} {w1:했}다",
    "{n1:이} 좀 {w1:한} 편",
)
_TWO = (
    "{n1:이} {w1:고} {n2:도} {w2:했}다",
    "{n1:은} {w1:했}고 {n2:은} {w2:했}어요",
    "{w1:고} {w2:한} 영화",
    "{n1:이} {w1:해서} {n2:까지} {w2:했}음",
    "{w1:한} {n1:과} {w2:한} {n2:만} 기억난다",
    "{n1:이} {w1:했}다. {n2:도} {w2:하네}요",
    "{n1:이} {w1:하다는} 말밖에.. {n2:도} {w2:했}고",
)
_THREE = (
    "{n1:은} {w1:고} {n2:은} {w2:했}으며 {n3:도} {w3:했}다",
    "{w1:한} {n1:에} {w2:한} {n2:까지}. 전체적으로 {w3:했}어요",
    "{n0:은} {w0:했}지만 {n1:이} {w1:고} {n2:도} {w2:하네}요",
    "{n0:은} {w0:했}는데 {n1:이} {w1:했}고 무엇보다 {n2:이} {w2:했}음",
)
_BEFORE = (
    "{day}에 친구랑 봤는데 ",
    "{person} 나온다길래 봤는데 ",
    "{person} 감독 작품이라 봤다. ",
    "티비에서 우연히 봤다. ",
    "{genre} 영화 찾다가 봤는데 ",
    "개봉 첫날 관람. ",
    "이제서야 봤네요. ",
    "{day} 조조로 봤어요 ",
)
_AFTER = (
    " ㅋㅋ",
    "ㅋㅋㅋ",
    " ㅎㅎ",
    "..",
    "...",
    "!",
    "!!",
    "~",
    ".",
    ". {day} 관람.",
    " 이상 {person} 팬이었습니다",
    ". 그렇다구요",
)


def review(seed: int, index: int) -> tuple[str, int]:
    """Text and label of one review."""
    draws = Draws(seed, "review", index)
    good = draws.chance(0.5)
    return opinion(draws, good), int(good)


def opinion(draws: Draws, good: bool) -> str:
    """What somebody types who found a film good, or bad."""
    template = draws.pick(draws.pick((_ONE, _TWO, _TWO, _THREE)))
    values = _values(draws, good)
    text = fill(template, values)
    if draws.chance(VERDICT_FRAC):
        text += fill(". {verdict:이다}", {"verdict": draws.pick(VERDICTS[good])})
    return _often(draws, _BEFORE, values, 0.4) + text + _often(draws, _AFTER, values, 0.6)


def _values(draws: Draws, good: bool) -> dict[str, Value]:
    """Nouns and judging words 1 to 3 on the review's side, 0 on the other, and things that say nothing about it."""
    values: dict[str, Value] = {}
    nouns = draws.some(FILM_NOUNS, 4)
    for place, (noun, aspect) in enumerate(zip(nouns, draws.some(ASPECTS, 4), strict=True)):
        values[f"n{place}"] = noun
        values[f"w{place}"] = judge(draws, aspect, good if place else not good, negated_frac=NEGATED_FRAC, tries=_TRIES)
    values["person"] = draws.pick(SURNAMES) + draws.pick(GIVEN_FIRST) + draws.pick(GIVEN_SECOND)
    values["genre"], values["day"] = draws.pick(GENRES), draws.pick(DAYS)
    return values


def _often(draws: Draws, templates: Sequence[str], values: dict[str, Value], probability: float) -> str:
    return fill(draws.pick(templates), values) if draws.chance(probability) else ""
