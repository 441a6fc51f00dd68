"""Templates to sentences.

A slot is {name} or {name:form}, the form being a particle for nouns and a form for adjectives, or {one|other}: words
for what is good and for what is bad.

    fill("{n1:이} {w1:고} {n2:이} {w2:하다는} {호평|혹평}", values, good=True) -> 연기가 섬세하고 음악이 감미롭다는 호평
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from cloze.corpus.sample.korean import conjugate, with_particle
from cloze.corpus.sample.lexicon import Aspect

T = TypeVar("T")

_SLOT = re.compile(r"\{(\w+)(?:([:|])(\w+))?\}")


class Draws:
    """Random choices for one text: a function of (seed, purpose, index), whatever other texts have drawn.

    The numbers are hashes (BLAKE2b) of seed, purpose, index and a counter.
    """

    def __init__(self, seed: int, purpose: str, index: int) -> None:
        self._key = f"{seed}:{purpose}:{index}"
        self._blocks = 0
        self._waiting: list[int] = []

    def below(self, bound: int) -> int:
        """A whole number in [0, bound)."""
        return (self._next() * bound) >> 64

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._next() < probability * 2.0**64

    def pick(self, choices: Sequence[T], *, tries: int = 1) -> T:
        """One of the choices; with more tries, the foremost of so many: those at the front come more often."""
        return choices[min(self.below(len(choices)) for _ in range(tries))]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """So many of the choices, no two from one place."""
        rest = list(choices)
        return [rest.pop(self.below(len(rest))) for _ in range(count)]

    def _next(self) -> int:
        if not self._waiting:
            block = blake2b(f"{self._key}:{self._blocks}".encode()).digest()
            self._waiting = [int.from_bytes(block[place : place + 8], "little") for place in range(0, len(block), 8)]
            self._blocks += 1
        return self._waiting.pop()


@dataclass(frozen=True, slots=True)
class Judgement:
    """An adjective, as it is or denied."""

    adjective: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """A noun in markup; a particle follows the markup and fits the noun: [[서울]]로."""

    noun: str
    before: str = "[["
    after: str = "]]"


Value = str | Judgement | Marked


def fill(template: str, values: Mapping[str, Value], *, good: bool = True) -> str:
    """The template with its slots filled; KeyError for a slot without a value."""

    def slot(match: re.Match[str]) -> str:
        if match[2] == "|":
            return match[1] if good else match[3]
        value, form = values[match[1]], match[3] or ""
        if isinstance(value, Judgement):
            return conjugate(value.adjective, form, negated=value.negated)
        if isinstance(value, Marked):
            return value.before + value.noun + value.after + with_particle(value.noun, form)[len(value.noun) :]
        return with_particle(value, form)

    return _SLOT.sub(slot, template)


def judge(draws: Draws, aspect: Aspect, good: bool, *, negated_frac: float, tries: int = 1) -> Judgement:
    """A good or bad word about an aspect; a share of them as the denied opposite (지루하지 않다 for 흥미롭다)."""
    negated = draws.chance(negated_frac)
    return Judgement(draws.pick(aspect.adjectives(good != negated), tries=tries), negated)
