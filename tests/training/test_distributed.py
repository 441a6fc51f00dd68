from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from cloze.errors import ClozeError
from cloze.training.distributed import Ranks, choose_device


@given(st.integers(0, 100), st.integers(1, 9))
def test_shares_are_contiguous_and_even(rows: int, world: int) -> None:
    shares = [Ranks(rank, world).share(rows) for rank in range(world)]
    assert [place for share in shares for place in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_cuda_without_a_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ClozeError, match=r"Set training\.device to auto or cpu"):
        choose_device("cuda")


def test_more_ranks_than_gpus_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    with pytest.raises(ClozeError, match="torch finds 2"):
        choose_device("auto", 2)


def numbers(folder: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [[v for k, v in line.items() if "/" in k or k in ("step", "tokens", "gradient_norm")] for line in lines]


@dataclass
class Outcomes:
    """Runs on two ranks, and what one process makes of the same."""

    folder: Path
    codes: dict[str, int]
    """Exit code of one of the two ranks."""
    errors: str

    def assert_same_curve(self, two: str, one: str, tolerance: float) -> None:
        for ranks, alone in zip(numbers(self.folder / two), numbers(self.folder / one), strict=True):
            assert ranks == pytest.approx(alone, rel=10 * tolerance, abs=tolerance)


@pytest.fixture(scope="module")
def outcomes(run_processes: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """All runs of this file under two launchers, each of which imports torch once."""
    folder = tmp_path_factory.mktemp("ranks")
    # 66 rows in batches of 13: the last step of an epoch has one row, and so nothing for the first of two ranks.
    uneven = {"batch_rows": 13, "micro_batch_rows": 13, "dropout": 0.0, "steps": 14, "log_every_steps": 1}
    # In micro-batches of four rows, of which each rank has one and a single process two.
    dropped = {"batch_rows": 8, "micro_batch_rows": 4, "dropout": 0.1, "steps": 6, "log_every_steps": 1}
    of_precision = {precision: {**uneven, "precision": precision} for precision in ("float32", "bfloat16")}
    two: dict[str, dict[str, Any]] = {
        f"two-{precision}": {"tiny": settings, "train": {"stop_after": 8}, "own_weights": True}
        for precision, settings in of_precision.items()
    }
    two |= {"two-dropped": {"tiny": dropped}, "stopped": {"kill": "sigterm", "at": 7, "kill_rank": 1}, "own-{rank}": {}}
    one: dict[str, dict[str, Any]] = {
        f"{ranks}-{precision}": {"tiny": settings}
        for precision, settings in of_precision.items()
        for ranks in ("two", "one")
    }
    one |= {"one-dropped": {"tiny": dropped}}
    run_processes([{"folder": folder / "own-0", "train": {"stop_after": 5}}])
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    codes, errors = run_processes([{**scenario, "folder": folder / name} for name, scenario in two.items()], *launcher)
    alone, more = run_processes([{**scenario, "folder": folder / name} for name, scenario in one.items()])
    assert alone == [0] * len(one), more
    return Outcomes(folder, dict(zip(two, codes, strict=True)), errors)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("bfloat16", 2e-2)])
def test_two_ranks_are_one_and_one_goes_on_from_two(outcomes: Outcomes, precision: str, tolerance: float) -> None:
    """A gradient in bfloat16 is rounded once on each rank, to 8 bits, so two ranks are one to about a hundredth."""
    two, one = f"two-{precision}", f"one-{precision}"
    assert outcomes.codes[two] == 0, outcomes.errors
    outcomes.assert_same_curve(two, one, tolerance)
    for name in ("model", "optimizer"):
        last = Path("checkpoints") / "step-00000014" / f"{name}.safetensors"
        ranks, alone = (load_file(outcomes.folder / of / last) for of in (two, one))
        torch.testing.assert_close(ranks, alone, rtol=0, atol=tolerance)


def test_two_ranks_drop_what_one_drops(outcomes: Outcomes) -> None:
    assert outcomes.codes["two-dropped"] == 0, outcomes.errors
    outcomes.assert_same_curve("two-dropped", "one-dropped", 1e-6)


def test_a_signal_to_one_rank_stops_both_after_one_checkpoint(outcomes: Outcomes) -> None:
    assert outcomes.codes["stopped"] == 128 + 15, outcomes.errors
    saved = sorted(path.name for path in (outcomes.folder / "stopped" / "checkpoints").iterdir())
    assert saved[-1] == "step-00000007"


def test_ranks_with_checkpoints_of_their_own_are_refused(outcomes: Outcomes) -> None:
    assert outcomes.codes["own-{rank}"] == 1
    assert "ranks see different checkpoints in " in outcomes.errors
