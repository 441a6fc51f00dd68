from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cloze.errors import ClozeError, RecipeError
from cloze.inputs import formats, rows
from cloze.training import cpu, loop
from cloze.training.optimizer import make_optimizer
from cloze.training.signals import Stopped

Make = Callable[..., Any]


def watch_batches(rows: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """(epoch, row numbers) of every batch that is asked of `rows` from now on."""
    asked = []
    make = rows.batch

    def batch(epoch: int, places: Any) -> Any:
        made = make(epoch, places)
        asked.append((epoch, made.rows.tolist()))
        return made

    monkeypatch.setattr(rows, "batch", batch)
    return asked


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_stop_and_resume_is_the_same_run(tiny: Make, tmp_path: Path, precision: str) -> None:
    straight = tiny(precision=precision).train(tmp_path / "a")
    tiny(precision=precision).train(tmp_path / "b", stop_after=13)
    resumed = tiny(precision=precision).train(tmp_path / "b")
    assert resumed.losses == straight.losses[13:]
    assert (resumed.steps, resumed.tokens) == (straight.steps, straight.tokens) == (24, straight.lines[-1]["tokens"])
    assert resumed.characters == straight.characters == straight.lines[-1]["characters"]
    bits = "masked_tokens/bits_per_character"
    assert resumed.lines[-1][bits] == straight.lines[-1][bits] > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA device is needed")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_on_a_gpu_learns_validates_and_resumes(tiny: Make, tmp_path: Path, precision: str) -> None:
    """With torch.compile, as `auto` has it there; kernels add in any order, so curves agree and are not equal."""
    settings: dict[str, Any] = {"precision": precision, "device": "cuda", "compile": "yes"}
    straight = tiny(**settings).train(tmp_path / "a")
    tiny(**settings).train(tmp_path / "b", stop_after=13)
    resumed = tiny(**settings).train(tmp_path / "b")
    np.testing.assert_allclose(resumed.losses, straight.losses[13:], rtol=0.05)
    on_cpu = tiny(precision="float32").train(tmp_path / "c")
    np.testing.assert_allclose(straight.losses, on_cpu.losses, rtol=0.05)


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "bert"},
        {"family": "electra"},
        {"family": "modernbert", "norm_position": "pre"},
        {"family": "modernbert", "norm_position": "pre", "local_window": 4},  # rows are cut
        {"family": "modernbert", "norm_position": "pre", "local_window": 16},
    ],
)
def test_losses_survive_the_compilers_capture(tiny: Make, settings: dict[str, Any]) -> None:
    """What torch.compile makes of them before it writes code, which needs no compiler of C: the same sums and
    gradients."""
    torch._dynamo.reset()
    run = tiny(dropout=0.0, **settings)
    batch, sums = run.train_rows.batch(0, np.arange(4)), []
    for losses in (run.model.losses, torch.compile(run.model.losses, backend="aot_eager")):
        run.model.train()
        run.model.zero_grad()
        found = losses(batch)
        sum(one.loss for one in found.values()).backward()
        gradients = [p.grad.clone() for p in run.model.parameters() if p.grad is not None]
        sums.append((found, gradients))
    (plain, ours), (compiled, theirs) = sums
    assert plain.keys() == compiled.keys() and len(ours) == len(theirs)
    for name in plain:
        torch.testing.assert_close(plain[name].loss, compiled[name].loss)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_what_was_compiled_serves_any_number_of_targets(tiny: Make) -> None:
    """Nearly every batch has another number; compiled for each, torch's limit would soon end all compiling."""
    run = tiny()
    torch._dynamo.reset()
    losses: Any = torch.compile(run.model.losses, backend=lambda graph, _: graph.forward)
    targets = set()
    with torch._dynamo.config.patch(recompile_limit=5, fail_on_recompile_limit_hit=True):
        for first in range(0, 60, 4):
            batch = run.train_rows.batch(0, np.arange(first, first + 8) % run.train_rows.rows_in_epoch(0))
            targets.add(len(batch.targets["masked_tokens"].labels))
            losses(batch)
    assert len(targets) > 6


def test_a_signal_in_the_last_validation_is_not_lost(tiny: Make, tmp_path: Path) -> None:
    """What comes after training must not begin; the same command finds the training finished."""

    def signalled(step: int, _: object) -> None:
        if step == 24:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match=r"SIGTERM stopped training after step 24\. Checkpoint .*00000024 is whole"):
        tiny().train(tmp_path, on_validation=signalled)
    assert tiny().train(tmp_path).steps == 24


def test_rows_of_another_corpus_are_refused(tiny: Make, tmp_path: Path) -> None:
    tiny().train(tmp_path, stop_after=3)
    with pytest.raises(ClozeError, match=r"belongs to a run with other settings: store\.fingerprint was '\w+', now '"):
        tiny(documents=39).train(tmp_path)


