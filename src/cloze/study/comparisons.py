"""Which variants are compared, and on what.

Along each axis in turn every value is compared with the axis's first one, all other axes held fixed. In a study of
formats on two corpora that is each format with the first on the same corpus, and each corpus with the first in the
same format; with one axis, every variant with the first. All comparisons of scores are one family for the correction.
Those of validation losses are another: a loss is much surer than a score, since it is a mean over many thousands of
masked tokens, but it compares only where those are chosen from the same rows in the same way.

With two axes or more each value is also compared with its axis's first over all values of the others together: a pair
is a combination of these and a seed, as far as each has models of its own. There are more pairs, and the question is
another: what the axis does on the whole, not whether it does so everywhere. These are a family of their own, too.

Fine-tuning seeds of one pretrained model share its luck. So as soon as any variant has two pretraining seeds, the mean
over the fine-tuning seeds of each is one observation. While each has one, its fine-tuning seeds are the observations,
and the result says nothing of other pretraining seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from cloze.report.wording import OBJECTIVES
from cloze.study.statistics import SIGNIFICANCE, Difference, Estimate, difference, estimate, holm
from cloze.study.variants import Seeds, Split, Variant, tasks_of

if TYPE_CHECKING:
    from cloze.recipe import Recipe

Scope = Literal["pretraining seeds", "fine-tuning seeds"]
OF_OWN_QUESTIONS = "replaced_tokens"
"""The objective whose losses never compare: what is asked is each run's own."""
ROWS_AND_MASKS = ("corpus", "tokenizer", "store", "inputs", "masking")
"""Sections of a recipe that decide what a validation loss is a mean over."""


@dataclass(frozen=True, slots=True)
class Score:
    """One variant on one task."""

    variant: str
    task: str
    measure: str
    values: Mapping[Seeds, float]
    """The observations by their seeds."""
    runs: int
    """Fine-tuning runs."""
    scoreless: int
    """Those that ended without a score."""
    estimate: Estimate | None
    """None if nothing was observed, or a run has no score: a mean without the runs that went wrong would flatter."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant and the one that differs from it in one axis, whose first value it has, on one task."""

    axis: str
    variant: str
    base: str
    value: str
    """Of the axis, in the variant."""
    base_value: str
    others: Mapping[str, str]
    """The values of the other axes, in both; none if it is over all of them together, whose names `over` has then."""
    task: str
    """Or the loss."""
    difference: Difference | None
    """None if the two cannot be paired; `why_not` says why."""
    why_not: str
    p: float | None = None
    """Of the difference, corrected for all comparisons of its kind."""
    unit: Literal["points", "nats"] = "points"
    """Of scores, points of per cent: the difference is a share of 1; of losses, nats."""
    over: tuple[str, ...] = ()
    """Axes over whose values it is together."""

    @property
    def real(self) -> bool:
        """Whether the difference is larger than chance explains."""
        return self.p is not None and self.p < SIGNIFICANCE


def scope_of(variants: Sequence[Variant]) -> Scope:
    """What counts as one observation (see above)."""
    return "pretraining seeds" if any(len(variant.runs) > 1 for variant in variants) else "fine-tuning seeds"


def score_all(variants: Sequence[Variant], split: Split = "test") -> list[Score]:
    """Every variant on every task, task by task, also those with nothing to show."""
    scope = scope_of(variants)
    return [
        _score(variant, task, measure, scope, split)
        for task, measure in tasks_of(variants).items()
        for variant in variants
    ]


def compare_all(variants: Sequence[Variant], scores: Sequence[Score], within: Collection[str] = ()) -> list[Comparison]:
    """The comparisons of a study (see above), task by task and axis by axis, without the axes of `within`."""
    by_name = {(score.variant, score.task): score for score in scores}
    found = [
        _compare(axis, variant, base, by_name[variant.name, task], by_name[base.name, task])
        for task in dict.fromkeys(score.task for score in scores)
        for axis, variant, base in _along_axes(variants)
        if axis not in within
    ]
    return _corrected(found)


