"""transformers loads our ELECTRA folders, generator and all, and gives our numbers; and we give its.

Random weights, rows of different lengths, float32: hidden states and logits of all heads within 1e-5.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

from cloze.errors import ClozeError, DamagedError
from cloze.interop.huggingface import load_classifier, load_model, save_classifier, save_model
from cloze.models.classifier import Classifier
from cloze.models.electra import SHARED, Electra, generator_config
from cloze.models.encoder import EncoderConfig, initialise_normal
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, Rows, make_rows

transformers = pytest.importorskip("transformers", reason="parity needs the dev extra")

TOLERANCE = 1e-5
SMALL, PLAIN = 20, None
"""Embedding widths: with a projection in both encoders, and with one in the generator alone."""


def make_model(embedding_width: int | None, **changes: Any) -> Electra:
    config = EncoderConfig(
        vocabulary_size=VOCABULARY,
        embedding_width=embedding_width,
        layers=3,
        heads=4,
        width=32,
        feed_forward_width=48,
        max_length=40,
        **changes,
    )
    model = Electra(replace(config, generator=generator_config(config, 0.5)))
    initialise_normal(model, 0.2, 3)
    return noisy(model)  # type: ignore[no-any-return]


def noisy(model: Any) -> Any:
    """Biases and norms of a fresh model would hide a wrong name."""
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            parameter.add_(0.05 * noise)
    return model.eval()


def rows_of() -> Rows:
    return make_rows([9, 31, 2, 17], VOCABULARY, 0, segments=True)


def theirs(model: Any, rows: Rows) -> Any:
    with torch.no_grad():
        return model.eval()(
            input_ids=rows.ids, attention_mask=rows.mask, token_type_ids=rows.segments, output_hidden_states=True
        )


def largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())


def loaded(name: str, folder: Path) -> Any:
    model, report = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    return model


@pytest.mark.parametrize("embedding_width", [SMALL, PLAIN])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_transformers_gives_our_logits(
    embedding_width: int | None, activation: str, folder: Path, tokenizer: Tokenizer
) -> None:
    model, rows = make_model(embedding_width, activation=activation), rows_of()
    save_model(folder, model, tokenizer)
    found, gaps = (
        theirs(loaded("AutoModelForPreTraining", folder), rows),
        theirs(loaded("ElectraForMaskedLM", folder / "generator"), rows),
    )
    assert model.generator is not None
    with torch.no_grad():
        for encoder, other in ((model.encoder, found), (model.generator, gaps)):
            states = encoder.hidden_states(rows.flat)
            for ours, hidden in zip(states, other.hidden_states, strict=True):
                assert largest(ours - rows.unpad(hidden)) < TOLERANCE
        assert largest(model.replaced_tokens(model.encoder(rows.flat)) - rows.unpad(found.logits)) < TOLERANCE
        where = torch.arange(rows.flat.tokens)
        assert largest(model.token_logits(rows.flat, where) - rows.unpad(gaps.logits)) < TOLERANCE


@pytest.mark.parametrize("embedding_width", [SMALL, PLAIN])
def test_our_folders_come_back_bit_for_bit(embedding_width: int | None, folder: Path, tokenizer: Tokenizer) -> None:
    model = make_model(embedding_width, attention_dropout=0.3)
    save_model(folder, model, tokenizer)
    again, read = load_model(folder)
    assert read.fingerprint == tokenizer.fingerprint
    assert (again.family, again.encoder.config) == ("electra", model.encoder.config)
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("embedding_size", [16, 32])
def test_we_give_the_logits_of_transformers(embedding_size: int, folder: Path, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "embedding_size": embedding_size}
    sizes |= {"max_position_embeddings": 40, "initializer_range": 0.2}
    big = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    discriminator = noisy(transformers.ElectraForPreTraining(transformers.ElectraConfig(**sizes, **big)))
    generator = noisy(transformers.ElectraForMaskedLM(transformers.ElectraConfig(**sizes, **small)))
    for tensor, other in zip(
        generator.electra.embeddings.parameters(), discriminator.electra.embeddings.parameters(), strict=True
    ):
        tensor.data = other.data.clone()
    for model, place in ((discriminator, folder), (generator, folder / "generator")):
        model.save_pretrained(place)
        tokenizer.save(place)
    ours, rows = cast("Electra", load_model(folder)[0]), rows_of()
    with torch.no_grad():
        logits = ours.replaced_tokens(ours.encoder(rows.flat))
        assert largest(logits - rows.unpad(theirs(discriminator, rows).logits)) < TOLERANCE
        guesses = ours.token_logits(rows.flat, torch.arange(rows.flat.tokens))
        assert largest(guesses - rows.unpad(theirs(generator, rows).logits)) < TOLERANCE


def test_a_generator_with_other_tables_is_refused(folder: Path, tokenizer: Tokenizer) -> None:
    """Published pairs were saved apart; a table that is not shared would silently become the other one."""
    save_model(folder, make_model(SMALL), tokenizer)
    path = folder / "generator" / "model.safetensors"
    tensors = load_file(path)
    assert {f"electra.embeddings.{name}" for name in ("word_embeddings.weight", "LayerNorm.bias")} <= tensors.keys()
    tensors["electra.embeddings.LayerNorm.bias"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(DamagedError, match=r"electra\.embeddings\.LayerNorm\.bias differs"):
        load_model(folder)


def test_without_a_generator_there_is_no_guess(folder: Path, tokenizer: Tokenizer) -> None:
    """Most published ELECTRA folders are a discriminator alone: enough to fine-tune."""
    model = make_model(SMALL)
    save_model(folder, Electra(replace(model.encoder.config, generator=None)), tokenizer)
    assert not (folder / "generator").exists()
    alone, rows = load_model(folder)[0], rows_of()
    with pytest.raises(ClozeError, match="no generator"):
        alone.token_logits(rows.flat, torch.arange(3))
    with pytest.raises(ClozeError, match="no generator"):
        alone.losses(rows.flat)
    assert Classifier(alone, ["a", "b"]).logits(rows.flat).shape == (4, 2)


@pytest.mark.parametrize("embedding_width", [SMALL, PLAIN])
def test_classifiers_agree_with_their_labels(embedding_width: int | None, folder: Path, tokenizer: Tokenizer) -> None:
    classifier = Classifier(make_model(embedding_width), ["나쁨", "보통", "좋음"])
    initialise_normal(classifier, 0.2, 1)
    assert (classifier.first_dropout.share, classifier.head.dropout.share) == (0.1, 0.1)
    save_classifier(folder, noisy(classifier), tokenizer)
    model, rows = loaded("AutoModelForSequenceClassification", folder), rows_of()
    assert type(model).__name__ == "ElectraForSequenceClassification"
    assert [model.config.id2label[i] for i in range(3)] == ["나쁨", "보통", "좋음"]
    with torch.no_grad():
        assert largest(classifier.logits(rows.flat) - theirs(model, rows).logits) < TOLERANCE
        again, _ = load_classifier(folder)
        assert torch.equal(again.logits(rows.flat), classifier.logits(rows.flat))


def test_shared_tables_are_named_once() -> None:
    model = make_model(SMALL)
    state = model.state_dict()
    assert not any(name.startswith(f"generator.embeddings.{part}.") for name in state for part in SHARED)
    assert "generator.embeddings.projection.weight" in state
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
