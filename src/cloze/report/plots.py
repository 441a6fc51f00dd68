"""The curves of a run as SVG inside the page.

Text is drawn as paths, so Korean shows as Korean on any device. Colours are stand-ins that become CSS variables: one
drawing serves light, dark and paper. Equal data give equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from cloze.report.cells import as_list
from cloze.report.run import Json, RunData, TaskRun, dig, number
from cloze.report.task_tables import measures
from cloze.report.wording import FIGURES, LOSSES, MEASURES, OBJECTIVES, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 300
"""Longer curves are drawn from this many buckets of consecutive points."""
WIDE_INCHES = (4.7, 2.3)
NARROW_INCHES = (3.7, 2.6)
"""Of the plot beside a table."""
POINTS_PER_INCH = 72.0
LINE_POINTS = 11.5
"""Labels are this far apart at least."""
LABEL_CHARACTERS = 12
FONT = "NanumGothic"
COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "faint": "#080808",
    "rule": "#030303",
    "accent": "#040404",
    "second": "#050505",
    "third": "#060606",
    "fourth": "#070707",
}
"""Name of a CSS variable -> the colour that stands for it while matplotlib draws."""


@dataclass(frozen=True)
class Plot:
    """One drawing with its words."""

    title: str
    unit: str
    """Of the vertical axis."""
    svg: Markup


@dataclass(frozen=True)
class Series:
    """One line of a plot."""

    xs: NDArray[np.float64]
    """Steps [N], ascending."""
    ys: NDArray[np.float64]
    """Values [N]; NaN leaves a gap."""
    colour: str
    """A key of COLOURS."""
    bold: bool = False
    label: str = ""
    """Written right of the line's end."""
    band: NDArray[np.float64] | None = None
    """Lowest and highest values around the line [2, N]."""
    dashes: str = "-"
    """A line style of matplotlib."""


def learning_plots(run: RunData) -> list[Plot]:
    """Loss and accuracy of each objective, health figures, learning rate and gradient norm over the steps."""
    charts = [
        (f"{name}/{measure}", f"{run.label(name)} {measure}", unit, factor)
        for name, (_, targets) in OBJECTIVES.items()
        if run.measured(name)
        for measure, unit, factor in _measures(targets)
    ]
    charts += [(key, title, f"% of {whole}", 100.0) for key, (title, whole) in FIGURES.items()]
    plots, behind = [], "faint" if run.validation else "muted"
    for key, title, unit, factor in charts:
        train, scored = _series(run.train, key, behind, factor), _series(run.validation, key, "accent", factor)
        if np.isfinite(train.ys).any() or np.isfinite(scored.ys).any():
            plots.append(draw(title, unit, [train, replace(scored, bold=True)]))
    for key, title, unit in (
        ("learning_rate", "Learning rate", "dimensionless"),
        ("gradient_norm", "Gradient norm", "before clipping"),
    ):
        if np.isfinite(_values(run.train, key)).any():
            plots.append(draw(title, unit, [_series(run.train, key, "muted")]))
    return plots


def speed_plots(run: RunData) -> list[Plot]:
    """Tokens a second over the steps of pretraining; no plot if it was not measured."""
    speed = _series(run.train, "tokens_per_s", "muted", 1e-3)
    known = np.isfinite(speed.ys).any()
    return [draw("Speed", "thousand tokens a second", [speed], floor=0.0)] if known else []


def finetuning_plots(task: TaskRun) -> list[Plot]:
    """The measures of each seed and start over the steps of fine-tuning, the loss first.

    No plot of what was measured once: the tables have it.
    """
    plots = []
    kind = str(task.results.get("kind") or "classification")
    units = {"loss": LOSSES.get(kind, ""), "accuracy": "% of texts"}
    for measure in sorted(measures(task), key=lambda name: name != "loss"):
        unit, factor = units.get(measure, "%"), 1.0 if measure == "loss" else 100.0
        key, series = f"{kind}/{measure}", []
        for split, bold in (("train", False), ("development", True), ("test", True)):
            for start, colour in (("random", "second"), ("pretrained", "accent")):
                lines = [line for line in task.curves if (line.get("kind"), line.get("start")) == (split, start)]
                for seed in dict.fromkeys(line.get("seed") for line in lines):
                    one = _series([line for line in lines if line.get("seed") == seed], key, colour, factor)
                    series.append(replace(one, bold=bold))
        if any(np.isfinite(one.ys).sum() > 1 for one in series):
            name = measure if measure in units else MEASURES[measure]
            plots.append(draw(f"{task.name}: {name}", unit, series))
    return plots


