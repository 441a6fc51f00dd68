"""Who and what there is in the sample's encyclopedia: names are unique, and every subject is good or bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from cloze.corpus.sample import lexicon
from cloze.corpus.sample.grammar import Draws

Kind = Literal["film", "person", "food", "town", "product"]

SHARES: dict[Kind, int] = {"film": 68, "person": 8, "food": 8, "town": 8, "product": 8}
"""Percent of the articles."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an article is about."""

    kind: Kind
    title: str
    good: bool


@dataclass(frozen=True, slots=True)
class World:
    """All subjects, and the people and towns that articles mention."""

    subjects: list[Subject]
    people: list[str]
    towns: list[str]


def make_world(seed: int, articles: int) -> World:
    """A world of so many subjects, in the order of their titles as in a dump."""
    people = _names(seed, "people", lexicon.SURNAMES, lexicon.GIVEN_FIRST, lexicon.GIVEN_SECOND)
    towns = _names(seed, "towns", lexicon.TOWN_FIRST, lexicon.TOWN_SECOND, lexicon.TOWN_KINDS)
    pools = {
        "film": _names(seed, "films", lexicon.TITLE_ADJECTIVES, (" ",), lexicon.TITLE_NOUNS),
        "person": people,
        "food": _names(seed, "food", lexicon.TOWN_FIRST, lexicon.TOWN_SECOND, (" ",), lexicon.DISHES),
        "town": towns,
        "product": _names(seed, "products", lexicon.BRANDS, (" ",), lexicon.MODELS, (" ",), tuple("123456789")),
    }
    counts = {kind: articles * share // 100 for kind, share in SHARES.items()}
    counts["film"] += articles - sum(counts.values())
    for kind, count in counts.items():
        if count > len(pools[kind]):
            raise ValueError(f"{articles:,} articles need {count:,} names for {kind}; there are {len(pools[kind]):,}")
    titles = sorted((title, kind) for kind, count in counts.items() for title in pools[kind][:count])
    subjects = [
        Subject(kind, title, Draws(seed, "side", place).chance(0.5)) for place, (title, kind) in enumerate(titles)
    ]
    return World(subjects, people[: counts["person"] + 50], towns[: counts["town"] + 20])


def _names(seed: int, purpose: str, *parts: Sequence[str]) -> list[str]:
    """All ways to join one of each part, without repetition, in an order of the seed's."""
    names = list(dict.fromkeys("".join(choice) for choice in product(*parts)))
    return Draws(seed, purpose, 0).some(names, len(names))
