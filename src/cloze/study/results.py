"""What the cells of a study measured, as results.json, table.md, scores.csv and report.html.

A cell that has not finished is left out, and the table says how many are in it.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloze.errors import ClozeError
from cloze.files import write_json, write_text
from cloze.report.cells import Table, as_list
from cloze.report.run import RunData, dig, number, read_run
from cloze.report.task_tables import measures
from cloze.report.wording import MEASURES, MISSING, OBJECTIVES, compact, decimal, percent, scientific, whole
from cloze.study.budget import flops, limits, tokens
from cloze.study.grid import Cell, StudySettings
from cloze.study.statistics import CONFIDENCE, SIGNIFICANCE, Difference, Estimate, difference, estimate, holm

if TYPE_CHECKING:
    from cloze.report.plots import Plot


BITS = "masked_tokens/bits_per_character"
"""Of validation, by its name in metrics.jsonl (`training.characters`)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What is the same in several cells, and what those that have finished measured."""

    name: str
    base: str
    """Name of the variant that it is compared with."""
    runs: list[RunData]
    seeds: list[int]
    """Pretraining seeds of the runs."""

    def mean(self, key: str) -> float | None:
        """Mean of a count of pretraining over the runs."""
        values = [number(run.counts("pretraining").get(key)) for run in self.runs]
        return _mean(values)

    def validated(self, key: str) -> float | None:
        """Mean of a number of the last validation over the runs."""
        return _mean([number(run.validation[-1].get(key)) for run in self.runs if run.validation])

    def speed(self) -> float | None:
        """Tokens a second of pretraining, all runs together."""
        tokens, elapsed_s = self.mean("tokens"), self.mean("elapsed_s")
        return None if tokens is None or not elapsed_s else tokens / elapsed_s

    def scores(self, task: str, split: str = "test") -> list[list[float]]:
        """The headline of each fine-tuning seed, in a list for each run; empty if one of them has no value."""
        groups = []
        for run in self.runs:
            found = next((one for one in run.tasks if one.name == task), None)
            seeds = dig(found.results, "pretrained", "seeds") if found else None
            values = [score_of(seed, split, measures(found)[0]) for seed in as_list(seeds)] if found else []
            if not values or None in values:
                return []
            groups.append([value for value in values if value is not None])
        return groups


@dataclass(frozen=True, slots=True)
class Score:
    """One variant on one task."""

    variant: str
    base: str
    """The variant that it is compared with."""
    task: str
    measure: str
    estimate: Estimate
    difference: Difference | None
    """None for the base itself, and where the two lack a common seed."""
    p: float | None
    """Of the difference, corrected for all comparisons of the study."""


def read_variants(cells: Sequence[Cell]) -> list[Variant]:
    """The variants in the study's order, with the runs that have finished."""
    found: dict[str, Variant] = {cell.variant: Variant(cell.variant, cell.base, [], []) for cell in cells}
    for cell in cells:
        folder = cell.recipe.output / cell.recipe.name
        if (folder / "run.json").is_file():
            found[cell.variant].runs.append(read_run(folder))
            found[cell.variant].seeds.append(cell.seed)
    return list(found.values())


def score_of(seed: object, split: str, measure: str) -> float | None:
    """A measure of one fine-tuning seed; on the development set, in the epoch that was chosen by it."""
    if split != "development":
        return number(dig(seed, split, measure))
    epoch, scores = number(dig(seed, "chosen_epoch")), as_list(dig(seed, "development"))
    return None if epoch is None else number(dig(scores[int(epoch) - 1], measure))


def score_all(variants: Sequence[Variant], split: str = "test") -> list[Score]:
    """Every variant on every task, with the difference from its base."""
    named = {variant.name: variant for variant in variants}
    tasks = dict.fromkeys(task.name for variant in variants for run in variant.runs for task in run.tasks)
    scores: list[Score] = []
    for task in tasks:
        for variant in variants:
            base = named[variant.base]
            groups, theirs = variant.scores(task, split), base.scores(task, split)
            if not groups:
                continue
            measure = next(measures(one)[0] for one in variant.runs[0].tasks if one.name == task)
            alike = [*map(len, groups)] == [*map(len, theirs)] and variant.seeds == base.seeds
            apart = difference(groups, theirs) if variant is not base and alike else None
            scores.append(Score(variant.name, base.name, task, measure, estimate(groups), apart, None))
    ps = {f"{i}": s.difference.p for i, s in enumerate(scores) if s.difference and s.difference.p is not None}
    corrected = holm(ps)
    return [replace(score, p=corrected.get(f"{i}")) for i, score in enumerate(scores)]


