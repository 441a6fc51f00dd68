"""The two records that travel between the parts of the corpus stage, and from it to the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Markup = Literal["lines", "prose", "namumark", "mediawiki", "html", "markdown"]
"""How a raw text is to be read. lines: a sentence a line; prose: sentences run on; the others: prose in that markup,
namumark being Namuwiki's and mediawiki Wikipedia's."""


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A text as it stands in the source. Readers yield them, in the order of the source; `convert` does the rest."""

    id: str
    """Where it came from: `<file name>:<number of the record or document, from 1>`."""
    title: str
    """Empty where the source has none; not part of the text."""
    text: str
    markup: Markup


@dataclass(frozen=True, slots=True)
class Document:
    """A text as a list of sentences, as the corpus stores it."""

    id: str
    """That of the raw document."""
    title: str
    """Clean, as the sentences are."""
    sentences: list[str]
    """Clean text (see `clean`), none of them empty."""

    @property
    def characters(self) -> int:
        """Characters (code points) of all sentences."""
        return sum(map(len, self.sentences))
