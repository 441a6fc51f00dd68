"""ALBERT and ModernBERT against transformers, both ways: hidden states, all heads, classifiers, folders.

Random weights, rows of different lengths, float32: within 1e-5. BERT and RoBERTa are in test_huggingface.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

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
EVEN = [24, 24]
TOLERANCE = 1e-5
MODERN = {"family": "modernbert", "norm_position": "pre", "norm_eps": 1e-5, "layers": 5, "local_window": 8}


@dataclass(frozen=True)
class Case:
    """A model of ours, and the class of transformers that must load it."""

    settings: dict[str, Any]
    pairs: bool
    name: str
    lengths: list[int]

    @property
    def family(self) -> str:
        return str(self.settings["family"])


CASES = {
    "albert": Case(
        {"family": "albert", "embedding_width": 12, "activation": "gelu_tanh"}, True, "AlbertForPreTraining", LENGTHS
    ),
    "albert, two groups": Case(
        {"family": "albert", "embedding_width": 12, "layer_groups": 2}, True, "AlbertForPreTraining", LENGTHS
    ),
    "albert, no pairs": Case({"family": "albert", "embedding_width": 32}, False, "AlbertForMaskedLM", EVEN),
    "modernbert": Case(MODERN, False, "ModernBertForMaskedLM", LENGTHS),
    "modernbert, even rows": Case(MODERN, False, "ModernBertForMaskedLM", EVEN),
    "modernbert, as printed": Case(MODERN | {"attention": "explicit"}, False, "ModernBertForMaskedLM", LENGTHS),
    "modernbert, other sizes": Case(
        MODERN | {"global_every": 2, "rotary_theta": 500.0, "local_rotary_theta": 50.0, "activation": "gelu_tanh"},
        False,
        "ModernBertForMaskedLM",
        LENGTHS,
    ),
    "modernbert, rows not long enough to cut": Case(
        MODERN | {"local_window": 24}, False, "ModernBertForMaskedLM", LENGTHS
    ),
    "modernbert, a window as wide as the row": Case(
        MODERN | {"local_window": 64}, False, "ModernBertForMaskedLM", LENGTHS
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def make_model(case: Case) -> PretrainingModel:
    settings = ModelSettings.model_validate(
        {"layers": 4, "heads": 4, "width": 32, "feed_forward_width": 48, "initialisation_std": 0.2} | case.settings
    )
    model = build(settings, vocabulary_size=VOCABULARY, length=40, pad_id=0, pairs=case.pairs, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms of a fresh model would hide a wrong name
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            parameter.add_(0.05 * noise)
    return cast("PretrainingModel", cast("torch.nn.Module", model).eval())


def rows_for(family: str, lengths: list[int] = LENGTHS) -> Rows:
    return make_rows(lengths, VOCABULARY, 0, segments=family == "albert")


def theirs(model: Any, rows: Rows) -> Any:
    types = {} if "ModernBert" in type(model).__name__ else {"token_type_ids": rows.segments}
    with torch.no_grad():
        return model.eval()(input_ids=rows.ids, attention_mask=rows.mask, output_hidden_states=True, **types)


def largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())


def assert_same(ours: PretrainingModel, found: Any, rows: Rows) -> None:
    """Hidden states after each layer, and the logits of all heads."""
    with torch.no_grad():
        states = ours.encoder.hidden_states(rows.flat)
        assert len(states) == len(found.hidden_states)
        for one, other in zip(states, found.hidden_states, strict=True):
            assert largest(one - rows.unpad(other)) < TOLERANCE
        logits = found.prediction_logits if "prediction_logits" in found else found.logits
        assert largest(ours.masked_logits(states[-1]) - rows.unpad(logits)) < TOLERANCE
        if "sop_logits" in found:
            head = cast("Any", ours).sentence_pair
            assert largest(head(ours.pool(states[-1], rows.flat)) - found.sop_logits) < TOLERANCE


@every_case
def test_transformers_gives_our_logits(case: Case, folder: Path, tokenizer: Tokenizer) -> None:
    model, rows = make_model(case), rows_for(case.family, case.lengths)
    save_model(folder, model, tokenizer)
    loaded, report = getattr(transformers, case.name).from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    assert_same(model, theirs(loaded, rows), rows)


@every_case
def test_our_folders_come_back_bit_for_bit(case: Case, folder: Path, tokenizer: Tokenizer) -> None:
    model = make_model(case)
    save_model(folder, model, tokenizer)
    again, _ = load_model(folder)
    assert again.family == case.family
    assert again.encoder.config == replace(model.encoder.config, attention="auto")
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def random_model(config: Any, name: str) -> Any:
    """A model of theirs whose biases and norms are random too."""
    model = getattr(transformers, name)(config).eval()
    randomise(model)
    return model


def albert_config(**changes: Any) -> Any:
    sizes = {"vocab_size": VOCABULARY, "embedding_size": 8, "hidden_size": 32, "num_hidden_layers": 4}
    sizes |= {"num_hidden_groups": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 48}
    return transformers.AlbertConfig(**sizes | {"initializer_range": 0.2, "pad_token_id": 0} | changes)


def modernbert_config(**changes: Any) -> Any:
    sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 6}
    sizes |= {
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 48,
        "local_attention": 10,
        "norm_eps": 1e-5,
    }
    ids = {f"{name}_token_id": i for name, i in (("pad", 0), ("bos", 2), ("eos", 3), ("cls", 2), ("sep", 3))}
    return transformers.ModernBertConfig(**sizes | ids | {"initializer_range": 0.2} | changes)


THEIRS: dict[str, tuple[str, Callable[..., Any]]] = {
    "AlbertForPreTraining": ("albert", albert_config),
    "AlbertForMaskedLM": ("albert", albert_config),
    "ModernBertForMaskedLM": ("modernbert", modernbert_config),
}


@pytest.mark.parametrize("name", THEIRS)
def test_we_give_the_logits_of_their_folders(name: str, folder: Path, tmp_path: Path, tokenizer: Tokenizer) -> None:
    family, config = THEIRS[name]
    model = random_model(config(), name)
    model.save_pretrained(folder)
    tokenizer.save(folder)
    ours, _ = load_model(folder)
    assert ours.family == family
    rows = rows_for(family)
    assert_same(ours, theirs(model, rows), rows)
    (tmp_path / "again").mkdir()
    save_model(tmp_path / "again", ours, tokenizer)
    before, after = (load_file(place / "model.safetensors") for place in (folder, tmp_path / "again"))
    assert all(torch.equal(tensor, before[key]) for key, tensor in after.items())


def test_the_spelling_of_the_published_modernbert_is_understood(folder: Path, tokenizer: Tokenizer) -> None:
    """transformers 4 wrote the rhythm and two thetas; what 5 makes of them is what we make of them."""
    random_model(modernbert_config(), "ModernBertForMaskedLM").save_pretrained(folder)
    tokenizer.save(folder)
    path = folder / "config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    del described["layer_types"], described["rope_parameters"]
    described |= {"global_attn_every_n_layers": 2, "global_rope_theta": 800.0, "local_rope_theta": 80.0}
    described |= {"layer_norm_eps": 1e-5, "position_embedding_type": "absolute", "reference_compile": False}
    path.write_text(json.dumps(described), encoding="utf-8")
    ours, _ = load_model(folder)
    config = ours.encoder.config
    assert (config.global_every, config.rotary_theta, config.local_rotary_theta) == (2, 800.0, 80.0)
    rows = rows_for("modernbert")
    assert_same(ours, theirs(transformers.ModernBertForMaskedLM.from_pretrained(folder), rows), rows)


@pytest.mark.parametrize(("case", "pooling"), [("albert", "first"), ("modernbert", "mean"), ("modernbert", "first")])
def test_classifiers_agree_with_their_labels(case: str, pooling: Any, folder: Path, tokenizer: Tokenizer) -> None:
    model = make_model(CASES[case])
    classifier = Classifier(model, ["나쁨", "보통", "좋음"], pooling=pooling)
    initialise_normal(classifier, 0.2, 1)
    classifier.eval()
    save_classifier(folder, classifier, tokenizer)
    loaded, report = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    assert [loaded.config.id2label[i] for i in range(3)] == ["나쁨", "보통", "좋음"]
    rows = rows_for(model.family)
    with torch.no_grad():
        assert largest(classifier.logits(rows.flat) - theirs(loaded, rows).logits) < TOLERANCE
        again, _ = load_classifier(folder)
        assert (again.classes, again.pooling) == (classifier.classes, pooling)
        assert torch.equal(again.logits(rows.flat), classifier.logits(rows.flat))


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "Albert": lambda: albert_config(num_labels=3),
    "ModernBert": lambda: modernbert_config(num_labels=3, classifier_pooling="cls"),
    "ModernBert, mean": lambda: modernbert_config(num_labels=3, classifier_pooling="mean"),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_we_give_the_logits_of_their_classifiers(name: str, folder: Path, tokenizer: Tokenizer) -> None:
    model = random_model(CLASSIFIERS[name](), f"{name.partition(',')[0]}ForSequenceClassification")
    model.save_pretrained(folder)
    tokenizer.save(folder)
    ours, _ = load_classifier(folder)
    rows = rows_for(ours.family)
    with torch.no_grad():
        assert largest(ours.logits(rows.flat) - theirs(model, rows).logits) < TOLERANCE


def test_a_modernbert_classifier_begins_with_the_head_of_pretraining(folder: Path, tokenizer: Tokenizer) -> None:
    """As transformers does, where both heads have the same names."""
    from cloze.models import family_of

    model = make_model(CASES["modernbert"])
    save_model(folder, model, tokenizer)
    loaded = transformers.ModernBertForSequenceClassification.from_pretrained(folder, num_labels=2)
    kept = family_of("modernbert").kept
    there, here = model.state_dict(), Classifier(model, ["a", "b"]).state_dict()
    assert {name: there[ours].shape for ours, name in kept.items()} == {
        name: here[name].shape for name in kept.values()
    }
    for ours, name in kept.items():
        assert torch.equal(there[ours], loaded.state_dict()[name.replace("pooler.", "head.")])


@pytest.mark.parametrize(
    ("case", "autos"),
    [
        ("albert", ("AutoModel", "AutoModelForMaskedLM", "AutoModelForPreTraining")),
        ("albert, no pairs", ("AutoModel", "AutoModelForMaskedLM")),
        ("modernbert", ("AutoModel", "AutoModelForMaskedLM")),
    ],
)
def test_auto_classes_load_our_folders(case: str, autos: tuple[str, ...], folder: Path, tokenizer: Tokenizer) -> None:
    model = make_model(CASES[case])
    save_model(folder, model, tokenizer)
    rows = rows_for(model.family)
    for auto in autos:
        loaded, report = getattr(transformers, auto).from_pretrained(folder, output_loading_info=True)
        # Their encoder alone has a pooler, new where pretraining had none, as with BertForMaskedLM.
        missing = {key for key in report["missing_keys"] if "pooler" not in key or case == "albert"}
        assert not missing and not report["mismatched_keys"]
        with torch.no_grad():
            hidden = theirs(loaded, rows).hidden_states[-1]
            assert largest(model.encoder(rows.flat) - rows.unpad(hidden)) < TOLERANCE
    text = "가 각 갂"
    encoded = transformers.AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
    assert encoded == tokenizer.encode([text])[0]