def study_table(study: StudySettings, variants: Sequence[Variant], scores: Sequence[Score], cells: int) -> Table:
    """One row a variant: size, budget, speed, losses, and the mean with its interval on each task."""
    objectives = [name for name in OBJECTIVES if any(run.measured(name) for v in variants for run in v.runs)]
    tasks = {score.task: score.measure for score in scores}
    rows = []
    for variant in variants:
        if not variant.runs:
            continue
        rows.append(
            (
                variant.name,
                compact(variant.mean("parameters")),
                compact(variant.mean("tokens")),
                compact(variant.mean("characters")),
                decimal(None if (t := variant.mean("elapsed_s")) is None else t / 60, 1),
                whole(variant.speed()),
                decimal(variant.validated(BITS)),
                *(decimal(variant.validated(f"{name}/loss")) for name in objectives),
                *(_shown(_find(scores, variant.name, task)) for task in tasks),
            )
        )
    columns = [
        *("", "Parameters", "Tokens", "Characters", "Minutes", "Tokens/s", "Bits/character"),
        *(f"{OBJECTIVES[name][0]} loss" for name in objectives),
        *(f"{task}, {MEASURES[measure]}" for task, measure in tasks.items()),
    ]
    done = sum(len(variant.runs) for variant in variants)
    budget = "The budget varies" if study.budget == "varies" else study.budget
    note = f"{budget}; {done} of {cells} cells. {_intervals(scores, study.within)} "
    note += "Scores are of the development sets. " if study.split == "development" else ""
    note += (
        "Characters are those read in pretraining, white space aside. Losses are of validation, in nats, each on its "
        "own masks: they compare only where masks and tokenizers are alike. Bits a character of the masked text come "
        "nearer to a comparison of tokenizers, though each has other text masked."
    )
    return Table(study.name, tuple(columns), rows, note)


def difference_table(scores: Sequence[Score]) -> Table | None:
    """Every difference from a base with its p."""
    rows = [
        (
            score.variant,
            score.base,
            score.task,
            _points(score.difference.mean),
            _p(score.difference.p),
            _p(score.p),
            f"{score.difference.pairs}",
        )
        for score in scores
        if score.difference is not None
    ]
    note = "Points of per cent; paired t-test over seeds, two-sided; corrected for all comparisons here (Holm 1979)."
    columns = ("", "From", "Task", "Difference", "p", "p, corrected", "Pairs")
    return Table("Differences", columns, rows, note) if rows else None


def in_words(scores: Sequence[Score]) -> str:
    """Which differences are real at this budget and which are not, in one paragraph."""
    base = " or ".join(dict.fromkeys(score.base for score in scores))
    compared = [score for score in scores if score.difference is not None]
    tested = [score for score in compared if score.p is not None]
    if not tested:
        return f"Nothing was tested against {base}: a test needs two seeds or more on both sides."
    real = [score for score in tested if score.p is not None and score.p < SIGNIFICANCE]
    parts = [
        f"{score.variant} is {_points(abs(score.difference.mean), sign=False)} points "
        f"{'above' if score.difference.mean > 0 else 'below'} {score.base} on {score.task} (p {_p(score.p, '= ')})"
        for score in real
        if score.difference is not None
    ]
    said = "; ".join(parts) + "." if parts else f"No difference from {base} is distinguishable from chance."
    rest = len(tested) - len(real)
    if parts and rest:
        said += f" The other {rest} of {len(tested)} differences are not distinguishable from chance."
    if rest:
        said += " That is not evidence that they are equal: more seeds would show smaller differences."
    if tested[0].estimate.scope == "fine-tuning seeds":
        said += " Each variant was pretrained once, so none of this says what another seed of pretraining would give."
    return said


def cells_table(cells: Sequence[Cell], missing: Sequence[Sequence[str]]) -> Table:
    """What a study would do: each cell, what it costs at most, and which of its stages (`missing`) are to be made."""
    rows = []
    for cell, stages in zip(cells, missing, strict=True):
        rows.append(
            (
                cell.recipe.name,
                cell.variant,
                limits(cell.recipe),
                compact(tokens(cell.recipe)),
                scientific(flops(cell.recipe)),
                "everything" if "corpus" in stages else ", ".join(stages) or "nothing",
            )
        )
    columns = ("Run", "Variant", "Pretraining", "Tokens, at most", "FLOPs, at most", "To be made")
    return Table("Cells", columns, rows, "What several cells need is made once.")


