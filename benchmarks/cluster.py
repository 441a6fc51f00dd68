"""The corpus stage on a Ray cluster of two nodes on this machine, one of which is killed in the middle of its work.

Three runs over the same generated dump: in one process; on the cluster undisturbed; on the cluster with a node (its
daemon and its workers) killed when a third of the shards are there. Printed: seconds, tasks lost, and whether the files
are those of the first run, bit for bit. A fourth run is killed itself, with its node, and given again.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from common import Table, command, write_result
from corpus_memory import write_dump

from cloze.corpus import shards
from cloze.corpus.build import build_corpus
from cloze.progress import Silent
from cloze.recipe import CorpusSettings

SHARD_CHARACTERS = 500_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/cluster.md")
    options = parser.parse_args()
    os.environ["RAY_DEDUP_LOGS"] = "0"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dump(folder / "dump.json", options.megabytes * 1_000_000)
        table = Table(["run", "seconds", "shards at the kill", "shards in all", "files are the same"])
        expected = None
        for title, engine, disturb in RUNS:
            found, row = run(folder, engine, disturb)
            expected = expected or found
            table.rows.append([title, *row, "yes" if found == expected else "NO"])
            print(table.rows[-1], flush=True)
    notes = (
        f"Dump: {options.megabytes} MB, generated. Two nodes of one CPU each, as processes of this machine; shards of "
        f"{SHARD_CHARACTERS:,} characters. A node is killed when a third of the shards are there. "
        "Both nodes share this machine: the seconds show what a kill costs, not what a cluster gives."
    )
    print(f"\n{table}\n\n{notes}")
    if options.write:
        print(write_result("cluster", table, command(), packages=("ray", "pyarrow"), notes=notes))


Disturb = Callable[[Any, multiprocessing.process.BaseProcess], None]


def leave_alone(nodes: Any, run: multiprocessing.process.BaseProcess) -> None:
    """Undisturbed."""


def kill_node(nodes: Any, run: multiprocessing.process.BaseProcess) -> None:
    """SIGKILL for the second node's daemon; its workers die with it."""
    nodes[0].remove_node(nodes[1], allow_graceful=False)


def kill_both(nodes: Any, run: multiprocessing.process.BaseProcess) -> None:
    """The node, and at once the process that reads the sources."""
    kill_node(nodes, run)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)


Engine = Literal["processes", "ray"]

RUNS: list[tuple[str, Engine, Disturb]] = [
    ("one process", "processes", leave_alone),
    ("cluster", "ray", leave_alone),
    ("cluster, a node killed", "ray", kill_node),
    ("cluster, a node and the run killed, run again", "ray", kill_both),
]


def run(folder: Path, engine: Engine, disturb: Disturb) -> tuple[dict[str, str], list[str]]:
    """SHA-256 of the files, and what the table shows."""
    target = folder / f"{engine}-{disturb.__name__}"
    target.mkdir()
    before, total = 0, (folder / "dump.json").stat().st_size // 1_000_000
    with cluster() if engine == "ray" else nothing() as nodes:
        started_at = time.monotonic()
        process = start(folder, target, engine)
        seen = 0
        while process.is_alive():
            process.join(0.02)
            made = len(list((target / "shards").glob("*.arrow")))
            seen = max(seen, made)
            if disturb is not leave_alone and not before and made >= total // 3:
                before = made
                disturb(nodes, process)
        if process.exitcode:
            process = start(folder, target, engine)
            while process.is_alive():
                process.join(0.02)
                seen = max(seen, len(list((target / "shards").glob("*.arrow"))))
        elapsed_s = time.monotonic() - started_at
    assert process.exitcode == 0, f"{engine}, {disturb.__name__}: exit code {process.exitcode}"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(target.iterdir())}
    return found, [f"{elapsed_s:.1f}", str(before or "-"), str(seen)]


def start(folder: Path, target: Path, engine: Engine) -> multiprocessing.process.BaseProcess:
    """The corpus stage in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=build, args=(folder, target, engine))
    process.start()
    return process


def build(folder: Path, target: Path, engine: Engine) -> None:
    """The stage itself, in shards of about a megabyte, so that there are many of them."""
    shards.SHARD_CHARACTERS = SHARD_CHARACTERS
    settings = CorpusSettings(sources=[Path("dump.json")], processes=1, engine=engine)
    build_corpus(settings, folder, target, Silent())


@contextmanager
def nothing() -> Iterator[None]:
    """No cluster."""
    yield None


@contextmanager
def cluster() -> Iterator[tuple[Any, Any]]:
    """Two nodes, and RAY_ADDRESS for whoever looks for them."""
    from ray.cluster_utils import Cluster

    memory = 200 * 1024 * 1024
    head = {"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    other = nodes.add_node(num_cpus=1, object_store_memory=memory)
    os.environ["RAY_ADDRESS"] = nodes.address
    try:
        yield nodes, other
    finally:
        nodes.shutdown()
        del os.environ["RAY_ADDRESS"]


if __name__ == "__main__":
    main()
