"""Where a run stands: all that a checkpoint holds besides tensors, and what a run tells of itself at the end."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from cloze.training.step import share_figures


@dataclass
class Window:
    """Running sums since the last train line. They travel with the checkpoint, so that the line is the same after a
    kill."""

    steps: int = 0
    tokens: int = 0
    flops: int = 0
    elapsed_s: float = 0.0
    gradient_norm: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)
    """By objective: loss (nats), targets guessed right, targets."""
    figures: dict[str, list[float]] = field(default_factory=dict)
    """By health figure: how many did, how many could."""

    def add(
        self,
        names: Sequence[str],
        sums: Sequence[Sequence[float]],
        counts: Sequence[int],
        norm: float,
        figures: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """One step's sums: [loss, correct] and the number of targets of each objective, its gradient norm, figures."""
        self.steps += 1
        self.gradient_norm += norm
        for name, (part, whole) in (figures or {}).items():
            earlier = self.figures.get(name, [0.0, 0.0])
            self.figures[name] = [earlier[0] + part, earlier[1] + whole]
        for name, (loss, correct), count in zip(names, sums, counts, strict=True):
            before = self.sums.get(name, [0.0, 0.0, 0])
            self.sums[name] = [before[0] + loss, before[1] + correct, before[2] + count]

    def line(self, peak_gflops: float) -> dict[str, float]:
        """Means over targets and, for the gradient norm, over steps; figures; speed; share of the measured peak."""
        seconds = max(self.elapsed_s, 1e-9)
        return {
            "tokens_per_s": self.tokens / seconds,
            "peak_frac": self.flops / seconds / 1e9 / peak_gflops,
            "gradient_norm": self.gradient_norm / max(1, self.steps),
            **{f"{name}/loss": loss / max(1, count) for name, (loss, _, count) in self.sums.items()},
            **{f"{name}/accuracy": correct / max(1, count) for name, (_, correct, count) in self.sums.items()},
            **share_figures(self.figures, self.figures.values()),
        }


@dataclass
class Cursor:
    """What comes next, and what was done so far. A pure function of (recipe, step) but for the seconds."""

    step: int = 0
    """Finished optimiser steps."""
    epoch: int = 0
    row: int = 0
    """The next step begins at this place of the epoch's order."""
    tokens: int = 0
    """Tokens trained on, special ones included."""
    characters: int = 0
    """Characters of text that these stand for (`Tokenizer.characters`)."""
    elapsed_s: float = 0.0
    """Time in training steps, over all resumes; validation and checkpoints are not in it."""
    window: Window = field(default_factory=Window)
    alarms: list[str] = field(default_factory=list)
    """What the last train line raised."""

    def advance(self, rows: int, rows_in_epoch: int, *, tokens: int, characters: int, flops: int) -> None:
        """One step has taken `rows` of the epoch's rows."""
        self.step += 1
        self.row += rows
        if self.row == rows_in_epoch:
            self.epoch, self.row = self.epoch + 1, 0
        self.tokens += tokens
        self.characters += characters
        self.window.tokens += tokens
        self.window.flops += flops

    def to_json(self) -> dict[str, Any]:
        """A JSON object; floats survive the way there and back bit for bit."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cursor:
        """The opposite of `to_json`."""
        return cls(**{**value, "window": Window(**value["window"])})


@dataclass
class History:
    """A finished run, or its part until `stop_after`."""

    steps: int
    epochs: float
    """Passes over the corpus; the last one may be unfinished."""
    tokens: int
    characters: int
    """Of the text that the tokens stand for."""
    elapsed_s: float
    """Time in training steps, over all resumes."""
    parameters: int
    precision: str
    """The dtype of matrix products."""
    peak_gflops: float
    """Measured matrix-product peak of all ranks; 0 if this process had nothing left to do."""
    peak_memory_mb: float
    """Of this process: allocated on the GPU, or resident in memory on a CPU."""
    checkpoint: Path | None
    losses: list[float]
    """Loss of each step that this process took, nats a target; objectives are weighted and added."""
    lines: list[dict[str, Any]]
    """What this process wrote into metrics.jsonl."""

    def counts(self) -> dict[str, Any]:
        """What belongs into a manifest."""
        left_out = ("checkpoint", "losses", "lines")
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory of this process so far, in MiB: allocated by torch on the GPU, or resident in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
