"""Data sets of Hugging Face: a folder of save_to_disk, and a name, with the Hub replaced by local data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloze.corpus.build import build_corpus, fingerprint
from cloze.corpus.corpus import Corpus
from cloze.corpus.counts import Counts
from cloze.corpus.readers import open_reader
from cloze.corpus.readers.hub import commit_of
from cloze.corpus.sources import source_files
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import CorpusSettings

datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = {"id": [1, 2, 3], "title": ["가", "다", "마"], "text": ["'''나'''.", None, "바다. 사람."]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A Hub that has one data set; returns what it was asked for."""
    calls: list[dict[str, Any]] = []

    def load_dataset(name: str, configuration: str | None, **options: Any) -> Any:
        calls.append({"name": name, "configuration": configuration, **options})
        if options["split"] != "train":
            raise ValueError(f"Unknown split {options['split']}")
        return datasets.Dataset.from_dict(ROWS).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def settings(source: str, **others: object) -> CorpusSettings:
    return CorpusSettings.model_validate({"sources": [source], **others})


def test_a_name_is_streamed(asked: list[dict[str, Any]]) -> None:
    source, counts = f"hub:wikimedia/wikipedia/20231101.ko@{COMMIT}", Counts()
    chosen = settings(source, title_column="title", text_markup="mediawiki")
    documents = list(open_reader(source_files(chosen, Path("data"))[0], chosen).read(counts))
    assert [(raw.id, raw.title, raw.text, raw.markup) for raw in documents] == [
        (f"{source}:1", "가", "'''나'''.", "mediawiki"),
        (f"{source}:3", "마", "바다. 사람.", "mediawiki"),
    ]
    assert counts.dropped["malformed record"].examples == [f"{source}, record 2: text is null"]
    assert asked == [
        {
            "name": "wikimedia/wikipedia",
            "configuration": "20231101.ko",
            "split": "train",
            "revision": COMMIT,
            "streaming": True,
        }
    ]


def test_a_corpus_is_built_of_it(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    counts = build_corpus(settings(f"hub:a/b@{COMMIT}", validation_frac=0.0), tmp_path, tmp_path, Silent())
    found = [document.sentences for document in Corpus(tmp_path).documents("train")]
    assert found == [["'''나'''."], ["바다.", "사람."]]
    assert counts["files"] == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"hub:a/b@{COMMIT}:test", "cannot be read after row 0 .ValueError: Unknown split test"),
        ("hub:a/b/c/d", "is no name on the Hub. Expected hub:owner/name"),
        ("hub:", "is no name on the Hub"),
    ],
)
def test_what_is_not_there_is_said(asked: list[dict[str, Any]], source: str, message: str) -> None:
    chosen = settings(source)
    with pytest.raises(ClozeError, match=message):
        list(open_reader(Path(source), chosen).read(Counts()))


def test_a_column_that_is_not_there(asked: list[dict[str, Any]]) -> None:
    chosen = settings(f"hub:a/b@{COMMIT}", text_column="body")
    with pytest.raises(ClozeError, match="has no column 'body'; it has 'id', 'title', 'text'"):
        list(open_reader(chosen.sources[0], chosen).read(Counts()))


def test_the_commit_is_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    commits = {None: "a" * 40, "v2": "b" * 40}

    def dataset_info(self: object, name: str, revision: str | None = None) -> Any:
        return type("Info", (), {"sha": commits[revision]})

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    assert commit_of(Path("hub:a/b:test")) == "a" * 40
    assert commit_of(Path("hub:a/b@v2")) == "b" * 40
    assert commit_of(Path(f"hub:a/b@{COMMIT}")) == COMMIT
    assert fingerprint([Path("hub:a/b")]) != fingerprint([Path("hub:a/b@v2")])
    with pytest.raises(ClozeError, match=r"hub:a/b@v3 cannot be read \(KeyError"):
        commit_of(Path("hub:a/b@v3"))


def test_a_folder_of_save_to_disk(tmp_path: Path) -> None:
    whole = datasets.Dataset.from_dict({"text": [f"글 {number}." for number in range(10)]})
    datasets.DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(tmp_path / "saved")
    (tmp_path / "out").mkdir()
    counts = build_corpus(settings("saved"), tmp_path, tmp_path / "out", Silent())
    assert counts["kept"]["documents"] == 10
    assert counts["dropped"]["duplicate"]["documents"] == 1
    assert counts["files"] == 2
