"""Folders that transformers wrote: read whole, or refused with the file, the tensor and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cloze.errors import ClozeError, DamagedError
from cloze.interop.huggingface import load_classifier, load_model
from cloze.models.classifier import Classifier
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY

transformers = pytest.importorskip("transformers", reason="published folders need the dev extra")

SIZES = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "max_position_embeddings": 20}
IDS = {f"{name}_token_id": i for name, i in (("pad", 0), ("bos", 2), ("eos", 3))}
CONFIGS: dict[str, Callable[[], Any]] = {
    "Bert": lambda: transformers.BertConfig(**SIZES),
    "Roberta": lambda: transformers.RobertaConfig(**SIZES | IDS),
    "Albert": lambda: transformers.AlbertConfig(**SIZES | {"embedding_size": 8}),
    "ModernBert": lambda: transformers.ModernBertConfig(**SIZES | IDS | {"cls_token_id": 2, "sep_token_id": 3}),
}
INNER = {
    "Bert": "bert.encoder.layer.1.intermediate.dense.weight",
    "Roberta": "roberta.encoder.layer.1.attention.self.key.bias",
    "Albert": "albert.encoder.embedding_hidden_mapping_in.weight",
    "ModernBert": "model.layers.1.mlp.Wi.weight",
}
"""A tensor of the encoder."""
every_family = pytest.mark.parametrize("family", CONFIGS)


@pytest.fixture
def written(family: str, folder: Path, tokenizer: Tokenizer) -> Path:
    """A folder as transformers saves a masked language model of random weights."""
    getattr(transformers, f"{family}ForMaskedLM")(CONFIGS[family]()).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def change(folder: Path, function: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    function(tensors)
    save_file(tensors, folder / "model.safetensors")


def describe(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@every_family
def test_a_folder_of_transformers_is_read(family: str, written: Path) -> None:
    model, _ = load_model(written)
    assert model.family == family.lower()
    tensors = load_file(written / "model.safetensors")
    assert torch.equal(model.masked_tokens.bias, tensors[next(n for n in tensors if n.endswith(BIASES))])


BIASES = ("cls.predictions.bias", "lm_head.bias", "predictions.bias", "decoder.bias")


@every_family
def test_a_missing_tensor_is_named(family: str, written: Path) -> None:
    change(written, lambda tensors: tensors.pop(INNER[family]))
    with pytest.raises(DamagedError, match=rf"model\.safetensors does not fit .*{INNER[family]}.* is missing"):
        load_model(written)


@every_family
def test_a_tensor_that_the_encoder_has_no_place_for_is_named(family: str, written: Path) -> None:
    """Another layer, say: without it the model would load and be another."""
    other = INNER[family].replace(".1.", ".2.").replace("_in.", "_out.")
    change(written, lambda tensors: tensors.update({other: tensors[INNER[family]].clone()}))
    with pytest.raises(DamagedError, match=rf"model\.safetensors does not fit .*nothing is known of {other}"):
        load_model(written)


@every_family
def test_fewer_layers_than_there_are_weights_for(family: str, written: Path) -> None:
    if family == "Albert":
        pytest.skip("all its layers share one set of weights, so none is left over when there are fewer")
    describe(written, num_hidden_layers=1, layer_types=["full_attention"])
    with pytest.raises(DamagedError, match=r"nothing is known of .*\.1\..* and \d+ more"):
        load_model(written)


@every_family
def test_what_else_transformers_saves_is_left_alone(family: str, written: Path) -> None:
    base = INNER[family].partition(".")[0]

    def add(tensors: dict[str, Tensor]) -> None:
        tensors[f"{base}.embeddings.position_ids"] = torch.arange(20)[None]
        tensors[f"{base}.pooler.other.weight"] = torch.full((2, 16), torch.nan)
        tensors["qa_outputs.weight"] = torch.full((2, 16), torch.nan)

    before = load_model(written)[0].state_dict()
    change(written, add)
    after = load_model(written)[0].state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@every_family
def test_an_encoder_saved_alone_can_be_fine_tuned_and_nothing_else(
    family: str, folder: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """As KoBERT's folders are. Its weights are those of the whole model; heads are new, the pooler its own."""
    whole = getattr(transformers, f"{family}ForMaskedLM")(CONFIGS[family]())
    whole.save_pretrained(folder)
    alone = getattr(transformers, f"{family}Model").from_pretrained(folder)
    alone.save_pretrained(tmp_path)
    for place in (folder, tmp_path):
        tokenizer.save(place)
    with pytest.raises(ClozeError, match=rf"was saved as {family}Model, .* such as {family}ForMaskedLM"):
        load_model(tmp_path)
    model, expected = load_model(tmp_path, headless=True)[0], load_model(folder)[0].encoder.state_dict()
    found = model.encoder.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    if family in ("Bert", "Albert"):
        theirs = alone.pooler if family == "Albert" else alone.pooler.dense
        assert torch.equal(model.state_dict()["pooler.dense.weight"], theirs.weight)
    Classifier(model, ["a", "b"])


