"""Every reader on bytes of any kind and on damaged files of its own: documents, or one error that a user can act on."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from cloze.corpus.convert import convert
from cloze.corpus.counts import Counts
from cloze.corpus.readers import READERS, open_reader
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

RECORDS = [{"namespace": "0", "title": "가", "text": "'''나'''는 [[다]].\n둘째 줄.", "contributors": ["a"]}] * 3
TABLE = pa.table({"text": ["가.", "나. 다."], "title": ["a", "b"]})
PACKERS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress]
ENCODINGS = ["auto", "utf-8", "cp949", "utf-16", "utf-16-be", "utf-32"]
TOLERATED = ["nothing", "records", "cut files"]
any_settings = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _parquet() -> bytes:
    parquet.write_table(TABLE, file := io.BytesIO())
    return file.getvalue()


def _arrow() -> bytes:
    with pa.ipc.new_file(file := io.BytesIO(), TABLE.schema) as writer:
        writer.write_table(TABLE)
    return file.getvalue()


PAGE = "<page><title>가</title><ns>0</ns><revision><text>'''나'''는 [[다]].</text></revision></page>"
QUESTIONS = {"data": [{"title": "a", "paragraphs": [{"context": "가. 나.", "qas": []}]}] * 2}
GOOD: dict[str, bytes] = {
    "text": "가나다.\n라마.\n\n둘째 문서.\n".encode(),
    "namuwiki": json.dumps(RECORDS, ensure_ascii=False).encode(),
    "jsonl": "".join(json.dumps(record) + "\n" for record in RECORDS).encode(),
    "csv": b'text,title\n"a, b.",c\n"d\ne",f\n',
    "tsv": b"text\ttitle\na b.\tc\n",
    "parquet": _parquet(),
    "arrow": _arrow(),
    "squad": json.dumps(QUESTIONS).encode(),
    "wikipedia": f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{PAGE * 2}</mediawiki>'.encode(),
    "html": "<!doctype html><html><title>가</title><body><p>나 <b>다</b>.<table><tr><td>라</table></html>".encode(),
    "markdown": "# 가\n\n나 **다**.\n\n- 라\n".encode(),
}


def read(path: Path, kind: str, encoding: str = "auto", tolerate: str = "records") -> None:
    counts, chosen = Counts(), {"kind": kind, "encoding": encoding, "tolerate": tolerate}
    try:
        for raw in open_reader(path, CorpusSettings.model_validate(chosen)).read(counts):
            for text in (*convert(raw, counts).sentences, raw.id):
                text.encode()
    except ClozeError as error:
        assert "\n" not in str(error) and len(str(error)) < 1_000


@pytest.mark.parametrize("kind", ["auto", *READERS])
@given(data=st.binary(max_size=300), encoding=st.sampled_from(ENCODINGS), tolerate=st.sampled_from(TOLERATED))
@example(data=b"ab\n", encoding="utf-16", tolerate="records")  # has no mark, which Python wants
@example(data=b"a", encoding="utf-16", tolerate="records")
@any_settings
def test_any_bytes(tmp_path: Path, kind: str, data: bytes, encoding: str, tolerate: str) -> None:
    (tmp_path / "a").write_bytes(data)
    read(tmp_path / "a", kind, encoding, tolerate)


@pytest.mark.parametrize("kind", GOOD)
@given(data=st.data())
@any_settings
def test_damaged_files(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    """A piece is cut out, changed or put in, of the file or of its packed form, and the end may be missing."""
    pack = data.draw(st.sampled_from(PACKERS))
    before = data.draw(st.booleans())
    content = GOOD[kind] if before else pack(GOOD[kind])
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, min(len(content), begin + 8)))
    content = content[:begin] + data.draw(st.binary(max_size=8)) + content[end:]
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    (tmp_path / "a").write_bytes(pack(content) if before else content)
    read(tmp_path / "a", data.draw(st.sampled_from([kind, "auto"])))


def test_every_kind_is_tried() -> None:
    assert GOOD.keys() == READERS.keys()
