"""Plain text: documents, lines, and what is said about bytes that are no text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.convert import convert
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.readers import text
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

Read = Callable[..., tuple[list[Document], Counts]]


def test_lines_are_sentences_and_blank_lines_end_documents(read: Read) -> None:
    documents, counts = read("\ufeff가 나.\r\n\n \n\n다\t 라.\n마.".encode(), name="a.txt")
    assert documents == [Document("a.txt:1", "", ["가 나."]), Document("a.txt:2", "", ["다 라.", "마."])]
    assert counts.bytes_read == 31
    assert not counts.changed
    assert {reason: tally.characters for reason, tally in counts.dropped.items()} == {"extra white space": 2}


@pytest.mark.parametrize("data", [b"", b"\n\n \n"])
def test_no_text_gives_no_document(read: Read, data: bytes) -> None:
    assert read(data)[0] == []


@pytest.mark.parametrize("space", ["\u3000", "\u00a0 ", "\t\u2003", "\r"])
def test_a_line_of_any_white_space_is_blank(read: Read, space: str) -> None:
    assert [document.sentences for document in read(f"가\n{space}\n나".encode())[0]] == [["가"], ["나"]]


def test_line_of_invisible_characters_gives_no_sentence(read: Read) -> None:
    documents, counts = read("가\n\u200b\n나".encode())
    assert documents[0].sentences == ["가", "나"]
    assert counts.dropped["unprintable characters"].characters == 1


def test_broken_utf8_names_file_line_and_byte(read: Read) -> None:
    data = "가나다\n\n라마\n바".encode() + "한글".encode("cp949")
    with pytest.raises(
        ClozeError, match=r"bad\.txt, line 4: byte 21 .* 0xc7, is not UTF-8.* iconv -f CP949 -t UTF-8 bad\.txt"
    ):
        read(data, name="bad.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "cp949", "latin-1"])
def test_other_encodings_are_refused(read: Read, encoding: str) -> None:
    with pytest.raises(ClozeError, match="is not UTF-8"):
        read(("é" * 9 if encoding == "latin-1" else "한글입니다").encode(encoding))


def test_cut_in_the_middle_of_a_character_is_an_error(read: Read) -> None:
    with pytest.raises(ClozeError, match="ends in the middle of a character, at byte 3 "):
        read("가나".encode()[:-1])


def test_long_document_becomes_several(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_LINES", 3)
    documents, counts = read("\n".join("가나다라마바사").encode())
    assert [document.sentences for document in documents] == [["가", "나", "다"], ["라", "마", "바"], ["사"]]
    assert counts.changed["long document cut in pieces"].documents == 2


def test_long_line_is_an_error(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_BYTES", 30)
    assert len(read("가나다\n".encode() * 8)[0]) == 3
    with pytest.raises(ClozeError, match=r"line 2 has 30 bytes or more.*one sentence a line"):
        read(b"a\n" + b"b" * 40)


@given(
    st.lists(st.lists(st.sampled_from(["가 나다.", "Hello.", "ㅋㅋㅋ", "3.5"]), min_size=1), max_size=5),
    st.sampled_from(["\n", "\r\n"]),
)
def test_written_documents_are_read_again(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]], end: str
) -> None:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes((end * 2).join(end.join(lines) for lines in texts).encode())
    raw = text.TextReader(path, CorpusSettings()).read(counts := Counts())
    assert [convert(document, counts).sentences for document in raw] == texts
