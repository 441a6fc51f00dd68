"""The variants of a study, and what the runs of each have measured."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cloze.report.cells import as_list
from cloze.report.run import RunData, TaskRun, dig, number, read_run
from cloze.report.task_tables import measures
from cloze.study.grid import Cell

if TYPE_CHECKING:
    from cloze.recipe import Recipe

BITS = "masked_tokens/bits_per_character"
"""Of validation, by its name in metrics.jsonl (`training.characters`)."""
Split = Literal["test", "development"]
"""What scores are of."""
Seeds = tuple[int, ...]
"""(pretraining seed,) or (pretraining seed, fine-tuning seed)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What cells have in common that differ only in their seed."""

    values: Mapping[str, str]
    """Axis -> the name of its value."""
    recipe: Recipe
    """Of its first seed."""
    runs: dict[int, RunData] = field(default_factory=dict)
    """Pretraining seed -> its run, of the cells that have finished."""
    missing: list[int] = field(default_factory=list)
    """Pretraining seeds of the cells that have not."""

    @property
    def name(self) -> str:
        """The names of its values."""
        return ", ".join(self.values.values())

    def mean(self, key: str) -> float | None:
        """Mean of a count of pretraining over the runs."""
        return _mean([number(run.counts("pretraining").get(key)) for run in self.runs.values()])

    def loss(self, objective: str) -> float | None:
        """Mean of the last validation loss over the runs."""
        return self.validated(f"{objective}/loss")

    def losses(self, objective: str) -> dict[int, float]:
        """Pretraining seed -> the last validation loss, of the runs that have one."""
        found = {seed: last_validated(run, f"{objective}/loss") for seed, run in self.runs.items()}
        return {seed: loss for seed, loss in found.items() if loss is not None}

    def validated(self, key: str) -> float | None:
        """Mean of a number of the last validation over the runs."""
        return _mean([last_validated(run, key) for run in self.runs.values()])

    def speed(self) -> float | None:
        """Tokens a second of pretraining, all runs together."""
        tokens, elapsed_s = self.mean("tokens"), self.mean("elapsed_s")
        return None if tokens is None or not elapsed_s else tokens / elapsed_s

    def scores(self, task: str, split: Split = "test") -> dict[Seeds, float | None]:
        """The headline of each fine-tuning run; None where it measured none, as of constant guesses."""
        found: dict[Seeds, float | None] = {}
        for pretraining_seed, run in self.runs.items():
            for one in run.tasks:
                if one.name == task:
                    for seed in seeds_of(one):
                        score = score_of(seed, split, measures(one)[0])
                        found[pretraining_seed, int(number(dig(seed, "seed")) or 0)] = score
        return found


def read_variants(cells: Sequence[Cell], failed: Collection[str] = ()) -> list[Variant]:
    """The variants in the study's order, with the runs that have finished.

    `failed` names runs that did not, whatever an earlier recipe of the same name has left in their folders.
    """
    found: dict[tuple[str, ...], Variant] = {}
    for cell in cells:
        variant = found.setdefault(tuple(cell.values.values()), Variant(cell.values, cell.recipe))
        folder = cell.recipe.output / cell.recipe.name
        if (folder / "run.json").is_file() and cell.recipe.name not in failed:
            variant.runs[cell.seed] = read_run(folder)
        else:
            variant.missing.append(cell.seed)
    return list(found.values())


def tasks_of(variants: Sequence[Variant]) -> dict[str, str]:
    """Every task that a run has scored -> its headline measure."""
    runs = (run for variant in variants for run in variant.runs.values())
    return {task.name: measures(task)[0] for run in runs for task in run.tasks if task.results}


def spreads(variants: Sequence[Variant], task: str, split: Split = "test") -> tuple[float, float, list[int]] | None:
    """Standard deviations on a task over fine-tunings of one pretrained model, and of their means over pretrainings of
    one variant; how many fine-tunings each model has. None where there are not two of both."""
    within: list[list[float]] = []
    between: list[list[float]] = []
    for variant in variants:
        models: dict[int, list[float | None]] = {}
        for (pretraining, *_), score in variant.scores(task, split).items():
            models.setdefault(pretraining, []).append(score)
        whole = [[score for score in runs if score is not None] for runs in models.values() if None not in runs]
        within += [runs for runs in whole if len(runs) > 1]
        between += [[statistics.fmean(runs) for runs in whole]] if len(whole) > 1 else []
    if not within or not between:
        return None
    deviations = [statistics.fmean(map(statistics.variance, groups)) ** 0.5 for groups in (within, between)]
    return deviations[0], deviations[1], [len(runs) for runs in within]


def seeds_of(task: TaskRun) -> Sequence[object]:
    """What results.json has of each fine-tuning seed from the pretrained model."""
    return as_list(dig(task.results, "pretrained", "seeds"))


def score_of(seed: object, split: str, measure: str) -> float | None:
    """A measure of one fine-tuning seed; on the development set, in the epoch that was chosen by it."""
    if split != "development":
        return number(dig(seed, split, measure))
    epoch, scores = number(dig(seed, "chosen_epoch")), as_list(dig(seed, "development"))
    return None if epoch is None else number(dig(scores[int(epoch) - 1], measure))


def last_validated(run: RunData, key: str) -> float | None:
    """A number of the last validation by its name in metrics.jsonl; None without one."""
    return number(run.validation[-1].get(key)) if run.validation else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None
