"""Going on from a folder: what is taken from it, what is new, and what keeps it from fitting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cloze.errors import ClozeError
from cloze.files import write_folder, write_json
from cloze.interop.huggingface import load_model, save_model
from cloze.interop.start import fingerprint_of_start, load_start, tokenizer_of_start, with_sizes_of_start
from cloze.models import build
from cloze.recipe import ModelSettings, Recipe
from cloze.stages import plan_stages
from cloze.study.grid import Cell
from cloze.study.run import finished, to_be_made
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


def test_a_cell_of_a_study_that_starts_from_a_folder_is_seen_to_be_finished(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Its stages are named by the folder's sizes, not by the recipe's own."""
    (tmp_path / "a.txt").write_text("가.\n", encoding="utf-8")
    here: dict[str, Any] = {"data": tmp_path, "output": tmp_path / "runs", "corpus": {"sources": ["a.txt"]}}
    cell = Cell({}, 1, recipe(saved(tmp_path / "start", tokenizer), **here))
    assert to_be_made(cell) == ["corpus", "tokenizer", "store", "pretraining"]
    for stage in plan_stages(with_sizes_of_start(cell.recipe)).values():
        with write_folder(stage.folder, manifest=dict(stage.identity)):
            pass
    assert not finished(cell) and to_be_made(cell) == []
    stages = plan_stages(with_sizes_of_start(cell.recipe))
    made = {name: {"folder": stage.folder.name} for name, stage in stages.items()}
    write_json(tmp_path / "runs" / "r" / "run.json", {"stages": made})
    assert finished(cell)


