from __future__ import annotations

import json
from collections.abc import Callable
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


@pytest.mark.parametrize(
    ("precision", "curve", "weights"), [("float32", 1e-6, 1e-6), ("bfloat16", 2e-2, 2e-2)], ids=["float32", "bfloat16"]
)
def test_two_ranks_are_one_and_one_goes_on_from_two(
    run_processes: Callable[..., Any], tmp_path: Path, precision: str, curve: float, weights: float
) -> None:
    """66 rows in batches of 13: the last step of an epoch has one row, and so nothing for the first of two ranks.

    A gradient in bfloat16 is rounded once on each rank, to 8 bits, so two ranks are one to about a hundredth.
    """
    settings: dict[str, Any] = {"batch_rows": 13, "micro_batch_rows": 13, "dropout": 0.0, "steps": 14}
    settings |= {"log_every_steps": 1, "precision": precision}
    two, one = tmp_path / "two", tmp_path / "one"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    half = {"folder": two, "tiny": settings, "train": {"stop_after": 8}}
    run_processes([half], *launcher)
    codes, errors = run_processes([{"folder": two, "tiny": settings}, {"folder": one, "tiny": settings}])
    assert codes == [0, 0], errors
    for a, b in zip(numbers(two), numbers(one), strict=True):
        assert a == pytest.approx(b, rel=10 * curve, abs=curve)
    for name in ("model", "optimizer"):
        ranks, alone = (load_file(f / "checkpoints" / "step-00000014" / f"{name}.safetensors") for f in (two, one))
        torch.testing.assert_close(ranks, alone, rtol=0, atol=weights)
