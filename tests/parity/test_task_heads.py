"""The heads of fine-tuning against transformers, in every family, both ways: saved and opened there, and read here."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cloze.inputs.batch import Target
from cloze.interop.huggingface import load_classifier, save_classifier
from cloze.models import build
from cloze.models.classifier import classifier_of
from cloze.models.encoder import initialise_normal
from cloze.models.family import HEADS
from cloze.recipe import ModelSettings
from cloze.tokens.tokenizer import Tokenizer
from tests.parity.conftest import VOCABULARY, Rows, make_rows, randomise

transformers = pytest.importorskip("transformers", reason="parity needs the dev extra")

TOLERANCE = 2e-5
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "bert, pre-norm": {"family": "bert", "norm_position": "pre"},
    "roberta": {},
    "albert": {"embedding_width": 16},
    "electra": {"embedding_width": 16},
    "spanbert": {},
    "modernbert": {"norm_position": "pre"},
}
CLASSES = {
    "multi_label": ("gender", "hate", "others"),
    "tagging": ("O", "B-PS", "I-PS"),
    "question_answering": ("start", "end"),
    "multiple_choice": ("option",),
}


def classifier(case: str, objective: str) -> Any:
    settings = ModelSettings(**{"family": case, "layers": 2, "heads": 2, "width": 32, **FAMILIES[case]})
    model = build(settings, vocabulary_size=VOCABULARY, length=24, pad_id=0, pairs=False, seed=3)
    made = classifier_of(objective, model, CLASSES[objective], settings={"unit": "word"})
    initialise_normal(made, 0.2, 1)
    with torch.no_grad():  # biases and norms are told apart, too
        for number, parameter in enumerate(made.parameters()):
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return made.eval()


def theirs(model: nn.Module, rows: Rows, objective: str) -> Tensor:
    """Logits of transformers' model for the same rows, as ours are: [R, C] or [T, C]."""
    given = {"input_ids": rows.ids, "attention_mask": rows.mask}
    if "token_type_ids" in signature(model.forward).parameters:
        given["token_type_ids"] = rows.segments
    if objective == "multiple_choice":
        return model(**{name: value[None] for name, value in given.items()}).logits.T  # type: ignore[no-any-return]
    found = model(**given)
    if objective == "question_answering":
        return rows.unpad(torch.stack([found.start_logits, found.end_logits], dim=2))
    return found.logits if objective == "multi_label" else rows.unpad(found.logits)


def rows_for(case: str) -> Rows:
    return make_rows([9, 24, 5, 17], VOCABULARY, 0, segments=case in ("bert", "albert", "electra", "spanbert"))


@pytest.mark.parametrize("objective", CLASSES)
@pytest.mark.parametrize("case", FAMILIES)
def test_logits_agree(case: str, objective: str, folder: Path, tokenizer: Tokenizer) -> None:
    ours = classifier(case, objective)
    save_classifier(folder, ours, tokenizer)
    auto = getattr(transformers, f"AutoModel{HEADS[objective]}")
    model, report = auto.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"]
    assert not [name for name in report["unexpected_keys"] if "pooler" not in name]
    rows = rows_for(case)
    with torch.no_grad():
        want = ours.logits(rows.flat)
        assert (want - theirs(model.eval(), rows, objective)).abs().max() < TOLERANCE
        again, _ = load_classifier(folder)
        assert torch.equal(again.logits(rows.flat), want)
    assert (again.objective, again.classes, again.settings) == (objective, CLASSES[objective], {"unit": "word"})
    if objective in ("multi_label", "tagging"):
        assert model.config.id2label == dict(enumerate(CLASSES[objective]))
    if objective == "multi_label":
        assert model.config.problem_type == "multi_label_classification"


@pytest.mark.parametrize("name", ["Bert", "Roberta", "Albert", "Electra"])
@pytest.mark.parametrize("objective", ["tagging", "question_answering", "multiple_choice"])
def test_their_models_are_read(name: str, objective: str, folder: Path, tokenizer: Tokenizer) -> None:
    """As transformers itself saves them."""
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 64, "vocab_size": VOCABULARY, "pad_token_id": 0, "max_position_embeddings": 40}
    config = getattr(transformers, f"{name}Config")(**sizes, num_labels=3 if objective == "tagging" else 2)
    model = getattr(transformers, f"{name}{HEADS[objective]}")(config).eval()
    randomise(model)
    model.save_pretrained(folder)
    tokenizer.save(folder)
    ours, _ = load_classifier(folder)
    rows = rows_for(name.lower())
    with torch.no_grad():
        assert (ours.logits(rows.flat) - theirs(model, rows, objective)).abs().max() < TOLERANCE


@pytest.mark.parametrize("case", ["bert", "modernbert"])
def test_losses_are_torchs_own(case: str) -> None:
    rows, generator = rows_for(case), torch.Generator().manual_seed(0)
    answers, tagger = classifier(case, "question_answering"), classifier(case, "tagging")
    labels = torch.tensor([[0, 0], [3, 20], [1, 4], [16, 16]])
    rows.flat.targets = {"question_answering": Target(rows.flat.offsets[:-1].long(), labels)}
    found = answers.losses(rows.flat)["question_answering"]
    logits = theirs_padded(answers.logits(rows.flat), rows)
    want = sum(nn.functional.cross_entropy(logits[:, :, side], labels[:, side], reduction="sum") for side in (0, 1))
    assert found.loss.item() == pytest.approx(float(want), rel=1e-5)
    assert found.count == 8
    positions = torch.tensor([1, 4, 30])
    tags = torch.randint(3, (3,), generator=generator)
    rows.flat.targets = {"tagging": Target(positions, tags)}
    found = tagger.losses(rows.flat)["tagging"]
    want = nn.functional.cross_entropy(tagger.logits(rows.flat)[positions], tags, reduction="sum")
    assert (found.loss.item(), found.count) == (pytest.approx(want.item(), rel=1e-5), 3)


def theirs_padded(flat: Tensor, rows: Rows) -> Tensor:
    """[T, C] -> [R, S, C], minus infinity on pads."""
    padded = torch.full((*rows.mask.shape, flat.shape[1]), -torch.inf)
    padded[rows.mask.bool()] = flat.detach()
    return padded
