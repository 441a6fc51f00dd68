"""Corpora to plan and plans to read: what the tests of all formats share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from cloze.inputs.planning import Plan

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeStore

Corpus = list[list[int]]
"""Documents as lists of sentence lengths."""

Piece = tuple[int, int]
"""Token positions: first, one past the last."""

CORPORA = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=2, max_size=8)
LENGTHS = st.integers(8, 48)


@dataclass
class Row:
    """A row of a plan, unpacked."""

    pieces: list[Piece]
    label: int


def rows_of(made: Plan) -> list[Row]:
    starts, ends = made.piece_starts.tolist(), (made.piece_starts + made.piece_lengths).tolist()
    pieces = list(zip(starts, ends, strict=True))
    cuts = made.row_offsets.tolist()
    return [Row(pieces[cuts[i] : cuts[i + 1]], int(made.labels[i])) for i in range(made.rows)]


def document_of(store: FakeStore, position: int) -> int:
    return int(np.searchsorted(store.document_offsets, sentence_of(store, position), side="right") - 1)


def sentence_of(store: FakeStore, position: int) -> int:
    return int(np.searchsorted(store.sentence_offsets, position, side="right") - 1)
