"""Folders of models whose norms no model of transformers has: cloze reads back what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cloze.errors import ClozeError, DamagedError
from cloze.interop.huggingface import load_classifier, load_model, save_classifier, save_model
from cloze.interop.start import load_start
from cloze.models import PretrainingModel, build
from cloze.models.classifier import Classifier, TokenClassifier
from cloze.recipe import ModelSettings, Recipe
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, make_rows

MODELS = [
    ("bert", "post", True, "rms"),
    ("bert", "pre", True, "batch"),
    ("roberta", "post", False, "batch"),
    ("roberta", "pre", False, "rms"),
    ("bert", "post", True, "none"),
    ("roberta", "pre", False, "none"),
]


def trained(family: Any, norm_position: Any, pairs: bool, norm: Any) -> PretrainingModel:
    """A model in which no norm is as it began, neither weights nor running averages."""
    sizes = {"layers": 2, "heads": 2, "width": 8, "initialisation_std": 0.2, "dropout": 0.0, "attention_dropout": 0.0}
    settings = ModelSettings(family=family, norm=norm, norm_position=norm_position, **sizes)  # type: ignore[arg-type]
    model = build(settings, vocabulary_size=VOCABULARY, length=24, pad_id=0, pairs=pairs, seed=3)
    with torch.no_grad():
        for seed, parameter in enumerate(model.parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
        for seed in range(3):
            model.encoder.train()(make_rows([9, 2, 14], VOCABULARY, 0, segments=pairs, seed=seed).flat)
    return cast("PretrainingModel", cast("nn.Module", model).eval())


def assert_same(one: Any, other: Any) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(other.state_dict()[name], tensor) for name, tensor in one.state_dict().items())
    assert one.encoder.config == other.encoder.config
    rows = make_rows([5, 3], VOCABULARY, 0, segments=False).flat
    with torch.no_grad():
        assert torch.equal(one.encoder(rows), other.encoder(rows))


@pytest.mark.parametrize(("family", "norm_position", "pairs", "norm"), MODELS)
def test_our_folders_come_back_bit_for_bit(
    family: str, norm_position: str, pairs: bool, norm: str, folder: Path, tokenizer: Tokenizer
) -> None:
    model = trained(family, norm_position, pairs, norm)
    save_model(folder, model, tokenizer)
    again, _ = load_model(folder)
    assert again.family == family
    assert_same(model, again)
    tensors = load_file(folder / "model.safetensors")
    of_the_head = "LayerNorm" if family == "bert" and norm_position == "post" else "layer_norm"
    of_the_encoder = {"rms": {"RMSNorm"}, "batch": {"BatchNorm"}, "none": set[str]()}[norm]
    found = {name.rsplit(".", 2)[1] for name in tensors if "norm" in name.split(".")[-2].lower()}
    assert found == of_the_encoder | {of_the_head}
    start = Recipe.model_validate({"name": "r", "start_from": folder, "inputs": {"length": 16}})
    going_on, new = load_start(start, tokenizer, pairs=pairs, seed=1)
    assert new == []
    assert all(torch.equal(going_on.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", [Classifier, TokenClassifier])
@pytest.mark.parametrize(("family", "norm_position", "pairs", "norm"), MODELS)
def test_classifiers_come_back_bit_for_bit(
    family: str, norm_position: str, pairs: bool, norm: str, kind: Any, folder: Path, tokenizer: Tokenizer
) -> None:
    classifier = kind(trained(family, norm_position, pairs, norm), ["bad", "good"]).eval()
    save_classifier(folder, classifier, tokenizer)
    again, _ = load_classifier(folder)
    assert_same(classifier, again)


@pytest.mark.parametrize("norm", ["layer", "group", None, ["rms"]])
def test_a_norm_that_is_not_known(norm: object, folder: Path, tokenizer: Tokenizer) -> None:
    save_model(folder, trained("bert", "post", False, "rms"), tokenizer)
    path = folder / "config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    assert (described["model_type"], described["norm"]) == ("cloze-bert", "rms")
    path.write_text(json.dumps(described | {"norm": norm}), encoding="utf-8")
    with pytest.raises(ClozeError, match=r"norm is .*, expected one of rms, batch"):
        load_model(folder)


def test_a_norm_that_is_not_the_tensors(folder: Path, tokenizer: Tokenizer) -> None:
    save_model(folder, trained("bert", "post", False, "batch"), tokenizer)
    path = folder / "config.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"norm": "batch"', '"norm": "rms"'), encoding="utf-8")
    with pytest.raises(DamagedError, match=r"bert\.embeddings\.RMSNorm\.weight is missing.*BatchNorm"):
        load_model(folder)
