"""What happens to a document, in two steps: alone, in any process, and then among the others, in the source's order.

Alone (`prepare`): markup, clean text, sentences, and the marks by which it is compared with others. Among the others
(`Selection`): duplicates. So the first step can be spread over processes and machines without changing the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from cloze.corpus.clean import normalize, squeeze
from cloze.corpus.convert import convert
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document, RawDocument
from cloze.corpus.hashes import HashSet
from cloze.corpus.languages import is_in
from cloze.corpus.pages import unwanted_title
from cloze.recipe import CorpusSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document and what `Selection` needs to know of it."""

    document: Document
    content: int
    """`content_hash` of the document."""
    unwanted: str = ""
    """Why it is not kept, whatever the others are; empty if it is."""


def prepare(raw: RawDocument, settings: CorpusSettings, counts: Counts) -> Prepared:
    """Convert a document; what that drops or changes is entered into `counts`, the document itself is not."""
    if reason := unwanted_title(squeeze(raw.title), settings):
        # Before the markup, which costs most. `Selection` counts the document, and is sent none of its text.
        counts.drop(reason, characters=len(raw.text))
        return Prepared(Document(raw.id, squeeze(normalize(raw.title, counts, raw.id)), []), 0, reason)
    document = convert(raw, counts, settings.markup)
    unwanted = ""
    if not document.sentences:
        unwanted = "empty"
    elif document.characters < settings.min_characters:
        unwanted = f"shorter than {settings.min_characters:,} characters"
    elif settings.max_characters is not None and document.characters > settings.max_characters:
        unwanted = f"longer than {settings.max_characters:,} characters"
    elif settings.languages and not is_in(settings.languages, document.sentences):
        unwanted = "not in corpus.languages"
    return Prepared(document, content_hash(document), unwanted)


def content_hash(document: Document) -> int:
    """64 bits of BLAKE2b over the sentences; neither title nor id."""
    return int.from_bytes(blake2b("\n".join(document.sentences).encode(), digest_size=8).digest(), "little")


class Selection:
    """Which of the prepared documents are kept, asked in the source's order: 12 to 24 bytes a document kept."""

    def __init__(self) -> None:
        self._seen = HashSet()

    def keeps(self, prepared: Prepared, counts: Counts) -> bool:
        """Whether a document is kept; one that is not is entered into `counts` with its reason."""
        if reason := prepared.unwanted or ("duplicate" if prepared.content in self._seen else ""):
            document = prepared.document
            example = document.title or " ".join(document.sentences[:1]) or document.id
            counts.drop(reason, documents=1, characters=document.characters, example=example)
            return False
        self._seen.add(prepared.content)
        return True
