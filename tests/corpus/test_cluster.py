"""A Ray cluster of two nodes, one of which is killed in the middle: the corpus is finished, and is the same."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloze.corpus import shards
from cloze.corpus.build import build_corpus
from cloze.corpus.cluster import RayTasks
from cloze.corpus.shards import Packed, make_shard
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import CorpusSettings
from cloze.workers import WorkerDied

from .killed import settings, text

ray = pytest.importorskip("ray", reason="the cluster engine needs ray: pip install 'cloze[cluster]'")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one core each, as processes of this machine; `cluster.second` is to be killed."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}
    nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    nodes.second = nodes.add_node(**node)
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def exit_at_once() -> None:
    os._exit(1)


def refuse() -> None:
    raise ClozeError("refused")


def noted_shard(notes: Path, raw: Packed, name: str, settings: CorpusSettings, tests: None) -> bytes:
    """A shard, slowly, with a note of the node that began it."""
    note = notes / ray.get_runtime_context().get_node_id() / name
    note.parent.mkdir(exist_ok=True)
    note.touch()
    time.sleep(0.5)
    return make_shard(raw, name, settings, tests)


def test_a_lost_node_changes_nothing(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", 20_000)
    (tmp_path / "a.txt").write_text(text(400), "utf-8")
    made: list[tuple[object, ...]] = []
    notes = tmp_path / "notes"
    notes.mkdir()
    lost = cluster.second.node_id

    def lose_it_at_work() -> None:
        deadline = time.monotonic() + 60
        while not (notes / lost).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=lose_it_at_work)
    for engine in ("processes", "ray"):
        folder = tmp_path / engine
        folder.mkdir()
        if engine == "ray":
            monkeypatch.setattr(shards, "make_shard", partial(noted_shard, notes))
            killer.start()
        chosen = settings(1).model_copy(update={"engine": engine})
        counts = build_corpus(chosen, tmp_path, folder, Silent())
        made.append((counts, {path.name: path.read_bytes() for path in sorted(folder.iterdir())}))
    killer.join()
    assert made[0] == made[1]
    begun = {folder.name: {path.name for path in folder.iterdir()} for folder in notes.iterdir()}
    assert len(begun) == 2
    assert begun.pop(lost) & begun.popitem()[1], "what the lost node had begun was begun again on the other"

    tasks = RayTasks()
    with pytest.raises(ClozeError, match="refused"):
        tasks.call(refuse)
    with pytest.raises(WorkerDied, match="3 tasks of it were lost, the last one with WorkerCrashedError"):
        tasks.call(exit_at_once)
