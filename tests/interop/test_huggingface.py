"""Folders that are no models, other models, or damaged ones: one message that names the place, and nothing loaded."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer

import cloze.models
from cloze.errors import ClozeError, DamagedError
from cloze.interop.configuration import read_config
from cloze.interop.huggingface import is_classifier, load_classifier, load_model, save_classifier, save_model
from cloze.models import PretrainingModel, build
from cloze.models.classifier import Classifier
from cloze.recipe import ModelSettings
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, make_rows

WORDS = "bert.embeddings.word_embeddings.weight"
KEY = "bert.encoder.layer.0.attention.self.key.weight"
NORM = "bert.embeddings.LayerNorm"


def tiny(vocabulary_size: int = VOCABULARY, **changes: Any) -> PretrainingModel:
    settings = ModelSettings(**{"layers": 1, "heads": 2, "width": 8} | changes)
    pairs = settings.family == "bert"
    return build(settings, vocabulary_size=vocabulary_size, length=12, pad_id=0, pairs=pairs, seed=1)


@pytest.fixture
def bert(folder: Path, tokenizer: Tokenizer) -> Path:
    """A folder with a BERT of one layer."""
    save_model(folder, tiny(), tokenizer)
    return folder


@pytest.fixture
def classifier(folder: Path, tokenizer: Tokenizer) -> Path:
    """A folder with a classifier of two classes."""
    save_classifier(folder, Classifier(tiny(), ["bad", "good"]), tokenizer)
    return folder


def describe(folder: Path, **changes: Any) -> None:
    """Change entries of config.json; None removes one."""
    path = folder / "config.json"
    found = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}), encoding="utf-8")


def change(folder: Path, function: Callable[[dict[str, Tensor]], object]) -> None:
    """Apply `function` to the folder's tensors."""
    tensors = load_file(folder / "model.safetensors")
    function(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("load", [load_model, load_classifier, is_classifier])
def test_a_folder_that_is_no_model(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="absent is not a model: there is no such folder"):
        load(tmp_path / "absent")
    with pytest.raises(ClozeError, match=r"is not a model: it has no config\.json"):
        load(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(ClozeError, match="file is not a model: it is a file"):
        load(tmp_path / "file")
    (tmp_path / "tasks" / "t" / "model").mkdir(parents=True)
    (tmp_path / "tasks" / "t" / "model" / "config.json").write_text("{}")
    with pytest.raises(ClozeError, match=r"It holds some; pass one of: .*tasks/t/model\."):
        load(tmp_path)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", "null", "\udcff"])
def test_a_configuration_that_is_no_json_object(text: str, bert: Path) -> None:
    (bert / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DamagedError, match=r"config\.json .*JSON"):
        load_model(bert)


def test_a_configuration_that_is_a_folder(bert: Path) -> None:
    (bert / "config.json").unlink()
    (bert / "config.json").mkdir()
    with pytest.raises(DamagedError, match=r"config\.json can't be read"):
        load_model(bert)


@pytest.mark.parametrize("model_type", ["gpt2", "distilbert", None, ["bert"]])
def test_another_architecture(model_type: Any, bert: Path) -> None:
    describe(bert, model_type=model_type)
    with pytest.raises(ClozeError, match=r"config\.json says model_type .*cloze reads bert, .*roberta"):
        load_model(bert)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": None, "max_position_embeddings": None}, "lacks hidden_size; it lacks max_position_embeddings"),
        ({"hidden_size": "8"}, "hidden_size is '8', expected a whole number above 0"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"vocab_size": True}, "vocab_size is True"),
        ({"num_attention_heads": 3}, "num_attention_heads 3 doesn't divide 8"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small', expected a number"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan, expected a number"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps is inf, expected a number"),
        ({"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob is 1\.5, expected a share below 1"),
        ({"attention_probs_dropout_prob": 1}, "attention_probs_dropout_prob is 1, expected a share below 1"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish', expected one of gelu_new, "),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"is_decoder": True, "hidden_act": 1}, "hidden_act is 1.*; is_decoder is True"),
        ({"model_type": "roberta", "pad_token_id": -1}, "pad_token_id is -1, expected a whole number"),
    ],
)
def test_a_configuration_that_cloze_cannot_use(changes: dict[str, Any], message: str, bert: Path) -> None:
    describe(bert, **changes)
    with pytest.raises(ClozeError, match=message):
        load_model(bert)


def test_what_transformers_leaves_out_of_a_configuration_is_its_default(classifier: Path) -> None:
    describe(classifier, initializer_range=None, pad_token_id=None, tie_word_embeddings=None, id2label=None)
    describe(classifier, position_embedding_type="absolute", cloze_family=None, classifier_dropout=None)
    assert load_classifier(classifier)[0].classes == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "electra"])
