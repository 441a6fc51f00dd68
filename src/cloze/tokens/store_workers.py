"""Encoding a corpus in worker processes: its record batches go out by number and come back as arrays, in order.

Each worker opens corpus and tokenizer by path and uses one thread. What comes back is kept in a file for each batch
until the store is whole, so that a killed run encodes only what is not there.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloze.corpus.corpus import Corpus, Split
from cloze.errors import ClozeError, DamagedError
from cloze.files import write_bytes
from cloze.tokens.encoder import CorpusEncoder, Ids
from cloze.tokens.tokenizer import Tokenizer
from cloze.workers import Callers, Here, WorkerDied, Workers, in_order


@dataclass(frozen=True, kw_only=True)
class EncodedDocuments:
    """Documents as arrays: ids uint16 or uint32 [T], tokens of each sentence int64 [S], sentences of each document [D].

    Sentences without tokens and documents without sentences are not in the arrays, only counted.
    """

    ids: Ids
    sentence_tokens: NDArray[np.int64]
    document_sentences: NDArray[np.int64]
    empty_sentences: int = 0
    empty_documents: int = 0

    @staticmethod
    def concatenate(parts: list[EncodedDocuments]) -> EncodedDocuments:
        """The documents of all parts, without the counts of what is empty."""
        return EncodedDocuments(
            ids=np.concatenate([part.ids for part in parts]),
            sentence_tokens=np.concatenate([part.sentence_tokens for part in parts]),
            document_sentences=np.concatenate([part.document_sentences for part in parts]),
        )

    def save(self, path: Path) -> None:
        """Write the arrays to a file (npz), whole or not at all."""
        file, empty = io.BytesIO(), np.array([self.empty_sentences, self.empty_documents])
        np.savez(file, self.ids, self.sentence_tokens, self.document_sentences, empty)
        write_bytes(path, file.getvalue())

    @staticmethod
    def load(path: Path) -> EncodedDocuments:
        """The arrays of a file. Raises DamagedError."""
        try:
            with np.load(path, allow_pickle=False) as found:
                ids, sentence_tokens, document_sentences, empty = (found[name] for name in found.files)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DamagedError(f"{path} cannot be read ({error}). Delete it and run again.") from None
        return EncodedDocuments(
            ids=ids,
            sentence_tokens=sentence_tokens,
            document_sentences=document_sentences,
            empty_sentences=int(empty[0]),
            empty_documents=int(empty[1]),
        )

    def split(self, documents: int) -> tuple[EncodedDocuments, EncodedDocuments]:
        """The first `documents` documents, and the rest."""
        sentences = int(self.document_sentences[:documents].sum())
        tokens = int(self.sentence_tokens[:sentences].sum())
        first = EncodedDocuments(
            ids=self.ids[:tokens],
            sentence_tokens=self.sentence_tokens[:sentences],
            document_sentences=self.document_sentences[:documents],
        )
        rest = EncodedDocuments(
            ids=self.ids[tokens:],
            sentence_tokens=self.sentence_tokens[sentences:],
            document_sentences=self.document_sentences[documents:],
        )
        return first, rest


def encode_corpus(
    corpus: Corpus, tokenizer_folder: Path, split: Split, processes: int, kept: Path
) -> Generator[EncodedDocuments]:
    """The record batches of a split, encoded, in order; by this process alone if one is enough.

    Those that are in the folder `kept` are not made again. Raises ClozeError if workers die of one batch again and
    again.
    """
    batches = corpus.batches(split)
    processes = min(processes, batches)
    shared = (split, corpus.folder, tokenizer_folder)
    callers: Callers = Workers(processes, *shared) if processes > 1 else Here(*shared)
    encode = _encode_in_worker if processes > 1 else _encode_here

    def finish(index: int) -> Path:
        path = kept / f"{split}-{index:05d}.npz"
        if not path.exists():
            try:
                callers.call(encode, index).save(path)
            except WorkerDied as error:
                raise ClozeError(
                    f"Record batch {index:,} of {corpus.folder / split}.arrow was not encoded: {error}. Most often "
                    f"the machine ran out of memory: set store.processes lower (it was {processes}) or free some "
                    "memory, and run again. A Python script that runs cloze must do so under "
                    '`if __name__ == "__main__":`, because workers import it.'
                ) from None
        return path

    for path in in_order(callers, finish, range(batches)):
        yield EncodedDocuments.load(path)


def _encode_in_worker(index: int, split: Split, corpus_folder: Path, tokenizer_folder: Path) -> EncodedDocuments:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return _encode_here(index, split, corpus_folder, tokenizer_folder)


def _encode_here(index: int, split: Split, corpus_folder: Path, tokenizer_folder: Path) -> EncodedDocuments:
    return _encode(_encoder(tokenizer_folder), Corpus(corpus_folder), split, index)


@lru_cache(maxsize=1)
def _encoder(tokenizer_folder: Path) -> CorpusEncoder:
    return CorpusEncoder(Tokenizer.load(tokenizer_folder))


def _encode(encoder: CorpusEncoder, corpus: Corpus, split: Split, index: int) -> EncodedDocuments:
    documents = corpus.read_batch(split, index)
    ids, tokens = encoder.encode(sentence for document in documents for sentence in document.sentences)
    document_of_sentence = np.repeat(np.arange(len(documents)), [len(document.sentences) for document in documents])
    filled = np.bincount(document_of_sentence[tokens > 0], minlength=len(documents))
    return EncodedDocuments(
        ids=ids,
        sentence_tokens=tokens[tokens > 0],
        document_sentences=filled[filled > 0],
        empty_sentences=int(np.count_nonzero(tokens == 0)),
        empty_documents=int(np.count_nonzero(filled == 0)),
    )
