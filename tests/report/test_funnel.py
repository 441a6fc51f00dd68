"""The funnel of the corpus on the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.report import tables
from cloze.report.funnel import funnel_table
from cloze.report.funnel import test_sets_table as sets_table
from cloze.report.page import render
from cloze.report.run import RunData, read_run

MakeRun = Callable[..., Path]


def run_with(folder: Path, counts: Counts) -> RunData:
    run = read_run(folder)
    run.manifests["corpus"]["counts"] = counts.to_json()
    return run


def counted() -> Counts:
    counts = Counts(bytes_read=100)
    counts.keep("train", Document("a:1", "", ["가나다.", "라마."]))
    counts.drop("near duplicate", documents=1, sentences=2, characters=10, example="<b>가나</b>")
    counts.drop("boilerplate line", sentences=1, characters=4, example="무단 전재 금지")
    counts.drop("white space", characters=3)
    counts.drop("redirect", documents=2, characters=20, example="넘겨주기")
    counts.tests = {"영화평": {"texts": 5000, "found": 3}}
    return counts


def test_rows_stand_in_the_order_of_the_steps_and_end_with_what_is_kept(make_run: MakeRun) -> None:
    table = funnel_table(run_with(make_run(), counted()))
    assert table is not None
    assert list(table.rows) == [
        ("Read", "–", "–", "–", "4", "5", "44"),
        ("Redirect", "2", "–", "20", "2", "5", "24"),
        ("White space", "–", "–", "3", "2", "5", "21"),
        ("Boilerplate line", "–", "1", "4", "2", "4", "17"),
        ("Near duplicate", "1", "2", "10", "1", "2", "7"),
    ]


def test_test_sets_are_listed(make_run: MakeRun) -> None:
    table = sets_table(run_with(make_run(), counted()))
    assert table is not None and list(table.rows) == [("영화평", "5,000", "3")]


def test_the_page_shows_steps_and_examples_escaped(make_run: MakeRun) -> None:
    run = run_with(make_run(), counted())
    html = render(run)
    assert "&lt;b&gt;가나&lt;/b&gt;" in html and "<b>가나</b>" not in html
    assert "Test texts in the corpus" in html
    kept = tables.corpus_table(run)
    assert kept is not None and [row[0] for row in kept.rows] == ["Kept", "Train"]
    assert "Funnel" not in kept.note


def test_counts_without_a_funnel_have_their_own_table(make_run: MakeRun) -> None:
    run = read_run(make_run())
    assert funnel_table(run) is None and sets_table(run) is None
    kept = tables.corpus_table(run)
    assert kept is not None and "Dropped: redirect" in [row[0] for row in kept.rows]
