"""A study as a YAML file: a base recipe, what varies, and with which seeds. Each combination is a cell, one recipe.

    name: masking
    description: Static or dynamic masks?
    base: recipes/nsmc.yaml
    budget: equal tokens
    axes:
      masks:
        one copy: {masking.copies: 1}
        ten copies: {masking.copies: 10}
        dynamic: {masking.copies: null}
    seeds: [1, 2, 3]

Along each axis its first value is the base that its others are compared with, all else equal; along an axis of `within`
nothing is compared. A value is settings over the base's, as on the command line of
`cloze run`; `recipe` among them takes another file in place of the base. `settings` hold for all cells. Axes are
crossed. Paths start where cloze is run. In place of `axes` a study may have a `search` (see `space`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from cloze.errors import ClozeError, RecipeError
from cloze.files import hash_json
from cloze.recipe import Amount, Name, Recipe, Settings, refuse
from cloze.recipe_file import read_recipe
from cloze.study.budget import steps_for, unequal
from cloze.study.mistakes import tell
from cloze.study.space import Range, SearchSettings
from cloze.yaml_file import Key, Place, Problems, dotted, load

Word = Annotated[str, Field(coerce_numbers_to_str=True)]
Values = Annotated[dict[Word, dict[str, Any] | None], Field(min_length=1)]
BudgetName = Literal[
    "equal tokens", "equal epochs", "equal steps", "equal minutes", "equal FLOPs", "no pretraining", "varies"
]
RECIPE = "recipe"
"""The setting of a value that names another recipe."""
_OWN = {"seed": "list seeds under `seeds`", "name": "it is made of the study's name and the values'"}
"""Settings that a study gives its cells -> what to do instead."""
_NAMES = {"name", "description"}
"""Settings that do not say what a recipe does."""


class StudySettings(Settings):
    """What a study's file holds."""

    name: Name
    """Of the study, its folder and, with what varies, of its runs."""
    description: str = ""
    """The question, shown above the table."""
    base: Path
    """The recipe that all cells begin from."""
    budget: BudgetName | None = None
    """What all cells have the same amount of. It is checked, and the table shows it beside what was measured. varies:
    the amount is what the study is about. no pretraining: all cells only fine-tune models there are. A search may do
    without, and then says that budgets differ."""
    flops: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    """With equal FLOPs: how many each cell's pretraining may take; it sets their steps."""
    axes: Annotated[dict[str, Values], Field(min_length=1)] | None = None
    """Name of what varies -> name of a value -> its settings."""
    within: list[str] = Field(default_factory=list)
    """Axes along which nothing is compared."""
    search: SearchSettings | None = None
    """What is searched, in place of axes."""
    tasks: Path | None = None
    """A recipe whose tasks all cells have, in place of their own."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of all cells, over the base's and the tasks and under the values'."""
    split: Literal["test", "development"] = "test"
    """What the scores are of. development: the tasks' development sets, to choose settings by; the study shows no test
    score, the report of each run does."""
    seeds: Annotated[list[Amount], Field(min_length=1, default_factory=lambda: [1])]
    """Seeds of pretraining; each cell is run with each. The tasks' own seeds are the recipe's."""

    @model_validator(mode="after")
    def _fits(self) -> StudySettings:
        wrong: list[tuple[str, str]] = []
        if len(set(self.seeds)) < len(self.seeds):
            wrong.append(("seeds", "a seed stands twice: equal seeds give equal runs"))
        if (self.flops is None) == (self.budget == "equal FLOPs"):
            wrong.append(("flops budget", "flops and a budget of equal FLOPs belong together: give both or neither"))
        if (self.axes is None) == (self.search is None):
            wrong.append(("axes search", "give one of them: axes for a grid, or search for a search"))
        if self.axes is not None and self.budget is None:
            wrong.append(("budget", "a grid needs one, such as equal tokens"))
        if self.search is not None and "seeds" in self.model_fields_set:
            wrong.append(("seeds", "a search pretrains each trial once, with the recipe's seed: leave seeds to grids"))
        if self.search is not None and "split" in self.model_fields_set:
            message = "a search chooses by its objective, and shows the test of the chosen trial alone"
            wrong.append(("split", f"{message}: leave split to grids"))
        axes = dict(self.axes or {})
        if unknown := sorted(set(self.within) - axes.keys()):
            wrong.append(("within axes", f"within names {unknown[0]!r}, but the axes are {', '.join(axes)}"))
        elif axes and set(self.within) == axes.keys():
            wrong.append(("within axes", "within names every axis: nothing would be compared"))
        refuse(wrong)
        return self