@pytest.mark.parametrize(
    ("own", "pairs"),
    [
        ({"family": "bert"}, True),
        ({"family": "bert", "norm": "rms"}, True),
        ({"family": "roberta", "norm": "batch", "norm_position": "pre"}, False),
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
    resolved = with_sizes_of_start(recipe(folder))
    assert Recipe.model_validate(resolved.model_dump()) == resolved
    found = resolved.model
    assert {name: getattr(found, name) for name in own} == own


def test_family_and_sizes_are_the_folders(folder: Path, tokenizer: Tokenizer) -> None:
    asked = recipe(saved(folder, tokenizer, family="roberta"), model={"attention": "explicit", "layers": 9})
    found = with_sizes_of_start(asked).model
    assert found.family == "roberta"
    assert {name: getattr(found, name) for name in SIZES} == SIZES
    assert (found.max_length, found.attention, found.initialisation) == (24, "explicit", "normal")
    assert with_sizes_of_start(asked.model_copy(update={"start_from": None})).model.layers == 9


def test_a_dropout_that_the_recipe_names_is_the_recipes(folder: Path, tokenizer: Tokenizer) -> None:
    """It is no size; a flag must not vanish."""
    asked = recipe(saved(folder, tokenizer), model={"dropout": 0.5})
    assert with_sizes_of_start(asked).model.dropout == 0.5
    config = load_start(with_sizes_of_start(asked), tokenizer, pairs=False, seed=1)[0].encoder.config
    assert (config.dropout, config.attention_dropout) == (0.5, load_model(folder)[0].encoder.config.attention_dropout)


def test_what_cannot_be_pretrained_is_refused_before_the_corpus_is_made(folder: Path, tokenizer: Tokenizer) -> None:
    """Only config.json is needed to know."""
    saved(folder, tokenizer)
    described = json.loads((folder / "config.json").read_bytes())
    for architecture, told in (
        ("BertModel", "was saved as BertModel, without the head"),
        ("BertForSequenceClassification", "holds a fine-tuned classifier"),
    ):
        write_json(folder / "config.json", described | {"architectures": [architecture]})
        with pytest.raises(ClozeError, match=told):
            with_sizes_of_start(recipe(folder))
    task = {"name": "t", "train": "a", "test": "b"}
    write_json(folder / "config.json", described | {"architectures": ["BertModel"]})
    assert with_sizes_of_start(recipe(folder, tasks=[task])).only_tasks  # type: ignore[arg-type]


def test_electra_goes_on_with_its_generator_and_not_without(folder: Path, tokenizer: Tokenizer) -> None:
    settings = ModelSettings.model_validate({**SIZES, "family": "electra", "generator_frac": 0.5})
    model = build(settings, vocabulary_size=tokenizer.vocabulary_size, length=24, pad_id=0, pairs=False, seed=3)
    save_model(folder, model, tokenizer)
    assert with_sizes_of_start(recipe(folder)).model.generator_frac == 0.5
    weights = folder / "generator" / "model.safetensors"
    tensors = load_file(weights)
    table = next(tensor for name, tensor in tensors.items() if name.endswith("word_embeddings.weight"))
    save_file(tensors | {"generator_lm_head.weight": table + 1}, weights)
    with pytest.warns(
        UserWarning, match=r"generator.model\.safetensors: generator_lm_head\.weight differs from the table"
    ):
        load_model(folder)
    shutil.rmtree(folder / "generator")
    with pytest.raises(ClozeError, match="has no folder generator/, and electra is pretrained with a generator"):
        with_sizes_of_start(recipe(folder))


def test_batch_norm_of_the_folder_and_an_average_of_the_recipe(folder: Path, tokenizer: Tokenizer) -> None:
    settings = ModelSettings.model_validate({**SIZES, "norm": "batch"})
    model = build(settings, vocabulary_size=tokenizer.vocabulary_size, length=24, pad_id=0, pairs=False, seed=3)
    save_model(folder, model, tokenizer)
    with pytest.raises(ClozeError, match=r"has BatchNorm: training\.average_decay 0\.9 averages weights"):
        with_sizes_of_start(recipe(folder, training={"average_decay": 0.9}))


def test_a_dropout_that_nothing_would_learn_with_is_refused(folder: Path, tokenizer: Tokenizer) -> None:
    """Without a corpus; the recipe that a run leaves names the folder's own, which is fine."""
    saved(folder, tokenizer)
    tasks: Any = [{"name": "t", "train": "a", "test": "b"}]
    with pytest.raises(ClozeError, match=r"model\.dropout is 0\.5, but without a corpus .* as it is \(0\.25\)"):
        with_sizes_of_start(recipe(folder, model={"dropout": 0.5}, tasks=tasks))
    assert with_sizes_of_start(recipe(folder, model={"dropout": 0.25}, tasks=tasks)).model.dropout == 0.25


def test_a_task_may_be_as_long_as_the_folder_reads(folder: Path, tokenizer: Tokenizer) -> None:
    """However short the recipe's own rows are."""
    saved(folder, tokenizer)

    def asked(length: int) -> Recipe:
        return recipe(folder, tasks=[{"name": "t", "train": "a", "test": "b", "length": length}])  # type: ignore[arg-type]

    assert with_sizes_of_start(asked(24)).tasks[0].length == 24
    with pytest.raises(ClozeError, match=r"positions for 24 tokens, fewer than tasks\.0\.length 25"):
        with_sizes_of_start(asked(25))


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


def test_spanbert_goes_on_from_a_bert(folder: Path, tokenizer: Tokenizer) -> None:
    """Its published folders are BERT's to transformers, too; the head for boundaries is new."""
    masking = {"unit": "span", "boundaries": True}
    asked = with_sizes_of_start(recipe(saved(folder, tokenizer), model={"family": "spanbert"}, masking=masking))
    assert asked.model.family == "spanbert"
    model, new = load_start(asked, tokenizer, pairs=False, seed=1)
    assert model.family == "spanbert" and {name.split(".")[0] for name in new} == {"span_boundary"}


@pytest.mark.parametrize(
    ("family", "sections", "told"),
    [
        (
            "roberta",
            {"inputs": {"length": 16, "format": "segment-pair"}},
            "holds a roberta: .* learns nothing from pairs",
        ),
        (
            "electra",
            {"inputs": {"length": 16, "format": "segment-pair"}},
            "holds a electra: .* learns nothing from pairs",
        ),
        ("spanbert", {}, "holds a spanbert: .* an objective on masking.boundaries: set it to true"),
        (
            "roberta",
            {"model": {"family": "spanbert"}, "masking": {"unit": "span", "boundaries": True}},
            "holds a roberta: .* no objective on masking.boundaries: set it to false",
        ),
    ],
)
def test_rows_that_the_folders_family_does_not_learn_from(
    family: str, sections: dict[str, Any], told: str, folder: Path, tokenizer: Tokenizer
) -> None:
    with pytest.raises(ClozeError, match=told):
        with_sizes_of_start(recipe(saved(folder, tokenizer, family=family), **sections))


def test_rows_longer_than_the_folders_positions(folder: Path, tokenizer: Tokenizer) -> None:
    asked = recipe(saved(folder, tokenizer), inputs={"length": 25})
    with pytest.raises(ClozeError, match=r"positions for 24 tokens, fewer than inputs\.length 25"):
        with_sizes_of_start(asked)


def test_the_fingerprint_is_of_the_content(folder: Path, tokenizer: Tokenizer) -> None:
    before = fingerprint_of_start(saved(folder, tokenizer))
    (folder / "notes.txt").write_text("nothing of the model")
    assert fingerprint_of_start(folder) == before
    config = folder / "config.json"
    text = config.read_text()
    config.write_text(text.replace("0.25", "0.5"))
    assert fingerprint_of_start(folder) != before
    config.write_text(text)
    assert fingerprint_of_start(folder) == before
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + bytes([weights.read_bytes()[-1] ^ 1]))
    assert fingerprint_of_start(folder) != before


@pytest.mark.parametrize(
    "own",
    [
        {"family": "bert"},
        {"family": "electra", "embedding_width": 8},
        {"family": "spanbert"},
        {"family": "modernbert", "norm_position": "pre"},
    ],
)
def test_a_new_word_begins_as_the_mean_of_its_pieces(
    own: dict[str, object], folder: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    described = json.loads(tokenizer.text)
    described["model"]["vocab"]["##각"] = described["model"]["vocab"].pop(
        tokenizer.token(tokenizer.vocabulary_size - 1)
    )
    tokenizer = Tokenizer(json.dumps(described))
    settings = ModelSettings.model_validate({**SIZES, **own})
    size = tokenizer.vocabulary_size
    model = build(settings, vocabulary_size=size, length=24, pad_id=0, pairs=False, seed=3)
    model.masked_tokens.bias.data.uniform_()
    save_model(folder, model, tokenizer)
    (tmp_path / "words.txt").write_text("가각\n", encoding="utf-8")
    asked = recipe(folder, tokenizer={"new_words": "words.txt"}).model_copy(update={"data": tmp_path})
    extended, pieces = tokenizer_of_start(asked)
    grown, new = load_start(asked, extended, pairs=False, seed=1)
    assert new == [] and list(pieces) == [size]
    of = list(pieces[size])
    assert of == tokenizer.encode(["가각"])[0] and len(of) == 2
    for name, tensor in grown.state_dict().items():
        was = load_model(folder)[0].state_dict()[name]
        assert torch.equal(tensor[: len(was)], was)
        if len(tensor) > len(was):
            torch.testing.assert_close(tensor[size], was[of].mean(dim=0))
    assert grown.encoder.embeddings.token.weight.shape[0] == grown.masked_tokens.bias.shape[0] == size + 1
    with pytest.raises(ClozeError, match="has changed since this run began"):
        load_start(asked, tokenizer, pairs=False, seed=1)


def test_new_words_need_a_tokenizer_to_extend() -> None:
    with pytest.raises(ValueError, match=r"new_words extend the tokenizer of start_from, which is null"):
        Recipe.model_validate({"name": "r", "tokenizer": {"new_words": "words.txt"}})
