"""A token store and a tokenizer in a few lines, as far as the inputs stage sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class FakeStore:
    """Documents given as lists of sentence lengths; the token at position p has the id 5 + p mod 995."""

    def __init__(self, documents: Sequence[Sequence[int]]) -> None:
        lengths = [length for document in documents for length in document]
        self.sentence_offsets: Int64 = np.cumsum([0, *lengths], dtype=np.int64)
        self.document_offsets: Int64 = np.cumsum([0, *map(len, documents)], dtype=np.int64)

    def take(self, starts: Int64, lengths: Int64) -> Int64:
        spans = [np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)]
        return 5 + np.concatenate(spans) % 995


class FakeTokenizer:
    """A thousand entries: [PAD] [UNK] [CLS] [SEP] [MASK], then w5 ... w999; every third one is a ## piece."""

    vocabulary_size = 1_000
    pad_id, unknown_id, cls_id, sep_id, mask_id = range(5)

    def __init__(self) -> None:
        self.special_ids = [0, 1, 2, 3, 4]
        self.ordinary_ids: Int64 = np.arange(5, 1_000)
        self.word_starts: NDArray[np.bool_] = np.arange(1_000) % 3 != 0
        self.word_starts[:5] = True
        self.characters: Int64 = np.arange(1_000) % 4 * (np.arange(1_000) >= 5)

    def token(self, id: int) -> str:
        if id < 5:
            return ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")[id]
        return f"w{id}" if self.word_starts[id] else f"##w{id}"

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.token(id) for id in ids if id not in self.special_ids).replace(" ##", "")


StoreMaker = Callable[[Sequence[Sequence[int]]], FakeStore]


@pytest.fixture(scope="session")
def make_store() -> StoreMaker:
    """Builds a FakeStore from sentence lengths."""
    return FakeStore


@pytest.fixture(scope="session")
def tokenizer() -> FakeTokenizer:
    """The thousand-entry tokenizer."""
    return FakeTokenizer()
