from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.report.plots import COLOURS, POINTS, Series, apart, bucket, draw, guess_plot, tick


def series(count: int, label: str = "") -> Series:
    xs = np.arange(count, dtype=np.float64)
    return Series(xs, np.sin(xs), "accent", label=label)


@given(st.integers(0, 2_000), st.integers(1, 300))
def test_buckets_are_the_curve_cut_evenly(length: int, count: int) -> None:
    values = np.arange(length, dtype=np.float64)
    parts = bucket(values, count)
    assert np.array_equal(np.concatenate([*parts, np.empty(0)]), values)
    assert len(parts) == min(length, count)
    assert not parts or max(map(len, parts)) - min(map(len, parts)) <= 1


def test_colours_are_variables_of_the_page() -> None:
    svg = draw("Loss", "nats", [series(50)]).svg
    assert "var(--accent)" in svg and "var(--muted)" in svg
    assert not any(colour in svg for colour in COLOURS.values())


def test_text_is_drawn_as_paths_in_a_korean_font() -> None:
    svg = draw("Guesses", "%", [series(5, "재밌")]).svg
    assert "<text" not in svg and "<style" not in svg and "http" not in svg
    assert svg.count("NanumGothic") > 5 and "DejaVu" not in svg


def test_korean_labels_have_their_own_shapes() -> None:
    assert draw("a", "b", [series(5, "재")]).svg != draw("a", "b", [series(5, "밌")]).svg


def test_long_curves_get_no_longer() -> None:
    short, long = (len(draw("Loss", "nats", [series(count)]).svg) for count in (POINTS, 200_000))
    assert long < 6 * short


def test_a_long_curve_keeps_its_peaks_as_a_band() -> None:
    flat, spiked = np.zeros(3_000), np.zeros(3_000)
    spiked[1_234] = 1.0
    plots = [draw("Norm", "", [Series(np.arange(3_000.0), ys, "muted")]).svg for ys in (flat, spiked)]
    assert all("fill-opacity" in svg for svg in plots) and plots[0] != plots[1]


@pytest.mark.parametrize(
    "ys", [[], [1.0], [np.nan, np.nan], [2.0, 2.0, 2.0], [0.0, 1e-9], [1e12, -1e12], [1.0, np.nan, 3.0]]
)
def test_odd_curves_are_drawn(ys: list[float]) -> None:
    one = Series(np.arange(len(ys), dtype=np.float64), np.array(ys, dtype=np.float64), "accent", label="$x^{")
    assert draw("Odd", "", [one]).svg.startswith("<svg")


def test_a_band_is_drawn_around_a_line() -> None:
    one = series(400)
    banded = replace(one, band=np.stack([one.ys - 1, one.ys + 1]), dashes="--")
    plain, drawn = draw("Loss", "nats", [one]).svg, draw("Loss", "nats", [banded], description="Ends at 2 < 3.").svg
    assert "stroke-dasharray" in drawn and "stroke-dasharray" not in plain
    assert "<desc>Ends at 2 &lt; 3.</desc>" in drawn


@given(st.lists(st.floats(0, 100), max_size=12).map(sorted), st.floats(0.5, 8))
def test_labels_are_moved_apart_and_stay_in_the_axes(values: list[float], gap: float) -> None:
    moved = apart(values, gap, 0.0, 100.0)
    assert len(moved) == len(values)
    assert all(after - before >= gap - 1e-9 for before, after in pairwise(moved))
    assert all(-1e-9 <= value <= 100.0 for value in moved)


def test_labels_that_are_apart_stay_where_they_are() -> None:
    assert apart([1.0, 5.0, 9.0], 3.0, 0.0, 10.0) == [1.0, 5.0, 9.0]


def test_labels_that_meet_part_evenly() -> None:
    assert apart([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]
    assert apart([9.5, 9.5], 2.0, 0.0, 10.0) == [8.0, 10.0]
    assert apart([1.0, 1.0, 1.0], 2.0, 0.0, 3.0) == [-1.0, 1.0, 3.0], "too little room: below the top"


def test_words_are_labels_not_formulas_and_titles_are_escaped() -> None:
    steps, guesses = [0.0, 10.0], [{"$": 0.5, "\\frac": 0.2, "-->": 0.1}] * 2
    svg = guess_plot('"<script>', steps, guesses).svg
    assert "<script" not in svg and "-->" not in svg and "&lt;script&gt;" in svg


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(
            (0.0, "0"),
            (1e-17, "0"),
            (3e-4, "3e-4"),
            (0.00025, "2.5e-4"),
            (0.01, "0.01"),
            (0.6931, "0.6931"),
            (7.5, "7.5"),
        ),
        *((950.0, "950"), (1_000.0, "1k"), (2_500.0, "2.5k"), (1_500_000.0, "1.5M"), (-20.0, "-20")),
    ],
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert tick(value) == text
