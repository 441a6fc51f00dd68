"""The kind of a file is in its content."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from cloze.corpus.readers import open_reader
from cloze.corpus.readers.namuwiki import NamuwikiReader
from cloze.corpus.readers.text import TextReader
from cloze.errors import ClozeError


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
    assert type(open_reader(path, "auto")) is kind


def test_a_named_kind_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"[{")
    assert type(open_reader(tmp_path / "a", "text")) is TextReader


def test_json_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "b"}\n')
    with pytest.raises(ClozeError, match=r"a\.jsonl begins with a JSON object.*JSON array of objects"):
        open_reader(tmp_path / "a.jsonl", "auto")