def test_a_run_of_automatic_precision_goes_on_as_it_began(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cpu, "multiplies_bfloat16", lambda: True)
    assert tiny(precision="auto").train(tmp_path, stop_after=3).precision == "bfloat16"
    monkeypatch.setattr(cpu, "multiplies_bfloat16", lambda: False)
    assert tiny(precision="auto").train(tmp_path, stop_after=5).precision == "bfloat16"
    assert "This run began in bfloat16 and goes on in it; begun here, it would be float32." in caplog.text
    assert tiny(precision="auto").train(tmp_path / "new", stop_after=1).precision == "float32"


def test_going_on_plans_the_first_epoch_and_its_own(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan of a large corpus takes seconds, and two do not fit into memory at once."""
    settings: dict[str, Any] = {"epochs": 3, "steps": None, "format": "doc-sentences"}
    tiny(**settings).train(tmp_path, stop_after=8)
    run, planned = tiny(**settings), []
    plan = formats.plan

    def counted(store: Any, inputs: Any, seed: int, copy: int) -> Any:
        planned.append(copy)
        return plan(store, inputs, seed, copy)

    monkeypatch.setattr(rows, "plan", counted)
    run.train(tmp_path, stop_after=9)
    assert planned == [0, 1]


def test_a_stop_that_has_passed_trains_nothing(tiny: Make, tmp_path: Path) -> None:
    tiny().train(tmp_path, stop_after=7)
    assert tiny().train(tmp_path, stop_after=3).steps == 7


def test_an_epoch_takes_every_row_once(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step is smaller; nothing is dropped."""
    run = tiny(epochs=2, steps=None, micro_batch_rows=4)
    sizes = [run.train_rows.rows_in_epoch(epoch) for epoch in (0, 1)]
    assert sizes[0] % 8 != 0
    asked = watch_batches(run.train_rows, monkeypatch)
    run.train(tmp_path)
    for epoch, size in enumerate(sizes):
        # The first question of all is for the names of the objectives.
        taken = sorted(row for number, rows in asked[1:] if number == epoch for row in rows)
        assert taken == list(range(size))


@pytest.mark.parametrize(("epochs", "steps", "expected"), [(0.5, None, 4), (2, 7, 7), (1, 100, 9), (None, 0, 0)])
def test_limits_in_steps_and_epochs(tiny: Make, tmp_path: Path, epochs: Any, steps: Any, expected: int) -> None:
    run = tiny(epochs=epochs, steps=steps)
    assert run.train_rows.rows_in_epoch(0) == 66
    history = run.train(tmp_path)
    assert history.steps == expected
    assert history.epochs == pytest.approx(min(expected * 8, 66) / 66)


def test_an_epoch_reads_the_characters_of_its_text(tiny: Make, tmp_path: Path) -> None:
    """Masked or not, special tokens aside."""
    run = tiny(epochs=1, steps=None, format="full-sentences")
    text = run.train_rows.store.ids
    assert run.train(tmp_path).characters == run.train_rows.tokenizer.characters[text].sum()


def test_the_optimiser_is_the_recipes(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.optim.AdamW] = []

    def watched(*arguments: Any, **settings: Any) -> torch.optim.AdamW:
        made.append(make_optimizer(*arguments, **settings))
        return made[-1]

    monkeypatch.setattr(loop, "make_optimizer", watched)
    tiny(steps=1, beta1=0.7, beta2=0.8, adam_eps=1e-3, weight_decay=0.3).train(tmp_path)
    ((matrices, others),) = [optimizer.param_groups for optimizer in made]
    for group, decay in ((matrices, 0.3), (others, 0.0)):
        assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.7, 0.8), 1e-3, decay)


def test_minutes_are_summed_over_resumes(tiny: Make, tmp_path: Path) -> None:
    first = tiny(steps=10_000, minutes=1e-9).train(tmp_path)
    again = tiny(steps=10_000, minutes=1e-9).train(tmp_path)
    assert (first.steps, again.steps, again.losses) == (1, 1, [])
    assert first.checkpoint is not None and first.lines[-1]["kind"] == "validation"
    more = tiny(steps=10_000, minutes=(again.elapsed_s + 1e-9) / 60).train(tmp_path)
    assert more.steps == 2


