from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import cloze.training.step
from cloze.errors import NotFiniteError
from cloze.training.optimizer import make_optimizer
from cloze.training.step import Learner, check_finite, evaluate, train_step

OBJECTIVES = ("masked_tokens", "sentence_pair")


def learner(run: Any, **options: Any) -> Learner:
    optimizer = make_optimizer(run.model, weight_decay=0.01)
    return Learner(model=run.model, losses=run.model.losses, objectives=OBJECTIVES, optimizer=optimizer, **options)


def cut(run: Any, rows: int, micro_rows: int) -> list[Any]:
    return [run.train_rows.batch(0, np.arange(i, min(i + micro_rows, rows))) for i in range(0, rows, micro_rows)]


def gradients_of(run: Any, rows: int, micro_rows: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Any]:
    """The gradients that the optimizer is given, and the step's result."""
    taught = learner(run)
    seen: dict[str, Any] = {}

    def keep() -> None:
        seen.update({name: p.grad.clone() for name, p in run.model.named_parameters()})

    monkeypatch.setattr(taught.optimizer, "step", keep)
    result = train_step(taught, cut(run, rows, micro_rows), step=0, learning_rate=0.0)
    return seen, result


@pytest.mark.parametrize("micro_rows", [8, 5, 1])
def test_gradient_does_not_depend_on_micro_batches(
    tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, micro_rows: int
) -> None:
    whole, one = gradients_of(tiny(dropout=0.0), 32, 32, monkeypatch)
    parts, many = gradients_of(tiny(dropout=0.0), 32, micro_rows, monkeypatch)
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-4, atol=1e-7)
    assert many.counts == one.counts
    torch.testing.assert_close(many.sums, one.sums, rtol=1e-6, atol=0)


def test_gradient_is_that_of_means_over_targets(tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = gradients_of(tiny(dropout=0.0), 32, 8, monkeypatch)
    run = tiny(dropout=0.0)
    sums = run.model.losses(run.train_rows.batch(0, np.arange(32)))
    sum(part.loss / part.count for part in sums.values()).backward()
    for name, parameter in run.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-7)


def test_clipping_follows_backward_and_precedes_the_step(tiny: Callable[..., Any]) -> None:
    """Adam forgets the scale of a gradient, so plain descent shows what it was given: norm 0.1, times the rate."""
    run = tiny(dropout=0.0)
    descent = torch.optim.SGD(run.model.parameters(), lr=0.0)
    taught = Learner(model=run.model, losses=run.model.losses, objectives=OBJECTIVES, optimizer=descent, clip_norm=0.1)
    before = [p.detach().clone() for p in run.model.parameters()]
    result = train_step(taught, cut(run, 8, 8), step=0, learning_rate=0.5)
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(run.model.parameters(), before, strict=True)]).norm()
    assert result.gradient_norm > 0.2
    assert moved.item() == pytest.approx(0.5 * 0.1, rel=1e-3)


def test_dropout_is_seeded_by_the_place_of_a_micro_batch(
    tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank that begins at row 8 of step 5 drops what one process drops from row 8 on."""
    seeds = []
    monkeypatch.setattr(cloze.training.step, "seed_dropout", lambda model, *numbers: seeds.append(numbers))
    run = tiny()
    batches = cut(run, 16, 4)
    train_step(learner(run, seed=3), batches, step=5, learning_rate=0.0)
    train_step(learner(run, seed=3), batches[2:], step=5, learning_rate=0.0, first_row=8)
    assert seeds == [(3, 5, 0), (3, 5, 4), (3, 5, 8), (3, 5, 12), (3, 5, 8), (3, 5, 12)]


def test_dropout_changes_from_step_to_step_and_repeats_for_the_same_step(tiny: Callable[..., Any]) -> None:
    run = tiny(dropout=0.3)
    batches = cut(run, 8, 8)
    losses = [train_step(learner(run), batches, step=step, learning_rate=0.0).sums[0, 0].item() for step in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("micro_rows", [22, 7, 1])
def test_validation_does_not_depend_on_the_batch_size(tiny: Callable[..., Any], micro_rows: int) -> None:
    run = tiny(dropout=0.3)
    one = evaluate(learner(run), cut(run, 30, 30))
    many = evaluate(learner(run), cut(run, 30, micro_rows))
    for name in OBJECTIVES:
        assert many[name].loss == pytest.approx(one[name].loss, rel=1e-5)
        assert (many[name].accuracy, many[name].count) == (one[name].accuracy, one[name].count)


@pytest.mark.parametrize("micro_rows", [30, 7])
def test_bits_per_character_are_nats_over_what_the_masked_tokens_stand_for(
    tiny: Callable[..., Any], micro_rows: int
) -> None:
    run = tiny(dropout=0.0)
    table = torch.from_numpy(run.train_rows.tokenizer.characters)
    found = evaluate(learner(run, characters=table), cut(run, 30, micro_rows))["masked_tokens"]
    labels = run.train_rows.batch(0, np.arange(30)).targets["masked_tokens"].labels.tolist()
    characters = sum(1 + label % 3 for label in labels)
    assert len(labels) < characters < 3 * len(labels)
    wanted = found.loss * found.count / math.log(2) / characters
    assert found.figures == {"bits_per_character": pytest.approx(wanted)}
    assert not evaluate(learner(run), cut(run, 30, 30))["masked_tokens"].figures, "no table, no number"


def test_validation_leaves_the_model_as_it_was(tiny: Callable[..., Any]) -> None:
    run = tiny()
    run.model.train()
    evaluate(learner(run), cut(run, 8, 8))
    assert run.model.training
    assert all(parameter.grad is None for parameter in run.model.parameters())


def test_a_step_in_bfloat16_is_near_one_in_float32(tiny: Callable[..., Any]) -> None:
    full, half = (
        train_step(learner(run, dtype=dtype), cut(run, 8, 8), step=0, learning_rate=1e-3).sums
        for run, dtype in ((tiny(dropout=0.0), torch.float32), (tiny(dropout=0.0), torch.bfloat16))
    )
    torch.testing.assert_close(half[:, 0], full[:, 0], rtol=0.02, atol=0)
    assert not torch.equal(half, full)


def test_a_loss_that_is_not_finite_is_named(tiny: Callable[..., Any]) -> None:
    run = tiny()
    taught = learner(run)
    with torch.no_grad():
        run.model.sentence_pair.linear.bias[0] = float("inf")
    result = train_step(taught, cut(run, 8, 8), step=0, learning_rate=1e-3)
    with pytest.raises(NotFiniteError, match=r"the loss of sentence_pair became (nan|inf) in step 7\. Try less\."):
        check_finite(taught, result, where="step 7", advice="Try less.")
