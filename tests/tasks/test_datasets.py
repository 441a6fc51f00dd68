"""Reading labelled files: what is kept, what is counted, and what each kind of broken file is told."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import ClozeError
from cloze.tasks.datasets import Examples, columns_of, read_table
from cloze.tasks.faults import Faults


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
    assert examples.counts == {"examples": 3, "empty": 2, "recomposed": 0, "left_out": 0, "repeated_ids": 0}


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
        ("document\tlabel\n가\t0\n나\n", ["line 3", "1 tab-separated"]),
        ("document\tlabel\n가\t \n", ["line 2", "no label", "'label'"]),
        ("document;label\n가;0\n", ["it has 'document;label'", "semicolons between them", "save it with commas"]),
        ("document,label\n가,0\n", ["commas between them", "cut at tabs: call it .csv"]),
        ("document\tlabel\n", ["no examples"]),
        ("", ["is empty"]),
        ("document\tlabel\n가\t0\n".encode() + b"\xb0\xa1\t1\n", ["line 3", "byte 21", "0xb0", "iconv -f CP949"]),
        ("document\tlabel\n가\t0\n".encode("utf-16"), ["line 1", "byte 0", "iconv -f UTF-16"]),
    ],
)
def test_broken_files_are_named_with_their_place(tmp_path: Path, text: str | bytes, told: list[str]) -> None:
    with pytest.raises(ClozeError) as caught:
        read(table(tmp_path, text))
    for part in ["reviews.txt", *told]:
        assert part in str(caught.value)


def test_a_few_broken_lines_are_left_out_named_and_counted(tmp_path: Path) -> None:
    lines = [
        "id\tdocument\tlabel",
        *(f"{number}\t글\t{number % 2}" for number in range(30)),
        "30\t가\t나\t1",
        "",
        "31\t다\t ",
    ]
    with pytest.warns(
        UserWarning, match=r"2 of 32 examples .*line 32: 4 tab-separated .*; line 34: no label in column 'label'$"
    ):
        examples = read(table(tmp_path, "\n".join([*lines, ""])))
    assert (examples.counts["examples"], examples.counts["left_out"]) == (30, 2)
    assert examples.ids == [str(number) for number in range(30)]


def test_half_a_character_is_no_text(tmp_path: Path) -> None:
    lines = [json.dumps({"document": "😀", "label": number}) for number in range(20)] + [
        '{"document": "\\ud83d", "label": 1}'
    ]
    with pytest.warns(UserWarning, match=r"1 of 21 .*line 21: no JSON \(.*surrogates not allowed"):
        examples = read(table(tmp_path, "\n".join(lines), "a.jsonl"))
    assert set(examples.texts) == {"😀"}


@pytest.mark.parametrize("column", ["id", "guid"])
def test_ids_that_repeat_are_named_and_counted(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, f"{column}\tdocument\tlabel\n7\t가\t0\n8\t나\t1\n7\t다\t1\n")
    with pytest.warns(UserWarning, match=r"1 examples have an earlier one's id, .*line 4 has '7', the id of line 2"):
        examples = read(path)
    assert (examples.ids, examples.counts["repeated_ids"]) == (["7", "8", "7"], 1)


def test_a_text_of_a_csv_may_be_long(tmp_path: Path) -> None:
    long = "한국어 " * 50_000
    examples = read(table(tmp_path, f"document,label\n{long},0\n", "a.csv"))
    assert examples.texts == [long]


def test_an_open_quote_costs_the_row_it_stands_in(tmp_path: Path) -> None:
    rows = [f'"글 {number}, 하나",{number % 2}' for number in range(20)]
    rows[4] = '"열린 따옴표,1'
    with pytest.warns(
        UserWarning, match=r"1 of 20 examples .* line 6: '.*' expected after '\"', in the row that begins"
    ):
        examples = read(table(tmp_path, "\n".join(["document,label", *rows, ""]), "a.csv"))
    assert examples.texts == [f"글 {number}, 하나" for number in range(20) if number != 4]
    assert examples.lines[3:5] == [5, 7]


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"none\.txt cannot be read"):
        read(tmp_path / "none.txt")
    with pytest.raises(ClozeError, match="is a folder; expected a file"):
        read(tmp_path)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,text,label\n가,나,1\n", encoding="utf-8")
    with pytest.raises(ClozeError, match=r"a\.csv has 2 columns 'text', and which one is meant can't be told"):
        read_table(tmp_path / "a.csv", "text", "label")


def test_a_pair_has_two_columns_of_text(tmp_path: Path) -> None:
    path = table(tmp_path, "sentence1\tlabel\tsentence2\n\u1112\u1161\u11ab국\t0\t\n나\t1\t다\n")
    examples = read_table(path, "sentence1", "label", "sentence2")
    assert (examples.texts, examples.second, examples.labels) == (["한국", "나"], ["", "다"], ["0", "1"])
    assert (examples.counts["examples"], examples.counts["empty"], examples.counts["recomposed"]) == (2, 1, 1)
    assert read_table(path, "sentence1", "label").second is None
    with pytest.raises(ClozeError, match="no column 'sentence3'"):
        read_table(path, "sentence1", "label", "sentence3")


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r")), min_size=1))
def test_any_text_without_tab_and_line_end_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    body = "".join(f"{text}\t0\n" for text in texts)
    examples = read(table(tmp_path_factory.mktemp("any"), "document\tlabel\n" + body))
    assert examples.texts == [unicodedata.normalize("NFC", text) for text in texts]
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


def test_objects_without_the_text_or_with_a_list_are_left_out_and_named(tmp_path: Path) -> None:
    good = [{"text": f"글 {n}", "label": n % 2, "id": n} for n in range(40)]
    bad: list[dict[str, object]] = [{"label": 1}, {"text": ["a", "b"], "label": 1}, {"text": "a", "label": ["x"]}]
    records = [*good, *bad, {"text": None, "label": 0, "more": [1]}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    with pytest.warns(
        UserWarning, match=r"3 of 44 .*line 41: the object has no 'text'.*line 42: 'text' is a list"
    ) as told:
        found = read_table(path, "text", "label")
    assert "line 43: 'label' is a list, expected one value (of labels, several are for the kind" in str(told[0].message)
    assert (found.counts["left_out"], found.counts["empty"], found.texts[-1], found.labels[:2]) == (
        3,
        1,
        "",
        ["0", "1"],
    )
    assert found.ids[-2:] == ["39", ""]


def test_columns_of_json_are_those_that_any_object_has(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps([{"text": "가", "label": 1}, {"more": "나", "text": "다", "label": 0}]), encoding="utf-8"
    )
    assert columns_of(path, ["more", "text"], Faults(path), optional=["more"]) == (
        ["text", "more"],
        [(1, ["가", ""]), (2, ["다", "나"])],
    )
    with pytest.raises(ClozeError, match=r"no column 'x'; it has 'text', 'label', 'more'"):
        columns_of(path, ["x"], Faults(path))
