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


def test_lines_of_two_encodings_are_read_and_counted(read: Read) -> None:
    data = "가나다\n\n라마\n바".encode() + "한글".encode("cp949")
    documents, counts = read(data, name="bad.txt")
    assert documents[1].sentences[0] == "라마" and documents[1].sentences[1].startswith("바")
    assert counts.changed["bytes of an unknown encoding"].examples == ["bad.txt, line 4"], "a line of both at once"
    documents, counts = read("가나다\n".encode() + "한글입니다\n".encode("cp949") + "끝\n".encode())
    assert documents[0].sentences == ["가나다", "한글입니다", "끝"]
    assert counts.changed["decoded from CP949"].examples == ["source, line 2"]


@pytest.mark.parametrize("encoding", ["utf-16", "cp949", "utf-8-sig"])
def test_other_encodings_are_known_by_their_bytes(read: Read, encoding: str) -> None:
    documents, _ = read("한글입니다.\n\n둘째 문서, 漢字도 있다.".encode(encoding))
    assert [document.sentences for document in documents] == [["한글입니다."], ["둘째 문서, 漢字도 있다."]]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_an_encoding_whose_line_breaks_are_wide_may_be_named(read: Read, encoding: str) -> None:
    lines = {"text": "한글.\n둘째.\n", "csv": "text\n한글.\n둘째.\n", "jsonl": '{"text":"한글."}\n{"text":"둘째."}'}
    for kind, data in lines.items():
        documents, counts = read(data.encode(encoding), kind=kind, encoding=encoding)
        assert [text for document in documents for text in document.sentences] == ["한글.", "둘째."]
        assert not counts.changed


def test_utf_16_without_its_mark_is_taken_for_that_of_windows(read: Read) -> None:
    assert read("한글.\n둘째.".encode("utf-16-le"), encoding="utf-16")[0][0].sentences == ["한글.", "둘째."]


def test_what_is_no_utf_16_is_taken_out_and_counted(read: Read) -> None:
    data = "가나.\n".encode("utf-16") + b"\x00\xd8" + "다.\n라".encode("utf-16-le") + b"\xac"
    documents, counts = read(data)
    assert documents[0].sentences == ["가나.", "다.", "라"]
    assert counts.changed["bytes of an unknown encoding"].characters == 2
    with pytest.raises(ClozeError, match=r"source holds bytes that are not utf-16.*corpus\.tolerate"):
        read(data, tolerate="nothing")


def test_a_long_line_is_cut_between_words_in_any_encoding(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "가나 다라마 바사아 자차카타 파하 " * 9
    for size in range(30, 40):
        monkeypatch.setattr(text, "MAX_BYTES", size)
        documents, counts = read(line.encode("cp949"))
        assert " ".join(sentence for document in documents for sentence in document.sentences) == line.strip()
        assert "bytes of an unknown encoding" not in counts.changed


def test_an_encoding_may_be_named(read: Read) -> None:
    assert read("café é".encode("latin-1"), encoding="latin-1")[0][0].sentences == ["café é"]
    documents, counts = read("é".encode("latin-1") * 9)
    assert documents[0].sentences == [] and counts.changed["bytes of an unknown encoding"].characters == 9


def test_nothing_bad_passes_where_nothing_may(read: Read) -> None:
    with pytest.raises(ClozeError, match=r"source, line 3 holds bytes that are neither UTF-8 nor, for certain, CP949"):
        read("가\n나\n".encode() + b"\xff\xfa\n", tolerate="nothing")


def test_a_character_that_is_cut_off_is_counted(read: Read) -> None:
    documents, counts = read("가나".encode()[:-1])
    assert documents[0].sentences == ["가"]
    assert counts.changed["bytes of an unknown encoding"].characters == 1


def test_long_document_becomes_several(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_LINES", 3)
    documents, counts = read("\n".join("가나다라마바사").encode())
    assert [document.sentences for document in documents] == [["가", "나", "다"], ["라", "마", "바"], ["사"]]
    assert counts.changed["long document cut in pieces"].documents == 2


def test_long_line_is_cut_between_characters(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_BYTES", 31)
    documents, counts = read(b"a\n" + "가나다라마바사아자차카타파하".encode())
    assert (
        "".join(sentence for document in documents for sentence in document.sentences)
        == "a가나다라마바사아자차카타파하"
    )
    assert counts.changed["long line cut in pieces"].examples == ["source, line 2"]
    assert "bytes of an unknown encoding" not in counts.changed


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


def test_lines_may_be_paragraphs(read: Read) -> None:
    (document,), counts = read("문이 열렸다. 바람이 분다\n끝이다. \n".encode(), kind="text", lines="prose")
    assert document.sentences == ["문이 열렸다.", "바람이 분다", "끝이다."]
    assert counts.dropped["white space"].characters == 4
