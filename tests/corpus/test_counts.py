"""The books of a corpus."""

from __future__ import annotations

from pathlib import Path

from cloze.corpus.counts import Counts, Tally
from cloze.corpus.document import Document
from cloze.files import write_json


def test_three_short_examples_are_kept() -> None:
    counts = Counts()
    for number in range(5):
        counts.drop("redirect", documents=1, characters=10, example=f"{number}" * 150)
    dropped = counts.to_json()["dropped"]["redirect"]
    assert (dropped["documents"], dropped["characters"]) == (5, 50)
    assert dropped["examples"] == ["0" * 99 + "…", "1" * 99 + "…", "2" * 99 + "…"]


def test_examples_differ() -> None:
    tally, other = Tally(), Tally()
    for example in ("가", "가", "나"):
        tally.add(sentences=1, example=example)
    for example in ("가", "다"):
        other.add(sentences=1, example=example)
    tally.merge(other)
    assert (tally.sentences, tally.examples) == (5, ["가", "나", "다"])


def test_kept_documents_can_change_their_split() -> None:
    counts, document = Counts(), Document("a:1", "", ["가나.", "다."])
    counts.keep("train", document)
    counts.keep("train", document)
    counts.move(document, "train", "validation")
    one = {"documents": 1, "sentences": 2, "characters": 5}
    nothing = {"documents": 0, "sentences": 0, "characters": 0}
    assert counts.to_json() | {"bytes_read": 0} == {
        "kept": {"documents": 2, "sentences": 4, "characters": 10},
        "train": one,
        "validation": one,
        "dropped": {},
        "changed": {},
        "funnel": [{"step": "read", "dropped": nothing, "left": {"documents": 2, "sentences": 4, "characters": 10}}],
        "bytes_read": 0,
    }
    assert counts.documents == 2


def test_the_books_of_two_parts_add_up_and_keep_the_first_examples() -> None:
    first, second = Counts(bytes_read=1), Counts(bytes_read=2)
    for number in range(2):
        first.drop("short", documents=1, characters=5, example=f"a{number}")
        second.drop("short", documents=1, characters=7, example=f"b{number}")
    second.change("composed", characters=3)
    second.keep("train", Document("x", "", ["문장"]))
    first.merge(second)
    assert first.dropped["short"] == Tally(documents=4, characters=24, examples=["a0", "a1", "b0"])
    assert (first.changed["composed"].characters, first.documents, first.bytes_read) == (3, 1, 3)


def test_examples_can_be_written_whatever_is_in_them(tmp_path: Path) -> None:
    counts = Counts()
    counts.drop("redirect", documents=1, example="a\ud800b")
    write_json(tmp_path / "counts.json", counts.to_json())
    assert counts.dropped["redirect"].examples == ["a?b"]
