"""ELECTRA and SpanBERT on the page: every objective and health figure by its name, and alarms at the top."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloze.objectives.replaced_tokens import FIGURES as MEASURED
from cloze.report.health import alarm_texts, health_table
from cloze.report.page import render
from cloze.report.plots import learning_plots
from cloze.report.run import read_run
from cloze.report.tables import pretraining_table, terminal_tables
from cloze.report.wording import FIGURES, OBJECTIVES

MakeRun = Callable[..., Path]


def rewrite(folder: Path, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> Path:
    path = folder / "pretraining" / "metrics.jsonl"
    lines = [new for line in path.read_text().splitlines() for new in change(json.loads(line))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def electra(line: dict[str, Any], *, recall: float = 0.61) -> list[dict[str, Any]]:
    """The line with a discriminator, which finds nothing at first: an alarm is raised at step 400."""
    early = line["step"] <= 1_000
    line |= {"replaced_tokens/loss": 0.21, "replaced_tokens/accuracy": 0.93, "replaced_tokens/fake_frac": 0.104}
    line |= {"replaced_tokens/recall": 0.0 if early else recall}
    line |= {} if early else {"replaced_tokens/precision": 0.84}
    alarm = {"kind": "alarm", "step": 400, "name": "replaced_tokens/recall", "text": "0.00% of them are found"}
    return [line, alarm] if line["kind"] == "train" and line["step"] == 400 else [line]


def test_every_figure_that_is_measured_has_a_name() -> None:
    assert tuple(FIGURES) == tuple(f"replaced_tokens/{name}" for name in MEASURED)
    assert {"replaced_tokens", "span_boundary"} <= OBJECTIVES.keys()


def test_the_tables_have_both_objectives_and_the_figures(make_run: MakeRun) -> None:
    run = read_run(rewrite(make_run(pairs=False), electra))
    table, health = pretraining_table(run), health_table(run)
    assert table is not None and health is not None
    assert [row[:3] for row in table.rows] == [("RTD", "0.210", "93.00"), ("Generator MLM", "4.659", "30.41")]
    assert "NSP" not in table.note
    assert list(health.rows) == [
        ("Replaced tokens, % of all tokens", "10.40", "10.40"),
        ("RTD precision, % of the tokens called replaced", "84.00", "84.00"),
        ("RTD recall, % of the replaced tokens", "61.00", "61.00"),
    ]


@pytest.mark.usefixtures("undrawn")
def test_every_figure_has_a_curve(make_run: MakeRun) -> None:
    plain = [plot.title for plot in learning_plots(read_run(make_run(pairs=False)))]
    assert plain == ["MLM loss", "MLM accuracy", "Learning rate", "Gradient norm"]
    found = learning_plots(read_run(rewrite(make_run(pairs=False), electra)))
    assert [plot.title for plot in found] == [
        *("Generator MLM loss", "Generator MLM accuracy", "RTD loss", "RTD accuracy"),
        *("Replaced tokens", "RTD precision", "RTD recall", "Learning rate", "Gradient norm"),
    ]
    assert found[6].unit == "% of the replaced tokens"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("recall", "over"), [(0.61, True), (0.002, False)])
def test_an_alarm_stands_at_the_top(make_run: MakeRun, recall: float, over: bool) -> None:
    folder = rewrite(make_run(pairs=False), lambda line: electra(line, recall=recall))
    run = read_run(folder)
    (text,) = alarm_texts(run)
    assert text.startswith("At step 400, 0.00% of them are found.")
    assert ("It was over at the last logged step." in text) == over
    page = render(run)
    assert page.index("Alarm.") < page.index('id="results"') and text in page
    assert any(text in str(part) for part in vars(terminal_tables(folder))["_renderables"])


@pytest.mark.usefixtures("undrawn")
def test_other_families_have_neither(make_run: MakeRun) -> None:
    run = read_run(make_run())
    assert health_table(run) is None and not alarm_texts(run)
    assert "Alarm." not in render(run)


@pytest.mark.usefixtures("undrawn")
def test_span_boundaries_have_their_row_and_curves(make_run: MakeRun) -> None:
    numbers = {"span_boundary/loss": 5.4, "span_boundary/accuracy": 0.123}
    run = read_run(rewrite(make_run(pairs=False), lambda line: [line | numbers]))
    table = pretraining_table(run)
    assert table is not None and [row[0] for row in table.rows] == ["SBO", "MLM"]
    assert {"SBO loss", "SBO accuracy", "MLM loss"} <= {plot.title for plot in learning_plots(run)}


def test_sentence_order_is_not_called_nsp(make_run: MakeRun) -> None:
    folder = make_run()
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("segment-pair", "sentence-order"))
    table = pretraining_table(read_run(folder))
    assert table is not None and [row[0] for row in table.rows] == ["SOP", "MLM"]


def test_the_page_needs_no_torch() -> None:
    code = "import sys, cloze.report.page; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
