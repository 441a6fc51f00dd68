"""Reading labelled files: what is kept, what is counted, and what each kind of broken file is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import ClozeError
from cloze.tasks.datasets import Examples, read_table


def table(tmp_path: Path, text: str | bytes, name: str = "reviews.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path) -> Examples:
    return read_table(path, "document", "label")


def test_reads_what_stands_there_without_quoting(tmp_path: Path) -> None:
    path = table(tmp_path, 'id\tdocument\tlabel\n7\t"최고, 정말\t1\n8\t\t0\n9\t \t0\n')
    examples = read(path)
    assert examples.ids == ["7", "8", "9"]
    assert examples.texts == ['"최고, 정말', "", " "]
    assert examples.labels == ["1", "0", "0"]
    assert examples.counts == {"examples": 3, "empty": 2, "recomposed": 0}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_end", [True, False])
def test_line_ends_and_byte_order_mark_are_no_text(tmp_path: Path, end: str, last_end: bool) -> None:
    text = "\ufeffdocument\tlabel" + end + "가\t0" + end + "나\u2028다\t1" + (end if last_end else "")
    examples = read(table(tmp_path, text))
    assert examples.texts == ["가", "나\u2028다"]
    assert examples.labels == ["0", "1"]
    assert examples.ids == ["2", "3"], "without an id column the line number names an example"


def test_jamo_are_composed_and_counted(tmp_path: Path) -> None:
    examples = read(table(tmp_path, "document\tlabel\n\u1112\u1161\u11ab국\t0\nㅋㅋ\t1\n"))
    assert examples.texts == ["한국", "ㅋㅋ"]
    assert examples.counts["recomposed"] == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id\ttext\tlabel\n1\t가\t0\n", ["no column 'document'", "'id', 'text', 'label'"]),
        ("document\tlabel\n가\t0\n나\t다\t1\n", ["line 3", "3 tab-separated", "expected 2", "document, label"]),
        ("document\tlabel\n가\t0\n\n", ["line 3", "1 tab-separated"]),
        ("document\tlabel\n가\t \n", ["line 2", "no label", "'label'"]),
        ("document\tlabel\n", ["no examples"]),
        ("", ["is empty"]),
        ("document\tlabel\n가\t0\n".encode() + b"\xb0\xa1\t1\n", ["line 3", "byte 21", "0xb0", "iconv"]),
    ],
)
def test_broken_files_are_named_with_their_place(tmp_path: Path, text: str | bytes, told: list[str]) -> None:
    with pytest.raises(ClozeError) as caught:
        read(table(tmp_path, text))
    for part in ["reviews.txt", *told]:
        assert part in str(caught.value)


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"none\.txt cannot be read"):
        read(tmp_path / "none.txt")
    with pytest.raises(ClozeError, match="is a folder; expected a file"):
        read(tmp_path)


def test_a_pair_has_two_columns_of_text(tmp_path: Path) -> None:
    path = table(tmp_path, "sentence1\tlabel\tsentence2\n\u1112\u1161\u11ab국\t0\t\n나\t1\t다\n")
    examples = read_table(path, "sentence1", "label", "sentence2")
    assert (examples.texts, examples.second, examples.labels) == (["한국", "나"], ["", "다"], ["0", "1"])
    assert examples.counts == {"examples": 2, "empty": 1, "recomposed": 1}
    assert read_table(path, "sentence1", "label").second is None
    with pytest.raises(ClozeError, match="no column 'sentence3'"):
        read_table(path, "sentence1", "label", "sentence3")


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r")), min_size=1))
def test_any_text_without_tab_and_line_end_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    body = "".join(f"{text}\t0\n" for text in texts)
    examples = read(table(tmp_path_factory.mktemp("any"), "document\tlabel\n" + body))
    assert len(examples.texts) == len(texts)
    assert examples.counts["recomposed"] == sum(a != b for a, b in zip(texts, examples.texts, strict=True))


def test_the_real_files_are_read_whole(shared_data: Path) -> None:
    examples = read(shared_data / "nsmc" / "ratings_test.txt")
    assert examples.counts["examples"] == 25_000
    assert set(examples.labels) == {"0", "1"}


@pytest.mark.parametrize(
    ("name", "columns", "examples"),
    [
        ("korsts/sts-train.tsv", ("sentence1", "score", "sentence2"), 5_749),
        ("korsts/sts-dev.tsv", ("sentence1", "score", "sentence2"), 1_500),
        ("kornli/xnli.dev.ko.tsv", ("sentence1", "gold_label", "sentence2"), 2_490),
        ("question-pair/train.tsv", ("question1", "is_duplicate", "question2"), 6_136),
    ],
)
def test_published_pairs_are_read_whole(
    shared_data: Path, name: str, columns: tuple[str, str, str], examples: int
) -> None:
    found = read_table(shared_data / name, *columns)
    assert found.counts["examples"] == examples == len(found.second or ())


def test_columns_may_be_named_for_a_file_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    for header in ("", "sentence\tlabel\n"):
        path.write_text(f"{header}좋다\t1\n나쁘다\t0\n", encoding="utf-8")
        read = read_table(path, "sentence", "label", columns=["sentence", "label"])
        assert (read.texts, read.labels) == (["좋다", "나쁘다"], ["1", "0"])


def test_an_array_of_objects_is_read_with_what_stands_within(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    records = [{"a": f"글 {n}", "b": "둘", "labels": {"label": n / 2, "binary-label": 0}} for n in range(3)]
    path.write_text(json.dumps(records), encoding="utf-8")
    read = read_table(path, "a", "labels.label", "b")
    assert (read.texts, read.second, read.labels) == (["글 0", "글 1", "글 2"], ["둘"] * 3, ["0.0", "0.5", "1.0"])


@pytest.mark.parametrize(
    ("text", "told"), [("[1]", "object 1"), ('{"a": 1}', "holds no array"), ("[", "is no JSON")], ids=repr
)
def test_json_that_is_no_array_of_objects(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ClozeError, match=told):
        read_table(path, "a", "b")
