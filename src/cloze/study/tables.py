"""The tables of a study: variants, the grid of two axes, differences, every cell, and where the runs were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from cloze.report.cells import Table
from cloze.report.run import RunData, number
from cloze.report.tables import versions_table
from cloze.report.wording import MEASURES, MISSING, OBJECTIVES, compact, decimal, percent, scientific, shortened, whole
from cloze.study.budget import Budget, flops, limits, tokens
from cloze.study.comparisons import Comparison, Score, scope_of
from cloze.study.grid import Cell, StudySettings
from cloze.study.statistics import CONFIDENCE, SIGNIFICANCE
from cloze.study.variants import BITS, Split, Variant, last_validated, score_of, seeds_of, spreads, tasks_of
from cloze.tasks.metrics import mean_and_std

COLUMN_NOTES = {
    "Characters": "Characters are those read in pretraining, white space aside.",
    "loss": "Losses are of validation, in nats, each on its own masks: they compare only where masks and tokenizers "
    "are alike.",
    "Bits/character": "Bits a character of the masked text come nearer to a comparison of tokenizers, though each has "
    "other text masked.",
}
"""End of a column's name -> what is said of it where it is shown."""
DIFFERENCE = ("Difference", "p", "p, corrected", "Pairs")
"""Columns of a comparison."""
# What is said under tables of comparisons.
TESTS = "Paired t-tests over seeds, two-sided; corrected for all comparisons here (Holm 1979)."
DASH = " A dash: no test, for want of pairs or of any spread among them."
MARKS = "*†‡§"
"""Beside a mean that differs from that of the first value of the first axis, the second, ..."""


def study_table(
    study: StudySettings,
    budget: Budget,
    variants: Sequence[Variant],
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
) -> Table:
    """One row a variant: size, budget, speed and losses, as far as anything was measured, and the mean with its
    interval on each task."""
    objectives = objectives_of(variants)
    tasks = {score.task: score.measure for score in scores}
    measured = {
        "Parameters": [compact(variant.mean("parameters")) for variant in variants],
        "Tokens": [compact(variant.mean("tokens")) for variant in variants],
        "Characters": [compact(variant.mean("characters")) for variant in variants],
        "Minutes": [decimal(None if (t := variant.mean("elapsed_s")) is None else t / 60, 1) for variant in variants],
        "Tokens/s": [whole(variant.speed()) for variant in variants],
        "Bits/character": [decimal(variant.validated(BITS)) for variant in variants],
        **{
            f"{OBJECTIVES[objective][0]} loss": [decimal(variant.loss(objective)) for variant in variants]
            for objective in objectives
        },
    }
    measured = _with_values(measured)
    scored = {
        f"{task}, {MEASURES[measure]}": [
            _shown(variant, find(scores, variant.name, task), comparisons) for variant in variants
        ]
        for task, measure in tasks.items()
    }
    columns = {"": [variant.name for variant in variants], **scored, **measured}
    done = sum(len(variant.runs) for variant in variants)
    cells = done + sum(len(variant.missing) for variant in variants)
    note = f"{budget.name}; {done} of {cells} cells. {_intervals(variants, scores, study.within)} "
    note += "Scores are of the development sets. " if study.split == "development" else ""
    note += " ".join(text for name, text in COLUMN_NOTES.items() if any(column.endswith(name) for column in measured))
    title = f"{study.name}: {budget.words} a cell" if budget.words else study.name
    return Table(title, tuple(columns), list(zip(*columns.values(), strict=True)), note)


def grid_tables(
    variants: Sequence[Variant],
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
    within: Collection[str] = (),
    together: Sequence[Comparison] = (),
) -> list[Table]:
    """For each task of a study with two axes: the values of the first as rows, of the second as columns. `together`:
    the comparisons of their means."""
    axes = list(variants[0].values)
    if len(axes) != 2:
        return []
    rows, columns = (list(dict.fromkeys(variant.values[axis] for variant in variants)) for axis in axes)
    by_values = {tuple(variant.values.values()): variant for variant in variants}
    tables = []
    for task, measure in {score.task: score.measure for score in scores}.items():
        found = {values: find(scores, variant.name, task) for values, variant in by_values.items()}
        # Of all that stands in the means, or of another mean.
        tested = [one for one in together if one.task == task and not any(variant.missing for variant in variants)]
        marks = {(one.axis, one.value) for one in tested if one.real}

        def margin(place: int, value: str, in_it: Sequence[Score], marks: Collection[tuple[str, str]] = marks) -> str:
            return " ".join([_margin(in_it), *([_mark(place)] if (axes[place], value) in marks else [])])

        lines = [
            (
                row,
                *(_shown(by_values[row, column], found[row, column], comparisons) for column in columns),
                margin(0, row, [found[row, column] for column in columns]),
            )
            for row in rows
        ]
        means = [margin(1, column, [found[row, column] for row in rows]) for column in columns]
        lines.append(("mean", *means, _margin(list(found.values()))))
        title = f"{task}, {MEASURES[measure]}: {axes[0]} down, {axes[1]} across"
        note = f"{_marks(variants, within)} Means of rows and columns are over what stands in them"
        note += "; their marks are of the tests over the other axis together." if together else "."
        tables.append(Table(title, ("", *columns, "mean"), lines, note))
    return tables


