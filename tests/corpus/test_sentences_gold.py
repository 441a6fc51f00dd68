"""The rules against sentences whose ends are marked by hand; the rules were made on one half only (`development`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloze.corpus.sentences import split_sentences

GOLD = Path(__file__).parent / "sentences_gold.txt"
"""Paragraphs, a sentence a line; the first line of each is `# half genre`. Written for cloze, before the rules."""
FINAL_MARK = re.compile(r"[.!?…][\"'”’)]*$")


def paragraphs(half: str = "") -> list[list[str]]:
    blocks = [block.split("\n") for block in GOLD.read_text("utf-8").strip().split("\n\n")]
    return [lines for header, *lines in blocks if header.startswith(f"# {half}")]


def test_the_set_is_as_large_and_as_hard_as_it_is_said_to_be() -> None:
    sentences = [sentence for paragraph in paragraphs() for sentence in paragraph]
    assert len(sentences) >= 320
    assert sum(not FINAL_MARK.search(sentence) for sentence in sentences) >= len(sentences) / 3
    assert all(2 <= len(paragraph) <= 6 for paragraph in paragraphs())
    halves = [len(paragraphs("development")), len(paragraphs("test"))]
    assert sum(halves) == len(paragraphs()) and abs(halves[0] - halves[1]) <= 1


@pytest.mark.parametrize(("half", "f1"), [("development", 0.97), ("test", 0.94)])
def test_ends_inside_of_paragraphs_are_found(half: str, f1: float) -> None:
    found = marked = right = 0
    for paragraph in paragraphs(half):
        got, want = split_sentences(" ".join(paragraph)), [f"{sentence} " for sentence in paragraph]
        found_ends, marked_ends = ({len("".join(s[:n])) for n in range(1, len(s))} for s in (got, want))
        found, marked = found + len(found_ends), marked + len(marked_ends)
        right += len(found_ends & marked_ends)
    assert 2 * right / (found + marked) > f1
