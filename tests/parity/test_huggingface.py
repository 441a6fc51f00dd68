"""transformers loads our folders and gives our numbers, and we load its folders and give its numbers.

Random weights, rows of different lengths, float32: hidden states and logits of all heads within 1e-5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import pytest
import torch
from safetensors.torch import load_file

from cloze.interop.huggingface import load_classifier, load_model, save_classifier, save_model
from cloze.models import PretrainingModel, build
from cloze.models.classifier import Classifier
from cloze.models.encoder import initialise_normal
from cloze.recipe import ModelSettings
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, Rows, make_rows, randomise

transformers = pytest.importorskip("transformers", reason="parity needs the dev extra")

LENGTHS = [9, 31, 2, 17]
TOLERANCE = 1e-5
# family, norm position, pairs, activation, the class that must load the folder
FAMILIES: list[tuple[Literal["bert", "roberta"], Literal["post", "pre"], bool, str, str]] = [
    ("bert", "post", True, "gelu", "BertForPreTraining"),
    ("bert", "post", False, "gelu_tanh", "BertForMaskedLM"),
    ("roberta", "post", False, "relu", "RobertaForMaskedLM"),
    ("roberta", "pre", False, "gelu", "RobertaPreLayerNormForMaskedLM"),
    ("bert", "pre", True, "relu", "RobertaPreLayerNormForMaskedLM"),
]


def make_model(family: Any, norm: Any, pairs: bool, activation: Any, **sizes: Any) -> PretrainingModel:
    settings = ModelSettings(
        family=family,
        norm_position=norm,
        activation=activation,
        initialisation_std=0.2,
        **({"layers": 3, "heads": 4, "width": 32, "feed_forward_width": 48} | sizes),
    )
    model = build(settings, vocabulary_size=VOCABULARY, length=40, pad_id=0, pairs=pairs, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms of a fresh model would hide a wrong name
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            parameter.add_(0.05 * noise)
    return cast("PretrainingModel", cast("torch.nn.Module", model).eval())


def rows_for(family: str) -> Rows:
    return make_rows(LENGTHS, VOCABULARY, 0, segments=family == "bert")


def theirs(model: Any, rows: Rows) -> Any:
    with torch.no_grad():
        return model.eval()(
            input_ids=rows.ids, attention_mask=rows.mask, token_type_ids=rows.segments, output_hidden_states=True
        )


def largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())


@pytest.mark.parametrize(("family", "norm", "pairs", "activation", "name"), FAMILIES)
def test_transformers_gives_our_logits(
    family: Any, norm: Any, pairs: bool, activation: Any, name: str, folder: Path, tokenizer: Tokenizer
) -> None:
    model, rows = make_model(family, norm, pairs, activation), rows_for(family)
    save_model(folder, model, tokenizer)
    loaded, report = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"]
    found = theirs(loaded, rows)
    with torch.no_grad():
        states = model.encoder.hidden_states(rows.flat)
        for ours, other in zip(states[:-1], found.hidden_states[: len(states) - 1], strict=True):
            assert largest(ours - rows.unpad(other)) < TOLERANCE
        logits = found.prediction_logits if name == "BertForPreTraining" else found.logits
        assert largest(model.masked_logits(states[-1]) - rows.unpad(logits)) < TOLERANCE
        if name == "BertForPreTraining":
            pair_head = cast("Any", model).sentence_pair
            ours = pair_head(model.pool(states[-1], rows.flat))
            assert largest(ours - found.seq_relationship_logits) < TOLERANCE


@pytest.mark.parametrize(("family", "norm", "pairs", "activation", "name"), FAMILIES)
def test_our_folders_come_back_bit_for_bit(
    family: Any, norm: Any, pairs: bool, activation: Any, name: str, folder: Path, tokenizer: Tokenizer
) -> None:
    model = make_model(family, norm, pairs, activation)
    save_model(folder, model, tokenizer)
    again, read = load_model(folder)
    assert read.fingerprint == tokenizer.fingerprint
    assert again.encoder.config.position_offset == model.encoder.config.position_offset
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(("norm", "norm_position"), [("rms", "post"), ("batch", "pre")])
def test_transformers_refuses_norms_that_it_does_not_have(
    norm: Any, norm_position: Any, folder: Path, tokenizer: Tokenizer
) -> None:
    settings = ModelSettings(layers=1, heads=2, width=8, norm=norm, norm_position=norm_position)
    model = build(settings, vocabulary_size=VOCABULARY, length=12, pad_id=0, pairs=False, seed=1)
    save_model(folder, model, tokenizer)
    for auto in ("AutoConfig", "AutoModel", "AutoModelForMaskedLM"):
        with pytest.raises(ValueError, match=r"model type `cloze-\S*bert\S*` but Transformers does not recognize this"):
            getattr(transformers, auto).from_pretrained(folder)


@pytest.mark.parametrize("name", ["Bert", "Roberta", "RobertaPreLayerNorm"])
def test_we_give_the_logits_of_transformers(name: str, folder: Path, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=48,
        initializer_range=0.2,
        pad_token_id=0,
        type_vocab_size=2 if name == "Bert" else 1,
    )
    model = getattr(transformers, f"{name}ForPreTraining" if name == "Bert" else f"{name}ForMaskedLM")(config)
    randomise(model)
    model.save_pretrained(folder)
    tokenizer.save(folder)
    ours, _ = load_model(folder)
    rows = rows_for(name.lower())
    found = theirs(model, rows)
    with torch.no_grad():
        hidden = ours.encoder(rows.flat)
        logits = found.prediction_logits if name == "Bert" else found.logits
        assert largest(ours.masked_logits(hidden) - rows.unpad(logits)) < TOLERANCE
        if name == "Bert":
            pooled = cast("Any", ours).sentence_pair(ours.pool(hidden, rows.flat))
            assert largest(pooled - found.seq_relationship_logits) < TOLERANCE
    (folder / "again").mkdir()
    save_model(folder / "again", ours, tokenizer)
    before, after = load_file(folder / "model.safetensors"), load_file(folder / "again" / "model.safetensors")
    assert all(torch.equal(tensor, before[key]) for key, tensor in after.items())
    assert before.keys() == after.keys()


@pytest.mark.parametrize(("family", "norm"), [("bert", "post"), ("roberta", "post"), ("roberta", "pre")])
def test_classifiers_agree_with_their_labels(family: Any, norm: Any, folder: Path, tokenizer: Tokenizer) -> None:
    classifier = Classifier(make_model(family, norm, family == "bert", "gelu"), ["나쁨", "보통", "좋음"])
    initialise_normal(classifier, 0.2, 1)
    classifier.eval()
    save_classifier(folder, classifier, tokenizer)
    loaded, report = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert [loaded.config.id2label[i] for i in range(3)] == ["나쁨", "보통", "좋음"]
    rows = rows_for(family)
    with torch.no_grad():
        assert largest(classifier.logits(rows.flat) - theirs(loaded, rows).logits) < TOLERANCE
        again, _ = load_classifier(folder)
        assert again.classes == classifier.classes
        assert torch.equal(again.logits(rows.flat), classifier.logits(rows.flat))


@pytest.mark.parametrize(
    ("family", "norm", "autos", "name"),
    [
        ("roberta", "pre", ("AutoModel", "AutoModelForMaskedLM"), "RobertaPreLayerNorm"),
        ("bert", "post", ("AutoModel", "AutoModelForMaskedLM", "AutoModelForPreTraining"), "Bert"),
    ],
)
def test_auto_classes_load_our_folders(
    family: Any, norm: Any, autos: tuple[str, ...], name: str, folder: Path, tokenizer: Tokenizer
) -> None:
    save_model(folder, make_model(family, norm, family == "bert", "gelu"), tokenizer)
    for auto in autos:
        model, report = getattr(transformers, auto).from_pretrained(folder, output_loading_info=True)
        assert type(model).__name__.startswith(name)
        # MLM alone trains no pooler; transformers makes a new one, as it does for the published ones.
        assert all(key.startswith("pooler.") for key in report["missing_keys"])
    text = "가 각 갂"
    encoded = transformers.AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
    assert encoded == tokenizer.encode([text])[0]