def write_results(folder: Path, study: StudySettings, cells: Sequence[Cell]) -> tuple[Table, str]:
    """Write results.json, table.md, scores.csv and report.html; returns the table and what they say in words.

    Raises ClozeError if no cell has finished.
    """
    from cloze.export import markdown
    from cloze.report.page import render_study

    variants = read_variants(cells)
    if not any(variant.runs for variant in variants):
        raise ClozeError(f"no cell of the study {study.name} has finished: there is nothing to show.")
    scores = score_all(variants, study.split)
    table = study_table(study, variants, scores, len(cells))
    tables = [table, difference_table(scores)]
    words = in_words(scores)
    write_json(folder / "results.json", _as_json(study, variants, scores, words))
    text = [f"# {study.name}", study.description, *(markdown(one) for one in tables if one), words]
    write_text(folder / "table.md", "\n\n".join(part for part in text if part) + "\n")
    write_text(folder / "scores.csv", _csv(variants, study.split))
    plots = _plots(scores)
    write_text(folder / "report.html", render_study(study, [one for one in tables if one], plots, words))
    return table, words


def _plots(scores: Sequence[Score]) -> list[Plot]:
    """For each task, every variant's mean with its interval."""
    from cloze.report.intervals import draw_intervals

    tasks = {score.task: score.measure for score in scores}
    plots = []
    for task, measure in tasks.items():
        found = [score for score in scores if score.task == task]
        ends = [(s.estimate.mean, s.estimate.low, s.estimate.high) for s in found]
        names = [score.variant for score in found]
        plots.append(draw_intervals(task, f"{MEASURES[measure]}, %", names, np.array(ends, dtype=np.float64) * 100))
    return plots


def _as_json(
    study: StudySettings, variants: Sequence[Variant], scores: Sequence[Score], words: str
) -> Mapping[str, Any]:
    described = [
        {
            "name": variant.name,
            "runs": [run.name for run in variant.runs],
            "pretraining_seeds": variant.seeds,
            "parameters": variant.mean("parameters"),
            "tokens": variant.mean("tokens"),
            "characters": variant.mean("characters"),
            "elapsed_s": variant.mean("elapsed_s"),
            "validation_loss": {
                name: loss for name in OBJECTIVES if (loss := variant.validated(f"{name}/loss")) is not None
            },
            "bits_per_character": variant.validated(BITS),
        }
        for variant in variants
    ]
    return {
        "study": study.model_dump(mode="json"),
        "confidence": CONFIDENCE,
        "variants": described,
        "scores": [asdict(score) for score in scores],
        "in_words": words,
    }


def _csv(variants: Sequence[Variant], scored: str) -> str:
    """One line for every fine-tuning run and measure."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["variant", "pretraining_seed", "task", "finetuning_seed", "split", "measure", "value"])
    for variant in variants:
        for run, pretraining_seed in zip(variant.runs, variant.seeds, strict=True):
            for task in run.tasks:
                for seed in task.results.get("pretrained", {}).get("seeds", ()):
                    for split in ("train", scored):
                        for measure in measures(task):
                            if (value := score_of(seed, split, measure)) is not None:
                                known = [variant.name, pretraining_seed, task.name, seed["seed"]]
                                writer.writerow([*known, split, measure, f"{value:.6f}"])
    return file.getvalue()


def _find(scores: Sequence[Score], variant: str, task: str) -> Score | None:
    return next((score for score in scores if (score.variant, score.task) == (variant, task)), None)


def _shown(score: Score | None) -> str:
    """Mean and interval in per cent; a star where it differs from the base."""
    if score is None:
        return MISSING
    found = score.estimate
    text = percent(found.mean)
    if found.low is not None and found.high is not None:
        text += f" [{percent(found.low)}, {percent(found.high)}]"
    return text + (" *" if score.p is not None and score.p < SIGNIFICANCE else "")


def _intervals(scores: Sequence[Score], within: Sequence[str]) -> str:
    known = [score.estimate for score in scores if score.estimate.low is not None]
    if not known:
        return "One seed, so no intervals."
    first = "the first row" + (f" of the same {' and '.join(within)}" if within else "")
    return (
        f"Mean and {CONFIDENCE:.0%} interval (Student's t) over {known[0].observations} {known[0].scope}; "
        f"* differs from {first} (p < {SIGNIFICANCE}, paired, corrected)."
    )


def _points(share: float, *, sign: bool = True) -> str:
    return f"{share * 100:{'+' if sign else ''}.2f}"


def _p(p: float | None, equals: str = "") -> str:
    """A p-value to three places; what would round to nothing is said to be below the smallest shown."""
    return "< 0.001" if p is not None and p < 0.0005 else equals + decimal(p)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None
