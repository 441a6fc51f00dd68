"""Rows of a CSV are those of Python's reader; a quote that never closes hides none behind it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus import csv_rows as module
from cloze.corpus.csv_rows import csv_rows


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1)))
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    csv.writer(file := io.StringIO(newline="")).writerows(rows)
    assert [(fields, problem) for _, fields, problem in csv_rows(file.getvalue())] == [(row, "") for row in rows]


def test_a_quote_that_never_closes_hides_nothing() -> None:
    text = 'a,"b, still b"\n\nc,"never closed\n' + "d,e\n" * 40_000
    found = list(csv_rows(text))
    assert found[0] == (1, ["a", "b, still b"], "")
    assert found[1][:2] == (3, ["c", '"never closed']) and "unexpected end" in found[1][2]
    assert [fields for _, fields, _ in found[2:]] == [["d", "e"]] * 40_000 and found[2][0] == 4


def test_rows_behind_one_that_never_closes_are_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file without outer quotes each would be read to the end; one of several lines that closes is still one."""
    monkeypatch.setattr(module, "LONGEST_ROW", 600)
    monkeypatch.setattr(module, "LONGEST_BEHIND", 60)
    found = list(csv_rows('a","b\n' * 301 + '"x\ny",z\n'))
    assert [fields for _, fields, _ in found[:301]] == [['a"', '"b']] * 301
    assert found[0][2] == found[1][2] == "a quote that does not close"
    assert found[-1][1] == ["x\ny", "z"]
