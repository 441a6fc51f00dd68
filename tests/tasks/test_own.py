"""What a user's file is taken for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError
from cloze.recipe import TaskSettings
from cloze.tasks.datasets import read_table
from cloze.tasks.own import Kind, describe, kind_of_labels
from cloze.tasks.task import kind_of


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
        (["1\x1f", "", "2\x1f"], "multi_label"),  # lists of JSON
        (["a, c", "", "b,c", "a"], "multi_label"),
        (["Paris, France", "London, UK"], "classification"),
        (["nan", "1"], "classification"),
        (["1.5", "2.25", "NaN", "inf"], "regression"),  # what a table or JSON has where a number is missing
    ],
)
def test_the_kind_follows_from_the_labels(labels: list[str], kind: Kind) -> None:
    assert kind_of_labels(labels) == kind


def test_line_breaks_of_a_csv_stay(tmp_path: Path) -> None:
    rows = "".join(f'"line {i}\nnext, ""quoted""\t",{i % 2}\n' for i in range(60))
    (tmp_path / "a.csv").write_text("review,stars\n" + rows, encoding="utf-8")
    found = read_table(tmp_path / "a.csv", "review", "stars")
    assert found.texts[0] == 'line 0\nnext, "quoted"\t'
    assert found.lines[:2] == [3, 5]


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


def understood(folder: Path, text: str, name: str = "a.tsv", **settings: Any) -> dict[str, str]:
    """What a file with this text is described as."""
    (folder / name).write_text(text, encoding="utf-8")
    given = {"name": "own", "train": folder / name, "test": folder / name, "text_column": "text", **settings}
    task = TaskSettings.model_validate(given)
    return dict(describe(kind_of(task.kind).read(folder / name, task), task))


def test_tables(tmp_path: Path) -> None:
    rows = understood(tmp_path, "text\tlabel\n가나다\tb\n가나다\tb\n\ta\n")
    assert rows["Kind"] == "classification of texts"
    assert rows["Examples"] == "3, 1 empty texts"
    assert rows["Left out"] == "0 rows"
    assert rows["Characters a text"] == "median 3, longest 3"
    assert rows["Repeated"].startswith("1 examples")
    assert rows["2 classes"] == "b 66.7%, a 33.3%"
    assert "Imbalance" not in rows
    lopsided = understood(tmp_path, "text\tlabel\n" + "x\ta\n" * 20 + "y\tb\n")
    assert lopsided["Imbalance"] == "a is 20 times as frequent as b"
    numbers = understood(tmp_path, "text\tlabel\nx\t1\ny\t4.5\n", kind="regression")
    assert numbers["Numbers"] == "1 to 4.5, mean 2.75"
    several = understood(tmp_path, "text\tlabel\nx\ta,b\ny\ta\nz\t\nw\t\n", kind="multi_label")
    assert (several["Kind"], several["2 labels"]) == ("multi-label classification of texts", "a 50.0%, b 25.0%")
    pairs = understood(tmp_path, "text\tt\tlabel\nx\ty\ta\nx\tz\tb\n", second_text_column="t")
    assert (pairs["Kind"], pairs["Repeated"][0]) == ("classification of pairs of texts", "0")


def test_tags(tmp_path: Path) -> None:
    text = "나는 서울에\tO B-LC\n나는 서울에\tO B-LC\n김 씨는 간다\tB-PS I-PS O\n"
    rows = understood(tmp_path, text, kind="tagging")
    assert rows["Kind"] == "tagging of words"
    assert rows["Examples"] == "3 sentences of 7 words, 0 empty"
    assert rows["Characters a sentence"] == "median 6, longest 7"
    assert rows["Repeated"] == "1 examples have the text of an earlier one"
    assert rows["Entities"] == "3" and rows["2 types of entity"] == "LC 66.7%, PS 33.3%"
    letters = understood(tmp_path, "서\tB-LC\n울\tI-LC\n \tO\n네\tO\n", kind="tagging", tag_format="characters")
    assert (letters["Kind"], letters["Examples"]) == (
        "tagging of characters",
        "1 sentences of 3 characters, 0 empty",
    )


def test_questions(tmp_path: Path) -> None:
    asked = [
        {"id": "1", "question": "누구?", "answers": [{"text": "김", "answer_start": 0}]},
        {"id": "2", "question": "어디?", "answers": [{"text": "서울", "answer_start": 0}]},
        {"id": "3", "question": "언제?", "answers": [], "is_impossible": True},
        {"id": "4", "question": "왜?", "answers": [{"text": "부산", "answer_start": 0}]},
    ]
    whole = {"data": [{"title": "t", "paragraphs": [{"context": "김 씨는 서울에 간다", "qas": asked}]}]}
    with pytest.warns(UserWarning, match="2 answers don't stand where it says"):
        rows = understood(tmp_path, json.dumps(whole), "a.json", kind="question_answering")
    assert rows["Kind"] == "question answering"
    assert rows["Examples"] == "4 questions on 1 texts, 0 empty"
    assert rows["Without an answer"] == "1 (25.0%)"
    assert rows["Left out"] == "0 questions"
    assert rows["Misplaced answers"] == "1 found elsewhere in the text, 1 not found"
    assert rows["Not learned from"] == "1 questions none of whose answers was found"
    assert rows["Characters a text"] == "median 11, longest 11"
    assert rows["Characters an answer"] == "median 2, longest 2"


def test_choices(tmp_path: Path) -> None:
    rows = ["글\t뭐?\t하나\t둘\t\tA", "글\t뭐?\t하나\t둘\t셋\tB", "글\t뭐?\t하나\t둘\t\tA", "말\t뭐?\t하나\t둘\t셋\tC"]
    text = "\n".join(["text\tquestion\tA\tB\tC\tlabel", *rows])
    found = understood(tmp_path, text, kind="multiple_choice", option_columns=["A", "B", "C"])
    assert found["Kind"] == "multiple choice"
    assert found["Examples"] == "4 questions on 2 texts, 0 empty texts or options"
    assert found["Options a question"] == "2 to 3"
    assert found["The right one"] == "option 1 50.0%, option 2 25.0%, option 3 25.0%"
    assert found["Repeated"] == "1 examples have the text, question and options of an earlier one"
