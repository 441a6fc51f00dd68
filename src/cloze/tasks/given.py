"""Texts that a caller gives a model, checked before they are read."""

from __future__ import annotations

from collections.abc import Iterable

from cloze.errors import ClozeError

Text = str | tuple[str, str]
"""What a model reads: a text, or a pair of texts."""


def listed(texts: Iterable[Text], *, pairs: bool = True) -> list[Text]:
    """The texts, and where `pairs` are fine also these, each as a tuple.

    Raises ClozeError for a text that stands alone, whose letters are no texts, and for what is none, by its place.
    """
    if isinstance(texts, str | bytes):
        raise ClozeError(f"expected a list of texts, found the text {shown(texts)}: put it in brackets, [text].")
    found: list[Text] = []
    for place, one in enumerate(texts, start=1):
        parts: object = (one,) if isinstance(one, str) else one
        if not isinstance(parts, tuple | list) or not all(isinstance(part, str) for part in parts):
            raise ClozeError(f"text {place} is {shown(one)}, expected a text{' or a pair of texts' if pairs else ''}.")
        if not isinstance(one, str) and (not pairs or len(parts) != 2):
            wanted = "a text or a pair of texts" if pairs else "a text"
            raise ClozeError(f"text {place} has {len(parts)} parts, {shown(one)}; expected {wanted}.")
        for part in parts:
            valid(part, f"text {place}")
        found.append(one if isinstance(one, str) else (parts[0], parts[1]))
    return found


def valid(text: str, what: str) -> str:
    """The text. Raises ClozeError for half a surrogate pair, as broken bytes leave it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ClozeError(
            f"{what} is no valid Unicode: character {error.start + 1:,} is {text[error.start]!a}, a byte that "
            "could not be read. Read it in its own encoding, or with errors='replace'."
        ) from None
    return text


def shown(value: object) -> str:
    """The beginning of a value, in one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."
