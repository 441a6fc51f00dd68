from __future__ import annotations

import pytest

from cloze.report import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "–"), (0, "0"), (950, "950"), (999.7, "1.00 k"), (8_473_600, "8.47 M"), (16_384_000, "16.4 M")),
        *((246e6, "246 M"), (999_600_000, "1.00 B"), (9.996e6, "10.0 M")),
    ],
)
def test_compact(value: float | None, text: str) -> None:
    assert wording.compact(value) == text


@pytest.mark.parametrize(
    ("elapsed_s", "text"),
    [
        *((None, "–"), (0.42, "0.4 s"), (59.9, "59.9 s"), (59.97, "1.0 min"), (75, "1.2 min"), (3569, "59.5 min")),
        *((3599, "1 h 0 min"), (5520, "1 h 32 min"), (360_000, "100 h 0 min")),
    ],
)
def test_duration(elapsed_s: float | None, text: str) -> None:
    assert wording.duration(elapsed_s) == text


def test_percent_and_spread() -> None:
    assert wording.percent(0.88314) == "88.31"
    assert wording.with_spread("88.31", "0.12") == "88.31 ± 0.12"
    assert wording.with_spread("88.31", wording.percent(None)) == "88.31"


def test_shortened_is_one_line() -> None:
    assert wording.shortened("가\n나  다") == "가 나 다"
    assert wording.shortened("가" * 200, 10) == "가" * 9 + "…"


def test_humanised() -> None:
    assert wording.humanised("tokens_per_word") == "Tokens per word"
