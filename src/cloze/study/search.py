"""Carry a search out: trials, each an ordinary run, whose settings are drawn by the results of those before.

A trial is a file, <output>/studies/<name>/trials/<number>.json, written before its run begins and again when it has an
objective. A search that was killed gives the same trials as one that was not. A trial is claimed by a lock, as cells of
a grid are: one that a dead process left is taken up again, and several processes may search together.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cloze.errors import ClozeError, DamagedError, NotFiniteError, OutOfMemoryError, RecipeError
from cloze.files import open_lock, os_errors, write_json
from cloze.progress import Silent
from cloze.recipe import SEGMENT_FORMATS, Recipe
from cloze.report.run import RunData, TaskRun, dig, number, read_run
from cloze.report.task_tables import measures
from cloze.study.budget import unequal
from cloze.study.comparisons import OF_OWN_QUESTIONS
from cloze.study.grid import StudySettings, make_recipe, places_of
from cloze.study.run import LOOK_AGAIN_S
from cloze.study.sampling import Trial, import_optuna, suggest
from cloze.study.space import SearchSettings, Value, ends, shown
from cloze.tasks.metrics import mean_and_std
from cloze.yaml_file import Key, Place, load

if TYPE_CHECKING:
    from cloze.progress import Progress

NO_RESULT = dict.fromkeys(("name", "description", "data", "output", "tasks.name"), "it decides no result")
LUCK = dict.fromkeys(("seed", "tasks.seeds"), "to choose a seed is to choose luck")
MEASURED_ON = dict.fromkeys(
    ("tasks.kind", "tasks.train", "tasks.test", "tasks.development", "tasks.development_frac"),
    "it decides what scores are of, so they would not compare",
)
NOT_SEARCHED = {"recipe": "a search has one base recipe", **NO_RESULT, **LUCK, **MEASURED_ON}
"""Settings, without their places in lists, that are not to be searched, and why."""
LOSS_DEPENDS_ON = ("corpus.", "tokenizer.", "store.", "inputs.", "masking.", "model.family", "start_from")
"""Beginnings of settings that change what a validation loss is an average over."""


@dataclass(frozen=True, slots=True)
class Search:
    """A study that is a search, with what the command line says."""

    study: StudySettings
    settings: SearchSettings
    overrides: Mapping[str, object]
    ends: Mapping[tuple[str, Value], Recipe]
    """A setting at an end of its range, or at a choice -> the recipe with that and all others at their first."""

    places: Mapping[str, Place]
    """Where the study's file says a setting."""

    @property
    def base(self) -> Recipe:
        """Every setting at its first value."""
        return next(iter(self.ends.values()))

    @property
    def folder(self) -> Path:
        """<output>/studies/<name>."""
        return self.base.output / "studies" / self.study.name

    def recipe(self, trial: Trial) -> Recipe:
        """The recipe of a trial. Raises RecipeError where its values do not go together."""
        return make_recipe(self.study, trial.settings, self.overrides, f"{self.study.name}-{trial.number}", self.places)

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials that have an objective, the best first; of equal ones the earliest."""
        known = [(trial.objective, trial) for trial in trials if trial.objective is not None]
        sign = -1 if self.settings.maximise else 1
        return [trial for _, trial in sorted(known, key=lambda one: (sign * one[0], one[1].number))]


def read_search(path: Path, study: StudySettings, overrides: Mapping[str, object]) -> Search:
    """The search of a study's file, checked: every end of every range and every choice makes a recipe.

    Raises RecipeError for settings that are no recipe's; ClozeError for one that is not to be searched, an objective
    that is not measured, and budgets that are not equal.
    """
    settings = study.search
    assert settings is not None
    _, file = load(path)
    ways: dict[str, Key] = {key: ("settings", key) for key in study.settings}
    ways |= {key: ("search", "space", key) for key in settings.space}
    for key in settings.space:
        if reason := _unfit(key, settings, overrides):
            file.add(ways[key], f"cannot be searched: {reason}")
    if file.found:
        raise ClozeError(file.message())
    places = places_of(file, ways)
    first = {key: ends(values)[0] for key, values in settings.space.items()}
    try:
        recipes = {
            (key, value): make_recipe(study, {**first, key: value}, overrides, study.name, places)
            for key, values in settings.space.items()
            for value in ends(values)
        }
    except RecipeError as error:
        raise RecipeError(f"{path}, search.space: {error}") from None
    search = Search(study, settings, overrides, recipes, places)
    for key in settings.space:
        if search.base.is_idle(key):
            file.add(
                ways[key], f"cannot be searched: {study.base} pretrains nothing, and it decides no score of a task"
            )
    if file.found:
        raise ClozeError(file.message())
    problem = _no_development_set(search) if settings.maximise else _no_validation_loss(search)
    named = {"every setting at its first value": search.base}
    named |= {f"{key} {shown(value)}": recipe for (key, value), recipe in recipes.items()}
    if problem := problem or unequal(study.budget or "", named):
        raise ClozeError(f"{path}: {problem}.")
    return search


def _unfit(key: str, settings: SearchSettings, overrides: Mapping[str, object]) -> str:
    """Why a setting cannot be searched; empty if it can."""
    if reason := NOT_SEARCHED.get(".".join(part for part in key.split(".") if not part.isdecimal())):
        return reason
    if any(key == flag or key.startswith(f"{flag}.") for flag in overrides):
        return "the command line sets it; take the flag or the range away"
    if settings.minimise and key.startswith(LOSS_DEPENDS_ON):
        return "losses compare only where rows, masks and tokenizer are alike; maximise a task in its place"
    return ""


def _no_development_set(search: Search) -> str:
    """Why the task to maximise has no score but the test's; empty if it has one."""
    tasks, wanted = search.base.tasks, search.settings.maximise
    place = next((place for place, task in enumerate(tasks) if task.name == wanted), None)
    if place is None:
        names = ", ".join(task.name for task in tasks) or "none"
        return f"search.maximise is {wanted}, which is no task of {search.study.base}; its tasks are {names}"
    if tasks[place].development is not None or tasks[place].development_frac > 0:
        return ""
    return (
        f"search.maximise is {wanted}, which has no development set, and to choose by its test set would be training "
        f"on it. Write tasks.{place}.development_frac: 0.1 under settings, or a file as tasks.{place}.development"
    )