def compare_together(
    variants: Sequence[Variant], scores: Sequence[Score], within: Collection[str] = ()
) -> list[Comparison]:
    """Every value with its axis's first over all values of the other axes together, task by task and axis by axis."""
    by_name = {(score.variant, score.task): score for score in scores}
    parts: dict[tuple[str, str, str], list[tuple[Variant, Variant]]] = {}
    for task in dict.fromkeys(score.task for score in scores):
        for axis, variant, base in _along_axes(variants):
            if axis not in within:
                parts.setdefault((task, axis, variant.values[axis]), []).append((variant, base))
    found = []
    for (task, axis, value), sides in parts.items():
        if len(sides) < 2:
            continue
        scored = [(ours, base, by_name[ours.name, task], by_name[base.name, task]) for ours, base in sides]
        apart, why_not = _together(scored, scope_of(variants))
        first, over = sides[0][1].values[axis], tuple(name for name in sides[0][0].values if name != axis)
        found.append(Comparison(axis, value, first, value, first, {}, task, apart, why_not, over=over))
    return _corrected(found) if any(one.difference for one in found) else []


def _together(sides: Sequence[tuple[Variant, Variant, Score, Score]], scope: Scope) -> tuple[Difference | None, str]:
    """The difference over all combinations of the other axes, or why there is none.

    Only seeds count that every combination has on both sides, so that each has the same weight. Combinations that
    share their models share their luck: they are one observation, the mean of theirs.
    """
    reasons = [reason for side in sides if (reason := _pairs(*side)[1])]
    common = [
        seeds for seeds in sides[0][2].values if all(seeds in score.values for side in sides for score in side[2:])
    ]
    if not reasons and len(common) < 2:
        reasons = ["fewer than two seeds have been scored by all"]
    if reasons:
        return None, "; ".join(dict.fromkeys(reasons))
    observations: dict[object, list[tuple[float, float]]] = {}
    for ours, base, our_score, base_score in sides:
        link = "pretraining" if scope == "pretraining seeds" else f"tasks/{our_score.task}"
        for seeds in common:
            models = tuple(variant.runs[seeds[0]].stage(link) for variant in (ours, base))
            pair = our_score.values[seeds], base_score.values[seeds]
            observations.setdefault((models, seeds), []).append(pair)
    means = [tuple(statistics.fmean(values) for values in zip(*pairs, strict=True)) for pairs in observations.values()]
    return difference(*zip(*means, strict=True)), ""


def compare_losses(variants: Sequence[Variant], within: Collection[str] = ()) -> list[Comparison]:
    """The same of the last validation losses, of variants that agree in all that a loss depends on (`losses_compare`),
    as far as two pretraining seeds or more of both have one.

    Not of replaced tokens: each run's own generator makes them, and a worse one makes them easier to find.
    """
    found = []
    for objective, (name, *_) in OBJECTIVES.items():
        if objective == OF_OWN_QUESTIONS:
            continue
        for axis, variant, base in _along_axes(variants):
            ours, theirs = variant.losses(objective), base.losses(objective)
            common = [seed for seed in ours if seed in theirs]
            if axis in within or len(common) < 2 or _shared(variant, base, "pretraining"):
                continue
            if losses_compare(variant.recipe, base.recipe):
                apart = difference([ours[seed] for seed in common], [theirs[seed] for seed in common])
                found.append(_comparison(axis, variant, base, f"{name} loss", apart, unit="nats"))
    return _corrected(found)


def _shared(variant: Variant, base: Variant, link: str) -> bool:
    """Whether a stage of both is the same one for every seed that both have: nothing is to be compared then."""
    common = variant.runs.keys() & base.runs.keys()
    return all(variant.runs[seed].stage(link) == base.runs[seed].stage(link) for seed in common)


