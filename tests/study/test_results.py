"""The files of a study: tables, drawings, the page, and what stands in them when something is missing."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cloze.errors import ClozeError
from cloze.study.comparisons import score_all
from cloze.study.grid import StudySettings
from cloze.study.plots import _groups
from cloze.study.results import write_results
from cloze.study.tables import cells_table
from cloze.study.variants import read_variants
from tests.report.test_page import Page
from tests.study.conftest import MakeStudy, Study, write_runs
from tests.study.test_comparisons import CROSSED, SCORES

ONE_AXIS: dict[str, list[list[float | None]]] = {
    "plain": [[0.80, 0.82, 0.81]],
    "better": [[0.90, 0.923, 0.911]],
    "alike": [[0.805, 0.815, 0.81]],
}


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study({"warmup": list(ONE_AXIS)})


def page_of(folder: Path) -> tuple[Page, str]:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    return page, " ".join(page.text.split())


def test_nothing_finished_is_nothing_to_show(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="no cell of the study s has finished"):
        write_results(tmp_path / "s", *study)


def test_one_axis(study: Study, tmp_path: Path) -> None:
    write_runs(study[1], ONE_AXIS)
    results = write_results(tmp_path / "s", *study)
    assert results.words.startswith("better is 10.13 points above plain on t (p < 0.001)")
    assert "The other 1 of 2 differences" in results.words and "pretrained once" in results.words
    table = results.table
    assert table.title == "s: 1,000 steps a cell"
    measured = ("Parameters", "Tokens", "Characters", "Minutes", "Tokens/s", "Bits/character", "MLM loss")
    assert table.columns == ("", "t, Accuracy", *measured)
    assert table.rows[0][0] == "plain"
    assert table.rows[0][2:] == ("1.00 M", "6.00 M", "9.00 M", "2.0", "50,000", "4.250", "5.500")
    assert table.rows[1][1].startswith("91.13 [") and table.rows[1][1].endswith("] *")
    assert not table.rows[2][1].endswith("*")
    assert "equal steps; 3 of 3 cells" in table.note and "differs from the first row" in table.note
    assert results.grids == []
    assert results.differences and results.differences.columns[:2] == ("", "Task")
    lines = (tmp_path / "s" / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("variant,pretraining_seed,task") and len(lines) == 1 + 3 * 3 * 4
    losses = (tmp_path / "s" / "losses.csv").read_text(encoding="utf-8").splitlines()
    assert losses[0] == "variant,pretraining_seed,step,tokens,measure,value" and len(losses) == 1 + 3 * 2 * 2
    assert losses[1] == "plain,1,500,3000000,masked_tokens/loss,6.500000"
    stored = json.loads((tmp_path / "s" / "results.json").read_text(encoding="utf-8"))
    assert [variant["name"] for variant in stored["variants"]] == list(ONE_AXIS)
    assert len(stored["comparisons"]) == 2 and stored["scores"][0]["values"] == [0.8, 0.82, 0.81]


def test_what_nothing_was_measured_of_is_no_column_but_a_task_stays(study: Study, tmp_path: Path) -> None:
    write_runs(study[1], {**ONE_AXIS, "alike": [[None, None]]})
    for metrics in Path("runs").glob("*/pretraining/metrics.jsonl"):
        metrics.unlink()
    results = write_results(tmp_path / "s", *study)
    table = results.table
    assert table.columns == ("", "t, Accuracy", "Parameters", "Tokens", "Characters", "Minutes", "Tokens/s")
    assert "Characters are those read" in table.note
    assert "Losses" not in table.note and "Bits a character" not in table.note
    assert table.rows[2][1] == "– (no score in 2 of 2)"
    assert results.runs.columns == ("Run", "State", "Steps", "Tokens", "Minutes", "t, Accuracy")
    for manifest in Path("runs").glob("*/pretraining/manifest.json"):
        manifest.unlink()
    results = write_results(tmp_path / "s", *study)
    assert results.table.columns == ("", "t, Accuracy") and "Characters" not in results.table.note
    assert results.runs.columns == ("Run", "State", "t, Accuracy") and len(results.runs.rows) == 3
    assert "| Tokens |" not in (tmp_path / "s" / "table.md").read_text(encoding="utf-8")


def test_two_axes(make_study: MakeStudy, tmp_path: Path) -> None:
    study, cells = make_study(CROSSED, seeds=[1, 2, 3])
    write_runs(cells, SCORES)
    results = write_results(tmp_path / "s", study, cells)
    (grid,) = results.grids
    assert grid.columns == ("", "reviews", "wiki", "mean")
    assert [row[0] for row in grid.rows] == ["pairs", "sentences", "documents", "mean"]
    assert grid.rows[2][1].startswith("90.83 [") and grid.rows[2][1].endswith("] *"), "along formats"
    assert grid.rows[0][2].endswith("] †"), "along corpora"
    assert grid.rows[0][3] == "76.17" and grid.rows[2][3] == "85.75 *" and grid.rows[1][3] == "77.00"
    assert grid.rows[3] == ("mean", "84.72", "74.56 †", "79.64"), "means are tested together"
    assert results.together and [row[:4] for row in results.together.rows] == [
        ("sentences", "pairs", "corpus", "t"),
        ("documents", "pairs", "corpus", "t"),
        ("wiki", "reviews", "format", "t"),
    ]
    assert results.together.rows[1][4] == "+9.58" and results.together.rows[1][-1] == "6"
    assert "Over the other axis together: documents is 9.58 points above pairs on t" in results.words
    assert "* differs from pairs, † from reviews, all else equal" in grid.note
    assert results.differences and results.differences.columns[:4] == ("", "Against", "Both with", "Task")
    assert results.losses and results.losses.columns[:4] == ("", "Against", "Both with", "Loss")
    assert results.losses.rows[0][3:] == ("MLM loss", "+0.000", "1.000", "1.000", "3")
    assert results.differences.rows[2][:4] == ("sentences", "pairs", "corpus wiki", "t")
    _, text = page_of(tmp_path / "s")
    assert "Differences over the other axes together" in text
    assert "Differences over the other axes together" in (tmp_path / "s" / "table.md").read_text(encoding="utf-8")
    assert "corpus wiki" in text and "format down, corpus across" in text


def test_the_page_tells_a_stranger_everything(study: Study, tmp_path: Path) -> None:
    write_runs(study[1], ONE_AXIS)
    results = write_results(tmp_path / "s", *study, command="cloze study s.yaml")
    page, text = page_of(tmp_path / "s")
    wanted = [
        *(
            "Why?",
            "3 of 3 Cells finished",
            "1,000 steps Pretraining of each",
            "3 Fine-tuning seeds of one pretraining each",
        ),
        *(results.words, "s: 1,000 steps a cell", "Differences from plain", "MLM loss of validation"),
        *("Up is better, left is cheaper", "Every cell", "80.00 / 82.00 / 81.00", "Command cloze study s.yaml"),
        *("Torch 2.13.0", "Cores 2", "training.warmup_steps: 8"),
    ]
    places = [text.index(part) for part in wanted]
    assert places == sorted(places), "in the order in which they are read"
    assert page.tags.count("svg") == 3 and page.tags.count("desc") == 3
    assert sum("over tokens" in label for label in page.values("aria-label")) == 1
    assert "better: 91.13 [" in text, "drawings are told as well"
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.values("href")} <= set(ids)


def test_what_seeds_do_is_shown(make_study: MakeStudy, tmp_path: Path) -> None:
    study, cells = make_study({"x": ["a", "b"]}, seeds=[1, 2])
    scores = {"a": [[0.80, 0.82], [0.83, 0.85]], "b": [[0.70, 0.70], [0.70, 0.74]]}
    write_runs(cells, scores)
    results = write_results(tmp_path / "s", study, cells)
    variances = [statistics.variance(runs) for groups in scores.values() for runs in groups]
    of_means = [statistics.variance([statistics.fmean(runs) for runs in groups]) for groups in scores.values()]
    deviations = [f"{100 * statistics.fmean(values) ** 0.5:.2f}" for values in (variances, of_means)]
    assert results.spreads and results.spreads.rows == [("t, Accuracy", *deviations, "2")]
    assert "What seeds do" in page_of(tmp_path / "s")[1]
    write_runs(cells, {"a": [[0.8], [0.9]], "b": [[0.7], [0.6]]})
    assert write_results(tmp_path / "s", study, cells).spreads is None, "one fine-tuning has no spread"
    shutil.rmtree("runs")
    study, cells = make_study({"x": ["a", "b"]})
    write_runs(cells, {"a": [[0.8, 0.9]], "b": [[0.7, 0.6]]})
    assert write_results(tmp_path / "s", study, cells).spreads is None, "and one pretraining none"


def test_markdown_shows_drawings_of_its_own(study: Study, tmp_path: Path) -> None:
    write_runs(study[1], ONE_AXIS)
    write_results(tmp_path / "s", *study, command="cloze study s.yaml")
    text = (tmp_path / "s" / "table.md").read_text(encoding="utf-8")
    assert "- Command: `cloze study s.yaml`" in text and "- Date: 2" in text and "- Torch: 2.13.0" in text
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert names == ["plots/scores-t.svg", "plots/losses-mlm-loss-of-validation.svg", "plots/costs-t.svg"]
    for name in names:
        drawing = (tmp_path / "s" / name).read_text(encoding="utf-8")
        assert "var(" not in drawing and "<text" not in drawing
        assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"


def test_drawings_of_two_tasks_are_two_files(study: Study, tmp_path: Path) -> None:
    write_runs(study[1], ONE_AXIS)
    for cell in study[1]:
        folder = cell.recipe.output / cell.recipe.name
        (folder / "recipe.yaml").write_text(
            f"name: {cell.recipe.name}\ntasks: [{{name: t_1}}, {{name: T-1}}]\n", encoding="utf-8"
        )
        for name in ("t_1", "T-1"):
            shutil.copytree(folder / "tasks" / "t", folder / "tasks" / name)
    write_results(tmp_path / "s", *study)
    text = (tmp_path / "s" / "table.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[(?:t_1|T-1), [^]]+\]\(([^)]+)\)", text)
    assert len(names) == 4 == len(set(names)) and all((tmp_path / "s" / name).is_file() for name in names)


def test_a_study_of_development_sets_says_so_wherever_scores_stand(study: Study, tmp_path: Path) -> None:
    settings, cells = study
    write_runs(cells, ONE_AXIS)
    development = settings.model_copy(update={"split": "development"})
    assert {plot.unit for plot in write_results(tmp_path / "t", settings, cells).score_plots} == {"Accuracy, %"}
    results = write_results(tmp_path / "d", development, cells)
    assert {plot.unit for plot in (*results.score_plots, *results.cost_plots)} <= {"Accuracy on development, %"}


def test_what_is_missing_is_shown(make_study: MakeStudy, tmp_path: Path) -> None:
    study, cells = make_study({"x": ["a", "b", "c", "d"]}, seeds=[1, 2])
    write_runs(cells, {"a": [[0.8], [0.82]], "b": [[0.9], []], "c": [[], []], "d": [[0.7], [float("nan")]]})
    results = write_results(tmp_path / "s", study, cells, failures={"s-b-2": "the loss is not <finite>"})
    shown = {row[0]: row[1] for row in results.table.rows}
    assert shown["b"] == "90.00 (1 of 2 cells)"
    assert shown["c"] == "– (0 of 2 cells)"
    assert shown["d"] == "– (no score in 1 of 2)"
    states = {row[0]: row[1] for row in results.runs.rows}
    assert states == {
        **{f"s-{name}": "finished" for name in ("a-1", "a-2", "b-1", "d-1", "d-2")},
        **{"s-b-2": "failed", "s-c-1": "not finished", "s-c-2": "not finished"},
    }
    assert results.differences and [row[-1] for row in results.differences.rows] == ["1", "0", "0"]
    _, text = page_of(tmp_path / "s")
    assert "Failed: s-b-2: the loss is not <finite>" in text
    assert "Not finished: s-c-1, s-c-2." in text
    assert "Left out: no score on t from 1 of 2 runs of d." in text
    assert "no cell of c has finished" in text
    assert "d,2,t,1,test,accuracy,\n" in (tmp_path / "s" / "scores.csv").read_text(encoding="utf-8")


def test_a_study_without_tasks_shows_losses(study: Study, tmp_path: Path) -> None:
    write_runs(study[1], ONE_AXIS)
    for cell in study[1]:
        folder = cell.recipe.output / cell.recipe.name
        (folder / "recipe.yaml").write_text(f"name: {cell.recipe.name}\ntasks: []\n", encoding="utf-8")
    results = write_results(tmp_path / "s", *study)
    assert results.words == "Nothing was compared: there is one variant, or no task."
    assert "No task was scored." in results.table.note and len(results.headline) == 3
    _, text = page_of(tmp_path / "s")
    assert "No task has been scored." in text and "MLM loss of validation" in text


def test_missing_cells_leave_their_margins_empty(make_study: MakeStudy, tmp_path: Path) -> None:
    study, cells = make_study(CROSSED, seeds=[1, 2, 3])
    write_runs(cells, {**SCORES, "documents, wiki": [[], [], []]})
    (grid,) = write_results(tmp_path / "s", study, cells).grids
    assert grid.rows[2][2:] == ("– (0 of 3 cells)", "–")
    assert grid.rows[3][2:] == ("–", "–") and grid.rows[3][1] == "84.72"


def test_runs_that_ended_before_their_minutes_are_told(study: Study, tmp_path: Path) -> None:
    settings, cells = study
    write_runs(cells, ONE_AXIS)  # 2 minutes each
    for cell, minutes in zip(cells, ("2.0", "600", "null"), strict=True):
        folder = cell.recipe.output / cell.recipe.name
        (folder / "recipe.yaml").write_text(
            f"name: {cell.recipe.name}\ntasks: [{{name: t}}]\ntraining: {{minutes: {minutes}}}\n", encoding="utf-8"
        )
    minutes_study = settings.model_copy(update={"budget": "equal minutes"})
    told = [
        text for kind, text in write_results(tmp_path / "s", minutes_study, cells).notices if kind.startswith("Less")
    ]
    assert told == ["s-better-1 ended after 2.0 of its 600 minutes, by its steps or epochs."]
    assert not [kind for kind, _ in write_results(tmp_path / "s", *study).notices if kind.startswith("Less")]


def test_names_are_escaped(make_study: MakeStudy, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> $x^{ | 한국어"
    study, cells = make_study({"x": ["a", evil], "y": ["b", evil + "2"]})
    write_runs(cells, {cell.variant: [[0.8, 0.9]] for cell in cells})
    evil_study = StudySettings.model_validate(study.model_dump() | {"description": evil})
    write_results(tmp_path / "s", evil_study, cells, command=evil, failures={"s-none": evil})
    page, text = page_of(tmp_path / "s")
    assert "script" not in page.tags and text.count("<script>alert(1)") > 8
    assert "<script" not in "".join((tmp_path / "s" / "plots" / "scores-t.svg").read_text(encoding="utf-8"))
    for line in (tmp_path / "s" / "table.md").read_text(encoding="utf-8").splitlines():
        assert "<script" not in line or not line.startswith("|")


def test_a_plan_shows_cells_and_what_is_missing(study: Study) -> None:
    table = cells_table(study[1], [["corpus", "store"], ["pretraining"], []])
    assert [row[-1] for row in table.rows] == ["everything", "pretraining", "nothing"]
    assert table.rows[2][1:4] == ("alike", "1,000 steps", "4.10 M")


def test_drawings_stand_each_value_below_the_one_it_is_compared_with(make_study: MakeStudy) -> None:
    _, cells = make_study(CROSSED, seeds=[1, 2, 3])
    write_runs(cells, SCORES)
    variants = read_variants(cells)
    scores = score_all(variants)
    headings = [[heading for heading, _ in _groups(variants, scores, "t", within)] for within in ((), ["format"])]
    assert headings == [["corpus reviews", "corpus wiki"], ["format pairs", "format sentences", "format documents"]]
    (_, rows), *_ = _groups(variants, scores, "t", ["format"])
    assert [row.name for row in rows] == ["reviews", "wiki"]
