"""A dump of MediaWiki: what becomes a document, and what is said of one that is cut, damaged or no dump."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import zstandard

from cloze.corpus.counts import Counts
from cloze.corpus.readers import open_reader
from cloze.corpus.readers.wikipedia import WikipediaReader
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings
from tests.corpus.readers.conftest import Read

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.{version}/" version="0.{version}" xml:lang="ko">\n'
    "<siteinfo><sitename>위키</sitename><namespaces><namespace key='0' case='first-letter' />"
    "<namespace key='10'>틀</namespace><namespace key='14'>분류</namespace></namespaces></siteinfo>\n"
)


def page(title: str, *texts: str, namespace: str | None = "0", extra: str = "", model: str = "wikitext") -> str:
    revisions = "".join(
        f"<revision><id>7</id><contributor><username>나</username></contributor><model>{model}</model>"
        f'<text bytes="1" xml:space="preserve">{escape(text)}</text></revision>'
        for text in texts
    )
    ns = f"<ns>{namespace}</ns>" if namespace is not None else ""
    return f"<page><title>{escape(title)}</title>{ns}<id>3</id>{extra}{revisions}</page>\n"


def dump(*pages: str, version: int = 11) -> bytes:
    return (HEAD.format(version=version) + "".join(pages) + "</mediawiki>\n").encode()


def multistream(data: bytes) -> bytes:
    """As published: the head, some pages and the end are streams of their own."""
    cuts = [data.index(b"<page>"), data.rindex(b"<page>"), data.index(b"</mediawiki>")]
    return b"".join(
        bz2.compress(data[start:end]) for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start
    )


@pytest.mark.parametrize("pack", [bytes, bz2.compress, multistream, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("version", [3, 10, 11])
def test_articles_are_read_packed_in_any_way(read: Read, pack: Callable[[bytes], bytes], version: int) -> None:
    documents, _ = read(pack(dump(page("가 & 나", "'''가'''다. [[나]]다."), page("다", "라."), version=version)))
    assert [(document.id, document.title, document.sentences) for document in documents] == [
        ("source:1", "가 & 나", ["가다.", "나다."]),
        ("source:2", "다", ["라."]),
    ]


def test_the_kind_is_seen_in_the_content(tmp_path: Path) -> None:
    for start in ("", '<?xml version="1.0"?>\n', "\ufeff<!-- 가 -->\n"):
        (tmp_path / "a").write_bytes(start.encode() + dump())
        assert isinstance(open_reader(tmp_path / "a", CorpusSettings()), WikipediaReader)


def test_what_is_no_article_is_counted(read: Read) -> None:
    documents, counts = read(
        dump(
            page("가", "나"),
            page("틀:다", "라", namespace="10"),
            page("마", "#넘겨주기 [[가]]"),
            page("바", "사", extra='<redirect title="가" />'),
            page("아", "{}", model="json"),
            page("자"),
            "<page><ns>0</ns></page>",
        )
    )
    assert [document.title for document in documents] == ["가"]
    assert {reason: (tally.documents, tally.examples) for reason, tally in counts.dropped.items()} == {
        "not an article": (1, ["틀:다"]),
        "redirect": (2, ["마", "바"]),
        "not wikitext, but json": (1, ["아"]),
        "malformed record": (2, ["source, page 6: 자: no text", "source, page 7: a page without a title"]),
    }


@pytest.mark.parametrize("namespaces", [["0", "틀"], ["문서", "10"]])
def test_namespaces_by_number_or_name(read: Read, namespaces: list[str]) -> None:
    pages = [page("가", "나"), page("틀:다", "라", namespace="10"), page("분류:마", "바", namespace="14")]
    documents, counts = read(dump(*pages), namespaces=namespaces)
    assert [document.title for document in documents] == ["가", "틀:다"]
    assert counts.dropped["not an article"].examples == ["분류:마"]


def test_old_dumps_say_the_namespace_in_the_title(read: Read) -> None:
    documents, _ = read(dump(page("틀:가", "나", namespace=None), page("다:라", "마", namespace=None), version=3))
    assert [document.title for document in documents] == ["다:라"]


def test_of_a_history_the_last_revision_is_read(read: Read) -> None:
    documents, counts = read(dump(page("가", "처음", "둘째", "끝")))
    assert documents[0].sentences == ["끝"]
    assert counts.dropped["earlier revision"].characters == 4


def test_a_page_without_end_is_dropped(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloze.corpus.readers.wikipedia.MAX_CHARACTERS", 10)
    documents, counts = read(dump(page("가", "나" * 11), page("다", "라" * 10)))
    assert [document.title for document in documents] == ["다"]
    assert "longer than 10 characters" in counts.dropped["malformed record"].examples[0]


def test_a_dump_that_is_cut_names_the_place(read: Read) -> None:
    data = dump(page("가", "나"), page("다", "라"))
    with pytest.raises(ClozeError, match=r"ends in the middle: it was cut off, after page 1 \(가\), at byte [\d,]+"):
        read(data[: data.rindex("라".encode())])


def test_a_damaged_dump_names_the_place(read: Read) -> None:
    data = dump(page("가", "나"), page("다", "<라"))
    with pytest.raises(ClozeError, match=r"is no valid XML \(.*line 4, column \d+\), after page 1 \(가\), at byte"):
        read(data.replace(b"&lt;", b"<"))


@pytest.mark.parametrize("bomb", ['<!ENTITY a "가">', '<!ENTITY a SYSTEM "file:///etc/passwd">'])
def test_entities_are_not_expanded(read: Read, bomb: str) -> None:
    data = f"<!DOCTYPE mediawiki [{bomb}]>".encode() + dump(page("가", "나")).replace("나".encode(), b"&a;")
    with pytest.raises(ClozeError, match="declares a document type, line 1"):
        read(data, kind="wikipedia")


@pytest.mark.parametrize("encoding", ["euc-kr", "nothing-known"])
def test_an_encoding_that_is_not_read_is_told(read: Read, encoding: str) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + dump(page("가", "나"))
    with pytest.raises(ClozeError, match=r"declares an encoding that is not read .* Convert the file to UTF-8"):
        read(data, kind="wikipedia")


def test_a_dump_in_utf_16_is_read(read: Read) -> None:
    data = '<?xml version="1.0" encoding="utf-16"?>' + dump(page("가", "나")).decode()
    documents, _ = read(data.encode("utf-16"), kind="wikipedia")
    assert (documents[0].title, documents[0].sentences) == ("가", ["나"])


def test_another_xml_is_no_dump(read: Read) -> None:
    with pytest.raises(ClozeError, match=r"begins with <rss>\. Expected a dump of MediaWiki"):
        read(b"<rss></rss>", kind="wikipedia")


def test_pages_are_yielded_before_the_whole_dump_is_read(tmp_path: Path) -> None:
    path, counts = tmp_path / "a.xml", Counts()
    path.write_bytes(dump(*(page(f"가{number}", "나" * 1_000) for number in range(3_000))))
    next(WikipediaReader(path, CorpusSettings()).read(counts))
    assert counts.bytes_read < path.stat().st_size / 4


def test_pages_before_damage_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "w.xml"
    data = dump(*(page(f"문서{number}", "글이다.") for number in range(50)))
    place = data.rindex(b"<page>")
    path.write_bytes(data[:place] + b"\xff" + data[place:])
    read: list[str] = []
    with pytest.raises(SourceDamaged, match="after page 49"):
        for document in open_reader(path, CorpusSettings(sources=[path])).read(Counts()):
            read.append(document.title)
    assert read == [f"문서{number}" for number in range(49)]
