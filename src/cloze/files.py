"""Files that are whole or absent: written aside, synced, renamed; a folder's manifest is written last.

A reader may trust any file under its final name: a process killed at any moment leaves at most a `.partial` beside it.
A full disk, a missing right or a folder in the way becomes a `ClozeError` that names the path.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from cloze.errors import ClozeError, DamagedError

MANIFEST = "manifest.json"
"""Name of the file that makes a folder whole."""
PARTIAL = ".partial"
"""Ending of everything that is still being written."""

_HINTS = {
    errno.ENOSPC: "The disk is full. Free some space, or choose another folder with {flag}, and run again.",
    errno.EDQUOT: "Your disk quota is used up. Free some space, or choose another folder with {flag}, and run again.",
    errno.EFBIG: "The file would be larger than this system allows. Raise the limit (`ulimit -f`) and run again.",
    errno.EACCES: "Permission is missing. Choose another folder with {flag}.",
    errno.EIO: "The disk may be failing. Choose another one with {flag}.",
    errno.EROFS: "The disk is read-only. Choose another folder with {flag}.",
    errno.ENOTDIR: "A file stands where a folder should be. Choose another folder with {flag}.",
    errno.EEXIST: "A file stands where a folder should be. Choose another folder with {flag}.",
}


def files_below(path: Path) -> list[Path]:
    """A file alone, or all files in a folder and its folders, in the order of their names."""
    return sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_id(path: Path) -> str:
    """Git's name for a file's content, in hex: the SHA-1 of "blob <bytes>\\0" and the content."""
    with path.open("rb") as file:
        digest = hashlib.sha1(b"blob %d\0" % os.fstat(file.fileno()).st_size, usedforsecurity=False)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def hash_json(value: object) -> str:
    """SHA-256, in hex, of the canonical JSON of `value` (keys sorted, no spaces); paths count as their text."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_as_text
    )
    return hashlib.sha256(text.encode()).hexdigest()


def aside_of(path: Path) -> Path:
    """A name beside `path` that no other process takes, on this machine or on another that sees the folder."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL}")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or absent; the folder is made if need be. Raises ClozeError."""
    aside = aside_of(path)
    try:
        with os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(data)
            finish_file(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def finish_file(aside: Path, final: Path) -> None:
    """Make a file that was written aside whole: sync it, rename it to `final`, which it replaces. Raises OSError."""
    _sync(aside)
    aside.replace(final)
    _sync(final.parent)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """`write_text` for JSON that people can read: indented, keys in the order given, Korean as Korean."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=_as_text) + "\n")


@contextmanager
def write_folder(final: Path, *, manifest: dict[str, Any], replaces: bool = True) -> Iterator[Path]:
    """Yield an empty folder beside `final`; if the block succeeds, finish it there, else remove it.

    The block may add to `manifest` (counts, say) until it ends. A folder already at `final` is replaced, and what a
    killed process left beside it goes: one process at a time may write it. Without `replaces` any number may, in a
    folder that may be the user's: the first one has it. Raises ClozeError for a full disk and the like, and for what
    stands at `final` and is not to be replaced.
    """
    aside = final.with_name(final.name + PARTIAL) if replaces else aside_of(final)
    try:
        with os_errors(final):
            if aside.exists():
                shutil.rmtree(aside)
            aside.mkdir(parents=True)
            yield aside
        finish_folder(aside, final, manifest=manifest, replaces=replaces)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def finish_folder(aside: Path, final: Path, *, manifest: dict[str, Any], replaces: bool = True) -> None:
    """Make `aside` whole and rename it to `final`: sync its files, write manifest.json last.

    The manifest gets "files": {name: {"bytes", "sha256"}} of every file in it. Raises ClozeError, also for a `final`
    that is there and that it does not replace.
    """
    with os_errors(final):
        paths = sorted(path for path in aside.rglob("*") if path != aside / MANIFEST)
        for path in paths:
            _sync(path)
        listed = {
            path.relative_to(aside).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in paths
            if path.is_file()
        }
        write_json(aside / MANIFEST, {**manifest, "files": listed})
        if final.exists() and not replaces:
            raise ClozeError(f"{final} exists, and nothing is replaced. Name a new folder.")
        if final.exists():
            shutil.rmtree(final)
        aside.rename(final)  # never onto a folder with files in it, even if one has appeared just now
        _sync(final.parent)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None if the folder or its manifest is absent. Raises DamagedError if it is not JSON."""
    path = folder / MANIFEST
    try:
        with os_errors(path):
            if not path.exists():
                return None
            value = json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagedError(f"{path} is not JSON ({error}). Delete the folder {folder} and run again.") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{path} holds {type(value).__name__}, expected an object. Delete {folder} and run again.")
    return value


def check_files(folder: Path, *, full: bool = False) -> None:
    """Compare a folder's files with its manifest: their sizes and, with `full`, their SHA-256. Raises DamagedError."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise DamagedError(f"{folder} has no {MANIFEST}: it was never finished. Delete the folder and run again.")
    for name, expected in manifest.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            found = "is missing"
        elif (size := path.stat().st_size) != expected["bytes"]:
            found = f"has {size:,} bytes, but {MANIFEST} says {expected['bytes']:,}"
        elif full and sha256_file(path) != expected["sha256"]:
            found = f"has another SHA-256 than {MANIFEST} says"
        else:
            continue
        raise DamagedError(f"{path} {found}: it was changed after it was written. Delete {folder} and run again.")


@contextmanager
def os_errors(path: Path, flag: str = "--output") -> Iterator[None]:
    """Turn an OSError about files into a ClozeError that names the file (or else `path`), the reason and what to do.

    `flag` names another folder. Other ones (a lost connection, say) stay what they are.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno not in _HINTS:
            raise
        where = error.filename if isinstance(error.filename, str | os.PathLike) else path
        hint = _HINTS.get(error.errno or 0, "").format(flag=flag)
        raise ClozeError(f"{os.fspath(where)}: {error.strerror or error}. {hint}".rstrip()) from error


class Lock:
    """A file that one process at a time holds, until it is closed or the process dies. Made by `open_lock`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def take(self, *, wait: bool) -> bool:
        """Take the lock and write this process's number into it; False if another holds it and `wait` is not set."""
        import fcntl  # not on Windows, where models can still be used

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError as error:  # Lustre and some NFS, unless they are mounted with locks
            raise ClozeError(
                f"{self._file.name} can't be locked: {error.strerror}. Two processes could make one folder at once, so "
                "nothing is made here. Choose an output folder on a file system that has locks (flock)."
            ) from error
        with suppress(OSError):  # A full disk: whoever waits is told no number.
            os.truncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), str(os.getpid()).encode())
        return True

    def holder(self) -> str:
        """The number of the process that holds it."""
        self._file.seek(0)
        return self._file.read() or "?"


@contextmanager
def open_lock(path: Path) -> Iterator[Lock]:
    """A lock in the file `path`, which is made with its folder; given back at the end of the block."""
    with os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        yield Lock(file)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk, so that they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} has no JSON form")
