"""Namuwiki dumps: which records are articles, and what is said about damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.errors import ClozeError, SourceDamaged

Read = Callable[..., tuple[list[Document], Counts]]


def record(title: str, text: str, **changes: Any) -> dict[str, Any]:
    return {"namespace": "0", "title": title, "text": text, "contributors": ["a"]} | changes


def dump(*records: Any) -> bytes:
    return json.dumps(records, ensure_ascii=False).encode()


GOOD = dump(
    record("가", "'''가'''는 글자이다. 끝.[* 주]"), record("나", "== 개요 ==\n * 목록\n\n둘째."), record("다", "셋째.")
)


def test_articles_become_sentences(read: Read) -> None:
    documents, counts = read(GOOD, name="dump")
    assert documents == [
        Document("dump:1", "가", ["가는 글자이다.", "끝.", "주"]),
        Document("dump:2", "나", ["목록", "둘째."]),
        Document("dump:3", "다", ["셋째."]),
    ]
    assert counts.dropped["markup and white space"].characters == (6 + 4 + 1) + (9 + 3 + 2)


@pytest.mark.parametrize("namespace", ["0", 0])
def test_namespace_is_a_string_or_a_number(read: Read, namespace: str | int) -> None:
    documents, counts = read(dump(record("가", "나.", namespace=namespace), record("틀:다", "라", namespace=1)))
    assert [document.title for document in documents] == ["가"]
    assert counts.dropped["not an article"].documents == 1


def test_contributors_may_be_absent(read: Read) -> None:
    assert read(b'[{"title": "a", "text": "b.", "namespace": 0}]')[0][0].sentences == ["b."]


@pytest.mark.parametrize("text", ["#redirect 가", "#REDIRECT 가#s-1", "#넘겨주기 가", " #redirect 가\n"])
def test_redirects_are_dropped_and_counted(read: Read, text: str) -> None:
    documents, counts = read(dump(record("나", text), record("가", "#redirects는 아니다.")))
    assert [document.title for document in documents] == ["가"]
    assert (counts.dropped["redirect"].documents, counts.dropped["redirect"].examples) == (1, ["나"])


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (5, "a number, expected an object"),
        (None, "null, expected an object"),
        ({"namespace": "0", "title": "가"}, "text is missing, expected a string"),
        (record("가", "나") | {"text": ["나"]}, "text is an array, expected a string"),
        (record("가", "나") | {"title": None}, "title is null, expected a string"),
        (record("가", "나", namespace=True), "namespace is a boolean, expected a string or a whole number"),
        ({"title": "가", "text": "나"}, "namespace is missing, expected a string or a whole number"),
    ],
)
def test_record_of_a_wrong_type_is_skipped_counted_and_named(read: Read, wrong: Any, problem: str) -> None:
    documents, counts = read(dump(record("가", "앞."), wrong, record("나", "뒤.")), kind="namuwiki", name="d.json")
    assert [document.id for document in documents] == ["d.json:1", "d.json:3"]
    assert counts.dropped["malformed record"].documents == 1
    assert counts.dropped["malformed record"].examples == [f"d.json, record 2: {problem}"]


@pytest.mark.parametrize("length", [1, 30, 75, len(GOOD) - 60, len(GOOD) - 1])
def test_truncated_json_names_the_record(read: Read, length: int) -> None:
    with pytest.raises(
        SourceDamaged, match=r"d\.json ends in the middle of its array, after record \d: it was cut off"
    ):
        read(GOOD[:length], kind="namuwiki", name="d.json")


@pytest.mark.parametrize("old", ['"title": "나', '"title":', '"namespace": "0", "title": "나"', "}, "])
@pytest.mark.parametrize("new", [b"", b'"', b"}", b"{{["])
def test_a_mistake_costs_no_record_but_its_own(read: Read, old: str, new: bytes) -> None:
    """What is broken is in the second record, or between the first and it."""
    first = GOOD.index(b"}") + 1
    data = GOOD[:first] + GOOD[first:].replace(old.encode(), new, 1)
    documents, counts = read(data, kind="namuwiki")
    titles = [document.title for document in documents]
    assert (titles[0], titles[-1]) == ("가", "다")
    assert len(documents) == 3 or counts.dropped["malformed record"].documents


def test_one_wrong_record_of_many_is_named_by_place(read: Read) -> None:
    many = dump(*[record(f"{n}", '글이다. {{{ [[ \\ " ' * (n % 7)) for n in range(500)])
    broken = many.replace(b'"title": "250"', b'"title": "250', 1)
    documents, counts = read(broken, kind="namuwiki", name="d")
    assert [document.title for document in documents] == [f"{n}" for n in range(500) if n != 250]
    assert counts.dropped["malformed record"].examples[0].startswith("d, record 251: no JSON")


def test_text_behind_the_array_is_counted(read: Read) -> None:
    documents, counts = read(GOOD + b" x")
    assert len(documents) == 3 and "behind the array's end" in counts.dropped["malformed record"].examples[0]


def test_a_record_of_another_encoding_is_read(read: Read) -> None:
    data = GOOD.replace("셋째".encode(), "셋째".encode("cp949"))
    documents, counts = read(data, name="d")
    assert [document.title for document in documents] == ["가", "나"], "two encodings in one record are none"
    assert "neither UTF-8 nor" in counts.dropped["malformed record"].examples[0]
    documents, counts = read(GOOD.decode().encode("cp949"))
    assert [document.title for document in documents] == ["가", "나", "다"]
    assert counts.changed["decoded from CP949"].characters > 0


def test_lone_surrogates_and_nul_are_taken_out(read: Read) -> None:
    data = rb'[{"namespace": "0", "title": "a\ud800b\u0000", "text": "c\udfffd.\u0000"}]'
    documents, counts = read(data)
    assert (documents[0].title, documents[0].sentences) == ("ab", ["cd."])
    assert counts.dropped["unprintable characters"].characters == 4


@pytest.mark.parametrize("data", [b'{"namespace": "0"}', b'"abc"', b"text of no kind", "글".encode()])
def test_json_that_is_no_array_is_an_error(read: Read, data: bytes) -> None:
    with pytest.raises(ClozeError, match="is no JSON array; it begins with"):
        read(data, kind="namuwiki")


@pytest.mark.parametrize("data", [b"[]", b" \n[ ]\n", b"\xef\xbb\xbf[]"])
def test_empty_dump_gives_no_document(read: Read, data: bytes) -> None:
    assert read(data, kind="namuwiki")[0] == []


def test_only_one_record_is_in_memory_at_a_time(read: Read, tmp_path: Any) -> None:
    """The first documents come although the file's end is damaged: nothing waits for the whole array."""
    from cloze.corpus.readers import open_reader
    from cloze.recipe import CorpusSettings

    path = tmp_path / "long.json"
    path.write_bytes(dump(*[record(str(place), "가나다. " * 200) for place in range(90)])[:-1])
    documents = open_reader(path, CorpusSettings()).read(counts := Counts())
    assert next(documents).title == "0"
    assert counts.bytes_read <= path.stat().st_size
    with pytest.raises(SourceDamaged, match="after record 90"):
        list(documents)
