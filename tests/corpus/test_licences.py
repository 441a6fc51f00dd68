"""Whose the data are: reading SOURCE.json, and what a run records of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloze.corpus.licences import SHOWN_FILES, START, read_source, sources_of, sources_of_start
from cloze.corpus.sources import ignored_files, source_files
from cloze.errors import ClozeError
from cloze.files import git_blob_id
from cloze.recipe import CorpusSettings

USES = {"a": ["corpus", "task t"], "b": ["task t"], "c": [START]}


def write(folder: Path, **record: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SOURCE.json").write_text(json.dumps(record), encoding="utf-8")


def text(path: Path, content: str = "글\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_files_and_what_they_are_used_for(tmp_path: Path) -> None:
    train, test = text(tmp_path / "toys" / "train.txt"), text(tmp_path / "toys" / "test.txt")
    mine, own = text(tmp_path / "mine" / "deep" / "a.txt"), text(tmp_path / "own.txt")
    listed = {"train.txt": {"blob_id": git_blob_id(train)}, "test.txt": {"blob_id": "0" * 40}}
    write(tmp_path / "toys", name="toys", licence="CC0", citation="A.", files=listed)
    write(tmp_path / "mine", name="mine", licence="CC BY-NC 4.0")
    found = sources_of({"corpus": [train, mine, own], "task a": [train, test, own]}, tmp_path)
    assert found == [
        {
            **{"name": "toys", "licence": "CC0", "citation": "A.", "changed": ["toys/test.txt"]},
            "used_for": ["corpus", "task a"],
        },
        {"name": "mine", "licence": "CC BY-NC 4.0", "changed": [], "used_for": ["corpus"]},
        {"count": 1, "files": ["own.txt"], "used_for": ["corpus", "task a"]},
    ]


def test_a_file_that_is_not_listed_is_unknown(tmp_path: Path) -> None:
    path = text(tmp_path / "toys" / "derived.tsv")
    write(tmp_path / "toys", name="toys", licence="CC0", files={"train.txt": "0" * 40})
    assert sources_of({"corpus": [path]}, tmp_path)[0]["files"] == ["toys/derived.tsv"]


def test_nothing_above_the_data_folder_counts(tmp_path: Path) -> None:
    write(tmp_path, name="other", licence="CC0")
    inside, outside = text(tmp_path / "data" / "a.txt"), text(tmp_path / "elsewhere" / "a.txt")
    assert sources_of({"corpus": [inside, outside]}, tmp_path / "data")[0]["count"] == 2


def test_of_many_unknown_files_only_the_first_are_named(tmp_path: Path) -> None:
    paths = [text(tmp_path / f"{place}.txt") for place in range(SHOWN_FILES + 5)]
    (record,) = sources_of({"corpus": paths}, tmp_path)
    assert (record["count"], len(record["files"])) == (SHOWN_FILES + 5, SHOWN_FILES)


def test_what_the_model_before_saw_is_carried_on(tmp_path: Path) -> None:
    model = tmp_path / "run" / "pretraining" / "model"
    assert sources_of_start(model) == []
    records = [{"name": name, "licence": "CC0", "used_for": uses} for name, uses in USES.items()]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"sources": records}), encoding="utf-8")
    found = sources_of_start(model)
    assert [(record["name"], record["used_for"]) for record in found] == [("a", [START]), ("c", [START])]
    assert sources_of_start(tmp_path / "run" / "other" / "model") == []
    (tmp_path / "run" / "run.json").write_text('{"sources": 3}', encoding="utf-8")
    assert sources_of_start(model) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[]", "holds list"),
        ('{"name": "a"}', "no text under 'licence'"),
        ('{"name": " ", "licence": "CC0"}', "no text under 'name'"),
        ('{"name": "a", "licence": "CC0", "files": ["a"]}', "files holds list"),
    ],
)
def test_a_record_that_makes_no_sense(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "SOURCE.json").write_text(content, encoding="utf-8")
    with pytest.raises(ClozeError, match=message):
        read_source(tmp_path)


def test_the_record_is_no_text_of_the_corpus(tmp_path: Path) -> None:
    path = text(tmp_path / "toys" / "a.txt")
    write(tmp_path / "toys", name="toys", licence="CC0")
    settings = CorpusSettings(sources=[Path("toys")])
    assert source_files(settings, tmp_path) == [path]
    assert ignored_files(settings, tmp_path) == []