def guess_plot(title: str, steps: Sequence[float], guesses: Sequence[dict[str, float]]) -> Plot:
    """Probability of a few words over the steps: the best three of the last step and the best of the first.

    `guesses` holds, for each step, word -> probability of those recorded; a word that is not among them leaves a gap.
    """
    last, first = guesses[-1], guesses[0]
    words = list(dict.fromkeys([*_best(last, 3), *_best(first, 1)]))
    colours = ["accent", "second", "third", "fourth"]
    series = [
        Series(
            np.array(steps, dtype=np.float64),
            np.array([found.get(word, np.nan) * 100 for found in guesses]),
            colour if word in last else "muted",
            bold=word in last,
            label=shortened(word, LABEL_CHARACTERS),
        )
        for word, colour in zip(words, colours, strict=False)
    ]
    return draw(title, "probability in %", series, floor=0.0, inches=NARROW_INCHES)


def share_plots(task: TaskRun) -> list[Plot]:
    """The headline of the test over the share of the training examples, a band one standard deviation wide on each
    side; no plot if the task has one share."""
    parts = [one for one in as_list(task.results.get("shares")) if isinstance(one, dict)]
    if not parts:
        return []
    parts.append({**task.results, "share": 1.0})
    measure, series = measures(task)[0], []
    shares = _values(parts, "share") * 100
    for start, label, colour in (("random_weights", "random", "second"), ("pretrained", "pretrained", "accent")):
        if task.results.get(start):
            found = [{key: dig(part, start, key, "test", measure) for key in ("mean", "std")} for part in parts]
            means, spreads = _values(found, "mean") * 100, np.nan_to_num(_values(found, "std") * 100)
            band = np.stack([means - spreads, means + spreads])
            series.append(Series(shares, means, colour, bold=True, label=label, band=band))
    title = f"{task.name}: {MEASURES[measure]} of the test"
    return [draw(title, "%", series, along="share of the training examples, %")]


def draw(
    title: str,
    unit: str,
    series: Sequence[Series],
    *,
    floor: float | None = None,
    inches: tuple[float, float] = WIDE_INCHES,
    along: str = "steps",
    description: str = "",
) -> Plot:
    """Lines over steps, or what `along` says, as an SVG that scales with the page.

    The vertical axis begins at `floor`, if given. `description` tells those who can't see the lines what is in them.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=inches)
        axes = figure.add_axes(place_axes([one.label for one in series], *inches))
        for one in series:
            _line(axes, one)
        dress(axes, along, floor)
        ends = [(one, np.flatnonzero(np.isfinite(one.ys))) for one in series if one.label]
        write_labels(axes, [(one.xs[at[-1]], one.ys[at[-1]], one.label, one.colour) for one, at in ends if len(at)])
        svg = to_svg(figure, f"{title}, {unit}, over {along}", description)
    return Plot(title, unit, svg)


def bucket(values: NDArray[np.float64], count: int) -> list[NDArray[np.float64]]:
    """`values` [N] cut into at most `count` runs of nearly equal length, in order."""
    edges = np.linspace(0, len(values), min(count, len(values)) + 1).round().astype(np.int64)
    return [values[start:stop] for start, stop in pairwise(edges)]


def place_axes(labels: Sequence[str], width_inches: float, height_inches: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of the axes as shares of the drawing: equal in all, but for labels on the right.

    Far faster than letting matplotlib measure every text, and the axes of neighbouring plots line up.
    """
    left, right, bottom, top = 33.0, 5.0 + max(map(width_points, labels), default=0.0), 31.0, 5.0
    width, height = width_inches * POINTS_PER_INCH, height_inches * POINTS_PER_INCH
    return left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height


def width_points(text: str) -> float:
    """About how wide a label is; Korean letters are wider."""
    return sum(9.0 if east_asian_width(letter) in "WF" else 5.5 for letter in text)


def _line(axes: Axes, one: Series) -> None:
    """Draw a line with its band; a long one from the means of buckets, with their lowest and highest values."""
    known = np.isfinite(one.xs)
    xs, ys = one.xs[known], one.ys[known]
    lows, highs = (ys, ys) if one.band is None else one.band[:, known]
    colour, width = COLOURS[one.colour], 1.8 if one.bold else 0.8
    marker = "o" if (one.bold and len(xs) <= 30) or len(xs) == 1 else ""
    buckets = len(xs) > POINTS and np.isfinite(ys).all()
    if buckets:
        xs, ys = (np.array([part.mean() for part in bucket(values, POINTS)]) for values in (xs, ys))
        lows = np.array([part.min() for part in bucket(lows, POINTS)])
        highs = np.array([part.max() for part in bucket(highs, POINTS)])
    if buckets or one.band is not None:
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.18, linewidth=0)
    shape: dict[str, Any] = {"marker": marker, "markersize": 2.8, "linestyle": one.dashes}
    axes.plot(xs, ys, color=colour, linewidth=width, zorder=3 if one.bold else 2, **shape)


