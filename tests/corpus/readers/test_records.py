"""Tables, columns and questions: a document a row, the bad row named and counted, the missing column an error."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from cloze.corpus import csv_rows
from cloze.corpus.counts import Counts
from cloze.corpus.readers import columns, open_reader
from cloze.corpus.readers import table as table_reader
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

from .conftest import Read

ROWS = [("첫째", "좋다. 정말 좋다.\n끝."), ("둘째", "한  문장")]
WANTED = [["좋다.", "정말 좋다.", "끝."], ["한 문장"]]


def json_lines() -> bytes:
    return "".join(json.dumps({"name": n, "body": b}, ensure_ascii=False) + "\n" for n, b in ROWS).encode()


def csv_text() -> bytes:
    return ("name,body\r\n" + "".join(f'{name},"{body}"\r\n' for name, body in ROWS)).encode()


def table() -> pa.Table:
    return pa.table({"body": [body for _, body in ROWS], "name": [name for name, _ in ROWS], "n": [1, 2]})


def parquet_bytes() -> bytes:
    parquet.write_table(table(), file := io.BytesIO())
    return file.getvalue()


def arrow_bytes(new: Callable[..., Any]) -> bytes:
    file = io.BytesIO()
    with new(file, table().schema) as writer:
        writer.write_table(table(), max_chunksize=1)
    return file.getvalue()


SOURCES: dict[str, Callable[[], bytes]] = {
    "a.jsonl": json_lines,
    "a.csv": csv_text,
    "a.parquet": parquet_bytes,
    "a.arrow": lambda: arrow_bytes(pa.ipc.new_file),
    "stream": lambda: arrow_bytes(pa.ipc.new_stream),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_row_is_a_document(name: str, read: Read, tmp_path: Path) -> None:
    documents, counts = read(SOURCES[name](), name=name, text_column="body", title_column="name")
    assert [document.sentences for document in documents] == WANTED
    assert [document.title for document in documents] == ["첫째", "둘째"]
    assert [document.id for document in documents] == [f"{name}:1", f"{name}:2"]
    assert counts.bytes_read == (tmp_path / name).stat().st_size
    assert counts.dropped["white space"].characters == 3


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("settings", "key"), [({}, "text_column"), ({"title_column": "x"}, "title_column")])
def test_a_missing_column_names_those_there_are(name: str, settings: dict[str, str], key: str, read: Read) -> None:
    settings = {"text_column": "body"} | settings if key == "title_column" else settings
    with pytest.raises(ClozeError, match=rf"has no column '.*'; it has .*'name'.*corpus\.{key}"):
        read(SOURCES[name](), name=name, **settings)


def test_a_tsv_has_no_quotes(read: Read) -> None:
    documents, _ = read('text\tlabel\n"최고, 정말\t1\n'.encode(), name="a.tsv")
    assert documents[0].sentences == ['"최고, 정말']


def test_bad_lines_of_json_are_named_and_the_rest_goes_on(read: Read) -> None:
    lines = [
        b'{"text": "a."}',
        b"{",
        b"",
        b"[1]",
        b'{"text": 3}',
        b'{"t": "b"}',
        b'{"text": "\xff"}',
        b'{"text": "c."}',
    ]
    documents, counts = read(b"\n".join(lines), kind="jsonl", name="a")
    assert [document.id for document in documents] == ["a:1", "a:7", "a:8"]
    assert documents[1].sentences == [] and counts.changed["bytes of an unknown encoding"].examples == ["a, line 7"]
    tally = counts.dropped["malformed record"]
    assert tally.documents == 4
    assert tally.examples[0].startswith("a, record 2: no JSON")
    assert tally.examples[1:] == ["a, record 4: an array, expected an object", "a, record 5: text is a number"]


def test_bad_rows_of_csv_are_named_and_the_rest_goes_on(read: Read) -> None:
    documents, counts = read(b"text,label\na.,1\nb.\n\nc.,1,2\nd.,1\n", name="a.csv")
    assert [document.sentences for document in documents] == [["a."], ["d."]]
    assert counts.dropped["malformed record"].examples[0] == "a.csv, record 2: 1 fields, expected 2, from line 3"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.csv", b"", "has no column 'text'; it has none"),
        ("a", parquet_bytes()[:-20], "cannot be read as a Parquet file"),
        ("a", arrow_bytes(pa.ipc.new_file)[:100], "cannot be read as an Arrow file"),
        ("a", b'{"data": [{"paragraphs": [{"context": "a."}]}, {"par', "ends in the middle, after article 2"),
        ("a", b'{"data": []}', "has no articles"),
    ],
)
def test_damaged_files_are_named(name: str, data: bytes, told: str, read: Read) -> None:
    with pytest.raises(ClozeError) as caught:
        read(data, name=name, text_column="body" if name == "a" else "text")
    assert f"/{name}" in str(caught.value) and told in str(caught.value)


def test_a_column_of_numbers_is_no_text(read: Read) -> None:
    with pytest.raises(ClozeError, match=r"column 'n' holds int64, expected text"):
        read(parquet_bytes(), text_column="n")


def test_nulls_are_counted(read: Read) -> None:
    parquet.write_table(pa.table({"text": ["a.", None]}), file := io.BytesIO())
    documents, counts = read(file.getvalue())
    assert len(documents) == 1
    assert counts.dropped["malformed record"].examples == ["source, record 2: text is null"]


def test_contexts_of_questions_are_documents(read: Read) -> None:
    article = {"title": "서울_특별시", "paragraphs": [{"context": "수도이다. 크다.", "qas": []}, {"qas": []}]}
    data = json.dumps({"version": "1.0", "data": [article, {"title": "x"}]}, ensure_ascii=False).encode()
    documents, counts = read(data)
    assert [(document.title, document.sentences) for document in documents] == [("서울 특별시", ["수도이다.", "크다."])]
    assert counts.dropped["malformed record"].documents == 2


def test_the_real_questions_are_read(shared_data: Path) -> None:
    reader = open_reader(shared_data / "korquad" / "KorQuAD_v1.0_dev.json", CorpusSettings())
    documents = list(reader.read(Counts()))
    assert len({document.title for document in documents}) == 140
    assert len(documents) == 964


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=5))
def test_any_text_in_json_is_read(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "a"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    documents = list(open_reader(path, CorpusSettings()).read(counts := Counts()))
    assert [document.text for document in documents] == texts and "malformed record" not in counts.dropped


def test_tables_may_be_in_cp949(read: Read) -> None:
    for name, data in (("a.csv", "text,label\n가나 다,1\n"), ("a.jsonl", '{"text": "가나 다"}\n')):
        documents, counts = read(data.encode("cp949"), name=name)
        assert documents[0].sentences == ["가나 다"]
        assert counts.changed["decoded from CP949"].documents == 0 < counts.changed["decoded from CP949"].characters


def test_no_record_is_left_out_where_nothing_may_be(read: Read) -> None:
    with pytest.raises(ClozeError, match=r"record 2: no JSON .* With corpus\.tolerate: records it would be left out"):
        read(b'{"text": "a"}\n{\n', kind="jsonl", tolerate="nothing")


def test_a_line_that_is_too_long_is_left_out_and_the_rest_goes_on(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_reader, "MAX_DOCUMENT_BYTES", 40)
    lines = [b'{"text": "a."}', b'{"text": "' + b"b" * 200 + b'"}', b'{"text": "c."}']
    documents, counts = read(b"\n".join(lines), kind="jsonl", name="a")
    assert [document.sentences for document in documents] == [["a."], ["c."]]
    assert counts.dropped["malformed record"].examples == ["a, line 2: 40 bytes or more"]


@pytest.mark.parametrize("before", [0, 3])
def test_a_quote_that_does_not_close_costs_its_row_only(read: Read, before: int) -> None:
    good, behind = b"a.,1\n" * before, b'b.,1\n"c\nd",2\ne.,3\n'
    documents, counts = read(b"text,label\n" + good + b'"lost,1\n' + behind, name="a.csv")
    assert [document.sentences for document in documents] == [["a."]] * before + [["b."], ["c", "d"], ["e."]]
    assert counts.dropped["malformed record"].documents == 1
    assert f"from line {before + 2};" in counts.dropped["malformed record"].examples[0]
    with pytest.raises(ClozeError, match=rf"record {before + 1}: "):
        read(b"text,label\n" + good + b'"lost,1\n' + behind, name="a.csv", tolerate="nothing")


def test_a_row_that_goes_on_and_on_is_given_up(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "LONGEST_ROW", 50)
    documents, counts = read(b'text,label\n"lost,1\n' + b"b.,2\n" * 100, name="a.csv")
    assert len(documents) == 100
    assert "more than 50 characters, or a quote" in counts.dropped["malformed record"].examples[0]


def test_rows_behind_one_that_is_given_up_are_given_up_sooner(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file without outer quotes every row would go on to the bound."""
    monkeypatch.setattr(csv_rows, "LONGEST_ROW", 1_000)
    monkeypatch.setattr(csv_rows, "LONGEST_BEHIND", 50)
    _, counts = read(b"text,label\n" + b'a","b\n' * 301, name="a.csv")
    told = counts.dropped["malformed record"]
    assert told.documents >= 300 and "more than 1,000 characters" in told.examples[0]
    assert "more than 50 characters" in told.examples[1]


