"""Pictures of a study's table: means with their intervals and every seed, and means over what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloze.report.plots import (
    COLOURS,
    POINTS_PER_INCH,
    WIDE_INCHES,
    Plot,
    dress,
    place_axes,
    style,
    tick,
    to_svg,
    width_points,
    write_labels,
)
from cloze.report.wording import decimal, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_POINTS, BOTTOM_POINTS, TOP_POINTS = 20.0, 22.0, 4.0
NAME_CHARACTERS, COST_CHARACTERS = 28, 26
"""Longer names are cut in a drawing; the table has them whole."""


@dataclass(frozen=True)
class Row:
    """A mean with what it is of; NaN for a mean or for ends that are not known."""

    name: str
    mean: float
    low: float
    high: float
    points: tuple[float, ...] = ()
    """The observations."""
    remark: str = ""
    """Stands in place of a mean that is not known."""

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return f"{self.name}: {self.remark}"
        ends = "" if math.isnan(self.low) else f" [{decimal(self.low, 2)}, {decimal(self.high, 2)}]"
        return f"{self.name}: {decimal(self.mean, 2)}{ends}"


def draw_intervals(title: str, unit: str, groups: Sequence[tuple[str, Sequence[Row]]]) -> Plot:
    """Rows under each other, a dot for the mean, a line for the interval, small dots below it for the observations.

    `groups` are headings, empty for none, with their rows. The first row of a group is the base of its others: a
    thin line goes down from its mean.
    """
    from matplotlib.figure import Figure

    rows = [row for _, group in groups for row in group]
    count = len(rows) + sum(bool(heading) for heading, _ in groups)
    width, height = WIDE_INCHES[0] * POINTS_PER_INCH, count * ROW_POINTS + BOTTOM_POINTS + TOP_POINTS
    left = 10.0 + max(width_points(shortened(row.name, NAME_CHARACTERS)) for row in rows)
    with style():
        figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH))
        place = (left / width, BOTTOM_POINTS / height, (width - left - 8) / width, count * ROW_POINTS / height)
        axes = figure.add_axes(place)
        axes.set_ylim(count - 0.5, -0.5)
        axes.margins(x=0.04)
        y, heights = 0, list[int]()
        for heading, group in groups:
            if heading:
                _write(axes, y, heading, "ink", -left / (width - left - 8))
                y += 1
            axes.plot(
                [group[0].mean] * 2, [y - 0.4, y + len(group) - 0.6], color=COLOURS["rule"], linewidth=0.8, zorder=1
            )
            for i, row in enumerate(group):
                _draw_row(axes, y + i, row, "second" if i == 0 else "accent")
            heights += range(y, y + len(group))
            y += len(group)
        axes.set_yticks(heights, [shortened(row.name, NAME_CHARACTERS) for row in rows], parse_math=False)
        axes.tick_params(length=0, labelsize=8.5, labelcolor=COLOURS["muted"], pad=4)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(COLOURS["rule"])
        axes.xaxis.set_major_formatter(lambda value, _: tick(value))
        said = "; ".join(f"{heading}: {row}" if heading else str(row) for heading, group in groups for row in group)
        svg = to_svg(figure, f"{title}, {unit}: mean and interval of each variant", said)
    return Plot(title, unit, svg)


def draw_costs(
    title: str, unit: str, along: str, rows: Sequence[Row], costs: Sequence[float], looks: Sequence[tuple[str, str]]
) -> Plot:
    """Means with their intervals over their costs, from 0 on; `looks` are keys of COLOURS and markers of matplotlib."""
    from matplotlib.figure import Figure

    names = [shortened(row.name, COST_CHARACTERS) for row in rows]
    inches = (WIDE_INCHES[0], max(WIDE_INCHES[1], tall_inches(len(rows))))
    with style():
        figure = Figure(figsize=inches)
        axes = figure.add_axes(place_axes(names, *inches))
        for row, cost, (colour, marker) in zip(rows, costs, looks, strict=True):
            axes.plot([cost] * 2, [row.low, row.high], color=COLOURS[colour], linewidth=1.4, alpha=0.6, zorder=2)
            axes.plot([cost], [row.mean], color=COLOURS[colour], marker=marker, markersize=4.5, zorder=3)
        dress(axes, along)
        axes.set_xlim(0.0, max(costs) * 1.06 or 1.0)
        ends = [
            (cost, row.mean, name, colour)
            for row, cost, name, (colour, _) in zip(rows, costs, names, looks, strict=True)
        ]
        write_labels(axes, ends)
        said = "; ".join(f"{row} at {tick(cost)}" for row, cost in zip(rows, costs, strict=True))
        svg = to_svg(figure, f"{title}, {unit}, over {along}", said)
    return Plot(title, unit, svg)


def _draw_row(axes: Axes, y: int, row: Row, colour: str) -> None:
    line = COLOURS[colour]
    axes.plot([row.low, row.high], [y, y], color=line, linewidth=1.6, solid_capstyle="butt", zorder=2)
    axes.plot([row.mean], [y], color=line, marker="o", markersize=4.5, linestyle="none", zorder=3)
    dots: dict[str, Any] = {"marker": "o", "markersize": 2.8, "linestyle": "none", "markeredgewidth": 0.0}
    axes.plot(row.points, [y + 0.3] * len(row.points), color=line, alpha=0.65, zorder=3, **dots)
    if row.remark:
        _write(axes, y, row.remark, "muted", 0.0)


def _write(axes: Axes, y: int, text: str, colour: str, x: float) -> None:
    """A line of text at height `y`; `x` is a share of the axes' width."""
    place = axes.get_yaxis_transform()
    axes.text(x, y, text, transform=place, va="center", fontsize=8.5, color=COLOURS[colour], parse_math=False)


def tall_inches(labels: int) -> float:
    """How high a drawing must be for so many labels under each other."""
    return (labels * 12.0 + 36.0) / POINTS_PER_INCH
