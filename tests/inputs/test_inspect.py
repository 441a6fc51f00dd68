"""Decoded rows: what a reader of `cloze inspect` sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from cloze.inputs.batch import to_torch
from cloze.inputs.inspect import render

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeTokenizer


def shown(
    tokenizer: FakeTokenizer, *, pairs: bool, colour: bool = False, format: str = "segment-pair", unit: str = "token"
) -> str:
    """Two rows: one with all three kinds of targets inside words, one with none."""
    ids = np.array([2, 5, 6, 4, 3, 100, 9, 3, 2, 7, 8, 3, 10, 3])
    targets = {"masked_tokens": (np.array([3, 5, 6]), np.array([8, 50, 9]))}
    if pairs:
        targets["sentence_pair"] = (np.array([0, 8]), np.array([0, 1]))
    segments = np.array([0] * 5 + [1] * 3 + [0] * 4 + [1] * 2)
    offsets = np.array([0, 8, 14], dtype=np.int32)
    places = np.array([*range(8), *range(6)])
    batch = to_torch((ids, places, segments, offsets), np.array([12_345, 6]), targets)
    console = Console(width=100, force_terminal=colour, color_system="truecolor" if colour else None)
    with console.capture() as capture:
        console.print(render(batch, tokenizer, title="step 7", format=format, unit=unit))
    return capture.get()


def test_rows_read_without_colours(tokenizer: FakeTokenizer) -> None:
    text = shown(tokenizer, pairs=True)
    assert "step 7: 2 rows of 6 to 8 tokens, 14 in all" in text
    assert "row 12,345 · 8 tokens · 3 targets · B follows A" in text
    assert "row 6 · 6 tokens · 0 targets · B is random" in text
    assert "[CLS] w5w6 {w8→[MASK]} [SEP] {w50→w100}{w9→w9} [SEP]" in text
    assert "[CLS] w7 w8 [SEP] w10 [SEP]" in text
    assert "{word→[MASK]} masked" in text


def test_rows_without_pairs_have_no_pair_label(tokenizer: FakeTokenizer) -> None:
    assert "B is" not in shown(tokenizer, pairs=False)


@pytest.mark.parametrize("style", ["\x1b[1;37;41m{w8→[MASK]}", "\x1b[1;30;43m{w50→w100}", "\x1b[1;30;42m{w9→w9}"])
def test_kinds_of_targets_have_their_colours(tokenizer: FakeTokenizer, style: str) -> None:
    assert style in shown(tokenizer, pairs=True, colour=True)


def test_segments_have_their_colours(tokenizer: FakeTokenizer) -> None:
    text = shown(tokenizer, pairs=True, colour=True)
    assert "\x1b[36mw10" in text and "\x1b[36mw7" not in text


def test_part_of_a_character_is_shown_as_its_vocabulary_entry(tokenizer: FakeTokenizer) -> None:
    class Bytes(type(tokenizer)):  # type: ignore[misc]
        """Byte-level: half of a syllable is no text."""

        def decode(self, ids: list[int]) -> str:
            return "\ufffd" if 50 in ids else super().decode(ids)

    assert "{w50→w100}" in shown(Bytes(), pairs=False)


@pytest.mark.parametrize(
    ("format", "names"),
    [
        ("segment-pair", ("B follows A", "B is random")),
        ("sentence-pair", ("B follows A", "B is random")),
        ("sentence-order", ("in order", "swapped")),
    ],
)
def test_labels_are_named_after_the_format(tokenizer: FakeTokenizer, format: str, names: tuple[str, str]) -> None:
    text = shown(tokenizer, pairs=True, format=format)
    assert f"3 targets · {names[0]}" in text and f"0 targets · {names[1]}" in text


@pytest.mark.parametrize(("unit", "name"), [("span", "span"), ("ngram", "n-gram")])
def test_spans_stand_in_marks_and_are_counted(tokenizer: FakeTokenizer, unit: str, name: str) -> None:
    text = shown(tokenizer, pairs=False, unit=unit)
    assert "w5w6 «{w8→[MASK]}» [SEP] «{w50→w100}{w9→w9}» [SEP]" in text
    assert f"3 targets in 2 {name}s" in text and f"0 targets in 0 {name}s" in text
    assert f"«{{a→b}} {{c→d}}» one {name}" in text
    assert "«" not in shown(tokenizer, pairs=False)


def test_parts_of_a_row_that_is_cut_have_its_number(tokenizer: FakeTokenizer) -> None:
    ids = np.array([2, 5, 3, 2, 7, 8, 3, 2, 10, 3])
    offsets = np.array([0, 3, 7, 10], dtype=np.int32)
    arrays = (ids, np.array([0, 1, 2, 0, 1, 2, 3, 0, 1, 2]), np.zeros_like(ids), offsets)
    batch = to_torch(arrays, np.array([40, 7]), {}, np.array([2, 1]))
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render(batch, tokenizer))
    text = capture.get()
    assert "rows: 2 rows of 3 to 7 tokens, 10 in all" in text
    for heading in ("row 40, part 1 of 2 · 3 tokens", "row 40, part 2 of 2 · 4 tokens", "row 7 · 3 tokens"):
        assert heading in text
