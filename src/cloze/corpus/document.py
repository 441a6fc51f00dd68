"""The one record that travels between the parts of the corpus stage, and from it to the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """A text as a list of sentences. Readers yield them, the corpus stores them, in the order of the source."""

    id: str
    """Where it came from: `<file name>:<number of the record or document, from 1>`."""
    title: str
    """Empty where the source has none; not part of the text."""
    sentences: list[str]
    """Clean text (see `clean`), none of them empty."""

    @property
    def characters(self) -> int:
        """Characters (code points) of all sentences."""
        return sum(map(len, self.sentences))
