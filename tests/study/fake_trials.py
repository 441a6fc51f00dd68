"""Trials without training: a run that leaves results which are a function of its recipe, and a process that searches.

`python -m tests.study.fake_trials` in a folder made by `write_search` carries its search out. A run waits while
there is a file `hold/<its number>`.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import cloze.pipeline
from cloze.errors import NotFiniteError
from cloze.files import write_json
from cloze.progress import Progress, Silent
from cloze.recipe import Recipe
from cloze.recipe_file import show
from cloze.study.grid import read_study
from cloze.study.search import Search, read_search, run_trials

BASE = """
name: base
data: .
corpus: {sources: [text.txt], kind: text}
tasks: [{name: t, train: labelled.txt, test: labelled.txt, development_frac: 0.2, seeds: [1, 2]}]
"""
SEARCH = """
name: s
description: Which rate?
base: base.yaml
search:
  space:
    tasks.0.peak_learning_rate: {low: 1e-5, high: 1e-2, scale: log}
    tasks.0.dropout: {low: 0, high: 0.5}
    tasks.0.epochs: {low: 1, high: 5, scale: integer}
    tasks.0.batch_rows: {low: 8, high: 64, scale: log}
    tasks.0.class_weights: [none, balanced]
  maximise: t
  trials: 12
"""
BEST_RATE = 1e-3


def write_search(folder: Path, text: str = SEARCH) -> Path:
    """The recipe, the data and the study's file."""
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    for name in ("text.txt", "labelled.txt"):
        (folder / name).write_text("가\n", encoding="utf-8")
    path = folder / "search.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path = Path("search.yaml"), **overrides: object) -> Search:
    """The search of a file in the current folder."""
    flags = {key.replace("__", "."): value for key, value in overrides.items()}
    study, _ = read_study(path, flags)
    return read_search(path, study, flags)


def score(recipe: Recipe) -> float:
    """Best at one rate and without dropout."""
    task = recipe.tasks[0]
    return 0.9 - 0.1 * math.log10(task.peak_learning_rate / BEST_RATE) ** 2 - 0.1 * (task.dropout or 0.0)


def fake_run(recipe: Recipe, progress: Progress) -> Path:
    """Leave behind what a run leaves; a line in the file `done` for each."""
    folder = recipe.output / recipe.name
    number = recipe.name.rpartition("-")[2]
    write_json(folder / "begun.json", {})
    while Path("hold", number).exists():
        time.sleep(0.01)
    if recipe.tasks[0].peak_learning_rate > 6e-3:
        raise NotFiniteError("the loss of classification became nan in step 3.")
    seeds = [
        {
            "seed": seed,
            "test": {"accuracy": score(recipe) - 0.05, "loss": 0.3},
            "development": [{"accuracy": 0.1}, {"accuracy": score(recipe) + seed / 1000}],
            "chosen_epoch": 2,
        }
        for seed in (-1, 1)
    ]
    results = {"measures": ["accuracy", "loss"], "pretrained": {"seeds": seeds}, "development": {"made": "hash"}}
    write_json(folder / "tasks" / "t" / "results.json", results)
    (folder / "recipe.yaml").write_text(show(recipe), encoding="utf-8")
    with Path("done").open("a", encoding="utf-8") as file:
        file.write(f"{recipe.name} {os.getpid()}\n")
    return folder


if __name__ == "__main__":
    cloze.pipeline.run = fake_run
    run_trials(read(), Silent())
