"""Cells are run once, shared among processes, kept when one fails; the table says what they measured."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cloze.pipeline
from cloze.errors import ClozeError
from cloze.files import write_json
from cloze.progress import Silent
from cloze.recipe import Recipe
from cloze.study import run as study_run
from cloze.study.grid import Cell, read_study
from cloze.study.results import (
    cells_table,
    difference_table,
    in_words,
    read_variants,
    score_all,
    study_table,
    write_results,
)
from cloze.study.run import run_cells

ACCURACY = {"plain": [0.80, 0.82, 0.81], "better": [0.90, 0.923, 0.911], "alike": [0.805, 0.815, 0.81]}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Cell]]:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("name: base\n", encoding="utf-8")
    lines = "".join(f"    {name}: {{training.warmup_steps: {steps}}}\n" for steps, name in enumerate(ACCURACY))
    text = f"name: s\ndescription: Why?\nbase: base.yaml\nbudget: equal steps\naxes:\n  warmup:\n{lines}"
    Path("s.yaml").write_text(text, encoding="utf-8")
    return read_study(Path("s.yaml"))


def fake_run(recipe: Recipe, *_: object) -> Path:
    """Leave behind what a run leaves."""
    folder = recipe.output / recipe.name
    runs = [
        {"seed": i, "test": {"accuracy": value, "loss": 0.3}, "train": {"accuracy": value, "loss": 0.2}}
        for i, value in enumerate(ACCURACY[recipe.name.split("-")[1]])
    ]
    results = {"kind": "classification", "measures": ["accuracy", "loss"], "pretrained": {"seeds": runs}}
    write_json(folder / "tasks" / "t" / "results.json", results)
    counts = {"parameters": 1_000_000, "tokens": 6_000_000, "characters": 9_000_000, "elapsed_s": 120.0}
    write_json(folder / "pretraining" / "manifest.json", {"counts": counts})
    line = {"kind": "validation", "step": 3, "masked_tokens/loss": 5.5, "masked_tokens/bits_per_character": 4.25}
    (folder / "pretraining" / "metrics.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    (folder / "recipe.yaml").write_text(f"name: {recipe.name}\ntasks: [{{name: t}}]\n", encoding="utf-8")
    write_json(folder / "run.json", {})
    return folder


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that were carried out."""
    done: list[str] = []

    def run(recipe: Recipe, *rest: object) -> Path:
        done.append(recipe.name)
        return fake_run(recipe, *rest)

    monkeypatch.setattr(cloze.pipeline, "run", run)
    monkeypatch.setattr(study_run, "finished", lambda cell: (Path("runs") / cell.recipe.name / "run.json").exists())
    monkeypatch.setattr(study_run, "LOOK_AGAIN_S", 0.01)
    return done


def test_only_what_is_missing_is_run(study: tuple[Any, list[Cell]], runs: list[str], tmp_path: Path) -> None:
    _, cells = study
    fake_run(cells[1].recipe)
    assert run_cells(tmp_path / "s", cells, Silent()) == {}
    assert runs == ["s-plain-1", "s-alike-1"]


def test_a_cell_that_another_process_holds_is_left_to_it(
    study: tuple[Any, list[Cell]], runs: list[str], tmp_path: Path
) -> None:
    _, cells = study
    lock = tmp_path / "s" / ".locks" / "s-plain-1"
    lock.parent.mkdir(parents=True)
    with lock.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        class Releases(Silent):
            def stage(self, name: str, total: float | None = None, unit: str = "") -> Any:
                assert name == "waiting for 1 cells, which other processes run"
                fake_run(cells[0].recipe)
                fcntl.flock(file, fcntl.LOCK_UN)
                return super().stage(name, total, unit)

        assert run_cells(tmp_path / "s", cells, Releases()) == {}
    assert runs == ["s-better-1", "s-alike-1"], "the held one is finished by its holder"


