"""Means with their intervals, one row a variant: the picture of a study's table."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cloze.report.plots import COLOURS, Plot, inline, style

ROW_INCHES, WIDTH_INCHES, AROUND_INCHES = 0.26, 4.7, 0.55


def draw_intervals(title: str, unit: str, names: Sequence[str], values: NDArray[np.float64]) -> Plot:
    """`values` [N, 3]: mean, low and high of each of `names`, top to bottom; NaN ends leave a dot alone."""
    from matplotlib.figure import Figure

    height = ROW_INCHES * len(names) + AROUND_INCHES
    with style():
        figure = Figure(figsize=(WIDTH_INCHES, height))
        left = min(0.5, 0.03 + 0.017 * max(map(len, names)))
        axes = figure.add_axes((left, 0.3 / height, 0.97 - left, 1 - AROUND_INCHES / height))
        axes.axvline(values[0, 0], color=COLOURS["rule"], linewidth=0.8, zorder=1)
        for place, (mean, low, high) in enumerate(values):
            colour = COLOURS["second" if place == 0 else "accent"]
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
            axes.plot([mean], [place], color=colour, marker="o", markersize=4.5, linestyle="none", zorder=3)
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(length=0, labelsize=8.5, labelcolor=COLOURS["muted"], pad=4)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(COLOURS["rule"])
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Plot(title, unit, inline(file.getvalue(), f"{title}, {unit}: mean and interval of each variant"))
