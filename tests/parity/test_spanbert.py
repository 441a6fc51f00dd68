"""transformers loads our SpanBERT folders as BertForMaskedLM, without a word on the head that it has no place for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from cloze.errors import ClozeError
from cloze.interop.huggingface import load_classifier, load_model, save_classifier, save_model
from cloze.models.classifier import Classifier
from cloze.models.encoder import EncoderConfig, initialise_normal
from cloze.models.spanbert import BOUNDARY_FILE, SpanBert
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, make_rows

transformers = pytest.importorskip("transformers", reason="parity needs the dev extra")

TOLERANCE = 1e-5


def make_model(**changes: Any) -> SpanBert:
    sizes: dict[str, Any] = {
        "vocabulary_size": VOCABULARY,
        "layers": 3,
        "heads": 4,
        "width": 32,
        "feed_forward_width": 48,
    }
    model = SpanBert(EncoderConfig(**sizes, max_length=40, **changes))
    initialise_normal(model, 0.2, 3)
    return noisy(model)  # type: ignore[no-any-return]


def noisy(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            parameter.add_(0.05 * noise)
    return model.eval()


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_transformers_gives_our_logits_silently(
    activation: str,
    folder: Path,
    tokenizer: Tokenizer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)  # else nothing reaches `caplog`
    model, rows = make_model(activation=activation), make_rows([9, 31, 2, 17], VOCABULARY, 0, segments=False)
    save_model(folder, model, tokenizer)
    with caplog.at_level(logging.WARNING):
        found, report = transformers.BertForMaskedLM.from_pretrained(folder, output_loading_info=True)
        assert not caplog.records
        transformers.RobertaForMaskedLM.from_pretrained(folder)  # another's names: now it has something to say
    assert caplog.records
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    with torch.no_grad():
        other = found.eval()(input_ids=rows.ids, attention_mask=rows.mask, output_hidden_states=True)
        states = model.encoder.hidden_states(rows.flat)
        for ours, hidden in zip(states, other.hidden_states, strict=True):
            assert float((ours - rows.unpad(hidden)).abs().max()) < TOLERANCE
        logits = model.token_logits(rows.flat, torch.arange(rows.flat.tokens))
        assert float((logits - rows.unpad(other.logits)).abs().max()) < TOLERANCE


def test_our_folders_come_back_bit_for_bit(folder: Path, tokenizer: Tokenizer) -> None:
    model = make_model()
    save_model(folder, model, tokenizer)
    again = cast("SpanBert", load_model(folder)[0])
    assert (again.family, again.encoder.config) == ("spanbert", model.encoder.config)
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def test_a_lost_head_is_an_error(folder: Path, tokenizer: Tokenizer) -> None:
    save_model(folder, make_model(), tokenizer)
    (folder / BOUNDARY_FILE).unlink()
    with pytest.raises(ClozeError, match=BOUNDARY_FILE):
        load_model(folder)


def test_classifiers_are_those_of_bert(folder: Path, tokenizer: Tokenizer) -> None:
    classifier = Classifier(make_model(), ["a", "b", "c"])
    initialise_normal(classifier, 0.2, 1)
    save_classifier(folder, noisy(classifier), tokenizer)
    rows = make_rows([9, 31, 2, 17], VOCABULARY, 0, segments=False)
    model = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found = model(input_ids=rows.ids, attention_mask=rows.mask).logits
        assert float((classifier.logits(rows.flat) - found).abs().max()) < TOLERANCE
        again, _ = load_classifier(folder)
        assert torch.equal(again.logits(rows.flat), classifier.logits(rows.flat))
