"""The drawings of a study: scores with every seed, losses over tokens, scores over cost."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from cloze.report.intervals import Row, draw_costs, draw_intervals, tall_inches
from cloze.report.plots import WIDE_INCHES, Plot, Series, draw
from cloze.report.run import Json, number
from cloze.report.wording import MEASURES, OBJECTIVES, shortened
from cloze.study.comparisons import Score
from cloze.study.tables import find, objectives_of
from cloze.study.variants import Split, Variant

COLOURS = ("accent", "second", "third", "fourth", "ink", "muted")
"""Of the values of the first axis."""
DASHES, MARKERS = ("-", "--", ":", "-."), ("o", "s", "^", "D")
"""Of those of the others; with one axis, they change where colours begin again."""
LABEL_CHARACTERS = 26
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Tokens and losses [N]."""


def score_plots(
    variants: Sequence[Variant], scores: Sequence[Score], within: Collection[str] = (), split: Split = "test"
) -> list[Plot]:
    """For each task, every variant's mean with its interval and its seeds, below the base that it is compared with.

    `within`: axes along which nothing is compared.
    """
    return [
        draw_intervals(task, _unit(measure, split), _groups(variants, scores, task, within))
        for task, measure in _tasks(scores)
        if any(score.values for score in scores if score.task == task)
    ]


def loss_plots(variants: Sequence[Variant]) -> list[Plot]:
    """For each objective, the loss of every variant over the tokens read: mean over its seeds, band from the lowest to
    the highest.

    Of validation where every run has been validated twice or more, else of training.
    """
    plots = []
    for objective in objectives_of(variants):
        key, (name, targets) = f"{objective}/loss", OBJECTIVES[objective]
        runs = [run for variant in variants for run in variant.runs.values() if run.measured(objective)]
        validated = all(len(_curve(run.validation, key)[0]) > 1 for run in runs)
        series = []
        for variant in variants:
            lines = [run.validation if validated else run.train for run in variant.runs.values()]
            if curves := [curve for curve in (_curve(one, key) for one in lines) if len(curve[0])]:
                series.append(_series(variants, variant, curves))
        title = f"{name} loss of {'validation' if validated else 'training'}"
        inches = (WIDE_INCHES[0], max(WIDE_INCHES[1], tall_inches(len(series))))
        said = "; ".join(f"{one.label} ends at {one.ys[-1]:.3f}" for one in series)
        plots.append(draw(title, f"nats, mean over {targets}", series, inches=inches, along="tokens", description=said))
    return plots


def cost_plots(variants: Sequence[Variant], scores: Sequence[Score], split: Split = "test") -> list[Plot]:
    """For each task, the scores over the minutes of pretraining."""
    minutes = {variant.name: (variant.mean("elapsed_s") or math.nan) / 60 for variant in variants}
    plots = []
    for task, measure in _tasks(scores):
        rows = [_row(variant.name, variant, find(scores, variant.name, task)) for variant in variants]
        known = [row for row in rows if math.isfinite(row.mean) and math.isfinite(minutes[row.name])]
        if len(known) > 1:
            costs = [minutes[row.name] for row in known]
            places = {variant.name: _places(variants, variant) for variant in variants}
            looks = [(COLOURS[colour], MARKERS[other]) for colour, other in (places[row.name] for row in known)]
            plots.append(draw_costs(task, _unit(measure, split), "minutes of pretraining", known, costs, looks))
    return plots


def _unit(measure: str, split: Split) -> str:
    return f"{MEASURES[measure]}{' on development' if split == 'development' else ''}, %"


def _tasks(scores: Sequence[Score]) -> list[tuple[str, str]]:
    return list({score.task: score.measure for score in scores}.items())


def _groups(
    variants: Sequence[Variant], scores: Sequence[Score], task: str, within: Collection[str]
) -> list[tuple[str, list[Row]]]:
    """The values of the first axis that is compared under each combination of the others."""
    groups: dict[str, list[Row]] = {}
    compared = next(axis for axis in variants[0].values if axis not in within)
    for variant in variants:
        heading = ", ".join(f"{axis} {value}" for axis, value in variant.values.items() if axis != compared)
        row = _row(variant.values[compared], variant, find(scores, variant.name, task))
        groups.setdefault(heading, []).append(row)
    return list(groups.items())


def _row(name: str, variant: Variant, score: Score) -> Row:
    """In per cent."""
    values = tuple(value * 100 for value in score.values.values())
    if score.estimate is None:
        remark = "a run has no score" if score.scoreless else "no such task" if variant.runs else "no cell has finished"
        return Row(name, math.nan, math.nan, math.nan, values, remark)
    low, high = (math.nan if end is None else end * 100 for end in (score.estimate.low, score.estimate.high))
    return Row(name, score.estimate.mean * 100, low, high, values)


def _curve(lines: Sequence[Json], key: str) -> Curve:
    """Loss over tokens, where both are known."""
    pairs = [(number(line.get("tokens")), number(line.get(key))) for line in lines]
    known = np.array([pair for pair in pairs if None not in pair], dtype=np.float64).reshape(-1, 2)
    return known[:, 0], known[:, 1]


def _series(variants: Sequence[Variant], variant: Variant, curves: Sequence[Curve]) -> Series:
    """Mean and band of curves, at all places that any of them knows between their latest start and earliest end."""
    start, stop = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    xs = np.unique(np.clip(np.concatenate([xs for xs, _ in curves]), start, stop))
    ys = np.stack([np.interp(xs, *curve) for curve in curves])
    colour, dash = _places(variants, variant)
    return Series(
        xs,
        ys.mean(axis=0),
        COLOURS[colour],
        bold=True,
        label=shortened(variant.name, LABEL_CHARACTERS),
        band=np.stack([ys.min(axis=0), ys.max(axis=0)]) if len(curves) > 1 else None,
        dashes=DASHES[dash],
    )


def _places(variants: Sequence[Variant], variant: Variant) -> tuple[int, int]:
    """A variant's place in COLOURS, and in DASHES and MARKERS."""
    values = [tuple(one.values.values()) for one in variants]
    first, *others = variant.values.values()
    colour = list(dict.fromkeys(one[0] for one in values)).index(first)
    other = list(dict.fromkeys(one[1:] for one in values)).index(tuple(others)) + colour // len(COLOURS)
    return colour % len(COLOURS), other % len(DASHES)