def dress(axes: Axes, along: str, floor: float | None = None) -> None:
    """Quiet axes: horizontal rules and short numbers; the vertical axis's unit stands in the caption."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlabel(along, loc="right", fontsize=8.5, color=COLOURS["muted"], labelpad=1)
    axes.grid(axis="y", color=COLOURS["rule"], linewidth=0.7)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=COLOURS["muted"], pad=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(COLOURS["rule"])
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=along == "steps", min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick(x)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: tick(y)))
    axes.margins(x=0.015)
    if floor is not None:
        axes.set_ylim(bottom=floor)


def tick(value: float) -> str:
    """A number on an axis, in few characters: 2500 -> 2.5k, 0.0003 -> 3e-4, 0.6931 as it is."""
    size = abs(value)
    if size >= 1_000:
        return f"{value / 1e6:g}M" if size >= 1e6 else f"{value / 1e3:g}k"
    if size >= 0.0095:
        return f"{value:.5g}"
    if size < 1e-12:  # What rounding leaves of a tick at 0.
        return "0"
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"


def write_labels(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write the labels of (x, y, label, colour) right of the axes, a thin line to each from its point.

    Labels that would meet are pushed apart.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    point = axes.figure.dpi / POINTS_PER_INCH  # in pixels
    pad, gap = 7 * point * (right - left) / axes.bbox.width, LINE_POINTS * point * (high - low) / axes.bbox.height
    ends = sorted(ends, key=lambda end: end[1])
    for (x, y, label, colour), shown_y in zip(ends, apart([end[1] for end in ends], gap, low, high), strict=True):
        axes.annotate(
            label,
            (x, y),
            xytext=(right + pad, shown_y),
            va="center",
            fontsize=9,
            color=COLOURS[colour],
            annotation_clip=False,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": COLOURS["faint"], "linewidth": 0.5, "relpos": (0.0, 0.5)},
        )


def apart(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending values, moved up and down alike so that neighbours are `gap` apart.

    They stay between `low` and `high`; where that is too little room, below `high`.
    """

    def raised(found: Iterable[float]) -> list[float]:
        return list(accumulate(found, lambda below, value: max(value, below + gap)))

    def lowered(found: Sequence[float]) -> list[float]:
        return list(accumulate(reversed(found), lambda above, value: min(value, above - gap)))[::-1]

    middle = [(up + down) / 2 for up, down in zip(raised(values), lowered(values), strict=True)]
    return lowered([*raised([low - gap, *middle])[1:], high + gap])[:-1]


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for one drawing: text as paths in a font that has Korean, ids from the drawing alone."""
    import matplotlib
    from matplotlib import font_manager

    spec = find_spec("koreanize_matplotlib")
    if spec and spec.origin and FONT not in {entry.name for entry in font_manager.fontManager.ttflist}:
        font_manager.fontManager.addfont(Path(spec.origin).parent / "fonts" / f"{FONT}.ttf")
    with (
        matplotlib.rc_context(
            {
                "svg.fonttype": "path",
                "svg.hashsalt": "cloze",
                "font.family": [FONT, "DejaVu Sans"],
                "axes.unicode_minus": False,
                "figure.facecolor": "none",
                "axes.facecolor": "none",
                "savefig.facecolor": "none",
            }
        ),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def to_svg(figure: Figure, label: str, description: str = "") -> Markup:
    """A drawing as an element of a page; `label` names it for those who can't see it, `description` is what it says."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return inline(file.getvalue(), label, description)


def inline(text: str, label: str, description: str = "") -> Markup:
    """What matplotlib wrote, as an element of a page: without prolog, comments and style; unique ids, CSS colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', text))
    prefix = f"p{zlib.crc32((label + text).encode()):08x}-"
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'xlink:href="#', f'href="#{prefix}', text).replace("url(#", f"url(#{prefix}")
    text = re.sub(r' d="[^"]+"', lambda m: re.sub(r"\d+\.\d+", lambda n: f"{float(n[0]):.2f}", m[0]), text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    viewbox = re.search(r'viewBox="[^"]+"', text)
    opening = f'<svg class="plot" {viewbox[0] if viewbox else ""} role="img" aria-label="{escape(label)}">'
    opening += f"<desc>{escape(description)}</desc>" if description else ""
    return Markup(re.sub(r"\s*\n\s*", "\n", opening + text[text.index(">") + 1 :]))


def _measures(targets: str) -> tuple[tuple[str, str, float], ...]:
    """Name, unit and factor of loss and accuracy."""
    return ("loss", f"nats, mean over {targets}", 1.0), ("accuracy", f"% of {targets}", 100.0)


def _series(lines: Sequence[Json], key: str, colour: str, factor: float = 1.0) -> Series:
    return Series(_values(lines, "step"), _values(lines, key) * factor, colour)


def _values(lines: Sequence[Json], key: str) -> NDArray[np.float64]:
    """The numbers under `key` [N], NaN where there is none."""
    return np.array([np.nan if (v := number(line.get(key))) is None else v for line in lines], dtype=np.float64)


def _best(guesses: dict[str, float], count: int) -> list[str]:
    return sorted(guesses, key=lambda word: -guesses[word])[:count]
