"""Each family at the size of its paper, as its recipe has it, beside transformers; for the test and for a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
import transformers

from cloze.interop.huggingface import save_model
from cloze.models import PretrainingModel, build
from cloze.recipe_file import read_recipe
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, Rows, make_rows

RECIPES = Path(__file__).parents[2] / "recipes"
LENGTHS = [200, 61]
"""The first is longer than ModernBERT's local window."""
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


def differences(family: str, folder: Path, tokenizer: Tokenizer) -> tuple[PretrainingModel, dict[str, float]]:
    """A model that was written to `folder`, and how far it is from what transformers makes of the folder: the largest
    difference in the hidden states of all layers, and in the logits of each head, on rows of two lengths."""
    model = full_size(family)
    save_model(folder, model, tokenizer)
    rows = make_rows(LENGTHS, VOCABULARY, 0, segments=family in ("bert", "albert", "electra"))
    found = theirs(CLASSES[family], folder, rows)
    with torch.no_grad():
        states = model.encoder.hidden_states(rows.flat)
        pairs = zip(states, found.hidden_states, strict=True)
        apart = {"hidden states": max(largest(ours - rows.unpad(other)) for ours, other in pairs)}
        hidden, heads = states[-1], cast("Any", model)
        if family == "electra":
            apart["replaced tokens"] = largest(heads.replaced_tokens(hidden) - rows.unpad(found.logits))
            guesses = theirs("ElectraForMaskedLM", folder / "generator", rows).logits
            everywhere = torch.arange(rows.flat.tokens)
            apart["generator"] = largest(heads.token_logits(rows.flat, everywhere) - rows.unpad(guesses))
        else:
            logits = found.prediction_logits if "prediction_logits" in found else found.logits
            apart["masked tokens"] = largest(model.masked_logits(hidden) - rows.unpad(logits))
        if family in ("bert", "albert"):
            pooled = heads.sentence_pair(heads.pool(hidden, rows.flat))
            logits = found["seq_relationship_logits" if family == "bert" else "sop_logits"]
            apart["sentence pairs"] = largest(pooled - logits)
    return model, apart
