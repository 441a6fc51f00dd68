from __future__ import annotations

import math

import pytest

from cloze.report.intervals import Row, draw_costs, draw_intervals

NAN = math.nan


def test_every_observation_is_drawn() -> None:
    few = draw_intervals("nsmc", "%", [("", [Row("a", 80.0, 79.0, 81.0, (79.5, 80.5))])]).svg
    more = draw_intervals("nsmc", "%", [("", [Row("a", 80.0, 79.0, 81.0, (79.5, 80.0, 80.2, 80.5))])]).svg
    assert more.count("<use") - few.count("<use") >= 2


def test_the_numbers_are_told_in_words() -> None:
    rows = [Row("a", 80.0, 79.0, 81.0), Row("b", 70.0, NAN, NAN), Row("<c>", NAN, NAN, NAN, (), "no cell has finished")]
    svg = draw_intervals("nsmc", "Accuracy, %", [("corpus wiki", rows)]).svg
    assert "corpus wiki: a: 80.00 [79.00, 81.00]; corpus wiki: b: 70.00;" in svg
    assert "&lt;c&gt;: no cell has finished</desc>" in svg and "<text" not in svg


@pytest.mark.parametrize(
    "rows",
    [
        [Row("alone", 80.0, NAN, NAN)],
        [Row("none", NAN, NAN, NAN)],
        [Row("no mean", NAN, NAN, NAN, (80.0,), "a run has no score"), Row("equal", 80.0, 80.0, 80.0, (80.0, 80.0))],
        [Row("아주 긴 이름의 변형 하나, 그리고 또 하나의 값과 다른 값 " * 2, 80.0, -20.0, 180.0)],
        [Row("$x^{", 80.0, NAN, NAN)],
    ],
)
def test_odd_rows_are_drawn(rows: list[Row]) -> None:
    assert draw_intervals("t", "%", [("", rows), ("$y^{", rows)]).svg.startswith("<svg")


def test_costs_are_drawn_and_told() -> None:
    rows = [Row("a", 80.0, 79.0, 81.0), Row("b", 70.0, NAN, NAN)]
    svg = draw_costs("nsmc", "Accuracy, %", "minutes", rows, [2.0, 0.0], [("accent", "o"), ("ink", "s")]).svg
    assert "a: 80.00 [79.00, 81.00] at 2; b: 70.00 at 0</desc>" in svg
