from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cloze.report.guesses import PLOTTED_SENTENCES, gaps, spaced
from cloze.report.run import Json, RunData, read_run


@given(st.lists(st.integers(0, 10**6), unique=True), st.integers(2, 12))
def test_spaced_keeps_order_and_both_ends(steps: list[int], count: int) -> None:
    steps = sorted(steps)
    shown = spaced(steps, count)
    assert len(shown) <= count and shown == sorted(set(shown)) and set(shown) <= set(steps)
    assert not steps or (shown[0], shown[-1]) == (steps[0], steps[-1])


def test_every_gap_of_every_sentence(make_run: Callable[..., Path]) -> None:
    found = gaps(read_run(make_run()))
    assert [(gap.sentence, gap.place) for gap in found] == [
        ("이 영화 정말 [MASK]", 0),
        ("배우들의 [MASK]가 [MASK] 좋았다", 0),
        ("배우들의 [MASK]가 [MASK] 좋았다", 1),
    ]
    assert found[1].parts == [("배우들의 ", ""), ("MASK", "here"), ("가 ", ""), ("MASK", "gap"), (" 좋았다", "")]
    assert found[0].rows[-1][0] == 4_000 and found[0].rows[-1][1][0].token == "재밌"
    assert all(gap.plot for gap in found)


def test_guesses_are_best_first_and_the_last_word_on_a_step_counts(tmp_path: Path) -> None:
    def line(step: int, **words: float) -> dict[str, object]:
        guesses = [{"token": token, "probability": probability} for token, probability in words.items()]
        return {"step": step, "sentence": "a [MASK]", "guesses": [guesses]}

    run = RunData(tmp_path, guesses=[line(5, x=0.1, y=0.9), line(0, x=1.0), line(5, x=0.2, y=0.3)])
    (gap,) = gaps(run)
    assert [(step, [(guess.token, guess.probability) for guess in row]) for step, row in gap.rows] == [
        (0, [("x", 1.0)]),
        (5, [("y", 0.3), ("x", 0.2)]),
    ]


def test_many_sentences_keep_their_tables_and_lose_their_curves(tmp_path: Path) -> None:
    guesses = [[{"token": "x", "probability": 0.5}]]
    lines = [
        {"step": step, "sentence": f"{i} [MASK]", "guesses": guesses}
        for i in range(PLOTTED_SENTENCES + 2)
        for step in (0, 9)
    ]
    found = gaps(RunData(tmp_path, guesses=lines))
    assert len(found) == PLOTTED_SENTENCES + 2
    assert [bool(gap.plot) for gap in found] == [True] * PLOTTED_SENTENCES + [False] * 2


def test_lines_of_another_shape_are_left_out(tmp_path: Path) -> None:
    lines: list[Json] = [
        {"step": None},
        {"step": 1, "guesses": 3},
        {"step": 1, "sentence": "s", "guesses": [None, [{"token": 1}]]},
    ]
    assert [gap.rows for gap in gaps(RunData(tmp_path, guesses=lines))] == [[], []]
