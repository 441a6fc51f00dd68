"""Worker processes that encode a corpus: its record batches go out by number and come back as arrays, in order.

Workers are spawned, not forked: neither threads of the parent nor torch are in them. Each opens corpus and tokenizer by
path and uses one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloze.corpus.corpus import Corpus, Split
from cloze.errors import ClozeError
from cloze.tokens.encoder import CorpusEncoder, Ids
from cloze.tokens.tokenizer import Tokenizer

_BATCHES_A_WORKER = 3
"""Batches under way for each worker: one is encoded, one waits, one is on its way back."""


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


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode_corpus(corpus: Corpus, tokenizer_folder: Path, split: Split, processes: int) -> Iterator[EncodedDocuments]:
    """The record batches of a split, encoded, in order; by this process alone if one is enough.

    Raises ClozeError if a worker dies.
    """
    batches = corpus.batches(split)
    processes = min(processes, batches)
    if processes <= 1:
        encoder = CorpusEncoder(Tokenizer.load(tokenizer_folder))
        yield from (_encode(encoder, corpus, split, index) for index in range(batches))
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start_worker)
    try:
        waiting: deque[Future[EncodedDocuments]] = deque()
        for index in range(batches):
            if len(waiting) == processes * _BATCHES_A_WORKER:
                yield waiting.popleft().result()
            waiting.append(_submit(pool, corpus.folder, tokenizer_folder, split, index))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        # One that was being started when another died may never be told to stop, and the pool would wait for it.
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise ClozeError(
            f"A worker process died while encoding {corpus.folder}. Most often the machine ran out of memory: set "
            f"store.processes lower (it was {processes}) or free some memory, and run again. A Python script that runs "
            'cloze must do so under `if __name__ == "__main__":`, because workers import it.'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor, corpus_folder: Path, tokenizer_folder: Path, split: Split, index: int
) -> Future[EncodedDocuments]:
    try:
        return pool.submit(_encode_in_worker, corpus_folder, tokenizer_folder, split, index)
    except OSError as error:
        # A worker that dies while the next one is being started has closed the pipe that the next one inherits.
        raise BrokenProcessPool from error


def _start_worker() -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _encode_in_worker(corpus_folder: Path, tokenizer_folder: Path, split: Split, index: int) -> EncodedDocuments:
    return _encode(_worker_encoder(tokenizer_folder), Corpus(corpus_folder), split, index)


@lru_cache(maxsize=1)
def _worker_encoder(tokenizer_folder: Path) -> CorpusEncoder:
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
