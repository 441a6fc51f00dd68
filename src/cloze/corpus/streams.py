"""Opening source files by content, whatever their names say: unpacked, and in UTF-8 where their encoding has no lines.

All that can be read comes before the error of a file that is cut off or damaged.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cloze.corpus.archives import SEVEN_ZIP, ZIP, archive_of, members, open_member, packed_share
from cloze.corpus.chunks import BREAKS
from cloze.corpus.counts import Counts
from cloze.corpus.encoding import Recoded, is_wide
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 20
_HUB = "hub:"
_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_ZSTANDARD_BYTES = 1 << 12
"""Packed bytes that are unpacked at once: zeros become 30,000 times as many, which must fit into memory."""
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
PACKED = (_GZIP, _ZSTANDARD, _BZIP2, _XZ)
"""How a file begins that is compressed."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TAR, _TAR_PLACE = (b"ustar\x0000", b"ustar  \x00"), slice(257, 265)
BOMB_BYTES, BOMB_RATIO = 1 << 30, 1_000
"""More unpacked bytes than the first, and this many times the packed ones, are no text that anybody wrote."""


def is_hub(source: Path) -> bool:
    """Whether a source is the name of a data set on the Hugging Face Hub (`readers.hub`) and no file."""
    return str(source).startswith(_HUB)


@lru_cache(maxsize=16)
def source_name(path: Path) -> str:
    """What a source is called in documents' ids and in the counts: its file's name, behind that of its archive if it is
    in one (wiki.7z/dump.json), or the name of a data set of the Hub. Bytes of a name that are no text are escaped.
    """
    archive = None if is_hub(path) else archive_of(path)
    name = str(path) if is_hub(path) else path.relative_to(archive.parent).as_posix() if archive else path.name
    return name.encode(errors="backslashreplace").decode()


@contextmanager
def open_source(path: Path, counts: Counts, settings: CorpusSettings | None = None) -> Iterator[io.BufferedReader]:
    """The unpacked bytes of a file: plain, gzip, bzip2, xz or Zstandard, also in an archive. UTF-16, by its mark, and
    what `corpus.encoding` says if it has no lines of its own (`is_wide`), become UTF-8.

    Bytes taken from the disk go into `counts`. Raises ClozeError, also while reading inside the block: for a file that
    cannot be read, and SourceDamaged for one that is cut off or damaged.
    """
    settings = settings or CorpusSettings()
    archive = archive_of(path)
    magic = b""
    try:
        with ExitStack() as stack:
            metered = _Metered(archive or path, counts, None if archive is None else packed_share(path, archive))
            packed = stack.enter_context(io.BufferedReader(cast(Any, metered), _BUFFER_BYTES))
            if archive is not None:
                inside = stack.enter_context(open_member(path, archive, packed))
                packed = io.BufferedReader(cast(Any, _Watched(inside, path, metered)), _BUFFER_BYTES)
            magic = packed.peek(8)[:8]
            if magic.startswith((SEVEN_ZIP, *ZIP)):
                if archive is None:
                    members(path)  # says what is wrong with it
                raise ClozeError(f"{path} is an archive within an archive. Unpack the outer one first.")
            unpacked = _unpacker(magic, packed, path)
            if unpacked is not packed:
                unpacked = io.BufferedReader(cast(Any, _Watched(unpacked, path, metered)), _BUFFER_BYTES)
            if unpacked.peek(_TAR_PLACE.stop)[_TAR_PLACE] in _TAR:
                raise ClozeError(
                    f"{path} is a tar archive, whose files are not read. Unpack it first: tar xf {path.name}"
                )
            encoding = settings.encoding
            if encoding == "auto" and unpacked.peek(2).startswith(_UTF16):
                counts.change("decoded from UTF-16", documents=1, example=source_name(path))
                encoding = "utf-16"
            if is_wide(encoding):
                recoded = Recoded(unpacked, encoding, path, counts, settings)
                unpacked = io.BufferedReader(cast(Any, recoded), _BUFFER_BYTES)
            yield unpacked
    except EOFError:
        kind = "bzip2" if magic.startswith(_BZIP2) else "xz" if magic.startswith(_XZ) else "gzip"
        raise _cut_off(path, kind) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, "gzip", "gzip", error) from None
    except lzma.LZMAError as error:
        raise _damaged(path, "xz", "xz", error) from None
    except OSError as error:
        if error.errno is None and magic.startswith(_BZIP2):  # what bz2 raises for a damaged stream
            raise _damaged(path, "bzip2", "bzip2", error) from None
        raise unreadable(path, error) from error