@pytest.mark.parametrize("name", ["a.csv", "a.arrow", "a.parquet"])
def test_columns_of_one_name_are_refused(name: str, read: Read) -> None:
    columns = pa.table([["a."], ["b."]], names=["text", "text"])
    file = io.BytesIO(b"text,text\na.,b.\n")
    if name == "a.parquet":
        parquet.write_table(columns, file := io.BytesIO())
    elif name == "a.arrow":
        with pa.ipc.new_file(file := io.BytesIO(), columns.schema) as writer:
            writer.write_table(columns)
    with pytest.raises(ClozeError, match=r"has 2 columns 'text'\. Give each a name of its own"):
        read(file.getvalue(), name=name)


def test_a_column_may_be_title_and_text(read: Read) -> None:
    with pa.ipc.new_file(file := io.BytesIO(), pa.schema({"text": pa.string()})) as writer:
        writer.write_table(pa.table({"text": ["가."]}))
    documents, _ = read(file.getvalue(), name="a.arrow", title_column="text")
    assert (documents[0].title, documents[0].sentences) == ("가.", ["가."])


def test_a_header_that_cannot_be_read_is_told(read: Read) -> None:
    with pytest.raises(ClozeError, match=r"a\.csv, line 1: the names of the columns can't be read \(unexpected end"):
        read(b'text,"b\nx,y\n', name="a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_line_of_a_table_that_is_too_long_is_left_out(name: str, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_reader, "MAX_DOCUMENT_BYTES", 40)
    documents, counts = read(b"text\na.\n" + b"b" * 200 + b"\nc.\n", name=name)
    assert [document.id for document in documents] == [f"{name}:1", f"{name}:3"]
    assert "a line of 40 bytes or more" in counts.dropped["malformed record"].examples[0]


def _text_column(data: bytes, offsets: list[int], kind: pa.DataType) -> pa.Array:
    """A column that nobody checked."""
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32).tobytes()), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def _arrow_of(column: pa.Array) -> bytes:
    with pa.ipc.new_file(file := io.BytesIO(), pa.schema({"text": column.type})) as writer:
        writer.write_table(pa.table({"text": column}))
    return file.getvalue()


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_a_cell_that_is_no_text_costs_its_row_only(read: Read, kind: pa.DataType) -> None:
    column = _text_column("가.".encode("cp949") + b"\xff\xfeok", [0, 3, 5, 7], kind)
    parquet.write_table(pa.table({"text": column}), file := io.BytesIO())
    for data in (file.getvalue(), _arrow_of(column)):
        documents, counts = read(data, name="a")
        assert [document.sentences for document in documents] == [["가."], ["ok"]]
        assert counts.changed["decoded from CP949"].examples == ["a, record 1"]
        assert counts.dropped["malformed record"].examples == [
            "a, record 2: text is neither UTF-8 nor, for certain, CP949"
        ]


