"""A `Plan`: which spans of the token store make which row; and the array arithmetic that all formats share.

Axes: S sentences, D documents, P pieces, R rows. All positions are global token positions of the store, all lengths are
in tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.hashing import hash_u64

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

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
    """The rows of one copy of a corpus. A row is [CLS] piece [SEP] piece [SEP] ..., unless it is `cut`."""

    piece_starts: Int64
    """Int64 [P]: token position of each piece's first token."""
    piece_lengths: Int64
    """Int64 [P]: tokens of each piece, at least 1."""
    piece_segments: NDArray[np.uint8]
    """Uint8 [P]: 0 or 1."""
    row_offsets: Int64
    """Int64 [R + 1]: first piece of each row, then P; every row has a piece."""
    labels: NDArray[np.int8]
    """Int8 [R]: the pair's class, as `pairs` names them; -1 where the format has no pairs."""
    dropped: dict[str, int]
    """What did not enter the rows as it stood, by kind:

    - "split_sentences" (full-sentences, doc-sentences): longer than a row and cut into several, no token lost;
    - "truncated_tokens" (pairs): tokens of the corpus that this copy leaves out;
    - "truncated_random_tokens" (segment-pair, sentence-pair): cut from random second segments;
    - "unpaired_tokens" (sentence-order): of documents of one sentence, which have no second part."""
    cut: bool = False
    """Whether each piece is a row of its own for attention, [CLS] piece [SEP] with positions from 0. The plan's row is
    then only the budget that they share."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.row_offsets.size - 1

    @property
    def paired(self) -> bool:
        """Whether rows carry a label."""
        return bool(self.labels[0] >= 0)

    def row_lengths(self) -> Int64:
        """Int64 [R]: tokens of each row, special tokens included."""
        pieces = np.diff(self.row_offsets)
        ends = offsets_of(self.piece_lengths + 1)
        return (pieces if self.cut else 1) + np.diff(ends[self.row_offsets])


def ranges(starts: Int64 | int, lengths: Int64) -> Int64:
    """Concatenated ranges: starts[0], starts[0] + 1, ... (lengths[0] of them), starts[1], ...; int64 [sum(lengths)]."""
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def offsets_of(lengths: Int64) -> Int64:
    """Int64 [n + 1]: where consecutive spans of these lengths start, then where the last one ends."""
    offsets = np.zeros(lengths.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def walk(following: Int64) -> Int64:
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


def fill(offsets: Int64, first: Int64, target: Int64, last: Int64) -> Int64:
    """The sentence after the one that brings the tokens from `first` on to `target` or more; at most `last`."""
    return np.minimum(np.searchsorted(offsets, offsets[first] + target), last)


def coin(seed: int, purpose: str, *counters: int | Int64) -> Bool:
    """True at even odds."""
    return hash_u64(seed, purpose, *counters) >= np.uint64(1 << 63)