@dataclass(frozen=True, slots=True)
class Cell:
    """One recipe of a study."""

    values: Mapping[str, str]
    """Axis -> the name of its value here."""
    seed: int
    recipe: Recipe

    @property
    def variant(self) -> str:
        """What varies, in words; cells that differ only in their seed share it."""
        return ", ".join(self.values.values())


def read_study(path: Path, overrides: Mapping[str, object] | None = None) -> tuple[StudySettings, list[Cell]]:
    """The study of a file and its cells, those of the base first; a search has none beforehand.

    `overrides` (dotted key -> value) hold for all cells, above all else. Raises RecipeError for settings that are no
    recipe's, naming the cell, and ClozeError for a file that is no study and for budgets that are not equal.
    """
    study, file = _read(path)
    if study.axes is None:
        return study, []
    names = [[(axis, value) for value in values] for axis, values in study.axes.items()]
    _refuse_flags(path, study.axes, overrides or {})
    cells = [
        _cell(study, file, dict(combination), seed, overrides or {})
        for combination in itertools.product(*names)
        for seed in study.seeds
    ]
    runs = [cell.recipe.name for cell in cells]
    for way in _idle(study.axes, cells):
        file.add(("axes", *way), "decides no score here, where no cell that has it is pretrained: leave it out")
    if file.found:
        raise ClozeError(file.message())
    for cell in cells:
        if study.split == "development" and (lacks := [task.name for task in cell.recipe.tasks if not task.chooses]):
            raise ClozeError(
                f"{path}: scores are to be of development sets, but the task {lacks[0]} of {cell.recipe.name} has "
                "none. Set its development_frac, or name a file as its development."
            )
    if twice := sorted({name for name in runs if runs.count(name) > 1}):
        raise ClozeError(f"{path}: two cells would share the run {twice[0]}; give their values names that differ more.")
    of_name = {cell.variant: tuple(cell.values.values()) for cell in cells}
    if merged := [cell.variant for cell in cells if of_name[cell.variant] != tuple(cell.values.values())]:
        raise ClozeError(f"{path}: two variants would be called {merged[0]!r}; give their values names without commas.")
    if len(study.seeds) > 1 and (alike := [cell.recipe.name for cell in cells if cell.recipe.only_tasks]):
        raise ClozeError(
            f"{path}: seeds are those of pretraining, and {alike[0]} pretrains nothing: its runs would be one and the "
            "same. Leave seeds out, and give the tasks as many as they are to have."
        )
    known: dict[str, str] = {}
    for cell in cells:
        same = known.setdefault(hash_json(cell.recipe.model_dump(mode="json", exclude=_NAMES)), cell.recipe.name)
        if same != cell.recipe.name:
            raise ClozeError(
                f"{path}: {same} and {cell.recipe.name} are one and the same recipe, so a comparison of them would say "
                "nothing. Let every value of an axis set something that no other axis sets."
            )
    if problem := unequal(study.budget or "", {cell.recipe.name: cell.recipe for cell in cells}):
        raise ClozeError(f"{path}: {problem}.")
    return study, cells


def make_recipe(
    study: StudySettings,
    chosen: Mapping[str, Any],
    overrides: Mapping[str, object],
    name: str,
    places: Mapping[str, Place] | None = None,
) -> Recipe:
    """The base, the study's tasks and settings, `chosen` and `overrides`, each over those before, with the steps that
    the study's FLOPs pay for. `places`: of the study's settings and of `chosen` (`places_of`). Raises RecipeError."""
    tasks = {} if study.tasks is None else {"tasks": _tasks(study.tasks)}
    given = {**tasks, **study.settings, **chosen}
    base = given.pop(RECIPE, study.base)
    if not base or not isinstance(base, str | Path):
        raise RecipeError(f"{RECIPE}: {base!r} is not the path of a recipe's file, such as recipes/nsmc.yaml.")
    base = Path(base)
    given |= {**overrides, "name": name}
    places = {key: place for key, place in (places or {}).items() if key not in overrides}
    if study.tasks is not None and "tasks" not in study.settings:
        places = {"tasks": partial(_in_tasks, study.tasks), **places}
    recipe = read_recipe(base, given, places)
    if study.flops is None:
        return recipe
    return read_recipe(base, given | {"training.steps": steps_for(recipe, study.flops)}, places)