def test_offsets_that_point_elsewhere_are_found(read: Read) -> None:
    """Followed, they end the process."""
    with pytest.raises(SourceDamaged, match=r"cannot be read as an Arrow file .*out of bounds"):
        read(_arrow_of(_text_column(b"abc", [0, 1 << 30, 3], pa.string())))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["가", None, "가"]).dictionary_encode(),
        pa.array(["가", None, "가"], pa.large_string()),
        pa.array(["가", None, "가"], pa.string_view()),
    ],
    ids=lambda column: str(column.type),
)
def test_text_is_text_however_a_column_holds_it(read: Read, column: pa.Array) -> None:
    documents, counts = read(_arrow_of(column))
    assert [document.sentences for document in documents] == [["가"], ["가"]]
    assert counts.dropped["malformed record"].examples == ["source, record 2: text is null"]


def test_a_cell_that_is_too_long_is_left_out(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_DOCUMENT_BYTES", 10)
    documents, counts = read(_arrow_of(pa.array(["a." * 9, "b."])))
    assert [document.sentences for document in documents] == [["b."]]
    assert counts.dropped["malformed record"].examples == ["source, record 1: text is longer than 10 bytes"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_parquet_that_is_packed_is_refused_with_the_way_out(read: Read, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ClozeError, match=r"a Parquet file that is packed once more\. Unpack it first"):
        read(pack(parquet_bytes()), text_column="body")


def test_an_article_that_is_broken_costs_no_other(read: Read) -> None:
    articles = [{"title": f"{n}", "paragraphs": [{"context": f"글 {n}.", "qas": []}]} for n in range(4)]
    data = json.dumps({"version": "1", "data": articles}, ensure_ascii=False)
    documents, counts = read(data.replace('"title": "2"', '"title": "2').encode("utf-8-sig"), name="a")
    assert [document.title for document in documents] == ["0", "1", "3"]
    assert counts.dropped["malformed record"].examples[0].startswith("a, article 3: no JSON")
    assert [document.title for document in read(data.encode("cp949"))[0]] == ["0", "1", "2", "3"]
