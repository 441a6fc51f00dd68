"""Training with other norms than LayerNorm: resumes, cuts and ranks, where BatchNorm's statistics are part of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cloze.errors import ClozeError

Make = Callable[..., Any]
TIMES = ("elapsed_s", "tokens_per_s", "peak_frac")


def numbers(history: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key not in TIMES} for line in history.lines]


def last(folder: Path, file: str = "model") -> bytes:
    return (folder / "checkpoints" / "step-00000024" / f"{file}.safetensors").read_bytes()


@pytest.mark.parametrize(("norm", "norm_position"), [("batch", "post"), ("batch", "pre"), ("rms", "pre")])
def test_stop_and_resume_is_the_same_run(tiny: Make, tmp_path: Path, norm: str, norm_position: str) -> None:
    """In the second epoch, with dropout and two micro-batches a step: lines, weights, averages, moments, to the bit."""
    chosen = {"norm": norm, "norm_position": norm_position, "micro_batch_rows": 4, "checkpoint_every_steps": 12}
    straight = tiny(**chosen).train(tmp_path / "a")
    first = tiny(**chosen).train(tmp_path / "b", stop_after=12)
    resumed = tiny(**chosen).train(tmp_path / "b")
    assert numbers(first) + numbers(resumed) == numbers(straight)
    assert straight.losses[-1] < straight.losses[0]
    for file in ("model", "optimizer"):
        assert last(tmp_path / "a", file) == last(tmp_path / "b", file)
    averages = {name for name in load_file(straight.checkpoint / "model.safetensors") if "running" in name}
    norms = 5 + (norm_position == "pre")
    assert len(averages) == (2 * norms if norm == "batch" else 0)


def test_validation_leaves_the_running_averages_alone(tiny: Make, tmp_path: Path) -> None:
    for name, every in (("often", 1), ("once", 24)):
        tiny(norm="batch", validate_every_steps=every).train(tmp_path / name)
    assert last(tmp_path / "often") == last(tmp_path / "once")


def test_validation_does_not_depend_on_the_cut(tiny: Make, tmp_path: Path) -> None:
    run = tiny(norm="batch", dropout=0.0)
    run.train(tmp_path, stop_after=6)
    parts, hidden = run.validation_rows.rows_in_epoch(0), []
    run.model.eval()
    for size in (parts, 1):
        places = torch.split(torch.arange(parts), size)
        with torch.no_grad():
            hidden.append(torch.cat([run.model.encoder(run.validation_rows.batch(0, p.numpy())) for p in places]))
    torch.testing.assert_close(*hidden, atol=1e-5, rtol=1e-5)


def test_micro_batches_are_part_of_a_run_with_batch_norm(tiny: Make, tmp_path: Path) -> None:
    tiny(norm="batch").train(tmp_path, stop_after=5)
    with pytest.raises(ClozeError, match=r"training\.micro_batch_rows was None, now 4"):
        tiny(norm="batch", micro_batch_rows=4).train(tmp_path)


def test_batch_norm_on_two_ranks_is_refused(run_processes: Callable[..., Any], tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    codes, errors = run_processes([{"folder": tmp_path, "tiny": {"norm": "batch"}}], *launcher)
    assert codes == [1]
    assert "model.norm is batch, but torchrun started 2 processes" in errors
    assert not list(tmp_path.glob("checkpoints/*"))
