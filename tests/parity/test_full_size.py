"""Each family at the size of its paper, as its recipe has it, against transformers: hidden states and all heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch

from cloze.interop.huggingface import load_model, save_model
from cloze.models import PretrainingModel, build
from cloze.recipe_file import read_recipe
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, Rows, make_rows

transformers = pytest.importorskip("transformers", reason="parity needs the dev extra")

RECIPES = Path(__file__).parents[2] / "recipes"
LENGTHS = [200, 61]
"""The first is longer than ModernBERT's local window."""
TOLERANCE = 1e-5
CLASSES = {
    "bert": "BertForPreTraining",
    "roberta": "RobertaForMaskedLM",
    "albert": "AlbertForPreTraining",
    "electra": "ElectraForPreTraining",
    "spanbert": "BertForMaskedLM",
    "modernbert": "ModernBertForMaskedLM",
}


def full_size(family: str) -> PretrainingModel:
    recipe = read_recipe(RECIPES / f"{family}-base.yaml")
    pairs = family in ("bert", "albert")
    model = build(recipe.model, vocabulary_size=VOCABULARY, length=256, pad_id=0, pairs=pairs, seed=5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # biases and norms of a fresh model would hide a wrong name
                noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
                parameter.add_(0.02 * noise)
    return cast("PretrainingModel", cast("torch.nn.Module", model).eval())


def theirs(name: str, folder: Path, rows: Rows) -> Any:
    model = getattr(transformers, name).from_pretrained(folder).eval()
    types = {} if name.startswith("Modern") else {"token_type_ids": rows.segments}
    with torch.no_grad():
        return model(input_ids=rows.ids, attention_mask=rows.mask, output_hidden_states=True, **types)


def largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())


@pytest.mark.parametrize("family", CLASSES)
def test_a_full_size_model_agrees(family: str, folder: Path, tokenizer: Tokenizer) -> None:
    model = full_size(family)
    save_model(folder, model, tokenizer)
    rows = make_rows(LENGTHS, VOCABULARY, 0, segments=family in ("bert", "albert", "electra"))
    found = theirs(CLASSES[family], folder, rows)
    with torch.no_grad():
        states = model.encoder.hidden_states(rows.flat)
        assert len(states) == len(found.hidden_states)
        for ours, other in zip(states, found.hidden_states, strict=True):
            assert largest(ours - rows.unpad(other)) < TOLERANCE
        hidden, heads = states[-1], cast("Any", model)
        if family == "electra":
            assert largest(heads.replaced_tokens(hidden) - rows.unpad(found.logits)) < TOLERANCE
            guesses = theirs("ElectraForMaskedLM", folder / "generator", rows).logits
            everywhere = torch.arange(rows.flat.tokens)
            assert largest(heads.token_logits(rows.flat, everywhere) - rows.unpad(guesses)) < TOLERANCE
        else:
            logits = found.prediction_logits if "prediction_logits" in found else found.logits
            assert largest(model.masked_logits(hidden) - rows.unpad(logits)) < TOLERANCE
        if family in ("bert", "albert"):
            pooled = heads.sentence_pair(heads.pool(hidden, rows.flat))
            assert largest(pooled - found["seq_relationship_logits" if family == "bert" else "sop_logits"]) < TOLERANCE
    again, _ = load_model(folder)
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())
