"""Source files: which ones there are, and opening them by content, whatever their names say.

A source is a file, a folder, or a pattern (wiki/*.json.gz, **/*.txt); the files of a .7z or .zip archive are sources of
their own, written as paths below it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import os
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
from cloze.corpus.licences import SOURCE_FILE
from cloze.errors import ClozeError, SourceDamaged, some
from cloze.files import hash_json, sha256_file
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ENDINGS = (
    *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow"),
    *(".gz", ".zst", ".bz2", ".xz", ".7z", ".zip"),
)
"""Files with these endings are taken from a folder; a file that is named itself may have any name."""

_BUFFER_BYTES = 1 << 20
_HUB = "hub:"
_DATASET_FILES = ("dataset_info.json", "state.json", "dataset_dict.json")
"""What `save_to_disk` of `datasets` writes beside its Arrow files."""
_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_ZSTANDARD_BYTES = 1 << 12
"""Packed bytes that are unpacked at once: zeros become 30,000 times as many, which must fit into memory."""
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
PACKED = (_GZIP, _ZSTANDARD, _BZIP2, _XZ)
"""How a file begins that is compressed."""
_PATTERN = frozenset("*?[")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TAR, _TAR_PLACE = (b"ustar\x0000", b"ustar  \x00"), slice(257, 265)
BOMB_BYTES, BOMB_RATIO = 1 << 30, 1_000
"""More unpacked bytes than the first, and this many times the packed ones, are no text that anybody wrote."""


def source_files(settings: CorpusSettings, data: Path) -> list[Path]:
    """The files of `settings.sources` in order, each once; a folder stands for its text files, at any depth, sorted by
    path, a pattern for the files and folders that fit it, and an archive for the files in it.

    Hidden files are left out. Raises ClozeError for a source that is missing or has no text file, for no sources, and
    for an archive that cannot be opened.
    """
    if not settings.sources:
        raise ClozeError(
            "corpus.sources is empty: name at least one file or folder of text, relative to `data`. To only fine-tune "
            "a model there is, set start_from to its folder and leave corpus out."
        )
    found = [path for source in settings.sources for match in _matches(data, source) for path in _text_files(match)]
    return [path for place in dict.fromkeys(found) for path in _unpacked(place, settings)]


def fingerprint(paths: list[Path]) -> str:
    """Hash of the names (which become part of the documents' ids) and contents of source files, in order."""
    content = {place: _content(place) for place in {on_disk(path) for path in paths}}
    return hash_json([(source_name(path), content[on_disk(path)]) for path in paths])


@lru_cache(maxsize=16)
def source_name(path: Path) -> str:
    """What a source is called in documents' ids and in the counts: its file's name, behind that of its archive if it is
    in one (wiki.7z/dump.json), or the name of a data set of the Hub. Bytes of a name that are no text are escaped.
    """
    archive = None if is_hub(path) else archive_of(path)
    name = str(path) if is_hub(path) else path.relative_to(archive.parent).as_posix() if archive else path.name
    return name.encode(errors="backslashreplace").decode()


def packed_bytes(paths: list[Path]) -> int:
    """What source files take on the disk; an archive counts once, and what is on the Hub counts nothing."""
    return sum(place.stat().st_size for place in {on_disk(path) for path in paths} if not is_hub(place))


def is_hub(source: Path) -> bool:
    """Whether a source is the name of a data set on the Hugging Face Hub (`readers.hub`) and no file."""
    return str(source).startswith(_HUB)


def is_pattern(data: Path, source: Path) -> bool:
    """Whether a source stands for all that fits it; a file may be called like a pattern."""
    return not _PATTERN.isdisjoint(str(source)) and not (data / source).exists()


def on_disk(path: Path) -> Path:
    """The file that a source file is, or is in."""
    return path if is_hub(path) else archive_of(path) or path


def _content(path: Path) -> str:
    """What a source's content is known by: the SHA-256 of a file, the commit of a data set of the Hub."""
    if is_hub(path):
        from cloze.corpus.readers.hub import commit_of

        return commit_of(path)
    try:
        return sha256_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def ignored_files(settings: CorpusSettings, data: Path) -> list[Path]:
    """Files in source folders that `source_files` leaves out."""
    taken = set(source_files(settings, data))
    taken |= {on_disk(path) for path in taken}
    folders = (match for source in settings.sources if not is_hub(source) for match in _matches(data, source))
    return [path for folder in folders if folder.is_dir() for path in _files(folder) if path not in taken]


def ignored_members(paths: list[Path], settings: CorpusSettings, counts: Counts) -> int:
    """Files in the archives of `paths` that are not among them: the hidden ones are counted, those whose names lead out
    of their archive entered into `counts`. Raises ClozeError for the latter if `corpus.tolerate` lets nothing pass.
    """
    ignored = 0
    for archive in dict.fromkeys(archive for path in paths if not is_hub(path) and (archive := archive_of(path))):
        inside = members(archive)
        for name in inside.outside if inside else []:
            if settings.tolerate == "nothing":
                raise ClozeError(f"{archive} holds {name}, which leads out of it: no honest archive has such a file.")
            counts.drop("file that leads out of its archive", example=f"{source_name(archive)}: {name}")
        ignored += len(inside.hidden) + len(inside.outside) if inside else 0
    return ignored


def _matches(data: Path, source: Path) -> list[Path]:
    """What a source names, or all that fits its pattern, sorted. Raises ClozeError if nothing does."""
    if is_hub(source):
        return [source]
    if not is_pattern(data, source):
        return [data / source]
    if ".." in source.parts:
        raise ClozeError(f"The corpus source {source} is a pattern with `..`. Name the folder from the root instead.")
    root, pattern = (Path("/"), source.relative_to("/")) if source.is_absolute() else (data, source)
    try:
        matches = [match for match in root.glob(str(pattern)) if match.name != SOURCE_FILE]
    except ValueError as error:
        raise ClozeError(
            f"The corpus source {source} is no pattern ({error}). For files at any depth write `**/*.txt`, say."
        ) from None
    found = sorted(match for match in matches if not _hidden(match, root))
    if not found:
        inside = data / Path(*itertools.takewhile(lambda part: _PATTERN.isdisjoint(part), source.parts))
        raise ClozeError(
            f"The corpus source {source} fits nothing in {inside}, which {_listed(inside)}. Check corpus.sources; a "
            "relative one starts from `data`."
        )
    return found


def _unpacked(path: Path, settings: CorpusSettings) -> list[Path]:
    """A file itself, or the files in it if it is an archive. One that is damaged stands for itself if it is to be let
    pass: whoever reads it hears of it.
    """
    if is_hub(path):
        return [path]
    try:
        inside = members(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except SourceDamaged:
        if settings.tolerate != "cut files":
            raise
        inside = None
    if inside is None:
        return [path]
    if not inside.files:
        left_out = [*inside.outside, *inside.hidden][:3]
        held = f"no file but {', '.join(left_out)}, which are not read" if left_out else "no file"
        raise ClozeError(f"The archive {path} holds {held}. Check corpus.sources.")
    return inside.files


def _listed(folder: Path) -> str:
    """What a folder holds, in words."""
    if not folder.is_dir():
        return "is not there"
    names = sorted(path.name for path in folder.iterdir())
    return f"holds {some(names, 5) or 'nothing'}"


def _text_files(source: Path) -> list[Path]:
    if is_hub(source) or source.is_file():
        return [source]
    if not source.exists():
        raise ClozeError(
            f"The corpus source {source} does not exist. Check corpus.sources; a relative path starts from `data`."
        )
    found = _files(source)
    taken = [path for path in found if path.name.lower().endswith(ENDINGS) and not _hidden(path, source)]
    if any(path.suffix == ".arrow" for path in taken):
        taken = [path for path in taken if path.name not in _DATASET_FILES]
    if not taken:
        names = some([path.relative_to(source).as_posix() for path in found], 5) or "no file at all"
        raise ClozeError(
            f"The folder {source} has no text files ({', '.join(ENDINGS)}); it holds {names}. "
            "Name a file itself to read it whatever its ending."
        )
    return taken


def _files(folder: Path) -> list[Path]:
    """All but what says whose they are, each folder once, and behind links those that stand nowhere else. Raises
    ClozeError for a folder that cannot be listed, unless it is hidden."""

    def refuse(error: OSError) -> None:
        if not _hidden(place := Path(error.filename), folder):
            raise _unreadable(place, error)

    found: list[Path] = []
    known: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        for place, folders, names in os.walk(waiting.pop(0), onerror=refuse):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in known:  # A link may lead back to where it stands.
                folders.clear()
                continue
            known.add((status.st_dev, status.st_ino))
            waiting += [link for name in sorted(folders) if name[0] != "." and (link := Path(place, name)).is_symlink()]
            found += [path for name in names if (path := Path(place, name)).is_file() and name != SOURCE_FILE]
    return sorted(found)


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


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
        raise _unreadable(path, error) from error


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


def _unreadable(path: Path, error: OSError) -> ClozeError:
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
