"""What happens to a document, in two steps: alone, in any process, and then among the others, in the source's order.

Alone (`prepare`): markup, clean text, sentences, and the marks by which it is compared with others. Among the others
(`Selection`): duplicates. So the first step can be spread over processes and machines without changing the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from struct import iter_unpack
from typing import TYPE_CHECKING

from cloze.corpus.clean import normalize, squeeze
from cloze.corpus.cleaning import drop, drop_lines, repeats_itself, unwanted
from cloze.corpus.convert import convert
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document, RawDocument
from cloze.corpus.duplicates import SeenBands, band_hashes
from cloze.corpus.encodings import repair
from cloze.corpus.hashes import HashSet
from cloze.corpus.pages import unwanted_title
from cloze.corpus.personal import mask
from cloze.corpus.sentences import sentence_splitter
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    from cloze.corpus.contamination import TestTexts

OVERLAPS = "overlaps with a test set"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document and what `Selection` needs to know of it."""

    document: Document
    content: int
    """`content_hash` of the document."""
    unwanted: str = ""
    """Why it is not kept, whatever the others are; empty if it is."""
    bands: bytes = b""
    """`duplicates.band_hashes`; empty if near duplicates are not asked for."""
    test_texts: bytes = b""
    """Numbers of the test texts that it overlaps with, int32 each."""


def prepare(raw: RawDocument, settings: CorpusSettings, counts: Counts, tests: TestTexts | None = None) -> Prepared:
    """Convert and clean a document; what that drops or changes is entered into `counts`, the document itself is not.

    `tests`: what it must not overlap with, if `cleaning.decontaminate` asks for it.
    """
    cleaning = settings.cleaning
    if cleaning.repair_encodings:
        raw = replace(raw, title=repair(raw.title, counts, raw.id), text=repair(raw.text, counts, raw.id))
    if reason := unwanted_title(squeeze(raw.title), settings):
        # Before the markup, which costs most. `Selection` counts the document, and is sent none of its text.
        counts.drop(reason, characters=len(raw.text))
        return Prepared(Document(raw.id, squeeze(normalize(raw.title, counts, raw.id)), []), 0, reason)
    document = convert(raw, counts, settings.markup, sentence_splitter(settings))
    if kinds := cleaning.mask_personal_data:
        sentences = [mask(sentence, kinds, counts) for sentence in document.sentences]
        document = Document(document.id, mask(document.title, kinds, counts), sentences)
    reason = "repeats itself" if repeats_itself(document, settings) else ""
    document = drop_lines(document, settings, counts)
    found = b""
    if tests is not None:
        touched, numbers = tests.find(document.sentences)
        found = numbers.astype("<i4").tobytes()
        if any(touched) and cleaning.decontaminate == "documents":
            reason = reason or OVERLAPS
        elif any(touched):
            document = replace(document, sentences=drop(document.sentences, touched, OVERLAPS, counts))
    reason = reason or unwanted(document, settings)
    bands = b""
    if cleaning.near_duplicates is not None and not reason:
        bands = band_hashes(document.sentences, cleaning.near_duplicates, cleaning.minhash_permutations)
    return Prepared(document, content_hash(document), reason, bands, found)


def content_hash(document: Document) -> int:
    """64 bits of BLAKE2b over the sentences; neither title nor id."""
    return int.from_bytes(blake2b("\n".join(document.sentences).encode(), digest_size=8).digest(), "little")


class Selection:
    """Which of the prepared documents are kept, asked in the source's order.

    It remembers 12 to 24 bytes of each document kept, and as many for each band if near duplicates are asked for.
    """

    def __init__(self, tests: TestTexts | None = None) -> None:
        self._tests = tests
        self._seen = HashSet()
        self._seen_bands = SeenBands()
        self._found: set[int] = set()

    def keeps(self, prepared: Prepared, counts: Counts) -> bool:
        """Whether a document is kept; one that is not is entered into `counts` with its reason."""
        self._count_test_texts(prepared, counts)
        if reason := self._unwanted(prepared):
            document = prepared.document
            example = document.title or " ".join(document.sentences[:1]) or document.id
            sentences, characters = len(document.sentences), document.characters
            counts.drop(reason, documents=1, sentences=sentences, characters=characters, example=example)
            return False
        self._seen.add(prepared.content)
        self._seen_bands.add(prepared.bands)
        return True

    def _unwanted(self, prepared: Prepared) -> str:
        if prepared.unwanted:
            return prepared.unwanted
        if prepared.content in self._seen:
            return "duplicate"
        return "near duplicate" if self._seen_bands.share_one(prepared.bands) else ""

    def _count_test_texts(self, prepared: Prepared, counts: Counts) -> None:
        """Enter the test texts that are met for the first time."""
        if self._tests is None:
            return
        if not counts.tests:
            counts.tests = {name: {"texts": self._tests.texts(name), "found": 0} for name in self._tests.sets}
        numbers = {number for (number,) in iter_unpack("<i", prepared.test_texts)} - self._found
        self._found |= numbers
        for number in numbers:
            counts.tests[self._tests.sets[self._tests.set_of[number]]]["found"] += 1
