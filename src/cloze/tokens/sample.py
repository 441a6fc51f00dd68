"""A stated sample of a corpus: documents chosen by a hash of their content, the same ones on any machine.

Training a tokenizer on everything costs memory and, past 2**31 occurrences of a pair, loses words; a quality report
needs no more than a few million characters. Whole documents are taken in the order of their hashes while they fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from cloze.corpus.corpus import documents_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from cloze.corpus.corpus import Corpus
    from cloze.corpus.document import Document

_LARGEST_HASH = (1 << 64) - 1
_TABLE = np.dtype([("hash", np.uint64), ("characters", np.int64)])


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Documents with a hash of at most `largest_hash`: how many documents and characters they are, of how many."""

    documents: int
    of_documents: int
    characters: int
    of_characters: int
    largest_hash: int

    def counts(self) -> dict[str, int]:
        """The sample's size, for manifests and reports."""
        return {
            "documents": self.documents,
            "of_documents": self.of_documents,
            "characters": self.characters,
            "of_characters": self.of_characters,
        }


def choose_sample(corpus: Corpus, split: str, max_characters: int) -> Sample:
    """Choose documents of one split with `max_characters` in all; never none of them, and equal documents together.

    In memory are 16 bytes a document.
    """
    tables = [_table(batch) for batch in corpus.record_batches(split)]
    table = np.concatenate([np.zeros(0, _TABLE), *tables])
    table.sort(order="hash")
    running = np.cumsum(table["characters"])
    largest_hash = _LARGEST_HASH
    if len(table) and running[-1] > max_characters:
        fitting = int(np.searchsorted(running, max_characters, side="right"))
        largest_hash = int(table["hash"][max(fitting, 1) - 1])
    chosen = table["hash"] <= np.uint64(largest_hash)
    return Sample(
        documents=int(chosen.sum()),
        of_documents=len(table),
        characters=int(table["characters"][chosen].sum()),
        of_characters=int(table["characters"].sum()),
        largest_hash=largest_hash,
    )


def sampled_documents(corpus: Corpus, split: str, sample: Sample) -> Iterator[Document]:
    """The chosen documents, in the corpus's order."""
    import pyarrow as pa

    for batch in corpus.record_batches(split):
        if sample.largest_hash != _LARGEST_HASH:
            batch = batch.filter(pa.array(_table(batch)["hash"] <= np.uint64(sample.largest_hash)))
        yield from documents_of(batch)


def chunks(sentence: str) -> list[str]:
    """The parts of a sentence between single spaces; other white space is for the tokenizer to judge."""
    return sentence.split(" ")


def count_chunks(document: Document, counts: Counter[str]) -> None:
    """Add the chunks of a document's sentences to `counts`."""
    for sentence in document.sentences:
        counts.update(chunks(sentence))


def _table(batch: pa.RecordBatch) -> NDArray[np.void]:
    """Of each document 64 bits of its content, and its characters.

    Arrow joins the sentences: made into Python's strings one by one, they would take twice as long. The hash is
    keyed, so that it is independent of the one that chose the validation split.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    sentences = batch.column("sentences")
    texts = pc.binary_join(sentences, "\n")
    table = np.zeros(len(batch), _TABLE)
    table["hash"] = [
        int.from_bytes(blake2b(text, digest_size=8, key=b"cloze tokenizer sample").digest(), "little")
        for text in texts.cast(pa.binary()).to_pylist()
    ]
    line_breaks = np.maximum(pc.list_value_length(sentences).to_numpy() - 1, 0)
    table["characters"] = pc.utf8_length(texts).to_numpy() - line_breaks
    return table