def test_entries_that_published_configurations_lack_are_the_papers(
    family: Any, folder: Path, tokenizer: Tokenizer
) -> None:
    """Google's own have no layer_norm_eps; transformers takes its default."""
    save_model(folder, tiny(family=family), tokenizer)
    gone = ("layer_norm_eps", "type_vocab_size", "hidden_dropout_prob", "attention_probs_dropout_prob")
    describe(folder, cloze_family=None, **dict.fromkeys(gone))
    found = read_config(folder)[1]
    theirs = AutoConfig.from_pretrained(folder)
    assert (found.norm_eps, found.dropout) == (theirs.layer_norm_eps, theirs.hidden_dropout_prob)
    assert found.attention_dropout == theirs.attention_probs_dropout_prob
    assert found.segment_types == theirs.type_vocab_size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier_dropout": "x"}, "classifier_dropout 'x', expected a share"),
        ({"classifier_dropout": 1.5}, "classifier_dropout 1.5, expected a share"),
        ({"cloze_task": {"stride": 0}}, r"cloze_task\.stride 0, expected a whole number above 0"),
        ({"cloze_task": {"longest_answer": 2.5}}, r"cloze_task\.longest_answer 2\.5"),
        ({"id2label": {"0": "a", "1": "a"}}, "in which a name stands twice"),
    ],
)
def test_what_a_classifier_says_of_itself_is_checked(changes: dict[str, Any], message: str, classifier: Path) -> None:
    describe(classifier, **changes)
    with pytest.raises(ClozeError, match=message):
        load_classifier(classifier)


