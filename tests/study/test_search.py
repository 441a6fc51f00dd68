"""Searches as files, and their trials: the same after a kill, shared among processes, none lost."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import cloze.pipeline
from cloze.errors import ClozeError, DamagedError, OutOfMemoryError
from cloze.files import write_text
from cloze.progress import Progress, Silent
from cloze.recipe import Recipe
from cloze.study import search as study_search
from cloze.study.sampling import Trial, importance, suggest
from cloze.study.search import Search, read_trials, run_trials
from tests.study.fake_trials import SEARCH, fake_run, read, score, write_search

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cloze.pipeline, "run", fake_run)
    monkeypatch.setattr(study_search, "LOOK_AGAIN_S", 0.01)
    write_search(tmp_path)
    return tmp_path


def start() -> subprocess.Popen[str]:
    """A process that carries the search out."""
    paths = os.pathsep.join((str(REPOSITORY), os.environ["PYTHONPATH"]))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.study.fake_trials"],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )


def hold(*numbers: int) -> None:
    """Let these runs wait."""
    for number in numbers:
        write_text(Path("hold", str(number)), "")


def release() -> None:
    """Let all runs go on."""
    for path in Path("hold").iterdir():
        path.unlink()


def wait_for(*names: str) -> None:
    """Until all of these runs have begun."""
    ends_at = time.monotonic() + 60
    while not all((Path("runs") / name / "begun.json").is_file() for name in names):
        assert time.monotonic() < ends_at, f"{names} have not begun"
        time.sleep(0.01)


def done() -> list[str]:
    """The runs that were carried out, in order."""
    return [line.split()[0] for line in Path("done").read_text(encoding="utf-8").splitlines()]


def simulated(search: Search, count: int) -> list[Trial]:
    """Trials whose objective is a function of their settings."""
    trials: list[Trial] = []
    for place in range(count):
        trial = Trial(place, suggest(search.settings, trials))
        trials.append(Trial(place, trial.settings, score(search.recipe(trial))))
    return trials


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tasks.0.dropout:", "tasks.0.drpout:", "search.space.tasks.0.drpout: no such setting. Did you mean"),
        ("low: 0, high: 0.5}", "low: 0, high: 2}", "search.space.tasks.0.dropout: 2 is not"),
        (
            "tasks.0.dropout: {low: 0,",
            "tasks.0.dropout: {low: 0.5,",
            "the range is empty: low 0.5 is not below high 0.5",
        ),
        ("low: 1e-5", "low: 0", "scale log begins above 0, but low is 0"),
        ("high: 5, scale: integer", "high: 5.5, scale: integer", "write whole numbers"),
        ("{low: 8, high: 64, scale: log}", "{low: 8.5, high: 64}", "space.tasks.0.batch_rows: 8.5 is not a whole"),
        ("[none, balanced]", "[none]", "class_weights: [none] is not enough: 2 or more are needed"),
        ("[none, balanced]", "[[1], none]", "space.tasks.0.class_weights.0: [1] is not text or a number or true or"),
        (
            "high: 0.5}",
            "high: 0.5, scales: log}",
            "search.yaml:8: search.space.tasks.0.dropout.scales: no such key. Did",
        ),
        ("low: 1e-5", "low: x", "search.yaml:7: search.space.tasks.0.peak_learning_rate.low: x is not a number"),
        (
            "[none, balanced]",
            "[none, none]",
            "search.yaml:11: search.space.tasks.0.class_weights: a value stands twice",
        ),
        ("search:", "search: [1]\nsearches:", "search: [1] is not settings, such as {training.steps: 1000}"),
        ("search:", "settings: {seed: 4}\nsearch:", "a trial's seed is the study's to give: the base's is taken"),
        ("[none, balanced]", "[none, blanced]", "Did you mean balanced?"),
        ("[none, balanced]", "none", "class_weights"),
        (
            "tasks.0.class_weights: [none, balanced]",
            "seed: [1, 2]",
            "space.seed: cannot be searched: to choose a seed is to choose luck",
        ),
        ("tasks.0.class_weights: [none, balanced]", "tasks.0.seeds: [1, 2]", "is to choose luck"),
        ("tasks.0.class_weights: [none, balanced]", "tasks.0.development_frac: [0.1, 0.2]", "would not compare"),
        (
            "tasks.0.class_weights: [none, balanced]",
            "recipe: [a.yaml, b.yaml]",
            "space.recipe: cannot be searched: a search has one base recipe",
        ),
        ("maximise: t", "maximise: u", "search.maximise is u, which is no task of base.yaml; its tasks are t"),
        ("maximise: t", "", "give one of them: maximise a task or minimise"),
        ("maximise: t", "maximise: t\n  minimise: masked_tokens", "give one of them"),
        (
            "maximise: t",
            "minimise: sentence_pair",
            "search.minimise is sentence_pair, but base.yaml trains masked_tokens",
        ),
        ("  trials: 12", "", "search.trials: missing"),
        ("  trials: 12", "  trials: 0", "search.trials"),
        ("search:", "axes: {a: {b: {}}}\nsearch:", "give one of them: axes for a grid, or search for a search"),
        ("search:", "seeds: [1, 2]\nsearch:", "leave seeds to grids"),
        ("search:", "split: development\nsearch:", "shows the test of the chosen trial alone: leave split to grids"),
        ("maximise: t", "minimise: replaced_tokens", "each trial's own generator makes them"),
        ("search:", "settings: {tasks.0.development_frac: 0.0}\nsearch:", "t, which has no development set"),
    ],
)
def test_a_wrong_search_is_told(folder: Path, old: str, new: str, told: str) -> None:
    assert old in SEARCH
    write_search(folder, SEARCH.replace(old, new))
    with pytest.raises(ClozeError) as caught:
        read()
    assert "search.yaml" in str(caught.value) and told in str(caught.value)


def test_what_decides_nothing_is_not_searched(folder: Path) -> None:
    """Without a corpus nothing is pretrained; a search over its steps would choose among equal trials."""
    text = SEARCH.replace("search:", "settings: {start_from: model, corpus.sources: []}\nsearch:")
    write_search(folder, text)
    read()
    write_search(folder, text.replace("tasks.0.dropout: {low: 0, high: 0.5}", "training.steps: [5, 9]"))
    with pytest.raises(ClozeError, match=r"search\.yaml:\d+: search\.space\.training\.steps: cannot be searched: base"):
        read()
    write_search(folder, text.replace("tasks.0.dropout: {low: 0, high: 0.5}", "training.beta2: [0.98, 0.999]"))
    read()


def test_a_loss_is_compared_only_where_it_is_the_same_mean(folder: Path) -> None:
    text = SEARCH.replace("maximise: t", "minimise: masked_tokens")
    write_search(folder, text.replace("tasks.0.dropout: {low: 0, high: 0.5}", "masking.target_frac: [0.15, 0.3]"))
    with pytest.raises(ClozeError, match=r"masking\.target_frac: cannot be searched: losses compare only where"):
        read()
    write_search(folder, text)
    with pytest.raises(ClozeError, match="validation_frac is 0"):
        read(corpus__validation_frac="0.0")


def test_a_flag_and_a_range_of_one_setting_are_refused() -> None:
    with pytest.raises(ClozeError, match=r"tasks\.0\.dropout: cannot be searched: the command line sets it"):
        read(tasks__0__dropout="0.1")
    assert read(training__steps="7").base.training.steps == 7


def test_a_budget_is_checked_at_the_ends(folder: Path) -> None:
    text = SEARCH.replace("tasks.0.dropout: {low: 0, high: 0.5}", "training.batch_rows: [16, 32]")
    write_search(folder, text)
    assert {recipe.training.batch_rows for recipe in read().ends.values()} == {16, 32}
    write_search(folder, text.replace("base: base.yaml", "base: base.yaml\nbudget: equal tokens"))
    with pytest.raises(ClozeError, match=r"first value has 2,048,000 tokens and training.batch_rows 32 4,096,000"):
        read()


def test_draws_lie_in_the_space_and_are_a_function_of_the_seed(folder: Path) -> None:
    trials = simulated(read(), 25)
    assert trials == simulated(read(), 25)
    for trial in trials:
        rate, dropout, epochs, rows, weights = trial.settings.values()
        assert isinstance(rate, float) and 1e-5 <= rate <= 1e-2 and rate == float(f"{rate:.3g}")
        assert isinstance(dropout, float) and 0 <= dropout <= 0.5
        assert epochs in (1, 2, 3, 4, 5) and isinstance(rows, int) and 8 <= rows <= 64
        assert weights in ("none", "balanced")
    write_search(folder, SEARCH + "  seed: 2\n")
    other = simulated(read(), 25)
    assert all(one.settings != two.settings for one, two in zip(trials, other, strict=True))


def test_later_trials_are_better_than_the_first_random_ones() -> None:
    found = [trial.objective or 0.0 for trial in simulated(read(), 40)]
    assert sum(found[30:]) / 10 > sum(found[:10]) / 10 + 0.05


def test_what_decides_is_important() -> None:
    search = read()
    trials = simulated(search, 40)
    shares = importance(search.settings, trials)
    assert max(shares, key=lambda key: shares[key]) == "tasks.0.peak_learning_rate"
    assert math.isclose(sum(shares.values()), 1.0)
    assert importance(search.settings, trials[:5]) == {}


def test_all_trials_are_run_once_and_a_diverged_one_is_kept() -> None:
    search = read()
    trials = run_trials(search, Silent())
    assert len(trials) == 12 and all(trial.finished for trial in trials)
    failed = [trial for trial in trials if trial.failure]
    assert failed and all("became nan" in trial.failure for trial in failed)
    assert done() == [f"s-{trial.number}" for trial in trials if not trial.failure]
    for trial in trials:
        assert trial.failure or trial.objective == pytest.approx(score(search.recipe(trial)))
    assert run_trials(search, Silent()) == trials and len(done()) == 12 - len(failed)
    more = run_trials(read_with_trials(14), Silent())
    assert more[:12] == trials and len(more) == 14


def read_with_trials(count: int) -> Search:
    return read(write_search(Path(), SEARCH.replace("trials: 12", f"trials: {count}")))


def test_values_that_do_not_go_together_are_a_trial_without_an_objective(folder: Path) -> None:
    sizes = "model.width: {low: 72, high: 252}"
    write_search(folder, SEARCH.replace("tasks.0.dropout: {low: 0, high: 0.5}", sizes))
    trials = run_trials(read(), Silent())
    assert any("is not a multiple of heads" in trial.failure for trial in trials)
    assert all(trial.finished for trial in trials)


def test_a_trial_that_does_not_fit_into_memory_ends_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*_: object) -> Path:
        raise OutOfMemoryError("the run does not fit into memory")

    monkeypatch.setattr("cloze.pipeline.run", lack)
    trials = run_trials(read_with_trials(2), Silent())
    assert [trial.failure for trial in trials] == ["the run does not fit into memory"] * 2


def test_a_killed_search_gives_the_same_trials(folder: Path) -> None:
    hold(4)
    process = start()
    wait_for("s-4")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = read_trials(read())
    assert [trial.finished for trial in left] == [True] * 4 + [False]
    release()
    resumed = run_trials(read(), Silent())
    assert resumed[4].settings == left[4].settings, "the one that was left is taken up again"
    elsewhere = read(output="elsewhere")
    assert run_trials(elsewhere, Silent()) == resumed
    assert not any((folder / "runs" / "studies" / "s" / "trials").glob("*.partial"))


def test_two_processes_share_the_trials() -> None:
    hold(0, 1)
    processes = [start(), start()]
    wait_for("s-0", "s-1")
    release()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    trials = read_trials(read())
    assert len(trials) == 12 and all(trial.finished for trial in trials)
    assert sorted(done()) == sorted(f"s-{trial.number}" for trial in trials if not trial.failure), "each once"
    lines = Path("done").read_text(encoding="utf-8").splitlines()
    assert {line.split()[1] for line in lines} == {str(process.pid) for process in processes}


def test_a_trial_that_another_process_runs_is_waited_for() -> None:
    hold(11)
    process = start()
    wait_for("s-11")

    class Releases(Silent):
        def stage(self, name: str, total: float | None = None, unit: str = "") -> Any:
            assert name == "waiting for 1 trials, which other processes run"
            release()
            return super().stage(name, total, unit)

    trials = run_trials(read(), Releases())
    assert process.wait(60) == 0 and trials[11].finished
    assert done().count("s-11") <= 1


def test_what_is_no_fault_of_the_settings_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    places = itertools.count()

    def run(recipe: Recipe, progress: Progress) -> Path:
        if next(places) == 2:
            raise ClozeError("The disk is full.")
        return fake_run(recipe, progress)

    monkeypatch.setattr(cloze.pipeline, "run", run)
    with pytest.raises(ClozeError, match="disk is full"):
        run_trials(read(), Silent())
    assert [trial.finished for trial in read_trials(read())] == [True, True, False]
    assert all(trial.finished for trial in run_trials(read(), Silent()))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("high: 5, scale", "high: 6, scale", "differs in space"),
        ("  trials: 12", "  trials: 12\n  seed: 3", "differs in seed"),
        ("search:", "settings: {training.steps: 5}\nsearch:", "differs in recipe or data"),
    ],
)
def test_another_search_needs_another_name(folder: Path, old: str, new: str, told: str) -> None:
    run_trials(read(), Silent())
    write_search(folder, SEARCH.replace(old, new))
    with pytest.raises(ClozeError, match=told):
        run_trials(read(), Silent())


def test_a_damaged_trial_is_named_and_drawn_anew_once_it_is_deleted() -> None:
    trials = run_trials(read(), Silent())
    path = Path("runs/studies/s/trials/3.json")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DamagedError, match=r"3\.json is not JSON .*Delete it and run again"):
        run_trials(read(), Silent())
    path.write_text(json.dumps({"number": 3}), encoding="utf-8")
    with pytest.raises(DamagedError, match="is no trial"):
        run_trials(read(), Silent())
    for wrong in ({"number": 4}, {"settings": {"tasks.0.dropout": 0.1}}):
        path.write_text(json.dumps(asdict(trials[3]) | wrong), encoding="utf-8")
        with pytest.raises(DamagedError, match=r"3\.json is no trial of this search: expected the number 3"):
            run_trials(read(), Silent())
    path.unlink()
    assert run_trials(read(), Silent()) == trials


def test_without_optuna_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ClozeError, match=r"pip install 'cloze\[search\]'"):
        run_trials(read(), Silent())
