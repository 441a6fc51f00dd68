"""Files inside .7z and .zip archives, streamed out of them: nothing is unpacked to the disk, or whole in memory.

A file in an archive is written as a path below the archive: wiki.7z/dump.json. Its name is only ever looked up, so one
that leads out of the archive does no harm; it is left out all the same, for no honest archive has one.
"""

from __future__ import annotations

import io
import queue
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cloze.errors import ClozeError, SourceDamaged

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
MOST_MEMBERS = 100
"""A .7z with more files is refused: to reach one, all before it must be unpacked."""
_WAITING_CHUNKS = 16
_END = b""


def archive_of(path: Path) -> Path | None:
    """The archive that `path` is a file in; None for a file of its own."""
    return next((parent for parent in path.parents if parent.is_file()), None)


def members(path: Path) -> list[Path] | None:
    """The files in an archive, as paths below it; None if `path` is no archive. Raises ClozeError."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(ZIP):
        with _zip_errors(path), zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    elif magic == SEVEN_ZIP:
        with _seven_zip(path) as archive:
            names = [info.filename for info in archive.list() if not info.is_directory]
        if len(names) > MOST_MEMBERS:
            raise ClozeError(
                f"{path} holds {len(names):,} files, more than {MOST_MEMBERS} that are read out of a .7z. Unpack it "
                f"first: 7z x {path.name}"
            )
    else:
        return None
    if len(set(names)) < len(names):
        raise ClozeError(f"{path} holds two files of one name. Unpack it first, and keep what you want of them.")
    return sorted(path / name for name in names if _is_inside(name))


@contextmanager
def open_member(path: Path, archive: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    """The bytes of a file in `archive`, which is open as `file`. Raises ClozeError, also while they are read."""
    name = path.relative_to(archive).as_posix()
    if file.read(6).startswith(ZIP):
        with _zip_errors(archive), zipfile.ZipFile(file) as unpacked, unpacked.open(name) as member:
            yield cast(BinaryIO, member)
        return
    file.seek(0)
    with _Unpacking(archive, name, file) as member:
        yield cast(BinaryIO, member)


def _is_inside(name: str) -> bool:
    """Whether a name stays below its archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and ":" not in name[:3]


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise SourceDamaged(f"{path} is cut off or a damaged zip archive ({error}). Fetch it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # a password; a method of packing that Python lacks
        raise ClozeError(f"{path} cannot be unpacked ({error}). Unpack it first: unzip {path.name}") from None


@contextmanager
def _seven_zip(path: Path, file: BinaryIO | None = None) -> Iterator[Any]:
    """The open archive. Raises ClozeError for whatever the library says of it, also inside."""
    try:
        import py7zr
    except ImportError as error:
        raise ClozeError(f"{path} is a 7z archive, and py7zr is missing: pip install 'cloze[archives]'") from error
    try:
        with py7zr.SevenZipFile(file or path) as archive:
            if archive.password_protected:
                raise py7zr.PasswordRequired
            yield archive
    except (ClozeError, GeneratorExit, _Abandoned):
        raise
    except py7zr.PasswordRequired:
        raise ClozeError(f"{path} is protected by a password. Unpack it first: 7z x {path.name}") from None
    except py7zr.UnsupportedCompressionMethodError as error:
        raise ClozeError(f"{path} cannot be unpacked ({error}). Unpack it first: 7z x {path.name}") from None
    except Exception as error:  # A damaged archive makes the library raise whatever its bytes lead to.
        said = " ".join(str(error).split()) or type(error).__name__
        raise SourceDamaged(f"{path} is cut off or a damaged 7z archive ({said}). Fetch it again.") from None


class _Abandoned(Exception):
    """Nobody reads on."""


class _Unpacking(io.RawIOBase):
    """A file in a .7z: the library pushes, in a thread of its own, what is read here; a few chunks wait in between."""

    def __init__(self, archive: Path, name: str, file: BinaryIO) -> None:
        self._archive, self._name, self._file = archive, name, file
        self._chunks: queue.Queue[bytes] = queue.Queue(_WAITING_CHUNKS)
        self._rest = memoryview(b"")
        self._error: ClozeError | None = None
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._unpack, daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._rest:
            self._rest = memoryview(self._chunks.get())
            if not self._rest:
                self._chunks.put(_END)  # for who asks again
                if self._error is not None:
                    raise self._error
                return 0
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._abandoned.set()
        while self._thread.is_alive():
            try:
                self._chunks.get(timeout=0.05)
            except queue.Empty:
                continue
        super().close()

    def put(self, chunk: bytes) -> None:
        """Called by the thread."""
        if self._abandoned.is_set():
            raise _Abandoned
        if chunk:
            self._chunks.put(bytes(chunk))

    def _unpack(self) -> None:
        try:
            with _seven_zip(self._archive, self._file) as archive:
                archive.extract(targets=[self._name], factory=_factory(self))
        except _Abandoned:
            pass
        except ClozeError as error:
            self._error = error
        finally:
            if not self._abandoned.is_set():
                self._chunks.put(_END)


def _factory(sink: _Unpacking) -> Any:
    """What py7zr asks where to write."""
    from py7zr.io import Py7zIO, WriterFactory

    class Sink(Py7zIO):
        """A file that is written in order and never read."""

        def __init__(self) -> None:
            self.written = 0

        def write(self, s: bytes | bytearray) -> int:
            sink.put(bytes(s))
            self.written += len(s)
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            pass

        def size(self) -> int:
            return self.written

    class Factory(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            return Sink()

    return Factory()