def test_a_share_of_unknown_steps_is_refused(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Set training\.warmup_steps"):
        tiny(steps=None, minutes=1, schedule="constant").train(tmp_path)


def test_lines_are_sums_over_counts_of_their_steps(tiny: Make, tmp_path: Path) -> None:
    each = tiny(log_every_steps=1).train(tmp_path / "a")
    some = tiny(log_every_steps=7).train(tmp_path / "b")
    singles = [line for line in each.lines if line["kind"] == "train"]
    lines = [line for line in some.lines if line["kind"] == "train"]
    assert [line["step"] for line in lines] == [7, 14, 21, 24]
    assert each.losses == [line["masked_tokens/loss"] + line["sentence_pair/loss"] for line in singles]
    rows = [8] * 8 + [2]
    weights = (rows * 3)[7:14]
    expected = np.average([line["sentence_pair/loss"] for line in singles[7:14]], weights=weights)
    assert lines[1]["sentence_pair/loss"] == pytest.approx(expected)
    assert lines[1]["gradient_norm"] == pytest.approx(np.mean([line["gradient_norm"] for line in singles[7:14]]))
    assert json.loads((tmp_path / "b" / "metrics.jsonl").read_text().splitlines()[0]) == some.lines[0]


def test_validation_is_the_same_for_every_cut_and_calls_back(tiny: Make, tmp_path: Path) -> None:
    calls = []

    def called(step: int, model: Any) -> None:
        calls.append((step, model.training, torch.is_grad_enabled()))

    runs = [
        tiny(dropout=0.0, micro_batch_rows=micro).train(tmp_path / str(micro), on_validation=called) for micro in (8, 2)
    ]
    first, second = ([line for line in run.lines if line["kind"] == "validation"] for run in runs)
    assert [line["step"] for line in first] == [6, 12, 18, 24]
    assert calls == [(step, False, False) for step in (6, 12, 18, 24)] * 2
    for a, b in zip(first, second, strict=True):
        assert b["masked_tokens/loss"] == pytest.approx(a["masked_tokens/loss"], rel=1e-5)


def test_without_validation_rows_nothing_is_validated(tiny: Make, tmp_path: Path) -> None:
    run = tiny()
    run.validation_rows = None
    assert {line["kind"] for line in run.train(tmp_path).lines} == {"train"}


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("settings", [{}, {"family": "electra", "documents": 74}], ids=["bert", "electra"])
def test_a_loss_that_is_not_finite_names_step_rows_and_checkpoint(
    tiny: Make, tmp_path: Path, saved: bool, settings: dict[str, Any]
) -> None:
    """ELECTRA draws from what has become NaN before anybody looks at the loss."""
    if saved:
        tiny(**settings).train(tmp_path, stop_after=12)
    run = tiny(**settings)
    rows = run.train_rows.epoch(1).order[3 * 8 : 4 * 8]
    make = run.train_rows.batch

    def poisoned(epoch: int, places: Any) -> Any:
        if epoch == 1 and 24 in places:
            with torch.no_grad():
                run.model.encoder.embeddings.token.weight[7] = float("nan")
        return make(epoch, places)

    run.train_rows.batch = poisoned
    with pytest.raises(ClozeError) as caught:
        run.train(tmp_path)
    message = str(caught.value)
    assert "masked_tokens became nan in step 13 " in message
    assert f"(epoch 1, rows {', '.join(map(str, rows))})" in message
    assert str(tmp_path / "checkpoints" / f"step-{12 if saved else 10:08d}") in message
    assert not (tmp_path / "checkpoints" / "step-00000015").exists()


def test_resume_costs_the_same_at_any_step(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the rows of the next step are made, wherever the run stands."""
    for step in (1, 20):
        folder = tmp_path / str(step)
        tiny().train(folder, stop_after=step)
        run = tiny()
        asked, planned = watch_batches(run.train_rows, monkeypatch), list[int]()
        epoch_of = run.train_rows.epoch

        def watched(epoch: int, of: Any = epoch_of, planned: list[int] = planned) -> Any:
            planned.append(epoch)
            return of(epoch)

        monkeypatch.setattr(run.train_rows, "epoch", watched)
        run.train(folder, stop_after=step + 1)
        assert len(asked) == 2
        now = asked[-1][0]
        assert set(planned) <= {0, now, now + 1}, "no epoch between the first, whose rows are counted, and this one"


def test_a_finished_run_is_not_touched(tiny: Make, tmp_path: Path) -> None:
    tiny().train(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    history = tiny().train(tmp_path)
    assert history.steps == 24 and history.losses == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_run_of_other_settings_is_not_continued(tiny: Make, tmp_path: Path) -> None:
    tiny().train(tmp_path, stop_after=5)
    with pytest.raises(ClozeError, match=r"training\.batch_rows was 8, now 4"):
        tiny(batch_rows=4).train(tmp_path)
    assert tiny(micro_batch_rows=4, keep_checkpoints=5).train(tmp_path, stop_after=7).steps == 7
