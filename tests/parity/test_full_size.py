"""Each family at the size of its paper, as its recipe has it, against transformers: hidden states and all heads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cloze.interop.huggingface import load_model
from cloze.tokens.tokenizer import Tokenizer

pytest.importorskip("transformers", reason="parity needs the dev extra")

from tests.parity.full_size import CLASSES, differences

TOLERANCE = 1e-5


@pytest.mark.parametrize("family", CLASSES)
def test_a_full_size_model_agrees(family: str, folder: Path, tokenizer: Tokenizer) -> None:
    model, apart = differences(family, folder, tokenizer)
    assert len(apart) >= 2 and max(apart.values()) < TOLERANCE, apart
    again, _ = load_model(folder)
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())
