"""Real processes, killed: the same command continues, and every number is the same, bit for bit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KILLED, TERMINATED = -9, 128 + 15
FSYNCS = 9
"""Syncs of one checkpoint: metrics, cursor and its folder, three files, manifest and its folder, the final folder."""
DEATHS: dict[str, list[dict[str, Any]]] = {
    "at a random moment": [{"kill": "moment", "at": random.uniform(0.02, 0.8)} for _ in range(3)],
    # Of step 15, in the second epoch, after two whole ones.
    "syncing a checkpoint": [{"kill": "fsync", "at": at} for at in range(2 * FSYNCS + 1, 3 * FSYNCS + 1)],
    "in half a file": [{"kill": "tensors", "at": at} for at in (1, 6)],
    "asked to stop": [{"kill": "sigterm", "at": 17, "tiny": {"keep_checkpoints": 9}}],
}


@dataclass
class Outcome:
    """What became of a folder: exit codes of its processes, the last of which nobody killed."""

    folder: Path
    codes: list[int]

    def curve(self) -> list[dict[str, Any]]:
        """Everything in metrics.jsonl that is not a time."""
        lines = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        times = ("elapsed_s", "tokens_per_s", "peak_frac")
        return [{key: value for key, value in line.items() if key not in times} for line in lines]

    def weights(self) -> list[bytes]:
        """Weights and moments of the last checkpoint."""
        last = max((self.folder / "checkpoints").iterdir())
        return [last.name.encode(), *((last / f"{name}.safetensors").read_bytes() for name in ("model", "optimizer"))]


@dataclass
class Outcomes:
    """Of one undisturbed run, and of runs that were stopped in every way and started again."""

    straight: Outcome
    disturbed: dict[str, list[Outcome]]
    errors: str

    def assert_same(self, way: str) -> None:
        for outcome in self.disturbed[way]:
            assert outcome.codes[-1] == 0, self.errors
            assert outcome.curve() == self.straight.curve(), outcome.codes
            assert outcome.weights() == self.straight.weights(), outcome.codes


@pytest.fixture(scope="module")
def outcomes(run_processes: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """All processes of this file, one after the other under one launcher, which imports torch once."""
    folder = tmp_path_factory.mktemp("resume")
    again: list[dict[str, Any]] = [{"kill": "fsync", "at": at} for at in (5, 14, 8, 12)]
    ways: dict[str, list[list[dict[str, Any]]]] = {"nothing": [[]], "again and again": [again]}
    ways |= {way: [[death] for death in deaths] for way, deaths in DEATHS.items()}
    plan: list[tuple[str, Path, list[dict[str, Any]]]] = []
    for way, mishaps in ways.items():
        for number, deaths in enumerate(mishaps):
            settings = deaths[0].get("tiny", {}) if deaths else {}
            plan.append((way, folder / f"{way.replace(' ', '-')}-{number}", [*deaths, {"tiny": settings}]))
    codes, errors = run_processes([{**scenario, "folder": place} for _, place, runs in plan for scenario in runs])
    left = iter(codes)
    disturbed: dict[str, list[Outcome]] = {}
    for way, place, runs in plan:
        disturbed.setdefault(way, []).append(Outcome(place, [next(left) for _ in runs]))
    return Outcomes(disturbed.pop("nothing")[0], disturbed, errors)


def test_killed_at_random_moments(outcomes: Outcomes) -> None:
    """One that was too fast to die must be right as well."""
    assert {outcome.codes[0] for outcome in outcomes.disturbed["at a random moment"]} <= {KILLED, 0}
    outcomes.assert_same("at a random moment")


@pytest.mark.parametrize("way", ["syncing a checkpoint", "in half a file"])
def test_killed_while_a_checkpoint_is_written(outcomes: Outcomes, way: str) -> None:
    assert all(outcome.codes == [KILLED, 0] for outcome in outcomes.disturbed[way])
    outcomes.assert_same(way)


def test_killed_again_and_again(outcomes: Outcomes) -> None:
    assert outcomes.disturbed["again and again"][0].codes == [KILLED] * 4 + [0]
    outcomes.assert_same("again and again")


def test_sigterm_finishes_the_step_saves_and_says_so(outcomes: Outcomes) -> None:
    (outcome,) = outcomes.disturbed["asked to stop"]
    assert outcome.codes == [TERMINATED, 0]
    saved = outcome.folder / "checkpoints" / "step-00000017"
    assert (saved / "manifest.json").is_file()
    assert f"SIGTERM stopped training after step 17. Checkpoint {saved} is whole" in outcomes.errors
    outcomes.assert_same("asked to stop")
