"""Shards: cut by the text alone, made anywhere, made once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloze.corpus import shards
from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.corpus.shards import make_shard, prepared_shards, read_shards
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import CorpusSettings
from cloze.workers import WorkerDied, Workers

from .killed import text

Build = Callable[..., tuple[Corpus, dict[str, Any]]]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", 2_000)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards that are written from now on."""
    names: list[str] = []

    def write(path: Path, data: bytes) -> None:
        names.append(path.name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr(shards, "write_bytes", write)
    return names


def files(corpus: Corpus) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(corpus.folder.iterdir())}


def test_shards_are_cut_by_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text(40), "utf-8")
    (tmp_path / "b.txt").write_text("끝.", "utf-8")
    cut = list(read_shards([tmp_path / "a.txt", tmp_path / "b.txt"], CorpusSettings()))
    assert [shard.number for shard in cut] == list(range(len(cut)))
    assert all(2_000 <= sum(len(raw[2]) for raw in shard.raw) < 4_000 for shard in cut[:-1])
    ids = [raw[0] for shard in cut for raw in shard.raw]
    assert ids == [f"a.txt:{number}" for number in range(1, 41)] + ["b.txt:1"]
    assert cut[1].name == f"{cut[1].raw[0][0]} to {cut[1].raw[-1][0]}"
    size = sum((tmp_path / name).stat().st_size for name in ("a.txt", "b.txt"))
    assert sum(shard.counts.bytes_read for shard in cut) == size


def test_any_number_of_workers_gives_the_same_files_and_counts(tmp_path: Path, build: Build) -> None:
    (tmp_path / "a.txt").write_text(text(120) + "\n\n짧.\n\n" + text(5), "utf-8")
    record = {"namespace": "0", "title": "제목", "text": "'''문서'''이다. [[분류:가]]끝."}
    records = [record, record | {"text": "#redirect 나"}, record | {"namespace": "1"}, {"title": 1}] * 30
    (tmp_path / "b.json").write_text(json.dumps(records), "utf-8")
    built = [build("a.txt", "b.json", min_characters=5, validation_frac=0.1, processes=n) for n in (1, 2, 3)]
    assert built[0][1]["kept"]["documents"] == 121
    assert built[0][1]["dropped"]["duplicate"]["documents"] == 34
    assert built[0][1] == built[1][1] == built[2][1]
    assert list(files(built[0][0])) == ["train.arrow", "validation.arrow"]
    assert files(built[0][0]) == files(built[1][0]) == files(built[2][0])


def test_cleaning_does_not_depend_on_workers(tmp_path: Path) -> None:
    first, second = text(60).split("\n\n"), text(30).split("\n\n")
    near = [document + "\n조금 다르다." for document in second]
    (tmp_path / "a.txt").write_text("\n\n".join(first + near), "utf-8")
    (tmp_path / "test.tsv").write_text("\n".join(first[40:50]), "utf-8")
    cleaning = {"near_duplicates": 0.75, "decontaminate": "lines"}
    built = []
    for processes in (1, 2):
        settings = CorpusSettings.model_validate(
            {"sources": ["a.txt"], "validation_frac": 0.1, "processes": processes, "cleaning": cleaning}
        )
        folder = tmp_path / str(processes)
        folder.mkdir()
        counts = build_corpus(settings, tmp_path, folder, Silent(), {"t": tmp_path / "test.tsv"})
        built.append((files(Corpus(folder)), counts))
    assert built[0] == built[1]
    assert built[0][1]["dropped"]["near duplicate"]["documents"] == 30
    tests = built[0][1]["tests"]["t"]
    assert tests["found"] == tests["texts"] > 0


def test_the_size_of_shards_changes_only_where_they_end(
    tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(text(80), "utf-8")
    many = build("a.txt", validation_frac=0.1, processes=1)
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", 1 << 40)
    one = build("a.txt", validation_frac=0.1)
    assert files(many[0]) == files(one[0])
    assert many[1] == one[1]


@pytest.mark.parametrize(("most", "workers"), [(1, 1), (37, 2), (200, 1)])
def test_max_documents_is_exact_for_any_number_of_workers(
    tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch, most: int, workers: int
) -> None:
    monkeypatch.setattr(shards, "_FEWEST_DOCUMENTS", 10)
    (tmp_path / "a.txt").write_text(text(20) + "\n\n" + text(300), "utf-8")
    one, two = (build("a.txt", max_documents=most, processes=n, validation_frac=0.2) for n in (1, workers))
    assert files(one[0]) == files(two[0])
    assert one[1] == two[1]
    ids = [document.id for split in ("train", "validation") for document in one[0].documents(split)]
    first = [*range(1, 21), *range(41, 321)][:most]  # 21 to 40 are 1 to 20 again
    assert sorted(ids, key=lambda name: int(name.split(":")[1])) == [f"a.txt:{number}" for number in first]
    counts = one[1]
    assert counts["bytes_read"] + counts["unread_bytes"] == (tmp_path / "a.txt").stat().st_size
    read = counts["kept"]["documents"] + sum(tally["documents"] for tally in counts["dropped"].values())
    assert read <= most + 20 + 10, "reading ends with the shard in which the last document was kept"


def test_finished_shards_are_not_made_again(tmp_path: Path, written: list[str]) -> None:
    (tmp_path / "a.txt").write_text(text(60), "utf-8")
    settings = CorpusSettings(sources=[Path("a.txt")], validation_frac=0.1, processes=1)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = build_corpus(settings, tmp_path, tmp_path / "whole", Silent())
    made = written.copy()
    folder = tmp_path / "cut" / "shards"
    for _ in prepared_shards([tmp_path / "a.txt"], settings, folder):
        pass
    (folder / made[0]).unlink()
    (folder / made[1]).write_bytes((folder / made[1]).read_bytes()[:-100])  # the disk was full, say
    shutil.copy(folder / made[3], folder / made[2])
    written.clear()
    assert build_corpus(settings, tmp_path, tmp_path / "cut", Silent()) == whole
    assert written == made[:3]
    assert files(Corpus(tmp_path / "cut")) == files(Corpus(tmp_path / "whole"))


def test_a_small_corpus_starts_no_worker(tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("하나.\n\n둘.", "utf-8")
    monkeypatch.setattr(shards, "open_callers", lambda *shared: pytest.fail("workers were started"))
    assert build("a.txt", processes=2)[1]["kept"]["documents"] == 2


def test_a_document_that_cannot_be_prepared_is_named() -> None:
    raw: Any = [("a.txt:1", "", "글.", "prose"), ("a.txt:2", "제목", None, "prose")]
    with pytest.raises(ClozeError, match=r"a\.txt:2 \(제목\) cannot be prepared \(TypeError: .*please report"):
        make_shard(raw, "name", CorpusSettings())
    workers = Workers(1, CorpusSettings())
    with pytest.raises(ClozeError, match=r"a\.txt:2 \(제목\) cannot be prepared"):
        workers.call(make_shard, raw, "name")
    workers.close()


def die(*arguments: object) -> bytes:
    os._exit(1)


def test_a_shard_that_kills_its_workers_is_named(tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text(text(60), "utf-8")
    monkeypatch.setattr(shards, "make_shard", die)
    with pytest.raises(ClozeError, match=r"Shard 0 of the corpus \(a\.txt:1 to a\.txt:\d+\) was not made: 3 workers"):
        build("a.txt", processes=2)


def test_ray_without_a_cluster_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloze.corpus.cluster import RayTasks

    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ClozeError, match=r"pip install 'cloze\[cluster\]'"):
        RayTasks()
    assert issubclass(WorkerDied, Exception)
