"""The corpus stage is killed in the middle: no process stays, and the same command goes on and gives the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloze.corpus import shards
from cloze.corpus.build import build_corpus
from cloze.progress import Silent

from .killed import SHARD_CHARACTERS, settings, text

MARK = "CLOZE_TEST_OF_KILLED_CORPUS"

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")


def processes_of(mark: str) -> list[int]:
    """Processes that live and have this mark in their environment, but for the tracker of shared memory."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found += [int(folder.name)] if b"spawn_main" in (folder / "cmdline").read_bytes() else []
        except OSError:
            continue
    return found


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The stage with two workers, in a group of its own."""
    script = Path(__file__).with_name("killed.py")
    environment = os.environ | {MARK: str(folder)}
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), "2"], env=environment, start_new_session=True, stderr=subprocess.PIPE
    )


def made(folder: Path) -> dict[str, int]:
    """Finished shards and the moments they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "corpus" / "shards").glob("*.arrow")}


@pytest.fixture(scope="module")
def source() -> str:
    return text(6_000)


@pytest.fixture(scope="module")
def undisturbed(source: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], bytes, bytes]:
    """Counts and files of a run in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "a.txt").write_text(source, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_CHARACTERS", SHARD_CHARACTERS)
        counts = build_corpus(settings(1), folder, folder, Silent())
    return counts, (folder / "train.arrow").read_bytes(), (folder / "validation.arrow").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_killed_run_goes_on(
    number: signal.Signals,
    tmp_path: Path,
    source: str,
    undisturbed: tuple[dict[str, object], bytes, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a.txt").write_text(source, "utf-8")
    run = start(tmp_path)
    deadline = time.monotonic() + 60
    while not processes_of(str(tmp_path)) and run.poll() is None:
        assert time.monotonic() < deadline
    # From here to the signal nothing may take long: on a busy machine the run would end before it.
    while len(made(tmp_path)) < 5 and run.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert run.poll() is None, "it was to be killed in the middle"
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # as a terminal does
    else:
        run.send_signal(number)
    run.communicate(timeout=30)
    assert run.returncode == -number
    deadline = time.monotonic() + 10
    while processes_of(str(tmp_path)):
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.05)

    before = made(tmp_path)
    written: list[str] = []

    def write(path: Path, data: bytes) -> None:
        written.append(path.name)
        path.write_bytes(data)

    monkeypatch.setattr(shards, "write_bytes", write)
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", SHARD_CHARACTERS)
    counts = build_corpus(settings(1), tmp_path, tmp_path / "corpus", Silent())
    assert len(before) >= 5 and written and not set(written) & set(before)
    folder = tmp_path / "corpus"
    assert (counts, (folder / "train.arrow").read_bytes(), (folder / "validation.arrow").read_bytes()) == undisturbed
    assert sorted(path.name for path in folder.iterdir()) == ["train.arrow", "validation.arrow"]


def test_a_killed_worker_is_replaced(
    tmp_path: Path, source: str, undisturbed: tuple[dict[str, object], bytes, bytes]
) -> None:
    (tmp_path / "a.txt").write_text(source, "utf-8")
    run = start(tmp_path)
    killed = 0
    while run.poll() is None and killed < 2:
        if len(made(tmp_path)) >= 4 * (killed + 1) and (workers := processes_of(str(tmp_path))):
            os.kill(workers[0], signal.SIGKILL)
            killed += 1
        time.sleep(0.005)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said.decode()
    assert killed == 2
    folder = tmp_path / "corpus"
    assert ((folder / "train.arrow").read_bytes(), (folder / "validation.arrow").read_bytes()) == undisturbed[1:]
