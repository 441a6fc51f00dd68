"""What a search found, as results.json, table.md, trials.csv, report.html, and best.yaml, the recipe of the best trial.

Test scores are those of the best trial alone: to look at all of them would be to choose by them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from cloze.errors import ClozeError, RecipeError
from cloze.files import write_json, write_text
from cloze.recipe_file import show
from cloze.report.cells import Table
from cloze.report.health import notes_of, troubles_of
from cloze.report.run import RunData, read_run
from cloze.report.task_tables import measures
from cloze.report.wording import MEASURES, MISSING, compact, decimal, percent, scientific, with_spread
from cloze.study.budget import flops, limits, tokens
from cloze.study.sampling import Trial, importance
from cloze.study.search import Search, headlines
from cloze.study.space import Range, Value, shown
from cloze.tasks.metrics import mean_and_std

if TYPE_CHECKING:
    from cloze.recipe import Recipe
    from cloze.report.plots import Plot


PLOT_NOTE = "Dots: the trials in their order; line: the best so far."


def plan_tables(search: Search, trials: Sequence[Trial]) -> list[Table]:
    """What a search would do: its space and what it costs at most, and the trials that there are."""
    left = max(0, search.settings.trials - len(trials))
    begun = sum(not trial.finished for trial in trials)
    note = f"{len(trials) - begun} trials finished, {begun} begun, {left} to come. {_cost(search)} {_budget(search)}"
    return [space_table(search, {}, note), *([trials_table(search, trials)] if trials else [])]


def space_table(search: Search, shares: Mapping[str, float], note: str) -> Table:
    """The settings, their values, and how much they matter (`shares`), if that is known."""
    rows = [
        (key, _values(values), *([percent(shares.get(key), 0)] if shares else []))
        for key, values in search.settings.space.items()
    ]
    return Table("Space", ("Setting", "Values", *(["Importance, %"] if shares else [])), rows, note)


def trials_table(search: Search, trials: Sequence[Trial]) -> Table:
    """One row a trial, the best first, those without an objective last."""
    ranked = search.ranked(trials)
    rows = [
        (
            f"{trial.number}",
            *(shown(trial.settings[key]) for key in search.settings.space),
            _state(search, trial),
        )
        for trial in [*ranked, *(trial for trial in trials if trial.objective is None)]
    ]
    note = f"{len(ranked)} of {max(len(trials), search.settings.trials)} trials have an objective. {_budget(search)}"
    return Table(search.study.name, ("Trial", *search.settings.space, _objective(search)), rows, note)


def chosen_table(search: Search, best: Trial) -> Table | None:
    """The best trial on every task, the test among the splits; None if the recipe has no task."""
    rows = []
    for task in _run(search, best).tasks:
        test = headlines(task, "test")
        development = headlines(task, "development") if task.results.get("development") else []
        scores = (_mean_and_std(development), _mean_and_std(test), f"{len(test)}")
        rows.append((task.name, MEASURES[measures(task)[0]], *scores))
    note = "In %, mean ± standard deviation over seeds. The trial was chosen before its test scores were looked at."
    return (
        Table(f"Trial {best.number}", ("Task", "Measure", "Development", "Test", "Seeds"), rows, note) if rows else None
    )


def in_words(search: Search, trials: Sequence[Trial]) -> str:
    """Which trial is the best and how far that is to be trusted, in one paragraph."""
    best, *others = search.ranked(trials)
    alike = [f"{trial.number}" for trial in others if trial.objective == best.objective]
    failed = [f"{trial.number}" for trial in trials if trial.failure]
    settings = ", ".join(f"{key} {shown(value)}" for key, value in best.settings.items())
    found = f"{_state(search, best)} ({_objective(search)})"
    said = f"Trial {best.number} is the best of {len(trials)}: {found} with {settings}."
    if search.settings.maximise:
        said += (
            " It was chosen by its score on the development set, which therefore flatters it, the more the more trials "
            "there are; the test scores are its alone and chose nothing."
        )
    else:
        said += " It was chosen by its validation loss, which therefore flatters it a little."
    said += f" As good, and later: {', '.join(alike)}." if alike else ""
    said += f" Without an objective: {', '.join(failed)}; trials.csv says why." if failed else ""
    return f"{said} best.yaml is its recipe."


def write_search_results(search: Search, trials: Sequence[Trial]) -> tuple[list[Table], str]:
    """Write the files; returns the tables and what they say in words.

    Raises ClozeError if no trial has an objective.
    """
    from cloze.export import markdown
    from cloze.report.page import Section, render_study

    ranked, folder, study = search.ranked(trials), search.folder, search.study
    if not ranked:
        reasons = [f"{trial.number}: {trial.failure}" for trial in trials]
        raise ClozeError("\n  ".join([f"no trial of {study.name} has an objective.", *reasons]))
    shares, words = importance(search.settings, trials), in_words(search, trials)
    note = (
        "Importance: PED-ANOVA, of what sets the best trials apart from all; rough with few trials." if shares else ""
    )
    found = [chosen_table(search, ranked[0]), trials_table(search, trials), space_table(search, shares, note)]
    tables = [table for table in found if table]
    write_text(folder / "best.yaml", show(_best_recipe(search, ranked[0], len(trials))))
    write_json(
        folder / "results.json",
        {
            "study": study.model_dump(mode="json"),
            "best": ranked[0].number,
            "trials": [asdict(trial) for trial in trials],
            "importance": shares,
            "in_words": words,
        },
    )
    run = _run(search, ranked[0])
    notices = [*notes_of([run]), *troubles_of([run])]
    said = "\n".join(f"- {kind}: {text}" for kind, text in notices).replace("<", "&lt;")
    text = [f"# {study.name}", study.description, said, words, *map(markdown, tables)]
    write_text(folder / "table.md", "\n\n".join(part for part in text if part) + "\n")
    write_text(folder / "trials.csv", _csv(search, trials))
    sections = [Section("Answer", words, _plots(search, trials, shares), PLOT_NOTE), Section("Trials", tables=tables)]
    write_text(folder / "report.html", render_study(study, sections, notices=notices))
    return tables, words


def _best_recipe(search: Search, best: Trial, trials: int) -> Recipe:
    """The trial's recipe under a name of its own; its stages are those of the trial, so nothing is made again."""
    name = f"{search.study.name}-best"
    recipe, what = search.recipe(best), f"Trial {best.number}, the best of {trials} of the search {search.study.name}."
    return recipe.model_copy(update={"name": name, "description": f"{what} {recipe.description}".strip()})


