"""Going on from a folder: what is taken from it, what is new, and what keeps it from fitting."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cloze.errors import ClozeError
from cloze.interop.huggingface import load_model, save_model
from cloze.interop.start import fingerprint_of_start, load_start, with_sizes_of_start
from cloze.models import build
from cloze.recipe import ModelSettings, Recipe
from cloze.tokens.tokenizer import Tokenizer

SIZES = {"layers": 2, "heads": 2, "width": 16, "feed_forward_width": 40, "activation": "relu", "dropout": 0.25}


def saved(folder: Path, tokenizer: Tokenizer, *, family: str = "bert", pairs: bool = False) -> Path:
    """A pretrained folder with more positions than the recipe's rows need."""
    settings = ModelSettings.model_validate({**SIZES, "family": family})
    vocabulary_size, pad_id = tokenizer.vocabulary_size, tokenizer.pad_id
    model = build(settings, vocabulary_size=vocabulary_size, length=24, pad_id=pad_id, pairs=pairs, seed=3)
    save_model(folder, model, tokenizer)
    return folder


def recipe(folder: Path, **sections: dict[str, object]) -> Recipe:
    return Recipe.model_validate({"name": "r", "start_from": folder, "inputs": {"length": 16}, **sections})


@pytest.mark.parametrize(
    ("own", "pairs"),
    [
        ({"family": "bert"}, True),
        ({"family": "albert", "embedding_width": 8, "layer_groups": 2}, True),
        ({"family": "electra", "embedding_width": 8}, False),
        ({"family": "modernbert", "norm_position": "pre", "local_window": 6, "global_every": 2}, False),
    ],
)
def test_the_resolved_recipe_is_one_that_can_be_run_again(
    own: dict[str, object], pairs: bool, folder: Path, tokenizer: Tokenizer
) -> None:
    settings = ModelSettings.model_validate({**SIZES, **own})
    model = build(settings, vocabulary_size=tokenizer.vocabulary_size, length=24, pad_id=0, pairs=pairs, seed=3)
    save_model(folder, model, tokenizer)
    found = with_sizes_of_start(recipe(folder)).model
    assert ModelSettings.model_validate(found.model_dump()) == found
    assert {name: getattr(found, name) for name in own} == own


def test_family_and_sizes_are_the_folders(folder: Path, tokenizer: Tokenizer) -> None:
    asked = recipe(saved(folder, tokenizer, family="roberta"), model={"attention": "explicit", "layers": 9})
    found = with_sizes_of_start(asked).model
    assert found.family == "roberta"
    assert {name: getattr(found, name) for name in SIZES} == SIZES
    assert (found.max_length, found.attention, found.initialisation) == (24, "explicit", "normal")
    assert with_sizes_of_start(asked.model_copy(update={"start_from": None})).model.layers == 9


def test_weights_are_the_folders_and_a_missing_head_is_new(folder: Path, tokenizer: Tokenizer) -> None:
    asked = recipe(saved(folder, tokenizer))
    model, new = load_start(asked, tokenizer, pairs=True, seed=1)
    assert {name.split(".")[0] for name in new} == {"pooler", "sentence_pair"}
    loaded = load_model(folder)[0].state_dict()
    ours = model.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in loaded.items())
    again, _ = load_start(asked, tokenizer, pairs=True, seed=1)
    assert all(torch.equal(ours[name], tensor) for name, tensor in again.state_dict().items())


def test_a_head_that_the_rows_do_not_train_is_left_out(folder: Path, tokenizer: Tokenizer) -> None:
    model, new = load_start(recipe(saved(folder, tokenizer, pairs=True)), tokenizer, pairs=False, seed=1)
    assert new == []
    assert not any(name.startswith("sentence_pair") for name in model.state_dict())


def test_rows_longer_than_the_folders_positions(folder: Path, tokenizer: Tokenizer) -> None:
    asked = recipe(saved(folder, tokenizer), inputs={"length": 25})
    with pytest.raises(ClozeError, match=r"positions for 24 tokens, fewer than inputs\.length 25"):
        with_sizes_of_start(asked)


def test_the_fingerprint_is_of_the_content(folder: Path, tokenizer: Tokenizer) -> None:
    before = fingerprint_of_start(saved(folder, tokenizer))
    (folder / "notes.txt").write_text("nothing of the model")
    assert fingerprint_of_start(folder) == before
    config = folder / "config.json"
    config.write_text(config.read_text().replace("0.25", "0.5"))
    assert fingerprint_of_start(folder) != before