@pytest.mark.parametrize("saved", ["ElectraModel", "ElectraForMaskedLM"])
def test_electra_without_its_head_can_be_fine_tuned_and_nothing_else(
    saved: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The encoder alone, or the generator as it is published beside the discriminator."""
    config = transformers.ElectraConfig(**SIZES | {"embedding_size": 8})
    theirs = getattr(transformers, saved)(config)
    theirs.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ClozeError, match=rf"was saved as {saved}, .* electra .* such as ElectraForPreTraining"):
        load_model(tmp_path)
    model = load_model(tmp_path, headless=True)[0]
    embeddings = (theirs if saved == "ElectraModel" else theirs.electra).embeddings
    assert torch.equal(model.encoder.state_dict()["embeddings.token.weight"], embeddings.word_embeddings.weight)
    Classifier(model, ["a", "b"])


@every_family
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_value_that_is_not_finite_is_named(family: str, value: float, written: Path) -> None:
    change(written, lambda tensors: tensors[INNER[family]].view(-1)[-1:].fill_(value))
    with pytest.raises(DamagedError, match=rf"{INNER[family]}.* has values that are NaN or infinite"):
        load_model(written)


@every_family
def test_a_truncated_file(family: str, written: Path) -> None:
    path = written / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedError, match=r"model\.safetensors cannot be read: .*truncated or damaged"):
        load_model(written)


@pytest.mark.parametrize(("family", "other"), [("Bert", "roberta"), ("Albert", "bert"), ("ModernBert", "albert")])
def test_weights_of_another_architecture(family: str, other: str, written: Path, tmp_path: Path) -> None:
    CONFIGS[{"roberta": "Roberta", "bert": "Bert", "albert": "Albert"}[other]]().save_pretrained(written)
    with pytest.raises(DamagedError, match=rf"{other}\.embeddings\.word_embeddings\.weight is missing"):
        load_model(written)


@pytest.mark.parametrize("family", ["ModernBert"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": ["sliding_attention"] * 2}, "layer_types is .*expected 'full_attention' every n-th layer"),
        ({"layer_types": ["full_attention"]}, "layer_types is"),
        ({"layer_types": "full_attention"}, "layer_types is 'full_attention'"),
        ({"rope_parameters": [1]}, r"rope_parameters is \[1\], expected an object"),
        ({"rope_parameters": {"full_attention": {"rope_theta": "x"}}}, "rope_theta of full_attention is 'x'"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_type of full_attention is 'yarn'"),
        ({"layer_types": None, "global_attn_every_n_layers": 0}, "global_attn_every_n_layers is 0"),
        ({"norm_bias": True}, "norm_bias is True, and cloze has only False"),
        ({"decoder_bias": False}, "decoder_bias is False"),
        ({"local_attention": -1}, "local_attention is -1, expected a whole number above 0"),
        ({"hidden_activation": "silu"}, "hidden_activation is 'silu'"),
    ],
)
def test_a_modernbert_beyond_cloze(family: str, changes: dict[str, Any], message: str, written: Path) -> None:
    describe(written, **changes)
    with pytest.raises(ClozeError, match=rf"config\.json is no configuration that cloze can use: .*{message}"):
        load_model(written)


@pytest.mark.parametrize("family", ["Albert"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner_group_num": 2}, "inner_group_num is 2, and cloze has only 1"),
        ({"num_hidden_layers": 3, "num_hidden_groups": 2}, "num_hidden_groups 2 doesn't divide num_hidden_layers 3"),
        ({"embedding_size": 0}, "embedding_size is 0"),
    ],
)
def test_an_albert_beyond_cloze(family: str, changes: dict[str, Any], message: str, written: Path) -> None:
    describe(written, **changes)
    with pytest.raises(ClozeError, match=rf"config\.json is no configuration that cloze can use: .*{message}"):
        load_model(written)


@every_family
def test_pickles_are_not_opened_but_there_is_a_way(family: str, written: Path) -> None:
    tensors = load_file(written / "model.safetensors")
    (written / "model.safetensors").unlink()
    torch.save(tensors, written / "pytorch_model.bin")
    with pytest.raises(ClozeError, match=r"pytorch_model\.bin is a pickle.*convert it: `python -c .*save_pretrained"):
        load_model(written)


@pytest.mark.parametrize("family", ["Bert"])
def test_weights_in_pieces_are_named(family: str, written: Path) -> None:
    (written / "model.safetensors").rename(written / "model-00001-of-00001.safetensors")
    with pytest.raises(ClozeError, match=r"in pieces \(model-00001-of-00001\.safetensors\): load and save them as one"):
        load_model(written)


@every_family
def test_classifiers_of_transformers_are_read_and_checked(family: str, folder: Path, tokenizer: Tokenizer) -> None:
    config = CONFIGS[family]()
    config.num_labels = 3
    getattr(transformers, f"{family}ForSequenceClassification")(config).save_pretrained(folder)
    tokenizer.save(folder)
    assert load_classifier(folder)[0].classes == ("LABEL_0", "LABEL_1", "LABEL_2")
    change(folder, lambda tensors: tensors.update({INNER[family]: tensors[INNER[family]] * torch.nan}))
    with pytest.raises(DamagedError, match=rf"{INNER[family]}.* has values that are NaN"):
        load_classifier(folder)