def test_a_cell_that_fails_does_not_stop_the_others(
    study: tuple[Any, list[Cell]], runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, cells = study

    def run(recipe: Recipe, *rest: object) -> Path:
        if recipe.name == "s-better-1":
            raise ClozeError("the loss is not finite")
        return fake_run(recipe)

    monkeypatch.setattr(cloze.pipeline, "run", run)
    assert run_cells(tmp_path / "s", cells, Silent()) == {"s-better-1": "the loss is not finite"}
    write_results(tmp_path / "s", settings, cells)
    assert "2 of 3 cells" in (tmp_path / "s" / "table.md").read_text(encoding="utf-8")


def test_the_table_says_what_differs(study: tuple[Any, list[Cell]], runs: list[str], tmp_path: Path) -> None:
    settings, cells = study
    with pytest.raises(ClozeError, match="no cell of the study s has finished"):
        write_results(tmp_path / "s", settings, cells)
    run_cells(tmp_path / "s", cells, Silent())
    table, words = write_results(tmp_path / "s", settings, cells)
    assert words.startswith("better is 10.13 points above plain on t (p < 0.001)")
    assert "The other 1 of 2 differences" in words and "not evidence that they are equal" in words
    assert "pretrained once" in words
    measured = ("Parameters", "Tokens", "Characters", "Minutes", "Tokens/s", "Bits/character", "MLM loss")
    assert table.columns == ("", *measured, "t, Accuracy")
    assert table.rows[0][:-1] == ("plain", "1.00 M", "6.00 M", "9.00 M", "2.0", "50,000", "4.250", "5.500")
    assert table.rows[1][-1].startswith("91.13 [") and table.rows[1][-1].endswith("] *")
    assert not table.rows[2][-1].endswith("*")
    assert "equal steps; 3 of 3 cells" in table.note
    lines = (tmp_path / "s" / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("variant,pretraining_seed,task") and len(lines) == 1 + 3 * 3 * 4
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    assert "Why?" in page and page.count("<svg") == 1 and "Differences" in page
    results = json.loads((tmp_path / "s" / "results.json").read_text(encoding="utf-8"))
    assert [variant["name"] for variant in results["variants"]] == list(ACCURACY)


def test_scores_may_be_of_the_development_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chosen epoch's; and no test score is anywhere."""
    monkeypatch.chdir(tmp_path)
    task = "{name: t, train: x, test: y, development_frac: 0.1}"
    Path("base.yaml").write_text(f"name: base\ntasks: [{task}]\n", encoding="utf-8")
    text = "name: s\nbase: base.yaml\nbudget: varies\nsplit: development\n"
    text += "axes: {steps: {plain: {training.steps: 1}, better: {training.steps: 2}}}\n"
    Path("s.yaml").write_text(text, encoding="utf-8")
    settings, cells = read_study(Path("s.yaml"))
    for cell, development in zip(cells, ([0.5, 0.7, 0.6], [0.9, 0.8, 0.7]), strict=True):
        path = fake_run(cell.recipe) / "tasks" / "t" / "results.json"
        results = json.loads(path.read_text(encoding="utf-8"))
        epoch = development.index(max(development)) + 1
        for seed in results["pretrained"]["seeds"]:
            seed |= {"chosen_epoch": epoch, "development": [{"accuracy": x, "loss": 0.4} for x in development]}
        write_json(path, results)
    table, _ = write_results(tmp_path / "s", settings, cells)
    assert [row[-1].split()[0] for row in table.rows] == ["70.00", "90.00"]
    assert table.note.startswith("The budget varies; 2 of 2 cells.")
    assert "Scores are of the development sets." in table.note
    scores = (tmp_path / "s" / "scores.csv").read_text(encoding="utf-8")
    assert ",development,accuracy,0.900000" in scores and ",test," not in scores
    Path("base.yaml").write_text("name: base\ntasks: [{name: t, train: x, test: y}]\n", encoding="utf-8")
    with pytest.raises(ClozeError, match=r"the task t of s-plain-1 has none\. Set its development_frac"):
        read_study(Path("s.yaml"))


def test_a_variant_is_compared_with_its_own_base(study: tuple[Any, list[Cell]], runs: list[str]) -> None:
    settings, cells = study
    bases = {"plain": "plain", "better": "better", "alike": "better"}
    for cell in cells:
        fake_run(cell.recipe)
    scores = score_all(read_variants([replace(cell, base=bases[cell.variant]) for cell in cells]))
    table = difference_table(scores)
    assert table is not None and [row[:4] for row in table.rows] == [("alike", "better", "t", "-10.13")]
    assert in_words(scores).startswith("alike is 10.13 points below better on t")
    grouped = settings.model_copy(update={"within": ["warmup"]})
    assert (
        "* differs from the first row of the same warmup" in study_table(grouped, read_variants(cells), scores, 3).note
    )


def test_one_seed_tests_nothing(
    study: tuple[Any, list[Cell]], runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ACCURACY, "plain", [0.8])
    _, cells = study
    for cell in cells:
        fake_run(cell.recipe)
    scores = score_all(read_variants(cells))
    assert in_words(scores) == ("Nothing was tested against plain: a test needs two seeds or more on both sides.")


def test_a_plan_shows_cells_and_what_is_missing(study: tuple[Any, list[Cell]]) -> None:
    _, cells = study
    table = cells_table(cells, [["corpus", "store"], ["pretraining"], []])
    assert [row[-1] for row in table.rows] == ["everything", "pretraining", "nothing"]
    assert table.rows[2][1:4] == ("alike", "1,000 steps", "4.10 M")
