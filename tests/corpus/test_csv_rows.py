"""Rows of a CSV are those of Python's reader; a quote that never closes hides none behind it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus import csv_rows as module
from cloze.corpus.csv_rows import Row, csv_rows


def read(text: str) -> list[Row]:
    """The rows of a text that have fields."""
    return [row for row in csv_rows(io.StringIO(text, newline="")) if row.fields]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1)))
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    csv.writer(file := io.StringIO(newline="")).writerows(rows)
    found = read(file.getvalue())
    assert [(row.fields, row.problem) for row in found] == [(row, "") for row in rows]
    lines = list(io.StringIO(file.getvalue(), newline=""))
    ends = [0, *(row.ends for row in found)]
    assert [row.begins for row in found] == [end + 1 for end in ends[:-1]] and ends[-1] == len(lines)


def test_a_quote_that_never_closes_hides_nothing() -> None:
    text = 'a,"b, still b"\n\nc,"never closed\n' + "d,e\n" * 40_000
    found = read(text)
    assert found[0] == (1, 1, ["a", "b, still b"], "")
    assert found[1][:3] == (3, 3, ["c", '"never closed']) and "unexpected end" in found[1].problem
    assert [row.fields for row in found[2:]] == [["d", "e"]] * 40_000 and found[2].begins == 4


def test_rows_behind_one_that_never_closes_are_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file without outer quotes each would be read to the end; one of several lines that closes is still one."""
    monkeypatch.setattr(module, "LONGEST_ROW", 600)
    monkeypatch.setattr(module, "LONGEST_BEHIND", 60)
    found = read('a","b\n' * 301 + '"x\ny",z\n')
    assert [row.fields for row in found[:301]] == [['a"', '"b']] * 301
    assert found[0].problem == "more than 600 characters, or a quote that does not close"
    assert found[1].problem == "more than 60 characters, or a quote that does not close"
    assert found[-1].fields == ["x\ny", "z"]


def test_a_line_that_is_too_long_costs_its_row_alone() -> None:
    found = list(csv_rows(['a,"b\n', None, 'c"\n', "d,e\n"]))
    assert [(row.begins, row.fields) for row in found if not row.problem] == [(3, ['c"']), (4, ["d", "e"])]
    assert [row.begins for row in found if row.problem] == [1, 2]
