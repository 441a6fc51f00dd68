"""Real processes, killed: the same command continues, and every number is the same, bit for bit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[list[int], str]]

KILLED = -9


def curve(folder: Path) -> list[dict[str, Any]]:
    """Everything in metrics.jsonl that is not a time."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("elapsed_s", "tokens_per_s", "peak_frac")} for line in lines]


def weights(folder: Path) -> list[bytes]:
    """Weights and moments of the last checkpoint."""
    last = max((folder / "checkpoints").iterdir())
    return [last.name.encode(), *((last / f"{name}.safetensors").read_bytes() for name in ("model", "optimizer"))]


@pytest.fixture(scope="module")
def straight(run_processes: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    assert run_processes([{"folder": folder}])[0] == [0]
    return folder


def kill_and_resume(run: Run, folder: Path, deaths: list[dict[str, Any]]) -> tuple[list[Path], list[int], str]:
    """For each way to die: the same command until it dies, then again. Folders, exit codes in pairs, standard error."""
    folders = [folder / str(i) for i in range(len(deaths))]
    pairs = [[{"folder": f, **death}, {"folder": f}] for f, death in zip(folders, deaths, strict=True)]
    codes, errors = run([scenario for pair in pairs for scenario in pair])
    return folders, codes, errors


def assert_same(folders: list[Path], straight: Path) -> None:
    for folder in folders:
        assert curve(folder) == curve(straight)
        assert weights(folder) == weights(straight)


def test_killed_at_random_moments(run_processes: Run, straight: Path, tmp_path: Path) -> None:
    """Some die before the first step, some in the middle; one that was too fast to die must be right as well."""
    moments = [random.uniform(0.02, 0.9) for _ in range(6)]
    folders, codes, errors = kill_and_resume(
        run_processes, tmp_path, [{"kill": "moment", "at": moment} for moment in moments]
    )
    assert set(codes[::2]) <= {KILLED, 0} and set(codes[1::2]) == {0}, (moments, errors)
    assert_same(folders, straight)


def test_killed_while_a_checkpoint_is_written(run_processes: Run, straight: Path, tmp_path: Path) -> None:
    """At every sync of the third checkpoint (of step 15, in epoch 1, after two whole ones), and in half a file."""
    fsyncs = [{"kill": "fsync", "at": at} for at in range(21, 31)]
    halves = [{"kill": "tensors", "at": at} for at in (1, 5, 6)]
    folders, codes, errors = kill_and_resume(run_processes, tmp_path, fsyncs + halves)
    assert codes == [KILLED, 0] * len(folders), errors
    assert_same(folders, straight)


def test_killed_again_and_again(run_processes: Run, straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    deaths = [{"folder": folder, "kill": "fsync", "at": at} for at in (5, 14, 8, 12)]
    codes, errors = run_processes([*deaths, {"folder": folder}])
    assert codes == [KILLED] * 4 + [0], errors
    assert_same([folder], straight)


def test_sigterm_finishes_the_step_saves_and_says_so(run_processes: Run, straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    codes, errors = run_processes([{"folder": folder, "kill": "sigterm", "at": 17}])
    assert codes == [128 + 15]
    saved = folder / "checkpoints" / "step-00000017"
    assert (saved / "manifest.json").is_file()
    assert f"SIGTERM stopped training after step 17. Checkpoint {saved} is whole" in errors
    assert run_processes([{"folder": folder}])[0] == [0]
    assert_same([folder], straight)
