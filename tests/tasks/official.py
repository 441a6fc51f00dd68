"""The official rules of scoring, stated a second time, as they are published and not as cloze computes them.

Nothing here is taken from cloze or from the scripts: characters are walked where cloze uses expressions, runs are found
by hand where it asks a library, and correlations are exact fractions up to the last root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby

ASCII_PUNCTUATION = {chr(code) for code in range(33, 127) if not chr(code).isalnum()}
KORQUAD_MARKS = set("'\"《》<>〈〉()‘’")


def squad_words(text: str) -> list[str]:
    """SQuAD: lower case; no ASCII punctuation; no a, an, the that stand as words; split at white space.

    A word ends where a character is neither letter nor digit, so an article before a dash — or an accent — is one.
    """
    kept = "".join(character for character in text.lower() if character not in ASCII_PUNCTUATION)
    runs = ["".join(run) for _, run in groupby(kept, str.isalnum)]
    return "".join(" " if run in ("a", "an", "the") else run for run in runs).split()


def korquad_words(text: str) -> list[str]:
    """KorQuAD: quotation marks and brackets become spaces; then lower case, no ASCII punctuation, split."""
    spaced = "".join(" " if character in KORQUAD_MARKS else character for character in text).lower()
    return "".join(character for character in spaced if character not in ASCII_PUNCTUATION).split()


def klue_text(text: str) -> str:
    """KLUE-MRC: lower case, no ASCII punctuation, one space between words."""
    return " ".join("".join(character for character in text.lower() if character not in ASCII_PUNCTUATION).split())


def in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many pieces two bags share, repeated ones as often as both have them."""
    left, right, shared = sorted(one), sorted(other), 0
    while left and right:
        if left[-1] == right[-1]:
            shared += 1
        last = max(left[-1], right[-1])
        left, right = (side[:-1] if side[-1] == last else side for side in (left, right))
    return shared


def longest_in_common(one: str, other: str) -> int:
    """Length of the longest run of characters that both texts have."""
    spans = ((start, end) for start in range(len(one)) for end in range(start + 1, len(one) + 1))
    return max((end - start for start, end in spans if one[start:end] in other), default=0)


def overlap(shared: int, given: int, wanted: int) -> float:
    """Precision, recall, and F1 of them, in the order in which the scripts multiply."""
    if not shared:
        return 0.0
    precision, recall = 1.0 * shared / given, 1.0 * shared / wanted
    return (2 * precision * recall) / (precision + recall)


Scores = tuple[float, float]
"""Exact match and F1 of one question."""


def squad1(given: str, answers: Sequence[str]) -> Scores:
    """SQuAD 1.1: the best over the right answers, each measure by itself."""
    said = squad_words(given)
    known = [squad_words(answer) for answer in answers]
    f1 = [overlap(in_common(said, words), len(said), len(words)) for words in known]
    return float(said in known), max(f1)


def squad2(given: str, answers: Sequence[str]) -> Scores:
    """SQuAD 2.0: answers without a word don't count; with none left, or nothing said, it is all or nothing."""
    said = squad_words(given)
    known = [words for words in map(squad_words, answers) if words] or [[]]
    f1 = [
        overlap(in_common(said, words), len(said), len(words)) if said and words else float(said == words)
        for words in known
    ]
    return float(said in known), max(f1)


def korquad(given: str, answers: Sequence[str]) -> Scores:
    """KorQuAD 1.0: SQuAD 1.1 with its own words, and F1 over their characters."""
    said = korquad_words(given)
    known = [korquad_words(answer) for answer in answers]
    joined = [("".join(said), "".join(words)) for words in known]
    f1 = [overlap(in_common(one, other), len(one), len(other)) for one, other in joined]
    return float(said in known), max(f1)


def klue_mrc(given: str, answers: Sequence[str]) -> Scores:
    """KLUE-MRC: exact match and ROUGE-W over the longest common run; without answers the empty one is right."""
    said = klue_text(given)
    known = [klue_text(answer) for answer in answers] or [""]
    rouge = [
        overlap(longest_in_common(said, text), len(said), len(text)) if text else float(said == text) for text in known
    ]
    return float(said in known), max(rouge)


Chunk = tuple[int, int, str]
"""First and last place, and type."""


def conll_chunks(tags: Sequence[str]) -> Iterator[Chunk]:
    """conlleval: a chunk begins at B-X, and at I-X after anything but B-X or I-X; it goes on while I-X follows."""
    start, name = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        goes_on = bool(name) and tag == f"I-{name}"
        if name and not goes_on:
            yield start, place - 1, name
        if not goes_on:
            start, name = place, tag[2:]


def strict_chunks(tags: Sequence[str]) -> Iterator[Chunk]:
    """IOB2 as it is defined: a chunk begins at B-X alone; an I-X that goes on with none is nothing."""
    for start, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = start
            while end + 1 < len(tags) and tags[end + 1] == f"I-{tag[2:]}":
                end += 1
            yield start, end, tag[2:]


def f1_by_type(
    chunks: Callable[[Sequence[str]], Iterator[Chunk]], wanted: Sequence[Sequence[str]], given: Sequence[Sequence[str]]
) -> dict[str, float]:
    """F1 of every type that the texts have or were given, and of all chunks together, under ""."""
    counts: dict[str, list[int]] = {"": [0, 0, 0]}
    for said, known in zip(given, wanted, strict=True):
        of_said, of_known = list(chunks(said)), list(chunks(known))
        for place, found in enumerate(([chunk for chunk in of_said if chunk in of_known], of_said, of_known)):
            for _, _, name in found:
                counts[""][place] += 1
                counts.setdefault(name, [0, 0, 0])[place] += 1
    return {name: overlap(*three) for name, three in counts.items()}


def pearson(one: Sequence[float], other: Sequence[float]) -> float:
    """Covariance by the two deviations, in exact fractions up to the root."""
    x, y = ([Fraction(value) for value in values] for values in (one, other))
    a, b = ([value - sum(values) / len(values) for value in values] for values in (x, y))
    covariance = sum(p * q for p, q in zip(a, b, strict=True))
    spread = sum(p * p for p in a) * sum(q * q for q in b)
    # The root of the exact square: no product is ever rounded before it.
    return math.copysign(math.sqrt(covariance**2 / spread), covariance)


def ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of their places."""
    return [
        sum(other < value for other in values) + (1 + sum(other == value for other in values)) / 2 for value in values
    ]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    return pearson(ranks(one), ranks(other))
