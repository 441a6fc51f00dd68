"""Heads see targets only, share the token table with the input, and give sums that add up."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloze.inputs.batch import Batch, Target
from cloze.models import build
from cloze.models.bert import Bert
from cloze.models.classifier import Classifier, mean_of_rows
from cloze.models.dropout import seed_dropout
from cloze.models.heads import Pooler
from cloze.models.roberta import Roberta
from cloze.objectives import Sums
from cloze.recipe import ModelSettings
from cloze.tasks.finetuning import Start, _classifier
from cloze.tasks.task import kind_of
from tests.models.test_encoder import batch, config, filled
from tests.parity.conftest import VOCABULARY


def bert(*, pairs: bool = True, **changes: Any) -> Bert:
    model = filled(Bert(config(**changes), pairs=pairs))
    assert isinstance(model, Bert)
    return model


def gradients(loss: Tensor, model: nn.Module) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def total(sums: dict[str, Sums]) -> Tensor:
    return torch.stack([part.loss for part in sums.values()]).sum()


def test_masked_tokens_are_the_full_logits_at_the_targets() -> None:
    model, rows = bert(), batch()
    target = rows.targets["masked_tokens"]
    sums = model.losses(rows)["masked_tokens"]
    logits = model.masked_logits(model.encoder(rows))
    assert logits.shape == (rows.tokens, VOCABULARY)
    chosen = logits[target.positions]
    truth = F.cross_entropy(chosen, target.labels, reduction="sum")
    torch.testing.assert_close(sums.loss, truth)
    assert sums.count == len(target.labels) < rows.tokens
    assert int(sums.correct) == int((chosen.argmax(1) == target.labels).sum())
    ours, theirs = gradients(sums.loss, model), gradients(truth, model)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_what_is_no_target_is_never_looked_at() -> None:
    model, rows = bert(), batch()
    target = rows.targets["masked_tokens"]
    hidden = torch.full((rows.tokens, 16), torch.nan)
    hidden[target.positions] = torch.randn(len(target.positions), 16, generator=torch.Generator().manual_seed(0))
    hidden.requires_grad_()
    sums = model.masked_tokens.losses(hidden, target)
    assert sums.loss.isfinite()
    sums.loss.backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert (hidden.grad.abs().sum(1) > 0).nonzero().flatten().tolist() == target.positions.tolist()


def test_the_tied_table_gets_the_gradient_of_both_uses() -> None:
    model, rows = bert(pairs=False), batch()
    name = "encoder.embeddings.token.weight"
    both = gradients(total(model.losses(rows)), model)[name]
    output = copy.deepcopy(model.encoder.embeddings.token)
    output.zero_grad()
    model.masked_tokens._tied = [output]
    as_input = gradients(total(model.losses(rows)), model)[name]
    as_output = output.weight.grad
    assert as_output is not None
    assert as_input.abs().sum() > 0 and as_output.abs().sum() > 0
    torch.testing.assert_close(both, as_input + as_output, atol=1e-5, rtol=1e-4)


def test_the_tied_table_is_one_parameter() -> None:
    model = bert()
    tables = [name for name, p in model.state_dict().items() if p.shape == (VOCABULARY, 16)]
    assert tables == ["encoder.embeddings.token.weight"]


def test_sentence_pairs_are_told_from_the_pooled_first_tokens() -> None:
    model, rows = bert(), batch()
    pooler, head = model.pooler, model.sentence_pair
    assert pooler is not None and head is not None
    hidden = model.encoder(rows)
    pooled = torch.tanh(F.linear(hidden[rows.offsets[:-1].long()], pooler.dense.weight, pooler.dense.bias))
    torch.testing.assert_close(model.pool(hidden, rows), pooled)
    logits = F.linear(pooled, head.linear.weight, head.linear.bias)
    labels = rows.targets["sentence_pair"].labels
    sums = model.losses(rows)["sentence_pair"]
    torch.testing.assert_close(sums.loss, F.cross_entropy(logits, labels, reduction="sum"))
    assert sums.count == len(labels) == 4
    assert int(sums.correct) == int((logits.argmax(1) == labels).sum())


def test_without_pairs_there_is_one_objective_and_no_pooler() -> None:
    rows = batch()
    for model in (bert(pairs=False), filled(Roberta(config()))):
        assert isinstance(model, Bert | Roberta)
        assert model.losses(rows).keys() == {"masked_tokens"}
        hidden = model.encoder(rows)
        assert torch.equal(model.pool(hidden, rows), hidden[rows.offsets[:-1].long()])


@pytest.mark.parametrize(("norm_position", "exact"), [("post", False), ("pre", True)])
def test_berts_head_has_the_encoders_activation_unless_pre_norm(norm_position: str, exact: bool) -> None:
    head = bert(norm_position=norm_position, activation="relu").masked_tokens
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    dense = head.dense(x)
    torch.testing.assert_close(head.transform(x), head.norm(F.gelu(dense) if exact else F.relu(dense)))


def row_of(rows: Batch, row: int) -> Batch:
    """One row as a batch of its own, with its targets."""
    start, end = rows.offsets[row : row + 2].tolist()
    masked, pairs = rows.targets["masked_tokens"], rows.targets["sentence_pair"]
    inside = (masked.positions >= start) & (masked.positions < end)
    return replace(
        rows,
        ids=rows.ids[start:end],
        positions=rows.positions[start:end],
        segments=rows.segments[start:end],
        offsets=torch.tensor([0, end - start], dtype=torch.int32),
        longest=end - start,
        targets={
            "masked_tokens": Target(masked.positions[inside] - start, masked.labels[inside]),
            "sentence_pair": Target(torch.zeros(1, dtype=torch.int64), pairs.labels[row : row + 1]),
        },
    )


def test_sums_and_gradients_do_not_depend_on_how_a_batch_is_cut() -> None:
    model, rows = bert(), batch()
    whole = model.losses(rows)
    parts = [model.losses(row_of(rows, row)) for row in range(len(list(pairwise(rows.offsets))))]
    for name, sums in whole.items():
        torch.testing.assert_close(sums.loss, torch.stack([part[name].loss for part in parts]).sum())
        assert sums.count == sum(part[name].count for part in parts)
        assert int(sums.correct) == sum(int(part[name].correct) for part in parts)
    ours = gradients(torch.stack([total(part) for part in parts]).sum(), model)
    for name, gradient in gradients(total(model.losses(rows)), model).items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-4, rtol=1e-4, msg=name)


def classified() -> tuple[Batch, Tensor]:
    rows = batch()
    labels = torch.tensor([2, 0, 1, 1])
    return replace(rows, targets={"classification": Target(rows.offsets[:-1].long(), labels)}), labels


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_classifier_reads_first_tokens(family: str) -> None:
    pretrained = Bert(config(), pairs=True) if family == "bert" else Roberta(config())
    model = filled(Classifier(pretrained, ["a", "b", "c"]))
    assert isinstance(model, Classifier)
    assert model.encoder is pretrained.encoder
    assert (model.pooler is getattr(pretrained, "pooler", None)) == (family == "bert")
    rows, labels = classified()
    first = model.encoder(rows)[rows.offsets[:-1].long()]
    assert isinstance(model.pooler, Pooler)
    logits = model.head.linear(torch.tanh(model.pooler.dense(first)))
    torch.testing.assert_close(model.logits(rows), logits)
    sums = model.losses(rows)["classification"]
    torch.testing.assert_close(sums.loss, F.cross_entropy(logits, labels, reduction="sum"))
    assert (sums.count, int(sums.correct)) == (4, int((logits.argmax(1) == labels).sum()))


def test_the_mean_of_a_row_is_that_of_its_tokens_alone() -> None:
    rows, _ = classified()
    hidden = torch.randn(rows.tokens, 16, generator=torch.Generator().manual_seed(0))
    truth = torch.stack([hidden[start:end].mean(0) for start, end in pairwise(rows.offsets.tolist())])
    torch.testing.assert_close(mean_of_rows(hidden, rows.offsets), truth)
    model = filled(Classifier(Roberta(config()), ["a", "b"], pooling="mean"))
    assert isinstance(model, Classifier)
    torch.testing.assert_close(model.pool(rows), model.pooler(mean_of_rows(model.encoder(rows), rows.offsets)))


def test_fine_tuning_a_modernbert_goes_on_with_the_head_of_pretraining() -> None:
    settings = ModelSettings(family="modernbert", norm_position="pre", layers=1, heads=2, width=16)
    pretrained = build(settings, vocabulary_size=VOCABULARY, length=12, pad_id=0, pairs=False, seed=5)
    recipe = SimpleNamespace(model=SimpleNamespace(attention="auto"))
    task = SimpleNamespace(dropout=None, class_weights="none")
    shared: Any = SimpleNamespace(
        settings=task,
        model=pretrained,
        recipe=recipe,
        splits=SimpleNamespace(classes=("a", "b"), settings={}),
        layout=SimpleNamespace(length=12),
        kind=kind_of("classification"),
        device="cpu",
    )
    first, fresh = (_classifier(shared, start, 1).state_dict() for start in get_args(Start))
    for name in ("dense", "norm"):
        there = pretrained.state_dict()[f"masked_tokens.{name}.weight"]
        assert torch.equal(first[f"pooler.{name}.weight"], there)
    assert not torch.equal(fresh["pooler.dense.weight"], first["pooler.dense.weight"])


@pytest.mark.parametrize(("family", "places"), [("bert", 1), ("roberta", 2)])
def test_a_classifier_drops_before_its_layers(family: str, places: int) -> None:
    pretrained = Bert(config(), pairs=False) if family == "bert" else Roberta(config())
    model = filled(Classifier(pretrained, ["a", "b"], dropout=0.5)).train()
    assert isinstance(model, Classifier)
    assert [model.first_dropout.share, model.head.dropout.share].count(0.5) == places
    model.encoder.eval()
    rows, _ = classified()
    seed_dropout(model.modules(), 1, 0)
    first = model.logits(rows)
    seed_dropout(model.modules(), 1, 0)
    assert torch.equal(model.logits(rows), first)
    seed_dropout(model.modules(), 1, 1)
    assert not torch.equal(model.logits(rows), first)
