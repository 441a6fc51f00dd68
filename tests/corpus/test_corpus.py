"""The corpus on disk."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from cloze.corpus import corpus as module
from cloze.corpus.corpus import Corpus, CorpusWriter
from cloze.corpus.document import Document
from cloze.errors import DamagedError
from cloze.files import write_json

DOCUMENTS = [Document(f"a:{number}", "제목" * (number % 2), [f"문장 {number}.", "끝."]) for number in range(25)]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(module, "_BATCH_DOCUMENTS", 10)
    for split, documents in (("train", DOCUMENTS), ("validation", [])):
        with CorpusWriter(tmp_path, split) as writer:
            for document in documents:
                writer.write(document)
    return Corpus(tmp_path)


def test_documents_come_back_in_order(corpus: Corpus) -> None:
    assert list(corpus.documents("train")) == DOCUMENTS
    assert list(corpus.sentences("train")) == [text for document in DOCUMENTS for text in document.sentences]


def test_batches(corpus: Corpus) -> None:
    assert corpus.batches("train") == 3
    assert [corpus.read_batch("train", index) for index in range(3)] == [
        DOCUMENTS[:10],
        DOCUMENTS[10:20],
        DOCUMENTS[20:],
    ]


def test_empty_split(corpus: Corpus) -> None:
    assert corpus.batches("validation") == 0
    assert list(corpus.documents("validation")) == []


def test_batches_are_bounded_in_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_CHARACTERS", 30)
    with CorpusWriter(tmp_path, "train") as writer:
        for document in DOCUMENTS:
            writer.write(document)
    assert Corpus(tmp_path).batches("train") == 6


def test_workers_can_be_handed_a_corpus(corpus: Corpus) -> None:
    again = pickle.loads(pickle.dumps(corpus))
    assert again.read_batch("train", 2) == DOCUMENTS[20:]


def test_counts_are_the_manifest_s(corpus: Corpus) -> None:
    with pytest.raises(DamagedError, match=r"has no manifest\.json"):
        _ = corpus.counts
    write_json(corpus.folder / "manifest.json", {"counts": {"kept": {"documents": 25}}})
    assert corpus.counts == {"kept": {"documents": 25}}


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_damaged_file_is_named(corpus: Corpus, damage: str) -> None:
    path = corpus.folder / "train.arrow"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40] if damage == "cut" else b"")
    with pytest.raises(DamagedError, match=r"train\.arrow cannot be read as a corpus .*run again"):
        list(corpus.documents("train"))