def losses_compare(ours: Recipe, theirs: Recipe) -> bool:
    """Whether validation losses of two recipes are means over the same masked tokens, or as good as that: how many
    masks training has for a row does not matter."""
    sections = [
        {name: getattr(recipe, name).model_dump(exclude={"copies"}) for name in ROWS_AND_MASKS}
        for recipe in (ours, theirs)
    ]
    start, other = ((recipe.data, recipe.start_from, recipe.model.family) for recipe in (ours, theirs))
    return sections[0] == sections[1] and start == other


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    """The same with p, by Holm's method."""
    ps = {f"{i}": one.difference.p for i, one in enumerate(found) if one.difference and one.difference.p is not None}
    corrected = holm(ps)
    return [replace(one, p=corrected.get(f"{i}")) for i, one in enumerate(found)]


def _score(variant: Variant, task: str, measure: str, scope: Scope, split: Split) -> Score:
    scores = variant.scores(task, split)
    scoreless = sum(score is None for score in scores.values())
    values = {seeds: score for seeds, score in scores.items() if score is not None}
    if scope == "pretraining seeds":
        groups = {seed: [score for (mine, _), score in scores.items() if mine == seed] for seed in variant.runs}
        values = {
            (seed,): statistics.fmean(_known(group)) for seed, group in groups.items() if group and None not in group
        }
    whole = estimate(list(values.values())) if values and not scoreless else None
    return Score(variant.name, task, measure, values, len(scores), scoreless, whole)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _along_axes(variants: Sequence[Variant]) -> Iterator[tuple[str, Variant, Variant]]:
    """(axis, variant, its base): those that share the values of the other axes follow each other."""
    for axis, first in variants[0].values.items():
        groups: dict[tuple[str, ...], list[Variant]] = {}
        for variant in variants:
            others = tuple(value for name, value in variant.values.items() if name != axis)
            groups.setdefault(others, []).append(variant)
        for group in groups.values():
            base = next(variant for variant in group if variant.values[axis] == first)
            yield from ((axis, variant, base) for variant in group if variant is not base)


def _compare(axis: str, variant: Variant, base: Variant, ours: Score, theirs: Score) -> Comparison:
    pairs, why_not = _pairs(variant, base, ours, theirs)
    apart = None if why_not else difference(*zip(*pairs, strict=True))
    return _comparison(axis, variant, base, ours.task, apart, why_not)


def _pairs(variant: Variant, base: Variant, ours: Score, theirs: Score) -> tuple[list[tuple[float, float]], str]:
    """The scores of two variants seed by seed, or why they are not to be paired."""
    common = [seeds for seeds in ours.values if seeds in theirs.values]
    reasons = [reason for reason in (unscored(variant, ours), unscored(base, theirs)) if reason]
    if not common:
        reasons = reasons or [f"{variant.name} and {base.name} have no common seed"]
    elif _shared(variant, base, f"tasks/{ours.task}"):
        reasons = [f"{variant.name} and {base.name} share their runs of {ours.task}"]
    return [(ours.values[one], theirs.values[one]) for one in common], " and ".join(reasons)


def _comparison(
    axis: str,
    variant: Variant,
    base: Variant,
    task: str,
    apart: Difference | None,
    why_not: str = "",
    unit: Literal["points", "nats"] = "points",
) -> Comparison:
    return Comparison(
        axis=axis,
        variant=variant.name,
        base=base.name,
        value=variant.values[axis],
        base_value=base.values[axis],
        others={name: value for name, value in variant.values.items() if name != axis},
        task=task,
        difference=apart,
        why_not=why_not,
        unit=unit,
    )


def unscored(variant: Variant, score: Score) -> str:
    """Why a variant has no mean on a task; empty if it has one."""
    if score.estimate is not None:
        return ""
    if not variant.runs:
        return f"no cell of {variant.name} has finished"
    if score.scoreless:
        return f"no score on {score.task} from {score.scoreless} of {score.runs} runs of {variant.name}"
    return f"{variant.name} has no task {score.task}"
