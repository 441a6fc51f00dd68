"""Studies whose runs have left behind what runs leave, made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloze.files import write_json
from cloze.recipe import Recipe
from cloze.study.grid import Cell, StudySettings, read_study

Study = tuple[StudySettings, list[Cell]]
MakeStudy = Callable[..., Study]


@pytest.fixture
def make_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeStudy:
    """A study in the current folder: axis -> names of its values, and seeds."""
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("name: base\n", encoding="utf-8")

    def make(axes: Mapping[str, Sequence[str]], seeds: Sequence[int] = (1,)) -> Study:
        settings = ("training.warmup_steps", "training.log_every_steps", "training.validate_every_steps")
        named = {
            axis: {value: {setting: 7 + place} for place, value in enumerate(values)}
            for (axis, values), setting in zip(axes.items(), settings, strict=False)
        }
        study = {"name": "s", "description": "Why?", "base": "base.yaml", "budget": "equal steps", "axes": named}
        Path("s.yaml").write_text(json.dumps(study | {"seeds": list(seeds)}), encoding="utf-8")
        return read_study(Path("s.yaml"))

    return make


def write_run(recipe: Recipe, scores: Sequence[float | None], *, loss: float = 5.5) -> Path:
    """The folder of a finished run with one task t; `scores` are of its fine-tuning seeds 1, 2, ..."""
    folder = recipe.output / recipe.name
    runs = [
        {"seed": seed, "test": {"accuracy": score, "loss": 0.3}, "train": {"accuracy": score, "loss": 0.2}}
        for seed, score in enumerate(scores, start=1)
    ]
    results = {"kind": "classification", "measures": ["accuracy", "loss"], "pretrained": {"seeds": runs}}
    write_json(folder / "tasks" / "t" / "results.json", results)
    counts: dict[str, float] = {"steps": 1_000, "parameters": 1_000_000, "tokens": 6_000_000}
    counts |= {"characters": 9_000_000, "elapsed_s": 120.0}
    write_json(folder / "pretraining" / "manifest.json", {"counts": counts})
    lines: list[dict[str, Any]] = [
        {
            **{"kind": "validation", "step": step, "tokens": step * 6_000},
            **{"masked_tokens/loss": loss + (1_000 - step) / 500, "masked_tokens/bits_per_character": 4.25},
        }
        for step in (500, 1_000)
    ]
    metrics = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "pretraining" / "metrics.jsonl").write_text(metrics, encoding="utf-8")
    (folder / "recipe.yaml").write_text(f"name: {recipe.name}\ntasks: [{{name: t}}]\n", encoding="utf-8")
    write_json(folder / "run.json", {"versions": {"torch": "2.13.0"}, "machine": {"cores": 2}})
    return folder


def write_runs(cells: Sequence[Cell], scores: Mapping[str, Sequence[Sequence[float | None]]]) -> None:
    """Variant -> the scores of each pretraining seed, in the study's order; [] for a cell that has not finished."""
    for cell in cells:
        place = [other.seed for other in cells if other.variant == cell.variant].index(cell.seed)
        if found := scores[cell.variant][place]:
            write_run(cell.recipe, found)