def _plots(search: Search, trials: Sequence[Trial], shares: Mapping[str, float]) -> list[Plot]:
    from cloze.report.trials import draw_shares, draw_trials

    found = [np.nan if trial.objective is None else trial.objective for trial in trials]
    scores, unit = np.array(found, dtype=np.float64), "nats"
    if search.settings.maximise:
        scores, unit = scores * 100, "%"
    title = _objective(search).removesuffix(", %")
    plots = [draw_trials(title, unit, scores, more_is_better=search.settings.maximise is not None)]
    return [*plots, *([draw_shares("Importance", "% of all settings", shares)] if shares else [])]


def _csv(search: Search, trials: Sequence[Trial]) -> str:
    """One line for every trial, in their order."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", *search.settings.space, "objective", "failure"])
    for trial in trials:
        values = [trial.settings[key] for key in search.settings.space]
        objective = "" if trial.objective is None else f"{trial.objective:.6f}"
        writer.writerow([trial.number, *map(shown, values), objective, " ".join(trial.failure.split())])
    return file.getvalue()


def _cost(search: Search) -> str:
    """What pretraining takes, with every setting at the end or choice that takes most."""
    if all(key.startswith("tasks.") for key in search.settings.space):
        how, recipe = "Pretraining is the same for all and made once", search.base
    elif search.study.flops:
        return f"Each trial is pretrained with {scientific(search.study.flops)} FLOPs."
    else:
        most = dict(sorted(search.ends, key=lambda end: _amounts(search.ends[end])))
        try:
            how, recipe = "Each trial is pretrained", search.recipe(Trial(0, most))
        except RecipeError:
            return "What a trial costs at most is not known: the settings that cost most do not go together."
    return f"{how}: {limits(recipe)}, {compact(tokens(recipe))} tokens, {scientific(flops(recipe))} FLOPs at most."


def _budget(search: Search) -> str:
    """Whether all trials may take as much of pretraining."""
    if search.study.budget:
        return f"Pretraining: {search.study.budget}."
    if len(set(map(_amounts, search.ends.values()))) == 1:
        return ""
    return "Trials differ in what pretraining costs, and no budget makes them equal: a better one may have had more."


def _amounts(recipe: Recipe) -> tuple[float, ...]:
    training = recipe.training
    return flops(recipe) or 0, tokens(recipe) or 0, training.epochs or 0.0, training.minutes or 0.0


def _values(values: Range | list[Value]) -> str:
    if isinstance(values, Range):
        return f"{shown(values.low)} to {shown(values.high)}, {values.scale}"
    return ", ".join(map(shown, values))


def _objective(search: Search) -> str:
    if search.settings.maximise:
        return f"{search.settings.maximise}, development, %"
    return f"validation loss of {search.settings.minimise}"


def _state(search: Search, trial: Trial) -> str:
    """The objective, or why there is none."""
    if trial.objective is None:
        return "failed" if trial.failure else "not finished"
    return percent(trial.objective) if search.settings.maximise else decimal(trial.objective, 4)


def _mean_and_std(values: Sequence[float | None]) -> str:
    mean, std = mean_and_std(values)
    return with_spread(percent(mean), MISSING if std is None else percent(std))


def _run(search: Search, trial: Trial) -> RunData:
    recipe = search.recipe(trial)
    return read_run(recipe.output / recipe.name)
