"""Formats: documents of sentences to rows, as a `Plan` of spans into the token store; no token is read.

Axes: S sentences, D documents, P pieces, R rows. All positions are global token positions of the store, all lengths are
in tokens. A row is [CLS] piece [SEP] piece [SEP] ..., so it is 1 + sum(piece length + 1) tokens long.

Both formats are computed alike. What a row does when it begins at sentence i (where it ends, how it is split) depends
on i alone, so it is computed for all i at once; then one walk from row to row picks the i where rows do begin. Every
random draw is a hash of (seed, copy, document or first sentence).

full-sentences: RoBERTa (arXiv:1907.11692), section 4.2. segment-pair: create_pretraining_data.py of
google-research/bert, with exceptions named at `_segment_pair`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.inputs.hashing import hash_u64, integers, permutation, uniform
from cloze.recipe import InputSettings

Int64 = NDArray[np.int64]

FOLLOWS, RANDOM = 0, 1
"""Next-sentence labels, as in BERT's and Hugging Face's heads: B follows A; B is from another document."""

_WALK_CHUNK = 1 << 20


class Spans(Protocol):
    """Where sentences and documents lie in a token store. Neither is ever empty."""

    @property
    def sentence_offsets(self) -> Int64:
        """Int64 [S + 1]: token position where each sentence starts, then the number of tokens."""

    @property
    def document_offsets(self) -> Int64:
        """Int64 [D + 1]: index of each document's first sentence, then the number of sentences."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The rows of one copy of a corpus."""

    piece_starts: Int64
    """Int64 [P]: token position of each piece's first token."""
    piece_lengths: Int64
    """Int64 [P]: tokens of each piece, at least 1."""
    piece_segments: NDArray[np.uint8]
    """Uint8 [P]: 0 or 1."""
    row_offsets: Int64
    """Int64 [R + 1]: first piece of each row, then P; every row has a piece."""
    labels: NDArray[np.int8]
    """Int8 [R]: FOLLOWS or RANDOM; -1 where the format has no pairs."""
    dropped: dict[str, int]
    """What did not enter the rows as it stood. full-sentences: "split_sentences", longer than a row and cut into
    several, no token lost. segment-pair: "truncated_tokens" of the corpus, which this copy leaves out, and
    "truncated_random_tokens", cut from random second segments."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.row_offsets.size - 1

    @property
    def paired(self) -> bool:
        """Whether rows carry a next-sentence label."""
        return bool(self.labels[0] >= 0)

    def row_lengths(self) -> Int64:
        """Int64 [R]: tokens of each row, special tokens included."""
        ends = _offsets(self.piece_lengths + 1)
        return 1 + np.diff(ends[self.row_offsets])


def plan(store: Spans, format: InputSettings, seed: int, copy: int) -> Plan:
    """Plan the rows of one copy: a function of (store, format, seed, copy) alone.

    A corpus smaller than a row gives one short row. ClozeError: there is no token, or a single document where pairs
    need two.
    """
    if store.sentence_offsets[-1] == 0:
        raise ClozeError(
            f"the token store holds {store.document_offsets.size - 1} documents, {store.sentence_offsets.size - 1} "
            "sentences and 0 tokens, so there is no row to train on. The corpus stage's counts say what was dropped: "
            "keep more of it or add sources."
        )
    return _PLANNERS[format.format](store, format, seed, copy)


def ranges(starts: Int64 | int, lengths: Int64) -> Int64:
    """Concatenated ranges: starts[0], starts[0] + 1, ... (lengths[0] of them), starts[1], ...; int64 [sum(lengths)]."""
    offsets = _offsets(lengths)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def _full_sentences(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """Rows filled with whole sentences across documents, documents in hashed order; one piece per document and row.

    A sentence longer than a row is cut into units that each fill a row; its rest goes on like any sentence.
    """
    documents = permutation(store.document_offsets.size - 1, seed, "full-sentences/documents", copy)
    sentences_of = np.diff(store.document_offsets)[documents]
    sentences = ranges(store.document_offsets[documents], sentences_of)

    longest = settings.length - 2
    sentence_lengths = np.diff(store.sentence_offsets)[sentences]
    parts = -(-sentence_lengths // longest)
    done = ranges(0, parts) * longest  # tokens of the same sentence in earlier units
    starts = np.repeat(store.sentence_offsets[sentences], parts) + done
    lengths = np.minimum(longest, np.repeat(sentence_lengths, parts) - done)
    opens_document = np.zeros(starts.size, dtype=bool)
    opens_document[_offsets(parts)[_offsets(sentences_of)[:-1]]] = True

    # A document's first unit pays for its [SEP]; a row that begins inside a document must pay for one more.
    cost = _offsets(lengths + opens_document)
    capacity = settings.length - 1 - ~opens_document
    row_starts = _walk(np.searchsorted(cost, cost[:-1] + capacity, side="right") - 1)

    opens_piece = opens_document
    opens_piece[row_starts] = True
    pieces = np.flatnonzero(opens_piece)
    return Plan(
        piece_starts=starts[pieces],
        piece_lengths=np.diff(_offsets(lengths)[np.append(pieces, starts.size)]),
        piece_segments=np.zeros(pieces.size, dtype=np.uint8),
        row_offsets=np.searchsorted(pieces, np.append(row_starts, starts.size)),
        labels=np.full(row_starts.size, -1, dtype=np.int8),
        dropped={"split_sentences": int(np.count_nonzero(parts > 1))},
    )


def _segment_pair(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """BERT's pairs: chunks of sentences up to a target length, split in two; half of the second parts are random.

    As in create_pretraining_data.py: the short target is drawn once per document and copy, 2 to the longest pair
    inclusive; a chunk of one sentence always gets a random B (so random pairs exceed half); the sentences that a random
    B displaces are put back; the longer segment is truncated, front or back at even odds. Unlike it: a random B never
    comes from A's own document, all documents are candidates, not one shard's.
    """
    offsets, document_offsets = store.sentence_offsets, store.document_offsets
    documents = np.arange(document_offsets.size - 1)
    if documents.size == 1:
        raise ClozeError(
            f"inputs.format segment-pair needs at least 2 documents in a split, found 1 (of {offsets.size - 1} "
            "sentences): a random second segment must come from another document. Separate documents by a blank line, "
            "add sources, use full-sentences, or change corpus.validation_frac if it is the validation split."
        )
    longest = settings.length - 3
    short = uniform(seed, "segment-pair/short", copy, documents) < settings.short_row_frac
    short_target = 2 + integers(longest - 1, seed, "segment-pair/target", copy, documents)
    target = np.where(short, short_target, longest)

    # Every chunk that could begin, by its first sentence; then those that do.
    document = np.repeat(documents, np.diff(document_offsets))
    first = np.arange(document.size)
    end = _fill(offsets, first, target[document], document_offsets[document + 1])
    middle = first + 1 + integers(np.maximum(end - first - 1, 1), seed, "segment-pair/split", copy, first)
    random = (end - first == 1) | _coin(seed, "segment-pair/random", copy, first)
    chunks = _walk(np.where(random, middle, end))
    document, end, middle, random = document[chunks], end[chunks], middle[chunks], random[chunks]

    a_start, a_length = offsets[chunks], offsets[middle] - offsets[chunks]
    other = integers(documents.size - 1, seed, "segment-pair/other", copy, chunks)
    other += other >= document  # skips A's own document
    first_b = document_offsets[other] + integers(
        np.diff(document_offsets)[other], seed, "segment-pair/first", copy, chunks
    )
    end_b = _fill(offsets, first_b, np.maximum(target[document] - a_length, 1), document_offsets[other + 1])
    b_start = offsets[np.where(random, first_b, middle)]
    b_length = offsets[np.where(random, end_b, end)] - b_start

    # BERT takes one token at a time from the longer segment, from B when they are equal: this is where that ends.
    cut_a = a_length - np.minimum(a_length, np.maximum(longest - b_length, longest - longest // 2))
    cut_b = b_length - np.minimum(b_length, np.maximum(longest - a_length, longest // 2))
    a_start = a_start + _from_front(cut_a, seed, "segment-pair/front-a", copy, chunks)
    b_start = b_start + _from_front(cut_b, seed, "segment-pair/front-b", copy, chunks)
    return Plan(
        piece_starts=np.stack([a_start, b_start], axis=1).ravel(),
        piece_lengths=np.stack([a_length - cut_a, b_length - cut_b], axis=1).ravel(),
        piece_segments=np.tile(np.array([0, 1], dtype=np.uint8), chunks.size),
        row_offsets=2 * np.arange(chunks.size + 1),
        labels=np.where(random, RANDOM, FOLLOWS).astype(np.int8),
        dropped={
            "truncated_tokens": int(cut_a.sum() + cut_b[~random].sum()),
            "truncated_random_tokens": int(cut_b[random].sum()),
        },
    )


_PLANNERS: dict[str, Callable[[Spans, InputSettings, int, int], Plan]] = {
    "full-sentences": _full_sentences,
    "segment-pair": _segment_pair,
}


def _offsets(lengths: Int64) -> Int64:
    """Int64 [n + 1]: where consecutive spans of these lengths start, then where the last one ends."""
    offsets = np.zeros(lengths.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _walk(following: Int64) -> Int64:
    """Int64 [R]: 0, following[0], following[following[0]], ... below the size; following[i] > i."""
    visited: list[int] = []
    here = 0
    for begin in range(0, following.size, _WALK_CHUNK):  # in chunks: a list takes five times the array's memory
        table = following[begin : begin + _WALK_CHUNK].tolist()
        end = begin + len(table)
        while here < end:
            visited.append(here)
            here = table[here - begin]
    return np.array(visited, dtype=np.int64)


def _fill(offsets: Int64, first: Int64, target: Int64, last: Int64) -> Int64:
    """The sentence after the one that brings the tokens from `first` on to `target` or more; at most `last`."""
    return np.minimum(np.searchsorted(offsets, offsets[first] + target), last)


def _coin(seed: int, purpose: str, *counters: int | Int64) -> NDArray[np.bool_]:
    """True at even odds."""
    return hash_u64(seed, purpose, *counters) >= np.uint64(1 << 63)


def _from_front(cut: Int64, seed: int, purpose: str, copy: int, chunks: Int64) -> Int64:
    """Int64 [R]: how many of the `cut` tokens of each row leave at the front: a coin for each token."""
    row = np.repeat(np.arange(cut.size), cut)
    front = _coin(seed, purpose, copy, chunks[row], ranges(0, cut))
    return np.bincount(row[front], minlength=cut.size)
