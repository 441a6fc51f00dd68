"""What a search writes: the best trial, its recipe, and no test score of any other."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloze.pipeline
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe_file import read_recipe
from cloze.report.run import SYNTHETIC
from cloze.study.sampling import Trial
from cloze.study.search import Search, run_trials
from cloze.study.search_results import in_words, plan_tables, write_search_results
from tests.study.fake_trials import SEARCH, fake_run, read, score, write_search


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cloze.pipeline, "run", fake_run)
    write_search(tmp_path)
    return read()


def test_the_best_trial_is_shown_with_its_test_score_and_its_recipe(search: Search) -> None:
    trials = run_trials(search, Silent())
    best = max((trial for trial in trials if trial.objective is not None), key=lambda trial: trial.objective or 0.0)
    tables, words = write_search_results(search, trials)
    assert words.startswith(
        f"Trial {best.number} is the best of 12: {100 * (best.objective or 0):.2f} (t, development, %)"
    )
    assert "chosen by its score on the development set" in words and "Without an objective: " in words
    chosen, ranking, space = tables
    value = score(search.recipe(best))
    spread = f"{100 * value:.2f} ± 0.14"
    assert chosen.rows == [("t", "Accuracy", spread, f"{100 * (value - 0.05):.2f} ± 0.00", "2")]
    assert ranking.rows[0][0] == str(best.number) and ranking.rows[-1][-1] == "failed"
    assert len(ranking.rows) == 12 and [row[0] for row in space.rows] == list(search.settings.space)
    recipe = read_recipe(search.folder / "best.yaml")
    same = {"name": "s-best", "description": f"Trial {best.number}, the best of 12 of the search s."}
    assert recipe == search.recipe(best).model_copy(update=same)


def _numbers(value: object) -> Iterator[float]:
    """All numbers in what a file holds."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def _cells(text: str) -> list[float | str]:
    return [float(cell) if _is_number(cell) else cell for row in csv.reader(text.splitlines()) for cell in row]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_no_file_holds_the_test_score_of_another_trial(search: Search) -> None:
    trials = run_trials(search, Silent())
    write_search_results(search, trials)
    names = ("results.json", "table.md", "trials.csv", "report.html")
    texts = {name: (search.folder / name).read_text(encoding="utf-8") for name in names}
    ranked = search.ranked(trials)
    for trial in ranked[1:]:
        tested = f"{100 * (score(search.recipe(trial)) - 0.05):.2f}"
        assert not any(f" {tested} " in text or f">{tested}" in text for text in texts.values())
        shares = [*_numbers(json.loads(texts["results.json"])), *_numbers(_cells(texts["trials.csv"]))]
        assert not any(share == pytest.approx(score(search.recipe(trial)) - 0.05, abs=1e-6) for share in shares)
    assert f"{100 * (score(search.recipe(ranked[0])) - 0.05):.2f}" in texts["table.md"]
    assert texts["report.html"].count("<svg") == 2 and "Which rate?" in texts["report.html"]
    assert json.loads(texts["results.json"])["best"] == ranked[0].number
    lines = list(csv.DictReader(texts["trials.csv"].splitlines()))
    assert [int(line["trial"]) for line in lines] == list(range(12))
    assert all(bool(line["objective"]) != bool(line["failure"]) for line in lines)


def test_a_plan_shows_the_space_what_is_there_and_the_cost(search: Search, tmp_path: Path) -> None:
    (space,) = plan_tables(search, [])
    assert space.rows[0] == ("tasks.0.peak_learning_rate", "1e-05 to 0.01, log")
    assert space.rows[4] == ("tasks.0.class_weights", "none, balanced")
    assert space.note.startswith(
        "0 trials finished, 0 begun, 12 to come. Pretraining is the same for all and made once:"
    )
    assert "1,000 steps, 4.10 M tokens" in space.note and "no budget" not in space.note
    assert not (tmp_path / "runs").exists(), "nothing is written"
    begun = [Trial(0, next(iter(run_trials(search, Silent()))).settings)]
    assert plan_tables(search, begun)[1].rows[0][-1] == "not finished"
    sizes = "training.steps: [100, 200]\n    model.layers: {low: 2, high: 4}"
    write_search(tmp_path, SEARCH.replace("tasks.0.dropout: {low: 0, high: 0.5}", sizes))
    note = plan_tables(read(), [])[0].note
    assert "Each trial is pretrained: 200 steps, 819 k tokens" in note and "no budget makes them equal" in note
    sizes = "model.layers: {low: 2, high: 4}"
    text = SEARCH.replace("tasks.0.dropout: {low: 0, high: 0.5}", sizes)
    write_search(tmp_path, text.replace("base: base.yaml", "base: base.yaml\nbudget: equal FLOPs\nflops: 1e13"))
    assert "Each trial is pretrained with 1.00e13 FLOPs. Pretraining: equal FLOPs." in plan_tables(read(), [])[0].note


def test_what_the_best_run_says_to_its_readers_is_said(search: Search, tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(base.read_text(encoding="utf-8") + "description: The text is synthetic.\n", encoding="utf-8")
    search = read()
    write_search_results(search, run_trials(search, Silent()))
    for name in ("report.html", "table.md"):
        assert SYNTHETIC in (search.folder / name).read_text(encoding="utf-8")
    described = read_recipe(search.folder / "best.yaml").description
    assert described.startswith("Trial ") and described.endswith(". The text is synthetic.")


def test_a_loss_is_minimised(search: Search, tmp_path: Path) -> None:
    write_search(tmp_path, SEARCH.replace("maximise: t", "minimise: masked_tokens"))
    search = read()
    settings = dict.fromkeys(search.settings.space, None)
    trials = [
        Trial(0, settings, 5.5),
        Trial(1, settings, 5.25),
        Trial(2, settings, 5.25),
        Trial(3, settings, failure="nan"),
    ]
    assert [trial.number for trial in search.ranked(trials)] == [1, 2, 0]
    words = in_words(search, trials)
    assert words.startswith("Trial 1 is the best of 4: 5.2500 (validation loss of masked_tokens)")
    assert "As good, and later: 2. Without an objective: 3; trials.csv says why." in words


def test_a_search_without_any_objective_says_why(search: Search) -> None:
    with pytest.raises(ClozeError, match=r"no trial of s has an objective\.\n  0: the loss became nan"):
        write_search_results(search, [Trial(0, {}, failure="the loss became nan")])
