"""Ragged rows, as our flat batch and as the padded arrays that transformers takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Library
from tokenizers import models, normalizers, pre_tokenizers
from torch import Tensor

from cloze.inputs.batch import Batch, Target
from cloze.tokens.tokenizer import Tokenizer

VOCABULARY = 96


@dataclass(frozen=True)
class Rows:
    """The same rows twice."""

    flat: Batch
    ids: Tensor
    segments: Tensor
    mask: Tensor

    def unpad(self, padded: Tensor) -> Tensor:
        """[R, S, ...] -> [T, ...]."""
        return padded[self.mask.bool()]


def make_rows(lengths: list[int], vocabulary: int, pad_id: int, *, segments: bool, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    tokens, longest = int(offsets[-1]), max(lengths)
    ids = torch.randint(5, vocabulary, (tokens,), generator=generator)
    positions = torch.cat([torch.arange(n) for n in lengths])
    types = torch.cat([(torch.arange(n) > n // 2).long() for n in lengths]) * int(segments)
    where = torch.arange(0, tokens, 3)
    labels = torch.randint(5, vocabulary, where.shape, generator=generator)
    pairs = Target(offsets[:-1].long(), torch.arange(len(lengths)) % 2)
    targets = {"masked_tokens": Target(where, labels), "sentence_pair": pairs}
    flat = Batch(ids, positions, types, offsets, longest, np.arange(len(lengths)), targets)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    padded_ids = torch.full((len(lengths), longest), pad_id)
    padded_types = torch.zeros(len(lengths), longest, dtype=torch.long)
    padded_ids[mask.bool()], padded_types[mask.bool()] = ids, types
    return Rows(flat, padded_ids, padded_types, mask)


def randomise(model: torch.nn.Module) -> None:
    """Make biases and norms of a fresh model random too: at 0 and 1 they would hide a wrong name."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def make_tokenizer() -> Tokenizer:
    """WordPiece of VOCABULARY entries."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0xAC00 + i) for i in range(VOCABULARY - 5))]
    library = Library(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    library.normalizer = normalizers.NFC()
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.add_special_tokens(names[:5])
    return Tokenizer(library.to_str())


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return make_tokenizer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"
