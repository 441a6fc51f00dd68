"""Files are whole or absent."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError, DamagedError
from cloze.files import (
    check_files,
    hash_json,
    open_lock,
    read_manifest,
    sha256_file,
    write_bytes,
    write_folder,
    write_json,
)


def test_a_folder_is_finished_by_a_manifest_that_lists_its_files(tmp_path: Path) -> None:
    manifest: dict[str, Any] = {"stage": "corpus"}
    with write_folder(tmp_path / "a", manifest=manifest) as aside:
        assert aside != tmp_path / "a"
        (aside / "sub").mkdir()
        (aside / "sub" / "x.bin").write_bytes(b"abc")
        manifest["counts"] = {"documents": 3}
    found = read_manifest(tmp_path / "a")
    assert found == {
        "stage": "corpus",
        "counts": {"documents": 3},
        "files": {"sub/x.bin": {"bytes": 3, "sha256": sha256_file(tmp_path / "a" / "sub" / "x.bin")}},
    }
    check_files(tmp_path / "a", full=True)
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_block_leaves_nothing_and_keeps_the_folder_before(tmp_path: Path) -> None:
    with write_folder(tmp_path / "a", manifest={"version": 1}) as aside:
        (aside / "x").write_bytes(b"1")
    with pytest.raises(KeyError), write_folder(tmp_path / "a", manifest={"version": 2}) as aside:
        (aside / "x").write_bytes(b"2")
        raise KeyError
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a" / "x").read_bytes() == b"1"


def test_a_folder_left_half_written_is_started_anew(tmp_path: Path) -> None:
    (tmp_path / "a.partial").mkdir()
    (tmp_path / "a.partial" / "stale").write_bytes(b"x")
    with write_folder(tmp_path / "a", manifest={}) as aside:
        assert list(aside.iterdir()) == []
    assert os.listdir(tmp_path / "a") == ["manifest.json"]


def test_a_new_folder_is_the_first_writers_and_its_neighbours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.partial").mkdir()
    (tmp_path / "a.partial" / "mine").write_bytes(b"x")
    with pytest.raises(ClozeError, match=r"a exists, and nothing is replaced\. Name a new folder"):  # noqa: SIM117
        with write_folder(tmp_path / "a", manifest={"writer": 1}, replaces=False) as one:
            with write_folder(tmp_path / "a", manifest={"writer": 2}, replaces=False) as two:
                (two / "x").write_bytes(b"2")
            (one / "x").write_bytes(b"1")
    assert (tmp_path / "a" / "x").read_bytes() == b"2" and (tmp_path / "a.partial" / "mine").read_bytes() == b"x"
    assert sorted(os.listdir(tmp_path)) == ["a", "a.partial"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"abcd"), r"x\.bin has 4 bytes, but manifest\.json says 3"),
        (lambda path: path.unlink(), r"x\.bin is missing"),
        (lambda path: path.write_bytes(b"abd"), r"x\.bin has another SHA-256"),
    ],
)
def test_a_changed_file_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    with write_folder(tmp_path / "a", manifest={}) as aside:
        (aside / "x.bin").write_bytes(b"abc")
    damage(tmp_path / "a" / "x.bin")
    with pytest.raises(DamagedError, match=message):
        check_files(tmp_path / "a", full=True)


def test_a_manifest_that_is_no_json_is_damage_and_an_absent_one_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "absent") is None
    assert read_manifest(tmp_path) is None
    for content in ("{", "[]"):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(DamagedError, match=r"manifest\.json"):
            read_manifest(tmp_path)
    with pytest.raises(DamagedError, match="never finished"):
        check_files(tmp_path / "absent")


def test_all_of_a_folder_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    monkeypatch.setattr(os, "fsync", noted)
    with write_folder(tmp_path / "a", manifest={}) as aside:
        (aside / "sub").mkdir()
        (aside / "sub" / "x.bin").write_bytes(b"abc")
        (aside / "y.bin").write_bytes(b"abc")
    made = synced.index(next(name for name in synced if name.startswith("manifest.json")))
    assert {"x.bin", "sub", "y.bin"} <= set(synced[:made])
    assert synced[-1] == tmp_path.name and any(name.startswith("a.") for name in synced[made:-1])


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        open_lock(tmp_path / "locks" / "a") as lock,
        pytest.raises(ClozeError, match=r"a can't be locked: Function not impl.* Choose an output folder"),
    ):
        lock.take(wait=True)


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_is_one_clear_error_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_json(tmp_path / "a.json", {"old": True})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    elif call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ClozeError, match=r"a\.json: No space left on device.*Free some space"):
        write_bytes(tmp_path / "a.json", b"new")
    monkeypatch.undo()
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": True}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_file_system_that_refuses_to_write_more_is_one_clear_error(tmp_path: Path) -> None:
    """A real refusal by the kernel, in a process of its own: RLIMIT_FSIZE stands in for a full disk."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from cloze.files import write_folder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from cloze.errors import ClozeError\n"
        "try:\n"
        "    with write_folder(Path(sys.argv[1]), manifest={}) as aside: (aside / 'x').write_bytes(bytes(2000))\n"
        "except ClozeError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")], capture_output=True, text=True, check=True
    )
    assert f"{tmp_path / 'a'}: File too large. The file would be larger" in done.stdout
    assert os.listdir(tmp_path) == []


def test_an_error_that_is_not_about_files_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), write_folder(tmp_path / "a", manifest={}):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def test_the_hash_of_settings_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert hash_json({"a": 1, "b": Path("x/y")}) == hash_json({"b": "x/y", "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 1.5})
    assert hash_json({"a": [1, 2]}) != hash_json({"a": [2, 1]})
