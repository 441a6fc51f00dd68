"""Long texts in overlapping windows, and token spans that mean characters of the text as it was given.

Windows: google-research/bert, run_squad.py. A token that is in several of them counts in the one where it has the most
context, which is where its narrower side is widest.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cloze.tokens.tokenizer import Tokenizer

TOKENISE_TEXTS = 1_000
"""Texts handed to the tokenizer at once: with spans they take ten times the memory of ids."""


def windows(tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """(start, end) of windows of at most `room` tokens, `stride` apart, over `tokens`; at least one, maybe empty.

    A stride that would leave windows without overlap is shortened to half of the room.
    """
    found = [(0, min(tokens, room))]
    step = stride if stride < room else max(1, room // 2)
    while found[-1][1] < tokens:
        start = found[-1][0] + step
        found.append((start, min(tokens, start + room)))
    return found


def best_windows(found: list[tuple[int, int]]) -> NDArray[np.int64]:
    """For each token, the number of the window in which it has the most context; of equal ones the first."""
    tokens = np.arange(found[-1][1])
    best, context = np.zeros_like(tokens), np.full(tokens.shape, -1.0)
    for number, (start, end) in enumerate(found):
        inside = tokens[start:end]
        # The window's length decides between equal sides, as in the reference.
        mine = np.minimum(inside - start, end - 1 - inside) + 0.01 * (end - start)
        better = mine > context[start:end]
        best[start:end][better], context[start:end][better] = number, mine[better]
    return best


@dataclass(frozen=True, slots=True)
class Composed:
    """A text in NFC, and where its characters were before."""

    text: str
    origins: list[tuple[int, int]] | None
    """Of each character of `text`, the span it was made of in the text as given; None: nothing changed."""

    def given(self, start: int, end: int) -> tuple[int, int]:
        """A span of `text` as a span of the text as given."""
        if self.origins is None or start >= end:
            return start, end
        return self.origins[start][0], self.origins[end - 1][1]


def compose(text: str) -> Composed:
    """NFC, one cluster of characters that compose at a time, so that every character keeps its origin."""
    if unicodedata.is_normalized("NFC", text):
        return Composed(text, None)
    parts: list[str] = []
    origins: list[tuple[int, int]] = []
    first, joined = 0, ""
    for place, character in enumerate([*text, ""]):
        longer, alone = (unicodedata.normalize("NFC", part) for part in (joined + character, character))
        # Some signs are no marks, and are composed of marks alone.
        grows = character and (unicodedata.combining(alone[0]) or longer != joined + alone)
        if joined and not grows:
            parts.append(joined)
            origins += [(first, place)] * len(joined)
            first, longer = place, alone
        joined = longer
    return Composed("".join(parts), origins)


def tokenise(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
    """Of each text, composed: its token ids, and the characters of each token in the text as given, [tokens, 2]."""
    for start in range(0, len(texts), TOKENISE_TEXTS):
        composed = [compose(text) for text in texts[start : start + TOKENISE_TEXTS]]
        for one, (ids, spans) in zip(
            composed, tokenizer.encode_with_spans([one.text for one in composed]), strict=True
        ):
            yield ids, np.array([one.given(*span) for span in spans], dtype=np.int64).reshape(-1, 2)