def _no_validation_loss(search: Search) -> str:
    """Why the loss to minimise is not measured; empty if it is."""
    recipe, wanted = search.base, search.settings.minimise or ""
    measured = {
        "masked_tokens": True,
        "sentence_pair": recipe.inputs.format in SEGMENT_FORMATS,
        "replaced_tokens": recipe.model.family == "electra",
        "span_boundary": recipe.masking.boundaries,
    }
    if wanted == OF_OWN_QUESTIONS:
        return (
            f"search.minimise is {wanted}, but each trial's own generator makes them: the worse it is, the lower the "
            "loss. Minimise masked_tokens, or maximise a task"
        )
    if not measured[wanted]:
        found = " and ".join(name for name, is_measured in measured.items() if is_measured)
        return f"search.minimise is {wanted}, but {search.study.base} trains {found}"
    return (
        "search.minimise needs validation, but corpus.validation_frac is 0" if not recipe.corpus.validation_frac else ""
    )


def run_trials(search: Search, progress: Progress) -> list[Trial]:
    """Run trials until all are finished, by this process or others; returns them.

    A trial whose settings are no recipe, do not fit into memory or end in a loss that is not finite has no objective.
    Anything else that fails ends the search (ClozeError; Stopped after a signal): the same command takes that trial up
    again.
    """
    import_optuna()
    _refuse_another_search(search)
    told = 0
    while True:
        with ExitStack() as held:
            trial = _claim(search, held)
            if trial is not None:
                _write(search, _carried_out(search, trial, progress))
                continue
        trials = read_trials(search)
        begun = sum(not trial.finished for trial in trials)
        if not begun:
            return trials
        shown = Silent() if told == begun else progress
        with shown.stage(f"waiting for {begun} trials, which other processes run"):
            time.sleep(LOOK_AGAIN_S)
        told = begun


