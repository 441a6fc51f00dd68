"""Files inside .7z and .zip archives, streamed out of them: nothing is unpacked to the disk, or whole in memory.

A file in an archive is written as a path below the archive: wiki.7z/dump.json. Its name is only ever looked up, so one
that leads out of the archive does no harm; it is left out and counted all the same, for no honest archive has one.
"""

from __future__ import annotations

import io
import lzma
import queue
import re
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from cloze.errors import ClozeError, SourceDamaged

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
MOST_MEMBERS = {"7z": 100, "zip": 5_000}
"""An archive with more files is refused: to reach one, all before it in a .7z must be unpacked, and all names in a .zip
read."""
_METHODS = {
    *(b"\x00", b"\x03", b"\x21", b"\x03\x01\x01"),  # none, Delta, LZMA2, LZMA
    *(b"\x03\x03\x01\x03", b"\x04\x01\x08", b"\x04\x02\x02", b"\x04\xf7\x11\x01"),  # x86, Deflate, bzip2, Zstandard
    b"\x06\xf1\x07\x01",  # a password, of which the library tells
}
"""Methods of packing in a .7z whose damaged streams give errors. Those of PPMd end the process or never end (pyppmd
1.3.1; github.com/miurahr/py7zr/issues/733), and the other methods are rare."""
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SIGNATURE_BYTES, _PACKED_HEADER = 32, b"\x17"
_CHUNK_BYTES = 1 << 20
_WAITING_CHUNKS = 4
_END = b""


def archive_of(path: Path) -> Path | None:
    """The archive that `path` is a file in; None for a file of its own."""
    return next((parent for parent in path.parents if parent.is_file()), None)


@dataclass(frozen=True, slots=True)
class Members:
    """What is in an archive."""

    files: list[Path]
    """Paths below the archive, sorted."""
    hidden: list[str]
    """Names that begin with a dot, links, and what macOS adds to a .zip; not among the files."""
    outside: list[str]
    """Names that lead out of the archive; not among the files."""


def members(path: Path) -> Members | None:
    """What is in an archive; None if `path` is no archive. Raises ClozeError."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(ZIP):
        kind, command = "zip", "unzip"
        with _zip_errors(path), zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            names = [info.filename for info in infos]
            links = {info.filename for info in infos if stat.S_ISLNK(info.external_attr >> 16)}
    elif magic == SEVEN_ZIP:
        kind, command = "7z", "7z x"
        with _seven_zip(path) as archive:
            listed = [info for info in archive.list() if not info.is_directory]
            names = [info.filename for info in listed]
            links = {info.filename for info in listed if info.is_symlink}
    else:
        return None
    if len(names) > MOST_MEMBERS[kind]:
        raise ClozeError(
            f"{path} holds {len(names):,} files, more than {MOST_MEMBERS[kind]:,} that are read out of a .{kind}. "
            f"Unpack it first: {command} {path.name}"
        )
    outside = [name for name in names if not _is_inside(name)]
    hidden = [name for name in names if _is_inside(name) and (_is_hidden(name) or name in links)]
    files = [path / name for name in names if _is_inside(name) and not _is_hidden(name) and name not in links]
    if len(set(files)) < len(files):
        raise ClozeError(f"{path} holds two files of one name. Unpack it first, and keep what you want of them.")
    return Members(sorted(files), hidden, outside)


def packed_share(path: Path, archive: Path) -> int:
    """The part of the archive's bytes that counts as the file's: what it takes in a .zip; in a .7z, which packs its
    files together, an equal part. Raises ClozeError."""
    try:
        return _shares(archive, archive.stat().st_mtime_ns).get(path, 0)
    except OSError as error:
        raise ClozeError(f"{archive} cannot be read ({error.strerror}).") from error


@lru_cache(maxsize=4)
def _shares(archive: Path, changed_ns: int) -> Mapping[Path, int]:
    """`packed_share` of all files of an archive, which was changed last at `changed_ns`."""
    with archive.open("rb") as file:
        is_zip = file.read(6).startswith(ZIP)
    if is_zip:
        with _zip_errors(archive), zipfile.ZipFile(archive) as opened:
            return {archive / info.filename: info.compress_size for info in opened.infolist()}
    with _seven_zip(archive) as opened:
        names = [info.filename for info in opened.list() if not info.is_directory]
    return dict.fromkeys((archive / name for name in names), archive.stat().st_size // max(1, len(names)))


@contextmanager
def open_member(path: Path, archive: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    """The bytes of a file in `archive`, which is open as `file`. Raises ClozeError, also while they are read."""
    if file.read(6).startswith(ZIP):
        with ExitStack() as stack:
            with _zip_errors(archive):
                unpacked = stack.enter_context(zipfile.ZipFile(file))
                names = [name for name in unpacked.namelist() if not name.endswith("/")]
                member = stack.enter_context(unpacked.open(_stored_name(names, archive, path)))
            yield cast(BinaryIO, _Unzipping(archive, member))
        return
    file.seek(0)
    with _Unpacking(archive, path, file) as unpacking:
        yield cast(BinaryIO, unpacking)


def _stored_name(names: list[str], archive: Path, path: Path) -> str:
    """What the archive itself calls a file: perhaps ./a.txt or a//b.txt."""
    for name in names:
        if archive / name == path:
            return name
    raise SourceDamaged(f"{path} is no longer in its archive, which was changed while it was read. Run again.")