def difference_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Every comparison, all of scores or all of losses, with its p; None if there is none."""
    if not comparisons:
        return None
    crossed = is_crossed(comparisons)
    rows = [
        (
            *((*sides(one, comparisons), fixed(one)) if crossed else (one.variant,)),
            one.task,
            *_tested(one),
        )
        for one in comparisons
    ]
    losses = comparisons[0].unit == "nats"
    note = f"{'Nats of the last validation' if losses else 'Points of per cent'}. {TESTS}"
    note += DASH if any(one.p is None for one in comparisons) else ""
    differences = "Differences of losses" if losses else "Differences"
    columns = ("Loss" if losses else "Task", *DIFFERENCE)
    if crossed:
        note += " Along one axis at a time, all others equal."
        return Table(f"{differences} along each axis", ("", "Against", "Both with", *columns), rows, note)
    return Table(f"{differences} from {comparisons[0].base}", ("", *columns), rows, note)


def together_table(together: Sequence[Comparison]) -> Table | None:
    """Every comparison over the other axes together, with its p; None if there is none."""
    if not together:
        return None
    rows = [(*sides(one, together), " and ".join(one.over), one.task, *_tested(one)) for one in together]
    note = "Points of per cent; a pair is a seed with one combination of what is together, where that has models of "
    note += f"its own. {TESTS} A mean over values that it differs for, as the table before shows, stands for none of "
    note += f"them.{DASH if any(one.p is None for one in together) else ''}"
    columns = ("", "Against", "Over all of", "Task", *DIFFERENCE)
    return Table("Differences over the other axes together", columns, rows, note)


def spread_table(variants: Sequence[Variant], split: Split = "test") -> Table | None:
    """How far fine-tunings of one model lie apart, and pretrainings of one variant; None without two of both."""
    rows = []
    for task, measure in tasks_of(variants).items():
        found = spreads(variants, task, split)
        if found is not None:
            fine_tunings, pretrainings, runs = found
            seeds = f"{min(runs)}" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"
            shown = (f"{fine_tunings * 100:.2f}", f"{pretrainings * 100:.2f}")
            rows.append((f"{task}, {MEASURES[measure]}", *shown, seeds))
    note = (
        "Standard deviations in points of per cent: roots of the mean variance of a pretrained model's fine-tunings, "
        "and of a variant's pretrainings, each the mean of its fine-tunings. Of the second the first, divided by the "
        "root of the fine-tunings of each, is luck of fine-tuning, which more of these would lessen; the rest only "
        "more pretrainings would."
    )
    columns = ("", "Fine-tunings of one model", "Pretrainings of one variant", "Fine-tunings of each")
    return Table("What seeds do", columns, rows, note) if rows else None


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


def runs_table(
    cells: Sequence[Cell], variants: Sequence[Variant], failures: Mapping[str, str], split: Split = "test"
) -> Table:
    """Every cell: what its run measured, or that it has not finished."""
    runs = {run.name: run for variant in variants for run in variant.runs.values()}
    names = [cell.recipe.name for cell in cells]
    found = [runs.get(name) for name in names]
    counts = [run.counts("pretraining") if run else {} for run in found]
    minutes = [None if (t := number(of.get("elapsed_s"))) is None else t / 60 for of in counts]
    measured = {
        "Steps": [whole(number(of.get("steps"))) for of in counts],
        "Tokens": [compact(number(of.get("tokens"))) for of in counts],
        "Minutes": [decimal(value, 1) for value in minutes],
        **{
            f"{OBJECTIVES[name][0]} loss": [
                decimal(last_validated(run, f"{name}/loss") if run else None) for run in found
            ]
            for name in objectives_of(variants)
        },
    }
    columns = {
        "Run": names,
        "State": [
            "failed" if name in failures else "finished" if run else "not finished"
            for name, run in zip(names, found, strict=True)
        ],
        **_with_values(measured),
        **{
            f"{task}, {MEASURES[measure]}": [_scores_of(run, task, measure, split) for run in found]
            for task, measure in tasks_of(variants).items()
        },
    }
    note = "Each is a run with a report of its own. Scores of fine-tuning seeds are parted by a slash."
    return Table("Every cell", tuple(columns), list(zip(*columns.values(), strict=True)), note)


def machine_table(runs: Sequence[RunData], command: str, date: str) -> Table:
    """Command and date of these results; versions and machines of the runs, with how many had each if they differ."""
    found: dict[str, Counter[str]] = {}
    for run in runs:
        for key, value in table.rows if (table := versions_table(run)) else ():
            found.setdefault(key, Counter())[value] += 1
    rows = [("Command", command)] if command else []
    rows.append(("Date", date))
    for key, values in found.items():
        alike = len(values) == 1 and values.total() == len(runs)
        rows.append((key, ", ".join(value if alike else f"{value} ({count} runs)" for value, count in values.items())))
    return Table("Machine and versions", ("", ""), rows)


def _tested(one: Comparison) -> tuple[str, ...]:
    """The columns of DIFFERENCE."""
    if one.difference is None:
        return MISSING, MISSING, p_value(one.p), "0"
    return amount(one), p_value(one.difference.p), p_value(one.p), f"{one.difference.pairs}"


def find(scores: Sequence[Score], variant: str, task: str) -> Score:
    """The score of a variant on a task."""
    return next(score for score in scores if (score.variant, score.task) == (variant, task))


def objectives_of(variants: Sequence[Variant]) -> list[str]:
    """The objectives that any run has a loss of."""
    return [name for name in OBJECTIVES if any(run.measured(name) for v in variants for run in v.runs.values())]


def is_crossed(comparisons: Sequence[Comparison]) -> bool:
    """Whether the study has two axes or more: something is held fixed in them, or together."""
    return any(one.others or one.over for one in comparisons)


def fixed(comparison: Comparison) -> str:
    """What both sides have in common, in words."""
    return " and ".join(f"{axis} {value}" for axis, value in comparison.others.items())


def sides(one: Comparison, among: Sequence[Comparison]) -> tuple[str, str]:
    """What is compared with what, without what both have in common; with their axis where another has such names."""
    if not is_crossed([one]):
        return one.variant, one.base
    named = {one.value, one.base_value}
    if any(other.axis != one.axis and named & {other.value, other.base_value} for other in among):
        return f"{one.axis} {one.value}", f"{one.axis} {one.base_value}"
    return one.value, one.base_value


def amount(comparison: Comparison) -> str:
    """The difference, which there is, with its sign: in points of per cent, or in nats."""
    assert comparison.difference is not None
    mean = comparison.difference.mean
    return f"{mean:+.3f}" if comparison.unit == "nats" else f"{mean * 100:+.2f}"


def p_value(p: float | None, equals: str = "") -> str:
    """A p-value to three places; what would round to nothing is said to be below the smallest shown."""
    return "< 0.001" if p is not None and p < 0.0005 else equals + decimal(p)


def _with_values(columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Without those of which nothing was measured. Not for tasks: that there is no score must be seen."""
    return {name: column for name, column in columns.items() if set(column) != {MISSING}}


