"""What a user's file is taken for, and how a tenth of it is set apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import ClozeError
from cloze.tasks.datasets import Examples, read_table
from cloze.tasks.own import Kind, describe, kind_of_labels, write_split


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["good", "bad"], "classification"),
        (["1", "2", "5"], "classification"),
        (["1.0", "2.0"], "classification"),
        (["1", "2.5"], "regression"),
        ([str(number) for number in range(21)], "regression"),
        ([*map(str, range(30)), "x"], "regression"),
        ([*map(str, range(30)), "x", "y", "z", "w"], "classification"),
        (["a", "b", "a,b"], "multi_label"),
        (["a, c", "", "b,c", "a"], "multi_label"),
        (["Paris, France", "London, UK"], "classification"),
        (["nan", "1"], "classification"),
    ],
)
def test_the_kind_follows_from_the_labels(labels: list[str], kind: Kind) -> None:
    assert kind_of_labels(labels) == kind


def examples(folder: Path, rows: list[tuple[str, str]], name: str = "a.tsv") -> Examples:
    text = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)
    (folder / name).write_text(text, encoding="utf-8")
    return read_table(folder / name, "text", "label")


def test_a_tenth_is_set_apart_by_what_the_texts_say(tmp_path: Path) -> None:
    rows = [(f"글 {number % 500}", str(number % 2)) for number in range(1000)]
    split = write_split(examples(tmp_path, rows), None, tmp_path / "one", "classification")
    train, test = (read_table(path, "text", "label") for path in (split.train, split.test))
    assert split.counts["train"] + split.counts["test"] == 1000
    assert 60 < split.counts["test"] < 140
    assert not set(train.texts) & set(test.texts), "equal texts are on one side"
    again = write_split(examples(tmp_path, [*rows[::-1], ("new", "1")]), None, tmp_path / "two", "classification")
    moved = read_table(again.test, "text", "label")
    assert set(moved.texts) - {"new"} == set(test.texts), "order and other rows move nothing"


def test_a_test_file_is_taken_as_it_is(tmp_path: Path) -> None:
    ours, theirs = examples(tmp_path, [("a", "0"), ("b", "1")]), examples(tmp_path, [("c", "1")], "b.tsv")
    split = write_split(ours, theirs, tmp_path / "out", "classification")
    assert read_table(split.test, "text", "label").texts == ["c"]
    assert split.counts == {"train": 2, "test": 1, "moved": 0, "spaced": 0, "left_out": 0}


def test_a_label_that_only_the_test_would_have_is_learned_from(tmp_path: Path) -> None:
    rows = [(f"글 {number}", str(number % 2)) for number in range(200)]
    plain = write_split(examples(tmp_path, rows), None, tmp_path / "plain", "classification")
    tested = read_table(plain.test, "text", "label").texts[0]
    rare = [(text, "rare" if text == tested else label) for text, label in rows] + [(tested, "0")]
    split = write_split(examples(tmp_path, rare), None, tmp_path / "rare", "classification")
    train, test = (read_table(path, "text", "label") for path in (split.train, split.test))
    assert "rare" in train.labels and "rare" not in test.labels
    assert split.counts["moved"] == 2 and tested not in test.texts, "equal texts stay together"
    assert split.counts["train"] + split.counts["test"] == 201


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"a\.tsv has 1 examples, too few .* \(--test\)"):
        write_split(examples(tmp_path, [("a", "0")]), None, tmp_path, "classification")


def test_line_breaks_of_a_csv_become_spaces_and_are_counted(tmp_path: Path) -> None:
    rows = "".join(f'"line {i}\nnext, ""quoted""\t",{i % 2}\n' for i in range(60))
    (tmp_path / "a.csv").write_text("review,stars\n" + rows, encoding="utf-8")
    found = read_table(tmp_path / "a.csv", "review", "stars")
    assert found.texts[0] == 'line 0\nnext, "quoted"\t'
    assert found.lines[:2] == [3, 5]
    split = write_split(found, None, tmp_path, "classification")
    assert split.counts["spaced"] == 60
    assert read_table(split.train, "text", "label").texts[0].startswith("line ")


def test_json_lines_are_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"t": "가", "y": 4.5}\n\n{"y": 2, "t": "나"}\n', encoding="utf-8")
    found = read_table(path, "t", "y")
    assert (found.texts, found.labels, found.lines) == (["가", "나"], ["4.5", "2"], [1, 3])
    path.write_text('{"t": "가", "y": 1}\n[1]\n', encoding="utf-8")
    with pytest.raises(ClozeError, match=r"a\.jsonl, line 2: .* is no object"):
        read_table(path, "t", "y")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('a,b\n"x,1\n', "line 2: unexpected end of data"),
        ('"x', "line 1: unexpected end of data"),
        ("a,b\nx\n", "line 2: 1 comma-separated"),
    ],
)
def test_a_broken_csv_is_told(tmp_path: Path, body: str, told: str) -> None:
    (tmp_path / "a.csv").write_text(body, encoding="utf-8")
    with pytest.raises(ClozeError, match=told):
        read_table(tmp_path / "a.csv", "a", "b")


def test_what_was_understood(tmp_path: Path) -> None:
    rows = dict(describe(examples(tmp_path, [("가나다", "b"), ("가나다", "b"), ("", "a")]), "classification"))
    assert rows["Kind"] == "classification of texts"
    assert rows["Examples"] == "3, 1 empty texts"
    assert rows["Left out"] == "0 rows"
    assert rows["Characters a text"] == "median 3, longest 3"
    assert rows["Repeated"].startswith("1 examples")
    assert rows["2 classes"] == "b 66.7%, a 33.3%"
    assert "Imbalance" not in rows
    lopsided = dict(describe(examples(tmp_path, [("x", "a")] * 20 + [("y", "b")]), "classification"))
    assert lopsided["Imbalance"] == "a is 20 times as frequent as b"
    numbers = dict(describe(examples(tmp_path, [("x", "1"), ("y", "4.5")]), "regression"))
    assert numbers["Numbers"] == "1 to 4.5, mean 2.75"


@given(st.lists(st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8")), min_size=30, max_size=60))
def test_no_row_is_lost(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    found = examples(folder, [(text, str(place)) for place, text in enumerate(texts)])
    try:
        split = write_split(found, None, folder / "out", "classification")
    except ClozeError:
        return
    sides = [read_table(path, "text", "label").labels for path in (split.train, split.test)]
    assert sorted(map(int, sides[0] + sides[1])) == list(range(len(texts)))