def _is_inside(name: str) -> bool:
    """Whether a name stays below its archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and not _DRIVE.match(name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ClozeError:
        raise
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError, LookupError) as error:
        raise SourceDamaged(f"{path} is cut off or a damaged zip archive ({error}). Fetch it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # a password; a method of packing that Python lacks
        raise ClozeError(f"{path} cannot be unpacked ({error}). Unpack it first: unzip {path.name}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise SourceDamaged(f"{path} is a damaged zip archive ({error}). Fetch it again.") from None  # bzip2's errors


class _Unzipping(io.RawIOBase):
    """A file in a .zip."""

    def __init__(self, archive: Path, member: IO[bytes]) -> None:
        self._archive, self._member = archive, member

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with _zip_errors(self._archive):
            view = memoryview(buffer).cast("B")
            data = self._member.read1(len(view))  # type: ignore[attr-defined]  # `readinto` keeps nothing if it fails.
            view[: len(data)] = data
            return len(data)


@contextmanager
def _seven_zip(path: Path, file: BinaryIO | None = None) -> Iterator[Any]:
    """The open archive. Raises ClozeError for whatever the library says of it, also inside."""
    import py7zr

    try:
        with ExitStack() as stack:
            opened = file or stack.enter_context(path.open("rb"))
            _check_header(path, opened)
            archive = stack.enter_context(py7zr.SevenZipFile(opened))
            if archive.password_protected:
                raise py7zr.PasswordRequired
            if archive.header.main_streams is not None:
                _check_methods(path, archive.header.main_streams)
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


def _check_header(path: Path, file: BinaryIO) -> None:
    """`_check_methods` of the header, which is packed too, and is unpacked as soon as the library opens a file."""
    from py7zr.archiveinfo import HeaderStreamsInfo, SignatureHeader

    begins = SignatureHeader.retrieve(file)
    file.seek(_SIGNATURE_BYTES + begins.nextheaderofs)
    if file.read(1) == _PACKED_HEADER:
        _check_methods(path, HeaderStreamsInfo.retrieve(io.BytesIO(file.read(_CHUNK_BYTES))))
    file.seek(0)


def _check_methods(path: Path, streams: Any) -> None:
    """Raises ClozeError for what is packed by other methods than `_METHODS`."""
    for folder in streams.unpackinfo.folders:
        for coder in folder.coders:
            if coder["method"] not in _METHODS:
                raise ClozeError(
                    f"{path} is packed by a method (number {coder['method'].hex()}) other than LZMA, LZMA2, bzip2, "
                    f"Deflate and Zstandard, which are read. Unpack it first: 7z x {path.name}"
                )


class _Abandoned(Exception):
    """Nobody reads on."""


class _Unpacking(io.RawIOBase):
    """A file in a .7z: the library pushes, in a thread of its own, what is read here; a few chunks wait in between."""

    def __init__(self, archive: Path, path: Path, file: BinaryIO) -> None:
        self._archive, self._path, self._file = archive, path, file
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
        # In pieces: a chunk of the library has up to 128 MB, and several would wait.
        for start in range(0, len(chunk), _CHUNK_BYTES):
            if self._abandoned.is_set():
                raise _Abandoned
            self._chunks.put(chunk[start : start + _CHUNK_BYTES])

    def _unpack(self) -> None:
        try:
            with _seven_zip(self._archive, self._file) as archive:
                name = _stored_name(archive.getnames(), self._archive, self._path)
                archive.extract(targets=[name], factory=_factory(self))
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
