"""Bars, lines and silence."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cloze.progress import Progress, RichProgress, Silent


def work(progress: Progress) -> None:
    with progress.stage("corpus [ko]", total=3, unit="documents") as meter:
        for _ in range(3):
            meter.advance()
        meter.note("[MASK] kept as it is")


def test_a_log_gets_plain_lines() -> None:
    log = io.StringIO()
    work(RichProgress(Console(file=log, width=200), line_every_s=0.0))
    lines = log.getvalue().splitlines()
    assert lines[:2] == ["corpus [ko]", "corpus [ko]: 1 of 3 documents"]
    assert lines[4] == "corpus [ko]: 3 of 3 documents  [MASK] kept as it is"
    assert lines[5].startswith("corpus [ko]: 0.")
    assert "\x1b" not in log.getvalue()


def test_lines_are_rare_by_default() -> None:
    log = io.StringIO()
    work(RichProgress(Console(file=log)))
    begun, ended = log.getvalue().splitlines()
    assert begun == "corpus [ko]" and ended.startswith("corpus [ko]: 0.")


def test_a_terminal_gets_a_bar_and_a_last_line() -> None:
    screen = io.StringIO()
    work(RichProgress(Console(file=screen, force_terminal=True, width=120)))
    assert "3 of 3 documents" in screen.getvalue()
    assert "corpus [ko]: 0." in screen.getvalue()


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    work(Silent())
    assert capsys.readouterr() == ("", "")
