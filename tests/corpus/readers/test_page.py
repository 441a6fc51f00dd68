"""Files of HTML and Markdown, and columns with markup."""

from __future__ import annotations

import pytest

from cloze.errors import ClozeError
from tests.corpus.readers.conftest import Read

PAGE = (
    "<!DOCTYPE html><html><head><title> 밤의\n정원 </title><style>p {}</style></head><body><nav>메뉴</nav><h1>제목</h1>"
    "<p>가<b>나</b> <a href=x>다</a></p></body></html>"
)


def test_files_and_columns(read: Read) -> None:
    documents, counts = read(PAGE.encode(), name="page.txt")
    assert [(document.title, document.sentences[0]) for document in documents] == [("밤의 정원", "가나 다")]
    assert counts.dropped["markup and white space"].characters > 50
    documents, _ = read("# 가\n\n**나**다.".encode(), name="글.md")
    assert [(document.title, document.sentences) for document in documents] == [("글", ["나다."])]
    documents, _ = read(b'{"text": "<p>a</p><p>b</p>"}\n', text_markup="html")
    assert documents[0].sentences == ["a", "b"]
    documents, _ = read(b"text,n\n[[a|b]],1\n", name="a.csv", text_markup="mediawiki")
    assert documents[0].sentences == ["b"]


def test_characters_of_entities_are_cleaned(read: Read) -> None:
    documents, _ = read("<html><p>가&#8203;나&#x1112;&#x1161;&#x11ab;</html>".encode())
    assert documents[0].sentences == ["가나한"]
    text = "<html><p>가&#8203;나</html>"
    _, counts = read(text.encode())
    lost = {name: sums.characters for name, sums in counts.dropped.items()}
    assert lost.pop("unprintable characters") == 1 and sum(lost.values()) == len(text) - 1 - 2, "each is counted once"


def test_what_cannot_be_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("가나다".encode("cp949"), name="a.md")[0][0].sentences == ["가나다"]
    with pytest.raises(ClozeError, match="neither UTF-8 nor, for certain, CP949"):
        read(b"# \xff", name="a.md", tolerate="nothing")
    monkeypatch.setattr("cloze.corpus.readers.page.MAX_BYTES", 10)
    documents, counts = read(b"# longer than it", name="a.md")
    assert documents == []
    assert counts.dropped["malformed record"].examples == ["a.md, page 1: longer than 10 bytes"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp949"])
def test_a_page_may_be_in_a_named_encoding(read: Read, encoding: str) -> None:
    data = "<!doctype html><title>제목</title><p>한글이다.".encode(encoding)
    documents, counts = read(data, kind="html", encoding=encoding)
    assert (documents[0].title, documents[0].sentences) == ("제목", ["한글이다."])
    assert not counts.changed