def _shown(variant: Variant, score: Score, comparisons: Sequence[Comparison]) -> str:
    """Mean and interval in per cent, marks where it differs, and what is missing from it."""
    marks = [
        _mark(place)
        for place, axis in enumerate(variant.values)
        if any(
            one.real and (one.axis, one.variant, one.task) == (axis, variant.name, score.task) for one in comparisons
        )
    ]
    text = MISSING if score.estimate is None else percent(score.estimate.mean)
    if score.estimate and score.estimate.low is not None and score.estimate.high is not None:
        text += f" [{percent(score.estimate.low)}, {percent(score.estimate.high)}]"
    missing = f"{len(variant.runs)} of {len(variant.runs) + len(variant.missing)} cells" if variant.missing else ""
    scoreless = f"no score in {score.scoreless} of {score.runs}" if score.scoreless else ""
    said = ", ".join(part for part in (missing, scoreless) if part)
    return " ".join(filter(None, [text, "".join(marks), f"({said})" if said else ""]))


def _margin(scores: Sequence[Score]) -> str:
    """Mean over a row or a column; a dash if one of its cells has none."""
    return percent(mean_and_std([score.estimate.mean if score.estimate else None for score in scores])[0])


def _mark(place: int) -> str:
    return MARKS[place] if place < len(MARKS) else f"({place + 1})"


def _marks(variants: Sequence[Variant], within: Collection[str] = ()) -> str:
    """What the marks beside means say."""
    axes = variants[0].values
    how = f"(p < {SIGNIFICANCE}, paired, corrected)"
    if len(axes) == 1:
        return f"* differs from the first row {how}."
    several = [axis for axis in axes if len({variant.values[axis] for variant in variants}) > 1 and axis not in within]
    bases = [(_mark(place), value) for place, (axis, value) in enumerate(axes.items()) if axis in several]
    if not bases:
        return "Nothing is compared."
    (mark, first), *others = bases
    parts = [f"{mark} differs from {first}", *(f"{mark} from {other}" for mark, other in others)]
    return f"{', '.join(parts)}, all else equal {how}."


def _intervals(variants: Sequence[Variant], scores: Sequence[Score], within: Collection[str]) -> str:
    counts = [score.estimate.observations for score in scores if score.estimate and score.estimate.low is not None]
    if not counts:
        return "One seed, so no intervals." if scores else "No task was scored."
    low, high = min(counts), max(counts)
    over = f"{high}" if low == high else f"{low} to {high}"
    mean = f"Mean and {CONFIDENCE:.0%} interval (Student's t) over {over} {scope_of(variants)}"
    return f"{mean}; {_marks(variants, within)}"


def _scores_of(run: RunData | None, task: str, measure: str, split: Split) -> str:
    """The score of each fine-tuning seed in per cent."""
    found = [seed for one in run.tasks if one.name == task for seed in seeds_of(one)] if run else []
    return shortened(" / ".join(percent(score_of(seed, split, measure)) for seed in found), 60) or MISSING