def _in_tasks(file: Path, below: Key) -> str:
    return f"{file}: {dotted(('tasks', *below))}"


def places_of(file: Problems, ways: Mapping[str, Key]) -> dict[str, Place]:
    """Setting -> its line in the study's file, where it stands at the key that `ways` has for it."""

    def place(way: Key, below: Key) -> str:
        return file.where((*way, *below))

    return {setting: partial(place, way) for setting, way in ways.items()}


def _idle(axes: Mapping[str, Values], cells: Sequence[Cell]) -> list[tuple[str, str, str]]:
    """Axis, value and setting of what varies and decides no score of any cell that has it."""
    decides: dict[tuple[str, str, str], bool] = {}
    for cell in cells:
        for axis, value in cell.values.items():
            for key in axes[axis][value] or {}:
                way = (axis, value, key)
                decides[way] = decides.get(way, False) or not cell.recipe.is_idle(key)
    return [way for way, matters in decides.items() if not matters]


def _refuse_flags(path: Path, axes: Mapping[str, Values], overrides: Mapping[str, object]) -> None:
    """Raise ClozeError for a flag that would make cells alike, or of one name."""
    for flag in overrides:
        if flag in ("seed", "name"):
            raise ClozeError(
                f"{path}: --{flag} would make all cells alike; a study has {flag}s of its own: set them there."
            )
        for axis, values in axes.items():
            for key in {key for value in values.values() for key in value or {}}:
                if f"{key}.".startswith(f"{flag}.") or f"{flag}.".startswith(f"{key}."):
                    raise ClozeError(f"{path}: --{flag} would undo the axis {axis}, which sets {key}. Leave it out.")


def _tasks(path: Path) -> list[dict[str, Any]]:
    """The tasks of a recipe, as it says them."""
    return [task.model_dump(mode="json", exclude_unset=True) for task in read_recipe(path).tasks]


def _cell(
    study: StudySettings, file: Problems, values: dict[str, str], seed: int, overrides: Mapping[str, object]
) -> Cell:
    assert study.axes is not None
    chosen: dict[str, Any] = {}
    ways: dict[str, Key] = {key: ("settings", key) for key in study.settings}
    for axis, value in values.items():
        own = study.axes[axis][value] or {}
        chosen |= own
        ways |= {key: ("axes", axis, value, key) for key in own}
    parts = (_in_a_name(value, list(study.axes[axis]).index(value) + 1) for axis, value in values.items())
    name = "-".join([study.name, *parts])
    try:
        recipe = make_recipe(study, {**chosen, "seed": seed}, overrides, f"{name}-{seed}", places_of(file, ways))
        return Cell(values, seed, recipe)
    except RecipeError as error:
        where = ", ".join(f"{axis} {value}" for axis, value in values.items())
        raise RecipeError(f"{file.path}, cell {where}: {error}") from None


def _in_a_name(value: str, place: int) -> str:
    """A value as a part of a run's name, which is ASCII; what is lost of other scripts, its place stands for."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", value).strip("-")
    return plain if value.isascii() else f"{plain}-{place}".strip("-")


def _read(path: Path) -> tuple[StudySettings, Problems]:
    """The study of a file, and what knows its lines."""
    if not path.is_file():
        raise ClozeError(f"{path} is no file; expected a study, such as studies/family.yaml.")
    found, problems = load(path)
    if not isinstance(found, dict):
        raise ClozeError(f"{path} holds no study; expected keys such as name, base, budget, and axes or search.")
    try:
        study = StudySettings.model_validate(found)
    except ValidationError as error:
        tell(problems, found, error, [StudySettings, SearchSettings, Range])
        raise ClozeError(problems.message()) from None
    ways: list[tuple[str, ...]] = [("settings", key) for key in study.settings]
    for axis, values in (study.axes or {}).items():
        ways += [("axes", axis, value, key) for value, own in values.items() for key in own or {}]
    for way in ways:
        if instead := _OWN.get(way[-1]):
            instead = "the base's is taken" if study.search else instead
            problems.add(way, f"a {'trial' if study.search else 'cell'}'s {way[-1]} is the study's to give: {instead}")
    if problems.found:
        raise ClozeError(problems.message())
    return study, problems