def test_a_stored_matrix_that_is_not_the_table_it_is_tied_to_is_told(bert: Path) -> None:
    decoder = "cls.predictions.decoder.weight"
    change(bert, lambda tensors: tensors.update({decoder: tensors[WORDS].clone()}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(bert)
    change(bert, lambda tensors: tensors.update({decoder: tensors[WORDS] + 1}))
    with pytest.warns(UserWarning, match=f"{decoder} differs from the table of tokens"):
        load_model(bert)


def test_a_stored_bias_that_is_not_the_one_it_is_tied_to_is_told(bert: Path) -> None:
    bias, decoder = "cls.predictions.bias", "cls.predictions.decoder.bias"
    change(bert, lambda tensors: tensors.update({decoder: tensors[bias] + 1}))
    with pytest.warns(UserWarning, match=f"{decoder} differs from {bias}, .* {decoder} is left out"):
        model, _ = load_model(bert)
    change(bert, lambda tensors: tensors.update({decoder: tensors[bias].clone()}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again, _ = load_model(bert)
    assert torch.equal(model.state_dict()["masked_tokens.bias"], again.state_dict()["masked_tokens.bias"])


def test_transformers_cuts_where_the_model_ends(folder: Path, tokenizer: Tokenizer) -> None:
    for made, longest in ((None, 12), ({"length": 8}, 8), ({"length": 99}, 12)):
        if made is None:
            save_model(folder, tiny(), tokenizer)
        else:
            save_classifier(folder, Classifier(tiny(), ["bad", "good"], settings=made), tokenizer)
        assert len(AutoTokenizer.from_pretrained(folder)("가 " * 50, truncation=True)["input_ids"]) == longest


@pytest.mark.parametrize(
    "labels", [["bad", "good"], {"first": "bad", "second": "good"}, {"0": "a", "1": "b", "2": "c"}]
)
def test_classes_that_do_not_fit(labels: Any, classifier: Path) -> None:
    describe(classifier, id2label=labels)
    with pytest.raises(ClozeError, match=r"id2label|classifier\.weight has shape"):
        load_classifier(classifier)


@pytest.mark.parametrize("name", [WORDS, KEY, f"{NORM}.bias", "cls.predictions.bias", "cls.seq_relationship.weight"])
def test_a_missing_tensor_is_named(name: str, bert: Path) -> None:
    change(bert, lambda tensors: tensors.pop(name))
    with pytest.raises(DamagedError, match=rf"model\.safetensors does not fit .*{name} is missing"):
        load_model(bert)


@pytest.mark.parametrize("name", [WORDS, KEY, "bert.pooler.dense.bias"])
def test_a_misshapen_tensor_is_named_with_both_shapes(name: str, bert: Path) -> None:
    change(bert, lambda tensors: tensors.update({name: tensors[name][1:].clone()}))
    with pytest.raises(DamagedError, match=rf"{name}.* has shape \[\d+.*\], expected \[\d+"):
        load_model(bert)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_named(value: float, bert: Path) -> None:
    change(bert, lambda tensors: tensors[KEY].view(-1)[-1:].fill_(value))
    with pytest.raises(DamagedError, match=rf"{KEY}.* has values that are NaN or infinite"):
        load_model(bert)


def test_all_that_is_wrong_is_named_at_once(bert: Path) -> None:
    change(bert, lambda tensors: (tensors.pop(WORDS), tensors[f"{NORM}.weight"].fill_(torch.nan)))
    with pytest.raises(DamagedError, match=rf"{WORDS} is missing; {NORM}\.weight has values"):
        load_model(bert)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file(kept: int, bert: Path) -> None:
    path = bert / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedError, match=r"model\.safetensors cannot be read: .*truncated or damaged"):
        load_model(bert)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickles_are_never_read(bert: Path, tmp_path: Path) -> None:
    (bert / "model.safetensors").unlink()
    (bert / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ClozeError, match=r"has no model\.safetensors; cloze reads weights from safetensors only"):
        load_model(bert)
    assert not (tmp_path / "sprung").exists()


def test_a_tokenizer_larger_than_the_table(folder: Path, tokenizer: Tokenizer) -> None:
    save_model(folder, tiny(vocabulary_size=VOCABULARY - 1), tokenizer)
    with pytest.raises(ClozeError, match="has 96 entries, but the model's table has 95 rows"):
        load_model(folder)


def test_a_folder_without_its_tokenizer(bert: Path) -> None:
    (bert / "tokenizer.json").unlink()
    with pytest.raises(ClozeError, match=r"tokenizer\.json does not exist"):
        load_model(bert)


@pytest.mark.parametrize("name", [WORDS, KEY, "cls.seq_relationship.bias"])
def test_nothing_is_loaded_half(name: str, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = cast("nn.Module", tiny(initialisation_std=0.5))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    change(bert, lambda tensors: tensors[name].fill_(torch.nan))
    monkeypatch.setattr(cloze.models, "from_config", lambda *_, **__: model)
    with pytest.raises(DamagedError):
        load_model(bert)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_a_classifier_is_no_pretrained_model_and_the_reverse(
    classifier: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    assert is_classifier(classifier)
    with pytest.raises(ClozeError, match=r"holds a fine-tuned classifier.* Pass the pretrained folder"):
        load_model(classifier)
    (tmp_path / "pretrained").mkdir()
    save_model(tmp_path / "pretrained", tiny(), tokenizer)
    assert not is_classifier(tmp_path / "pretrained")
    with pytest.raises(ClozeError, match=r"BertForPreTraining.*, not a classifier\. Pass a fine-tuned folder"):
        load_classifier(tmp_path / "pretrained")


def test_names_of_googles_own_checkpoints_are_understood(bert: Path) -> None:
    before = load_model(bert)[0].state_dict()

    def age(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)

    change(bert, age)
    assert f"{NORM}.gamma" in load_file(bert / "model.safetensors")
    after = load_model(bert)[0].state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("norm_position", ["post", "pre"])
def test_robertas_positions_stay_where_the_tokenizers_pad_is_another(
    norm_position: Any, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """A RoBERTa's configuration may have pad_token_id 1, from which positions count, with a BERT's tokenizer."""
    sizes: dict[str, Any] = {"layers": 1, "heads": 2, "width": 8, "norm_position": norm_position, "family": "roberta"}
    settings, size = ModelSettings(**sizes), tokenizer.vocabulary_size
    model = build(settings, vocabulary_size=size, length=16, pad_id=1, pairs=False, seed=1)
    assert (model.encoder.config.position_offset, tokenizer.pad_id) == (2, 0)
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", model, tokenizer)
    found = json.loads((tmp_path / "model" / "config.json").read_bytes())
    assert (found["pad_token_id"], found["max_position_embeddings"]) == (1, 18)
    assert load_model(tmp_path / "model")[0].encoder.config == model.encoder.config


def test_a_loaded_model_is_ready_for_use(bert: Path) -> None:
    change(bert, lambda tensors: tensors.update({name: tensor.half() for name, tensor in tensors.items()}))
    model = load_model(bert)[0]
    assert not cast("nn.Module", model).training
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    rows = make_rows([5, 3], VOCABULARY, 0, segments=True).flat
    assert model.losses(rows)["masked_tokens"].loss.isfinite()