def read_trials(search: Search) -> list[Trial]:
    """The trials so far, in their order. Raises DamagedError."""
    paths = (_file(search, place) for place in itertools.count())
    trials = [_read(path) for path in itertools.takewhile(Path.is_file, paths)]
    for place, trial in enumerate(trials):
        if trial.number != place or trial.settings.keys() != search.settings.space.keys():
            raise DamagedError(
                f"{_file(search, place)} is no trial of this search: expected the number {place} and settings "
                f"{', '.join(search.settings.space)}. Delete it and run again: it is drawn anew."
            )
    return trials


def headlines(task: TaskRun, split: Literal["development", "test"]) -> list[float | None]:
    """The headline measure of each seed; on the development set, at the epoch that was chosen by it."""
    seeds: Any = dig(task.results, "pretrained", "seeds")
    scores = [seed["test"] if split == "test" else seed["development"][seed["chosen_epoch"] - 1] for seed in seeds]
    return [number(found[measures(task)[0]]) for found in scores]


def _objective(search: Search, run: RunData) -> float:
    """What a finished run measured of the objective. Raises NotFiniteError if that is no number."""
    if search.settings.maximise:
        task = next(task for task in run.tasks if task.name == search.settings.maximise)
        value = mean_and_std(headlines(task, "development"))[0]
    else:
        value = number(run.validation[-1].get(f"{search.settings.minimise}/loss")) if run.validation else None
    if value is None:
        raise NotFiniteError(f"{run.folder} has no {search.settings.maximise or search.settings.minimise} to compare.")
    return value


def _claim(search: Search, held: ExitStack) -> Trial | None:
    """A trial that no living process has: one that was left, else a new one, whose file is written.

    Its lock goes into `held`. None if all that are to be are finished or in work.
    """
    locks = search.folder / ".locks"
    with open_lock(locks / "claims") as claims:
        claims.take(wait=True)
        trials = read_trials(search)
        for trial in trials:
            if trial.finished:
                continue
            lock = held.enter_context(open_lock(locks / f"{trial.number}"))
            # Whoever held it a moment ago may have finished it.
            if lock.take(wait=False) and not _read(_file(search, trial.number)).finished:
                return trial
            held.close()
        if len(trials) >= search.settings.trials:
            return None
        trial = Trial(len(trials), suggest(search.settings, trials))
        held.enter_context(open_lock(locks / f"{trial.number}")).take(wait=True)
        _write(search, trial)
        return trial


def _carried_out(search: Search, trial: Trial, progress: Progress) -> Trial:
    """The trial with its objective, or with why it has none."""
    from cloze.pipeline import run

    try:
        return replace(trial, objective=_objective(search, read_run(run(search.recipe(trial), progress))))
    except (RecipeError, NotFiniteError, OutOfMemoryError) as error:
        return replace(trial, failure=str(error))


def _refuse_another_search(search: Search) -> None:
    """Trials in one folder have the same space, objective, recipe and data: search.json says which."""
    from cloze.interop.start import with_sizes_of_start
    from cloze.stages import plan_stages

    stages = [stage.folder.name for stage in plan_stages(with_sizes_of_start(search.base)).values()]
    ours = {**search.settings.model_dump(mode="json", exclude={"trials"}), "recipe or data": stages}
    path = search.folder / "search.json"
    theirs = _read_json(path) if path.is_file() else None
    if theirs is None:
        write_json(path, ours)
    elif changed := [key for key, value in ours.items() if theirs.get(key) != value]:
        raise ClozeError(
            f"{search.folder} holds trials of another search, which differs in {', '.join(changed)}. Give this one a "
            "name of its own, or delete that folder."
        )


def _file(search: Search, place: int) -> Path:
    return search.folder / "trials" / f"{place}.json"


def _write(search: Search, trial: Trial) -> None:
    write_json(_file(search, trial.number), asdict(trial))


def _read(path: Path) -> Trial:
    try:
        return Trial(**_read_json(path))
    except TypeError as error:
        raise DamagedError(f"{path} is no trial ({error}). Delete it and run again: it is drawn anew.") from None


def _read_json(path: Path) -> Any:
    try:
        with os_errors(path):
            return json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagedError(f"{path} is not JSON ({error}). Delete it and run again.") from None