def _unpacker(magic: bytes, packed: io.BufferedReader, path: Path) -> io.BufferedReader:
    """The stream that unpacks `packed`, by its first bytes; `packed` itself if nothing packs it."""
    if magic.startswith(_GZIP):
        return cast(io.BufferedReader, gzip.GzipFile(fileobj=packed))
    if magic.startswith(_BZIP2):
        return cast(io.BufferedReader, bz2.BZ2File(packed))
    if magic.startswith(_XZ):
        return cast(io.BufferedReader, lzma.LZMAFile(packed))
    if magic.startswith(_ZSTANDARD):
        return cast(io.BufferedReader, _Zstandard(packed, path))
    return packed


def unreadable(path: Path, error: OSError) -> ClozeError:
    """What is said of a file or folder that the system does not let be read."""
    return ClozeError(
        f"{path} cannot be read ({error.strerror or error}). Expected a file of text; check corpus.sources."
    )


def _damaged(path: Path, kind: str, command: str, error: Exception) -> ClozeError:
    return SourceDamaged(
        f"{path} is a damaged {kind} file ({error}). Fetch or write it again; `{command} -t {path.name}` tests it."
    )


def _cut_off(path: Path, kind: str) -> ClozeError:
    size = (archive_of(path) or path).stat().st_size
    return SourceDamaged(
        f"{path} ends in the middle of its {kind} stream, after {size:,} bytes: it was cut off. Fetch or write it "
        "again."
    )


class _Watched(io.RawIOBase):
    """Unpacked bytes, as long as they are not too many for the packed ones (a zip bomb). All that can be unpacked comes
    before an error, which then stays."""

    def __init__(self, unpacked: BinaryIO, path: Path, metered: _Metered) -> None:
        self._unpacked, self._path, self._metered = unpacked, path, metered
        self._packed_before = metered.taken
        self._bytes = 0
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if self._error is not None:
            raise self._error
        try:
            size = self._read(memoryview(buffer).cast("B"))
        except BREAKS as error:
            self._error = error
            raise
        self._bytes += size
        packed = max(_BUFFER_BYTES, self._metered.taken - self._packed_before)
        if self._bytes > BOMB_BYTES and self._bytes > BOMB_RATIO * packed:
            raise ClozeError(
                f"{self._path} unpacks to more than {self._bytes:,} bytes from {packed:,}: that is no text but a zip "
                "bomb. If it is yours, unpack it first."
            )
        return size

    def _read(self, view: memoryview) -> int:
        if not hasattr(self._unpacked, "read1"):
            return int(self._unpacked.readinto(view))  # type: ignore[attr-defined]
        # `readinto` of the library's unpackers goes on until the buffer is full, and keeps nothing if it fails.
        data = self._unpacked.read1(len(view))
        view[: len(data)] = data
        return len(data)


class _Metered(io.FileIO):
    """A file that enters the bytes it gives into the counts, of an archive no more than the share of what is read in
    it: to reach that, what others have counted is read again."""

    def __init__(self, path: Path, counts: Counts, share_bytes: int | None) -> None:
        super().__init__(path)
        self._counts, self._left = counts, share_bytes
        self.taken = 0
        """Bytes that were read; those of `counts` begin anew with every shard."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        size = super().readinto(buffer)
        self.taken += size
        counted = size if self._left is None else min(size, self._left)
        self._left = None if self._left is None else self._left - counted
        self._counts.bytes_read += counted
        return size


class _Zstandard(io.RawIOBase):
    """Unpacked bytes of one or more Zstandard frames; the library's own stream reader is silent when a file is cut."""

    def __init__(self, packed: BinaryIO, path: Path) -> None:
        import zstandard

        self._packed, self._path = packed, path
        # Frames written with --long=31 need a window of 2 GiB; the library refuses more than 128 MiB by default.
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._unpacked = memoryview(b"")
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._unpacked:
            chunk = self._waiting or self._packed.read(_ZSTANDARD_BYTES)
            self._waiting = b""
            if not chunk:
                if self._frame is not None:
                    raise _cut_off(self._path, "Zstandard")
                return 0
            self._unpacked = memoryview(self._unpack(chunk))
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._unpacked))
        view[:size] = self._unpacked[:size]
        self._unpacked = self._unpacked[size:]
        return size

    def _unpack(self, chunk: bytes) -> bytes:
        import zstandard

        self._frame = self._frame or self._decompressor.decompressobj()
        try:
            unpacked = self._frame.decompress(chunk)
        except zstandard.ZstdError as error:
            raise SourceDamaged(
                f"{self._path} is a damaged Zstandard file ({error}). Fetch or write it again; "
                f"`zstd -t {self._path.name}` tests it."
            ) from None
        if self._frame.eof:
            self._waiting = self._frame.unused_data
            self._frame = None
        return unpacked
