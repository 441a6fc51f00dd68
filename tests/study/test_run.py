"""Cells are run once, shared among processes, kept when one fails; the table says what they measured."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

import cloze.pipeline
from cloze.errors import ClozeError
from cloze.files import write_json
from cloze.progress import Silent
from cloze.recipe import Recipe
from cloze.study import run as study_run
from cloze.study.grid import read_study
from cloze.study.results import write_results
from cloze.study.run import others_runs, run_cells, told_once
from tests.study.conftest import MakeStudy, Study, write_run

ACCURACY = {"plain": [0.80, 0.82, 0.81], "better": [0.90, 0.923, 0.911], "alike": [0.805, 0.815, 0.81]}


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study({"warmup": list(ACCURACY)})


def fake_run(recipe: Recipe, *_: object) -> Path:
    """Leave behind what a run leaves."""
    return write_run(recipe, ACCURACY[recipe.name.split("-")[1]])


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


def test_only_what_is_missing_is_run(study: Study, runs: list[str], tmp_path: Path) -> None:
    _, cells = study
    fake_run(cells[1].recipe)
    assert run_cells(tmp_path / "s", cells, Silent()) == {}
    assert runs == ["s-plain-1", "s-alike-1"]


def test_a_table_so_far_knows_the_runs_of_other_recipes(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    _, cells = study
    for cell in cells[:2]:
        fake_run(cell.recipe)
    monkeypatch.setattr(study_run, "finished", lambda cell: cell is cells[0])
    assert others_runs(cells) == {"s-better-1": "its folder holds another recipe's run"}


def test_a_cell_that_another_process_holds_is_left_to_it(study: Study, runs: list[str], tmp_path: Path) -> None:
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
    study: Study, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, cells = study

    def run(recipe: Recipe, *rest: object) -> Path:
        if recipe.name == "s-better-1":
            raise ClozeError("the loss is not finite")
        return fake_run(recipe)

    monkeypatch.setattr(cloze.pipeline, "run", run)
    assert run_cells(tmp_path / "s", cells, Silent()) == {"s-better-1": "the loss is not finite"}
    results = write_results(tmp_path / "s", settings, cells)
    assert "2 of 3 cells" in results.table.note


def test_a_reason_that_many_cells_share_is_told_once() -> None:
    failures = {"s-a-1": "no file", "s-a-2": "no file", "s-b-1": "not finite", "s-b-2": "no file", "s-c-1": "no file"}
    assert told_once(failures) == ["s-a-1, s-a-2, s-b-2 and 1 more: no file", "s-b-1: not finite"]


def test_a_cell_that_failed_here_and_was_finished_elsewhere_has_not_failed(
    study: Study, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(recipe: Recipe, *_: object) -> Path:
        fake_run(recipe)
        raise ClozeError("the disk was full for a while")

    monkeypatch.setattr(cloze.pipeline, "run", run)
    assert run_cells(tmp_path / "s", study[1], Silent()) == {}


def test_scores_may_be_of_the_development_sets(make_study: MakeStudy, tmp_path: Path) -> None:
    """The chosen epoch's; and no test score is anywhere."""
    settings, cells = make_study({"warmup": ["plain", "better"]})
    for cell, development in zip(cells, ([0.5, 0.7, 0.6], [0.9, 0.8, 0.7]), strict=True):
        path = fake_run(cell.recipe) / "tasks" / "t" / "results.json"
        results = json.loads(path.read_text(encoding="utf-8"))
        epoch = development.index(max(development)) + 1
        for seed in results["pretrained"]["seeds"]:
            seed |= {"chosen_epoch": epoch, "development": [{"accuracy": x, "loss": 0.4} for x in development]}
        write_json(path, results)
    asked = settings.model_copy(update={"split": "development", "budget": "varies"})
    results = write_results(tmp_path / "s", asked, cells)
    assert [row[1].split()[0] for row in results.table.rows] == ["70.00", "90.00"]
    assert results.table.title == "s" and results.table.note.startswith("The budget varies; 2 of 2 cells.")
    assert "Scores are of the development sets." in results.table.note
    scores = (tmp_path / "s" / "scores.csv").read_text(encoding="utf-8")
    assert ",development,accuracy,0.900000" in scores and ",test," not in scores


def test_a_development_study_needs_development_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("name: base\ntasks: [{name: t, train: x, test: y}]\n", encoding="utf-8")
    text = "name: s\nbase: base.yaml\nbudget: varies\nsplit: development\naxes: {steps: {plain: {training.steps: 1}}}\n"
    Path("s.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ClozeError, match=r"the task t of s-plain-1 has none\. Set its development_frac"):
        read_study(Path("s.yaml"))
