"""Prose to sentences by Kiwi, a morphological analyser of Korean (kiwipiepy, the extra `korean`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from cloze.corpus.sentences import Splitter, split_sentences
from cloze.errors import ClozeError

PIECE_CHARACTERS = 5_000
"""Kiwi's time a character grows in longer texts: by a fifth at 20,000, by a half at 40,000."""


@cache
def kiwi_splitter() -> Splitter:
    """A splitter whose sentences, joined, are the text again. The model is loaded once a process: 3 s, 500 MB.

    Raises ClozeError if kiwipiepy is not installed.
    """
    try:
        from kiwipiepy import Kiwi
    except ImportError:
        raise ClozeError(
            "corpus.sentences is kiwi, but kiwipiepy is not installed. Install it with `pip install 'cloze[korean]'`, "
            "or set corpus.sentences: rules."
        ) from None
    kiwi = Kiwi(num_workers=1)

    def split(text: str) -> list[str]:
        sentences: list[str] = []
        for piece in _pieces(text):
            found = [sentence.start for sentence in kiwi.split_into_sents(piece)][1:]
            cuts = [0, *(cut for cut in found if not piece[cut - 1 : cut + 1].isalnum()), len(piece)]
            sentences += [piece[start:end] for start, end in pairwise(cuts)]
        return sentences

    return split


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that end where the rules see an end; a sentence longer than a piece is cut."""
    start = 0
    while start < len(text):
        piece = text[start : start + PIECE_CHARACTERS]
        if start + PIECE_CHARACTERS < len(text):
            last = split_sentences(piece)[-1]
            piece = piece[: -len(last)] or piece
        yield piece
        start += len(piece)
