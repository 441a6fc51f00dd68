"""What a user's file is for, by its shape."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError
from cloze.tasks.shapes import shape_of

QUESTION = {"article": "a", "questions": ["b"], "options": [["c", "d"]], "answers": ["A"]}
ROW = {"text": "a", "question": "b", "A": "c", "B": "d", "label": "A"}


@pytest.mark.parametrize(
    ("name", "text", "shape"),
    [
        ("a.tsv", "text\tlabel\n좋다\t1\n", {}),
        ("a.csv", "text,label\na,1\n", {}),
        ("a.tsv", "나는 서울에\tO LOC-B\n간다\tO\n", {"kind": "tagging", "tag_format": "sentences"}),
        ("a.tsv", "나는\tO\n서울에\tB-LOC\n\n간다\tO\n", {"kind": "tagging", "tag_format": "words"}),
        ("a.tsv", "## klue-1\n나\tO\n \tO\n서\tB-LC\n", {"kind": "tagging", "tag_format": "characters"}),
        ("a.tsv", "EU NNP B-ORG\nrejects VBZ O\n", {"kind": "tagging", "tag_format": "words"}),
        ("a.tsv", "EU\tNNP\tB-ORG\nrejects\tVBZ\tO\n", {"kind": "tagging", "tag_format": "words"}),
        (
            "a.tsv",
            "나는 서울에\tO LOC-B\n" * 20 + "간다 간다\tO\n간다\n",
            {"kind": "tagging", "tag_format": "sentences"},
        ),
        ("a.tsv", "나는 서울에\tO LOC-B\n" * 3 + "간다\n", {}),
        ("a.tsv", "text\tlabel\n" + "좋다\tO\n" * 30, {}),
        ("a.csv", "text,question,A,B,C,label\n", {"kind": "multiple_choice", "option_columns": ["A", "B", "C"]}),
        (
            "a.jsonl",
            '{"text": "a", "question": "b", "A": "c", "B": "d"}',
            {"kind": "multiple_choice", "option_columns": ["A", "B"]},
        ),
        ("a.json", json.dumps({"data": [{"paragraphs": []}]}), {"kind": "question_answering"}),
        ("a.jsonl", json.dumps(QUESTION), {"kind": "multiple_choice"}),
        ("a.json", json.dumps(QUESTION, indent=1), {"kind": "multiple_choice"}),
        ("a.json", json.dumps([QUESTION] * 300, indent=1), {"kind": "multiple_choice"}),
        ("a.json", json.dumps([QUESTION] * 3000), {"kind": "multiple_choice"}),
        ("a.json", json.dumps([ROW], indent=1), {"kind": "multiple_choice", "option_columns": ["A", "B"]}),
        ("a.json", "[]", {}),
        ("a.json", '["a"]', {}),
        ("a.jsonl", '{"text": "a", "label": "b"}', {}),
        ("a.tsv", "", {}),
    ],
)
def test_shapes(tmp_path: Path, name: str, text: str, shape: dict[str, Any]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert shape_of(tmp_path / name) == shape


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"text,label\ra,1\rb,0\r"),  # an old Mac's
        ("a.csv", "text,label\na,1\n".encode("utf-16")),  # Excel's "Unicode text"
        ("a.csv", gzip.compress(b"text,label\na,1\n")),
        ("a.csv", b'"text,label\na,1\n'),
    ],
)
def test_bytes_that_are_no_lines_of_utf8_have_no_shape(tmp_path: Path, name: str, data: bytes) -> None:
    """What they are is told when they are read."""
    (tmp_path / name).write_bytes(data)
    assert shape_of(tmp_path / name) == {}


def test_a_folder_has_questions_and_options(tmp_path: Path) -> None:
    assert shape_of(tmp_path) == {"kind": "multiple_choice"}
    with pytest.raises(ClozeError, match=r"none\.tsv cannot be read"):
        shape_of(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("naver-ner/test.tsv", "tagging"),
        ("korquad/KorQuAD_v1.0_dev.json", "question_answering"),
        ("nsmc/ratings_test.txt", None),
        ("klue-nli/klue-nli-v1.1_dev.json", None),
        ("sst2/dev.tsv", None),
    ],
)
def test_published_files_have_their_shapes(shared_data: Path, file: str, kind: str | None) -> None:
    assert shape_of(shared_data / file).get("kind") == kind
