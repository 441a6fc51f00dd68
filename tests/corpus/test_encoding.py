"""UTF-8, CP949 where it is certain, and nothing by guessing."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.counts import Counts
from cloze.corpus.encoding import decode
from cloze.corpus.readers import open_reader
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

KOREAN = ["이 문서는 옛 글자표로 쓰였다.", "한글", "제1장, 總則 및 부칙", "ㅋㅋㅋ 재밌다", "아버지가\n방에"]


@pytest.mark.parametrize("text", KOREAN)
def test_korean_is_known(text: str) -> None:
    counts = Counts()
    assert decode(text.encode("cp949"), "auto", counts, "a:1") == text
    assert counts.changed["decoded from CP949"].examples == ["a:1"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf_8_is_always_taken_as_it_is(text: str) -> None:
    counts = Counts()
    assert decode(text.encode(), "auto", counts, "") == text
    assert not counts.changed


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Déjà vu à Genève, où l'été naît", "latin-1"),
        ("これは日本語の文章です。", "shift_jis"),
        ("中文文本是这样的", "gbk"),
    ],
)
def test_other_encodings_are_not_taken_for_korean(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "auto", Counts(), "") is None
    assert decode(text.encode(encoding), encoding, Counts(), "") == text


@given(st.binary())
def test_any_bytes_are_text_or_none(data: bytes) -> None:
    found = decode(data, "auto", Counts(), "")
    assert found is None or found.encode("cp949", "replace") == data or found.encode() == data


def test_an_encoding_must_be_one_of_text() -> None:
    assert CorpusSettings(encoding="euc-kr").encoding == "euc-kr"
    for name in ("utf-99", "base64"):
        with pytest.raises(ValueError, match="no encoding of text"):
            CorpusSettings(encoding=name)


def test_bytes_of_another_encoding_end_the_reading_for_good(tmp_path: Path) -> None:
    """Who reads on would splice what stands before them with what stands behind."""
    records = [{"namespace": "0", "title": f"{n}", "text": "가나다라 " * 40} for n in range(2_000)]
    text = json.dumps(records, ensure_ascii=False)
    path, half = tmp_path / "a.json", len(text) // 2
    path.write_bytes(
        codecs.BOM_UTF16_LE + text[:half].encode("utf-16-le") + b"\x00\xd8" + text[half:].encode("utf-16-le")
    )
    read: list[str] = []
    with pytest.raises(ClozeError, match="holds bytes that are not utf-16"):
        for document in open_reader(path, CorpusSettings(tolerate="nothing")).read(Counts()):
            read.append(document.title)
    assert read == [f"{n}" for n in range(len(read))] and 0 < len(read) <= 1_000
