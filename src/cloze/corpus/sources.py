"""Source files: which ones there are, and opening them by content, whatever their names say."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cloze.corpus.counts import Counts
from cloze.corpus.licences import SOURCE_FILE
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ENDINGS = (
    *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow"),
    *(".gz", ".zst", ".bz2", ".xz"),
)
"""Files with these endings are taken from a folder; a file that is named itself may have any name."""

_BUFFER_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
_UNSUPPORTED = {
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "7z x"),
    b"PK\x03\x04": ("a zip archive", "unzip"),
}


def source_files(settings: CorpusSettings, data: Path) -> list[Path]:
    """The files of `settings.sources` in order; a folder stands for its text files, at any depth, sorted by path.

    Hidden files are left out. Raises ClozeError for a source that is missing or has no text file, and for no sources.
    """
    if not settings.sources:
        raise ClozeError("corpus.sources is empty: name at least one file or folder of text, relative to `data`.")
    return [path for source in settings.sources for path in _text_files(data / source)]


def ignored_files(settings: CorpusSettings, data: Path) -> list[Path]:
    """Files in source folders that `source_files` leaves out."""
    taken = set(source_files(settings, data))
    folders = (data / source for source in settings.sources)
    return [path for folder in folders if folder.is_dir() for path in _files(folder) if path not in taken]


def _text_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise ClozeError(
            f"The corpus source {source} does not exist. Check corpus.sources; a relative path starts from `data`."
        )
    found = _files(source)
    taken = [path for path in found if path.name.lower().endswith(ENDINGS) and not _hidden(path, source)]
    if not taken:
        names = ", ".join(path.relative_to(source).as_posix() for path in found[:5]) or "no file at all"
        more = f" and {len(found) - 5:,} more" if len(found) > 5 else ""
        raise ClozeError(
            f"The folder {source} has no text files ({', '.join(ENDINGS)}); it holds {names}{more}. "
            "Name a file itself to read it whatever its ending."
        )
    return taken


def _files(folder: Path) -> list[Path]:
    """All but what says whose they are."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SOURCE_FILE)


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


@contextmanager
def open_source(path: Path, counts: Counts) -> Iterator[io.BufferedReader]:
    """The unpacked bytes of a plain, gzip, bzip2, xz or Zstandard file; those taken from the disk go into `counts`.

    Raises ClozeError, also while reading inside the block: a file that cannot be read, that is cut off or damaged, or
    that is packed in another way.
    """
    magic = b""
    try:
        with io.BufferedReader(cast(Any, _Metered(path, counts)), _BUFFER_BYTES) as packed:
            magic = packed.peek(8)[:8]
            for start, (what, command) in _UNSUPPORTED.items():
                if magic.startswith(start):
                    raise ClozeError(f"{path} is {what}, which is not read. Unpack it first: {command} {path.name}")
            if magic.startswith(_GZIP):
                yield io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=packed)), _BUFFER_BYTES)
            elif magic.startswith(_BZIP2):
                yield io.BufferedReader(cast(Any, bz2.BZ2File(packed)), _BUFFER_BYTES)
            elif magic.startswith(_XZ):
                with lzma.LZMAFile(packed) as unpacked:
                    yield io.BufferedReader(cast(Any, unpacked), _BUFFER_BYTES)
            elif magic.startswith(_ZSTANDARD):
                yield io.BufferedReader(_Zstandard(packed, path), _BUFFER_BYTES)
            else:
                yield packed
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
        raise ClozeError(
            f"{path} cannot be read ({error.strerror or error}). Expected a file of text; check corpus.sources."
        ) from error


def _damaged(path: Path, kind: str, command: str, error: Exception) -> ClozeError:
    return ClozeError(
        f"{path} is a damaged {kind} file ({error}). Fetch or write it again; `{command} -t {path.name}` tests it."
    )


def _cut_off(path: Path, kind: str) -> ClozeError:
    return ClozeError(
        f"{path} ends in the middle of its {kind} stream, after {path.stat().st_size:,} bytes: it was cut off. "
        "Fetch or write it again."
    )


class _Metered(io.FileIO):
    """A file that enters the bytes it gives into the counts."""

    def __init__(self, path: Path, counts: Counts) -> None:
        super().__init__(path)
        self._counts = counts

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        size = super().readinto(buffer)
        self._counts.bytes_read += size
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
            chunk = self._waiting or self._packed.read(1 << 17)
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
            raise ClozeError(
                f"{self._path} is a damaged Zstandard file ({error}). Fetch or write it again; "
                f"`zstd -t {self._path.name}` tests it."
            ) from None
        if self._frame.eof:
            self._waiting = self._frame.unused_data
            self._frame = None
        return unpacked
