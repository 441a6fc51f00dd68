"""The pictures of a search: what each trial gave, and how much each setting matters."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cloze.report.plots import COLOURS, WIDE_INCHES, Plot, inline, style, tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES, AROUND_INCHES = 0.26, 0.4


def draw_trials(title: str, unit: str, values: NDArray[np.float64], *, more_is_better: bool) -> Plot:
    """`values` [N] of the trials in their order, NaN for one without; a line follows the best so far."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    places = np.arange(len(values))
    best = (np.fmax if more_is_better else np.fmin).accumulate(values)
    with style():
        figure = Figure(figsize=WIDE_INCHES)
        axes = figure.add_axes((0.1, 0.19, 0.88, 0.77))
        axes.step(places, best, where="post", color=COLOURS["accent"], linewidth=1.6)
        axes.plot(places, values, color=COLOURS["muted"], marker="o", markersize=3.5, linestyle="none")
        axes.set_xlabel("trials", loc="right", fontsize=8.5, color=COLOURS["muted"], labelpad=1)
        axes.grid(axis="y", color=COLOURS["rule"], linewidth=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: tick(y)))
        return _plot(title, unit, figure, axes, "of each trial, and the best so far")


def draw_shares(title: str, unit: str, shares: Mapping[str, float]) -> Plot:
    """A bar for each name, top to bottom."""
    from matplotlib.figure import Figure

    height, names = ROW_INCHES * len(shares) + AROUND_INCHES, list(shares)
    with style():
        figure = Figure(figsize=(WIDE_INCHES[0], height))
        left = min(0.6, 0.03 + 0.017 * max(map(len, names)))
        axes = figure.add_axes((left, 0.27 / height, 0.97 - left, 1 - AROUND_INCHES / height))
        axes.barh(range(len(names)), [100 * share for share in shares.values()], 0.55, color=COLOURS["accent"])
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        return _plot(title, unit, figure, axes, "of each setting")


def _plot(title: str, unit: str, figure: Figure, axes: Axes, what: str) -> Plot:
    axes.tick_params(length=0, labelsize=8.5, labelcolor=COLOURS["muted"], pad=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(COLOURS["rule"])
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Plot(title, unit, inline(file.getvalue(), f"{title}, {unit}: {what}"))
