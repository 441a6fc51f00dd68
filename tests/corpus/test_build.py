"""The corpus stage: splits, duplicates, counts, and what it refuses."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloze.corpus.build import fingerprint
from cloze.corpus.corpus import Corpus
from cloze.errors import ClozeError
from cloze.files import write_json

Build = Callable[..., tuple[Corpus, dict[str, Any]]]


def write(path: Path, texts: list[str]) -> None:
    path.write_text("\n\n".join(texts), "utf-8")


def sentences(corpus: Corpus, split: str) -> list[str]:
    return ["\n".join(document.sentences) for document in corpus.documents(split)]


def test_split_is_a_hash_of_the_content(tmp_path: Path, build: Build) -> None:
    texts = [f"글 {number}.\n둘째 문장." for number in range(400)]
    write(tmp_path / "a.txt", texts)
    corpus, counts = build("a.txt", validation_frac=0.2)
    hashes = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") / 2**64 for text in texts]
    assert sentences(corpus, "validation") == [text for text, place in zip(texts, hashes, strict=True) if place < 0.2]
    assert sentences(corpus, "train") == [text for text, place in zip(texts, hashes, strict=True) if place >= 0.2]
    assert 50 < counts["validation"]["documents"] < 110


def test_split_does_not_depend_on_the_rest(tmp_path: Path, build: Build) -> None:
    texts = [f"글 {number}." for number in range(200)]
    write(tmp_path / "a.txt", texts)
    write(tmp_path / "b.txt", texts[150:50:-1])
    whole, part = build("a.txt", validation_frac=0.3)[0], build("b.txt", validation_frac=0.3)[0]
    assert set(sentences(part, "validation")) == set(sentences(whole, "validation")) & set(texts[51:151])


def test_duplicates_are_dropped_and_counted(tmp_path: Path, build: Build) -> None:
    write(tmp_path / "a.txt", ["하나.", "둘.", "하나.", "하나.\n하나."])
    write(tmp_path / "b.txt", ["  둘. ", "셋."])
    corpus, counts = build("a.txt", "b.txt", validation_frac=0.0)
    assert sentences(corpus, "train") == ["하나.", "둘.", "하나.\n하나.", "셋."]
    assert counts["dropped"]["duplicate"] == {
        "documents": 2,
        "sentences": 2,
        "characters": 5,
        "examples": ["하나.", "둘."],
    }
    assert [document.id for document in corpus.documents("train")] == ["a.txt:1", "a.txt:2", "a.txt:4", "b.txt:2"]


def test_counts_add_up(tmp_path: Path, build: Build) -> None:
    write(tmp_path / "a.txt", [f"글 {number}.\n끝." for number in range(50)] + ["짧다", "\u200b"])
    corpus, counts = build("a.txt", min_characters=3, validation_frac=0.2)
    assert counts["kept"] == {
        "documents": 50,
        "sentences": 100,
        "characters": sum(map(len, (f"글 {n}.끝." for n in range(50)))),
    }
    for key in ("documents", "sentences", "characters"):
        assert counts["train"][key] + counts["validation"][key] == counts["kept"][key]
    for split in ("train", "validation"):
        assert counts[split]["sentences"] == len(list(corpus.sentences(split)))
    dropped = {reason: tally["documents"] for reason, tally in counts["dropped"].items()}
    assert dropped == {"empty": 1, "shorter than 3 characters": 1, "unprintable characters": 0}
    assert (counts["files"], counts["ignored_files"], counts["bytes_read"]) == (
        1,
        0,
        (tmp_path / "a.txt").stat().st_size,
    )
    json.dumps(counts, allow_nan=False)


LINES = [
    "글이다.",
    "다른 글이다, 조금 길다.",
    "english",
    "본문 바로가기",
    "\u200b",
    "나  무\ufffd",
    "010-1234-5678",
    "굿",
]


@given(st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=5), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_funnel_leads_from_what_was_read_to_what_is_kept(
    tmp_path: Path, build: Build, documents: list[list[str]]
) -> None:
    texts = ["언제나 남는 글이다.", *("\n".join(lines) for lines in documents)]
    write(tmp_path / "a.txt", texts)
    cleaning = {
        "korean_boilerplate": True,
        "repeated_lines": 1,
        "max_repeated_frac": 0.5,
        "min_hangul_frac": 0.3,
        "near_duplicates": 0.75,
    }
    _, counts = build("a.txt", min_characters=3, validation_frac=0.0, cleaning=cleaning)
    funnel = counts["funnel"]
    read = funnel[0]["left"]
    assert (read["documents"], read["characters"]) == (len(texts), sum(len(text.replace("\n", "")) for text in texts))
    assert {unit: funnel[-1]["left"][unit] for unit in read} == {unit: counts["kept"][unit] for unit in read}
    for before, after in pairwise(funnel):
        assert {unit: before["left"][unit] - after["dropped"][unit] for unit in read} == after["left"]
    assert {row["step"] for row in funnel[1:]} == set(counts["dropped"])
    assert all(1 <= len(row["examples"]) <= 3 for row in funnel[1:])


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True),
    st.sampled_from([0.0, 1e-9, 0.01, 0.5, 0.99, 1.0]),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_split_is_empty_without_need(tmp_path: Path, build: Build, numbers: list[int], frac: float) -> None:
    write(tmp_path / "a.txt", [f"글 {number}." for number in numbers])
    corpus, counts = build("a.txt", validation_frac=frac)
    both = len(numbers) > 1 and frac > 0.0
    assert counts["train"]["documents"] > 0
    assert (counts["validation"]["documents"] > 0) == both
    kept = [document for split in ("train", "validation") for document in corpus.documents(split)]
    assert sorted(document.id for document in kept) == sorted(f"a.txt:{place + 1}" for place in range(len(numbers)))
    for split in ("train", "validation"):
        assert counts[split]["documents"] == len(list(corpus.documents(split)))
        places = [int(document.id.split(":")[1]) for document in corpus.documents(split)]
        assert places == sorted(places), "documents keep the order of the source"


def test_the_document_nearest_to_the_border_fills_an_empty_split(tmp_path: Path, build: Build) -> None:
    texts = [f"글 {number}." for number in range(20)]
    write(tmp_path / "a.txt", texts)
    smallest = min(texts, key=lambda text: int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))
    corpus, _ = build("a.txt", validation_frac=1e-12)
    assert sentences(corpus, "validation") == [smallest]
    assert sentences(corpus, "train") == [text for text in texts if text != smallest]
    assert sorted(path.name for path in corpus.folder.iterdir()) == ["train.arrow", "validation.arrow"]


def test_max_documents_counts_kept_ones(tmp_path: Path, build: Build) -> None:
    write(tmp_path / "a.txt", ["하나.", "하나.", "둘.", "셋."])
    corpus, counts = build("a.txt", max_documents=2, validation_frac=0.0)
    assert sentences(corpus, "train") == ["하나.", "둘."]
    assert counts["kept"]["documents"] == 2
    assert counts["unread_bytes"] + counts["bytes_read"] == (tmp_path / "a.txt").stat().st_size


def test_kinds_may_be_mixed(tmp_path: Path, build: Build) -> None:
    write(tmp_path / "a.txt", ["글이다."])
    record = {"namespace": "0", "title": "제목", "text": "'''문서'''이다. 끝."}
    (tmp_path / "b.json").write_text(json.dumps([record]), "utf-8")
    corpus, _ = build(".", validation_frac=0.0)
    assert sentences(corpus, "train") == ["글이다.", "문서이다.\n끝."]


@pytest.mark.parametrize(("name", "data"), [("a.txt", b""), ("a.txt", b"\n \n"), ("a.json", b"[]")])
def test_empty_corpus(tmp_path: Path, build: Build, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ClozeError, match=rf"No document was kept from .*{name}; they hold no text\. Expected"):
        build(name)


def test_corpus_of_which_everything_is_dropped_says_why(tmp_path: Path, build: Build) -> None:
    records = [{"namespace": "0", "title": "가", "text": "#redirect 나"}, {"title": 3}]
    (tmp_path / "a.json").write_text(json.dumps(records), "utf-8")
    with pytest.raises(ClozeError, match=r"dropped: 1 malformed record \(a\.json, record 2: .*\), 1 redirect \(가\)\."):
        build("a.json")


def test_fingerprint_is_of_names_and_content(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("같다")
    first = fingerprint(paths)
    assert first == fingerprint(paths) != fingerprint(paths[:1])
    paths[1].write_text("다르다")
    assert fingerprint(paths) != first


def test_real_text(shared_data: Path, build: Build) -> None:
    _, counts = build(str(shared_data / "corpus" / "techdocs.txt.gz"))
    assert counts["kept"]["documents"] + counts["dropped"]["duplicate"]["documents"] == 984
    assert counts["dropped"]["U+FFFD from an earlier conversion"]["characters"] == 1


def test_what_is_no_text_in_names_and_titles_is_written(tmp_path: Path, build: Build) -> None:
    """A file's name in bytes of CP949, and surrogates in titles that are kept and that are dropped."""
    records = [{"namespace": "0", "title": "a\ud800", "text": text} for text in ("#redirect b", "글.")]
    try:
        (tmp_path / os.fsdecode("글.json".encode("cp949"))).write_text(json.dumps(records))
    except OSError:
        pytest.skip("this file system has no such names")
    corpus, counts = build("*.json", validation_frac=0.0)
    (document,) = corpus.documents("train")
    assert (document.id, document.title) == (r"\udcb1\udcdb.json:2", "a")
    write_json(tmp_path / "counts", counts)


def test_names_in_archives_that_lead_out_of_them_are_counted(tmp_path: Path, build: Build) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a.txt", "../b.txt", ".c"):
            archive.writestr(name, "글.")
    corpus, counts = build("a.zip", validation_frac=0.0)
    assert [document.id for document in corpus.documents("train")] == ["a.zip/a.txt:1"]
    assert counts["ignored_files"] == 2
    assert counts["dropped"]["file that leads out of its archive"]["examples"] == ["a.zip: ../b.txt"]
