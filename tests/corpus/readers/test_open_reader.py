"""The kind of a file is in its content."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from cloze.corpus.readers import open_reader
from cloze.corpus.readers.columns import ArrowReader, ParquetReader
from cloze.corpus.readers.namuwiki import NamuwikiReader
from cloze.corpus.readers.squad import SquadReader
from cloze.corpus.readers.table import CsvReader, JsonLinesReader, TsvReader
from cloze.corpus.readers.text import TextReader
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'[{"title": ', NamuwikiReader),
        (b"\xef\xbb\xbf \n [\n {", NamuwikiReader),
        (b"[]", NamuwikiReader),
        ("[공지] 글입니다.".encode(), TextReader),
        (b'["a"]', TextReader),
        (b"{text}", TextReader),
        (b"", TextReader),
    ],
)
def test_auto_looks_at_the_content(tmp_path: Path, pack: type[bytes], data: bytes, kind: type) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(pack(data))
    assert type(open_reader(path, CorpusSettings())) is kind


def test_a_named_kind_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"[{")
    assert type(open_reader(tmp_path / "a", CorpusSettings(kind="text"))) is TextReader


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a", b'{"text": "a"}\n{"text": "b"}\n', JsonLinesReader),
        ("a", b'{"text": "one line that is longer than what is looked at' + b"a" * 5_000, JsonLinesReader),
        ("a", b'{"version": "1", "data": [{"title": "t", "paragraphs": []}]}', SquadReader),
        ("a", b'{\n  "data": [\n    {"paragraphs": []}]}', SquadReader),
        ("a", b"PAR1....", ParquetReader),
        ("a", b"ARROW1\0\0", ArrowReader),
        ("a", b"\xff\xff\xff\xff\x10\0\0\0", ArrowReader),
        ("a.csv", b"text,label\na,1\n", CsvReader),
        ("a.TSV.gz", gzip.compress(b"text\tlabel\n", mtime=0), TsvReader),
        ("a.csv", b'[{"title": ', NamuwikiReader),
    ],
)
def test_records_are_known_by_their_beginning_and_tables_by_their_name(
    tmp_path: Path, name: str, data: bytes, kind: type
) -> None:
    (tmp_path / name).write_bytes(data)
    assert type(open_reader(tmp_path / name, CorpusSettings())) is kind


def test_an_object_over_several_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{\n  "text": "a"\n}\n')
    with pytest.raises(ClozeError, match=r"a\.json begins with a JSON object that goes on for several lines.*jq -c"):
        open_reader(tmp_path / "a.json", CorpusSettings())


def test_many_comments_take_no_time(tmp_path: Path) -> None:
    """A pattern that tries every way to read them takes years for forty."""
    path = tmp_path / "a.xml"
    path.write_text("<?xml version='1.0'?>\n" + "<!-- a -->\n" * 200 + "<TEI>\n", encoding="utf-8")
    assert type(open_reader(path, CorpusSettings(sources=[path]))).__name__ == "TextReader"
    path.write_text("<!-- a -->\n <!-- b -->\n<html><p>가</p></html>", encoding="utf-8")
    assert type(open_reader(path, CorpusSettings(sources=[path]))).__name__ == "HtmlReader"
