"""The catalogue itself: complete, unambiguous, and true of the real files where they are at hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloze.corpus.catalogue import find, read_catalogue, sets_of, terms
from cloze.errors import ClozeError
from cloze.files import git_blob_id

SETS = [data_set for data_set in read_catalogue().values() if data_set.files]

REAL = {
    **{"hate-speech": ["train.tsv", "dev.tsv"], "korsts": ["sts-train.tsv", "sts-dev.tsv"]},
    **{"kornli": ["xnli.dev.ko.tsv"], "klue-nli": ["klue-nli-v1.1_dev.json"], "korquad": ["KorQuAD_v1.0_dev.json"]},
    **{"naver-ner": ["test.tsv"], "question-pair": ["train.tsv", "dev.tsv"]},
}
"""Files of the real data that are the published ones."""


@pytest.mark.parametrize("data_set", SETS, ids=lambda data_set: data_set.name)
def test_every_set_says_all_that_is_needed(data_set) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"[a-z0-9-]+", data_set.name)
    assert re.fullmatch(r"[0-9a-f]{40}", data_set.commit)
    assert data_set.licence_address.startswith("https://") or data_set.licence == "see repository"
    assert data_set.citation and data_set.title and data_set.task
    names = [file.name for file in data_set.files]
    assert len(set(names)) == len(names), "files of one name would overwrite each other"
    assert all(re.fullmatch(r"[0-9a-f]{40}", file.blob_id) for file in data_set.files)


def test_no_file_is_in_two_sets() -> None:
    places = [data_set.place(file) for data_set in SETS for file in data_set.files]
    assert len(places) == len(set(places)) == 64


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in REAL.items() for file in files])
def test_blob_ids_are_those_of_the_real_files(name: str, file: str, shared_data: Path) -> None:
    path = shared_data / name / file
    known = next(known for known in find(name).files if known.name == file)
    assert (git_blob_id(path), path.stat().st_size) == (known.blob_id, known.bytes)


def test_the_blob_id_is_gits(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")  # echo hello | git hash-object --stdin
    assert git_blob_id(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize(
    ("name", "hint"), [("nmsc", "Did you mean nsmc"), ("KorSTS", "korsts"), ("xyz", "`cloze data list`")]
)
def test_an_unknown_name_is_told_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ClozeError, match=hint):
        find(name)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("data/nsmc/ratings_train.txt", ["nsmc"]),
        ("nsmc/ratings_train.txt", ["nsmc"]),
        ("../x/hate-speech-unlabelled", ["hate-speech-unlabelled"]),
        ("nsmc/mine.txt", []),
        ("mine/ratings_train.txt", []),
        ("data/wikipedia", []),
    ],
)
def test_paths_of_recipes_that_the_catalogue_knows(path: str, names: list[str]) -> None:
    assert sets_of([Path(path), Path(path)]) == names


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("CC0", []),
        ("CC BY-SA 4.0", []),
        ("CC BY-NC-SA 2.0 KR", ["non-commercial"]),
        ("CC BY-ND 2.0 KR", ["changed versions"]),
        ("CC BY-NC-ND 4.0", ["non-commercial", "changed versions"]),
        ("research only", ["non-commercial"]),
        ("see repository", ["knows no licence"]),
    ],
)
def test_what_a_licence_forbids_is_said_plainly(licence: str, said: list[str]) -> None:
    found = terms("x", licence)
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))
