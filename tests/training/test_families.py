"""Families with several weighted objectives, trained: cuts, ranks, resumes, figures, alarms, and something learned."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cloze.models.encoder import initialise_normal
from cloze.objectives.sampling import seed_noise
from cloze.training.alarms import ALARMS, raised
from cloze.training.optimizer import make_optimizer
from cloze.training.step import Learner, evaluate, train_step

Make = Callable[..., Any]
FAMILIES = ("electra", "spanbert")
NAMES = {"electra": ("masked_tokens", "replaced_tokens"), "spanbert": ("masked_tokens", "span_boundary")}
FIGURES = ("replaced_tokens/fake_frac", "replaced_tokens/precision", "replaced_tokens/recall")


def learner(run: Any, **options: Any) -> Learner:
    family = run.model.family
    weights = getattr(run.model, "weights", {})
    return Learner(
        model=run.model,
        losses=run.model.losses,
        objectives=NAMES[family],
        weights=weights,
        figures=getattr(run.model, "figures", ()),
        optimizer=make_optimizer(run.model, weight_decay=0.01),
        **options,
    )


def cut(run: Any, rows: int, micro_rows: int) -> list[Any]:
    return [run.train_rows.batch(0, np.arange(i, min(i + micro_rows, rows))) for i in range(0, rows, micro_rows)]


def gradients_of(run: Any, micro_rows: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Any]:
    """The gradients that the optimizer is given by 32 rows, and the step's result."""
    taught = learner(run)
    seen: dict[str, Any] = {}

    def keep() -> None:
        seen.update({name: p.grad.clone() for name, p in run.model.named_parameters()})

    monkeypatch.setattr(taught.optimizer, "step", keep)
    return seen, train_step(taught, cut(run, 32, micro_rows), step=5, learning_rate=0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_does_not_depend_on_micro_batches(tiny: Make, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    whole, one = gradients_of(tiny(family=family, dropout=0.0), 32, monkeypatch)
    parts, many = gradients_of(tiny(family=family, dropout=0.0), 8, monkeypatch)
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-6, msg=name)
    assert many.counts == one.counts
    torch.testing.assert_close(many.sums, one.sums, rtol=1e-5, atol=0)
    assert torch.equal(many.figures, one.figures)


def test_gradient_is_that_of_weighted_means(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = gradients_of(tiny(family="electra", dropout=0.0), 8, monkeypatch)
    run = tiny(family="electra", dropout=0.0)
    seed_noise(run.model.modules(), 1, 5)
    (batch,) = cut(run, 32, 32)
    sums = run.model.losses(batch)
    masked, replaced = sums["masked_tokens"], sums["replaced_tokens"]
    run.model.zero_grad()
    (masked.loss / masked.count + 50 * replaced.loss / batch.tokens).backward()
    for name, parameter in run.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("micro_rows", [22, 3])
def test_validation_is_the_same_at_every_step_and_cut(tiny: Make, micro_rows: int) -> None:
    run = tiny(family="electra", dropout=0.3)
    taught = learner(run)
    one = evaluate(taught, cut(run, 30, 30))
    train_step(taught, cut(run, 8, 8), step=9, learning_rate=0.0)
    many = evaluate(taught, cut(run, 30, micro_rows))
    for name in taught.objectives:
        assert many[name].loss == pytest.approx(one[name].loss, rel=1e-5)
        assert (many[name].accuracy, many[name].count) == (one[name].accuracy, one[name].count)
        assert many[name].figures == one[name].figures
    assert many["replaced_tokens"].count == sum(batch.tokens for batch in cut(run, 30, 30))
    assert "fake_frac" in many["replaced_tokens"].figures and not many["masked_tokens"].figures


@pytest.mark.parametrize("family", FAMILIES)
def test_stop_and_resume_is_the_same_run(tiny: Make, tmp_path: Path, family: str) -> None:
    """Stopped between two log lines, in the second epoch, with dropout: lines, weights and moments, bit for bit."""
    straight = tiny(family=family).train(tmp_path / "a")
    tiny(family=family).train(tmp_path / "b", stop_after=13)
    resumed = tiny(family=family).train(tmp_path / "b")
    assert resumed.losses == straight.losses[13:]
    a, b = (
        [
            {key: value for key, value in line.items() if key not in ("elapsed_s", "tokens_per_s", "peak_frac")}
            for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        ]
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert a == b
    for file in ("model.safetensors", "optimizer.safetensors"):
        ends = [(tmp_path / run / "checkpoints" / "step-00000024" / file).read_bytes() for run in "ab"]
        assert ends[0] == ends[1]


def test_two_ranks_are_one(run_processes: Callable[..., Any], tmp_path: Path) -> None:
    """Batches of 13 of some rows: at the end of an epoch a rank may have nothing, not even figures."""
    settings = {"family": "electra", "batch_rows": 13, "dropout": 0.0, "steps": 9, "log_every_steps": 1}
    two, one = tmp_path / "two", tmp_path / "one"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run_processes([{"folder": two, "tiny": settings}], *launcher)
    codes, errors = run_processes([{"folder": one, "tiny": settings}])
    assert codes == [0], errors
    lines = [[json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in (two, one)]
    for a, b in zip(*lines, strict=True):
        assert a.keys() == b.keys()
        numbers = [key for key in a if "/" in key or key in ("step", "tokens", "gradient_norm")]
        assert [a[key] for key in numbers] == pytest.approx([b[key] for key in numbers], rel=1e-4, abs=1e-6)
    ranks, alone = (load_file(f / "checkpoints" / "step-00000009" / "model.safetensors") for f in (two, one))
    torch.testing.assert_close(ranks, alone, rtol=0, atol=1e-5)


def topical(run: Any) -> Any:
    """Rows of which each has five words of its own: little to learn, and both of ELECTRA's parts can."""
    for rows in (run.train_rows, run.validation_rows):
        store = rows.store
        tokens = np.diff(store.sentence_offsets[store.document_offsets])
        store.ids = 5 + np.repeat(np.arange(len(tokens)), tokens) * 3 % 7 * 5 + store.ids % 5
    initialise_normal(run.model, 0.1, 1)
    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_something_is_learned(tiny: Make, tmp_path: Path, family: str) -> None:
    settings = {"format": "doc-sentences", "documents": 200, "width": 32, "steps": 150, "batch_rows": 16}
    settings |= {"log_every_steps": 10, "validate_every_steps": 150, "peak_learning_rate": 5e-3, "dropout": 0.0}
    history = topical(tiny(family=family, **settings)).train(tmp_path)
    first, last, validation = history.lines[0], history.lines[-2], history.lines[-1]
    for name in NAMES[family]:
        assert last[f"{name}/loss"] < 0.9 * first[f"{name}/loss"]
        assert validation[f"{name}/loss"] < 0.9 * first[f"{name}/loss"]
    assert history.losses[-1] < 0.6 * history.losses[0]
    if family == "electra":
        assert set(FIGURES) <= validation.keys()
        assert validation["replaced_tokens/recall"] > 0.2 and validation["replaced_tokens/precision"] > 0.7
        assert not raised(last, step=150, warmup_steps=9)
        assert history.losses[0] > 50 * 0.5, "the loss is the one that is minimised"


def test_a_discriminator_that_finds_nothing_raises_an_alarm_once(
    tiny: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bias that calls everything original stands for training that went wrong."""
    run = tiny(family="electra", peak_learning_rate=1e-9, documents=100)
    with torch.no_grad():
        run.model.replaced_tokens.linear.bias.fill_(-9.0)
    with caplog.at_level(logging.WARNING):
        history = run.train(tmp_path)
    alarms = [line for line in history.lines if line["kind"] == "alarm" and line["name"] == FIGURES[2]]
    assert [line["step"] for line in alarms] == [3], "warm-up is one step long"
    assert alarms[0]["text"].startswith("0.00% of the replaced tokens are found")
    assert "Step 3: 0.00% of the replaced tokens are found" in caplog.text
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1]) == alarms[0]


def test_alarms_are_for_late_and_low_numbers() -> None:
    line = {"replaced_tokens/fake_frac": 0.1, "replaced_tokens/recall": 0.5, "masked_tokens/accuracy": 0.2}
    assert not raised(line, step=100, warmup_steps=10)
    for alarm in ALARMS:
        low = line | {alarm.key: alarm.least / 2}
        assert raised(low, step=21, warmup_steps=10).keys() == {alarm.key}
        assert not raised(low, step=20, warmup_steps=10)
    del line["replaced_tokens/recall"]
    assert not raised(line, step=100, warmup_steps=10), "nothing was replaced, so nothing can be found"
    assert not raised({"masked_tokens/accuracy": 0.0}, step=100, warmup_steps=10), "a family without figures"
