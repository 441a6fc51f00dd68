"""Which files are read, and unpacking them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py7zr
import pytest
import zstandard

from cloze.corpus import shards, streams
from cloze.corpus.counts import Counts
from cloze.corpus.readers import open_reader
from cloze.corpus.sources import ignored_files, source_files
from cloze.corpus.streams import open_source
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

TEXT = "가나다 라마바.\n".encode() * 5_000
Pack = Callable[[bytes], bytes]


def unpacked(path: Path) -> bytes:
    with open_source(path, Counts()) as file:
        return file.read()


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        zstandard.compress,
        bz2.compress,
        lzma.compress,
        lambda data: bz2.compress(data[:99]) + bz2.compress(data[99:]),
        lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
        lambda data: zstandard.compress(data[:99]) + zstandard.compress(b"") + zstandard.compress(data[99:]),
    ],
    ids=["plain", "gzip", "zstandard", "bzip2", "xz", "bzip2 streams", "gzip members", "zstandard frames"],
)
@pytest.mark.parametrize("data", [TEXT, b""], ids=["text", "empty"])
def test_unpacking(tmp_path: Path, pack: Pack, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(pack(data))
    counts = Counts()
    with open_source(path, counts) as file:
        assert file.read() == data
    assert counts.bytes_read == path.stat().st_size


@pytest.mark.parametrize("cut", [1, 5, 100])
@pytest.mark.parametrize(
    ("pack", "kind"),
    [(gzip.compress, "gzip"), (zstandard.compress, "Zstandard"), (bz2.compress, "bzip2"), (lzma.compress, "xz")],
)
def test_cut_off_file_is_named(tmp_path: Path, pack: Pack, kind: str, cut: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(pack(os.urandom(5_000))[:-cut])
    with pytest.raises(ClozeError, match=rf"a\.gz ends in the middle of its {kind} stream, after [\d,]+ bytes"):
        unpacked(path)


@pytest.mark.parametrize(
    ("pack", "kind"),
    [
        (gzip.compress, "gzip"),
        (zstandard.ZstdCompressor(write_checksum=True).compress, "Zstandard"),
        (bz2.compress, "bzip2"),
        (lzma.compress, "xz"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, pack: Pack, kind: str) -> None:
    data = bytearray(pack(TEXT))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    with pytest.raises(ClozeError, match=rf"a\.gz (is a damaged {kind} file|ends in the middle)"):
        unpacked(path)


def test_folder_gives_its_text_files_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a.json", "sub/c.txt.gz", "sub/d.ZST", "README.md", ".hidden.txt", ".git/e.txt"):
        (tmp_path / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name).touch()
    (tmp_path / "no-ending").touch()
    settings = CorpusSettings(sources=[Path("no-ending"), Path("texts")])
    names = [path.relative_to(tmp_path).as_posix() for path in source_files(settings, tmp_path)]
    assert names == ["no-ending", "texts/a.json", "texts/b.txt", "texts/sub/c.txt.gz", "texts/sub/d.ZST"]
    assert len(ignored_files(settings, tmp_path)) == 3


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"corpus source .*nowhere\.txt does not exist.*corpus\.sources"):
        source_files(CorpusSettings(sources=[Path("nowhere.txt")]), tmp_path)


def test_no_sources(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"corpus\.sources is empty"):
        source_files(CorpusSettings(), tmp_path)


@pytest.mark.parametrize(("names", "said"), [([], "no file at all"), (["a.md", "b.pdf"], "a.md, b.pdf")])
def test_folder_without_text_files(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(ClozeError, match=f"has no text files .* it holds {said}"):
        source_files(CorpusSettings(sources=[Path()]), tmp_path)


def test_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="cannot be read"):
        unpacked(tmp_path)


def test_patterns_give_what_fits_them_once(tmp_path: Path) -> None:
    for name in ("wiki/a.json", "wiki/b.json", "wiki/deep/c.json", "wiki/.hidden.json", "other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    def found(*patterns: str) -> list[str]:
        settings = CorpusSettings(sources=[Path(pattern) for pattern in patterns])
        return [path.relative_to(tmp_path).as_posix() for path in source_files(settings, tmp_path)]

    assert found("wiki/*.json", "wiki/a.json") == ["wiki/a.json", "wiki/b.json"]
    assert found("**/*.json") == ["wiki/a.json", "wiki/b.json", "wiki/deep/c.json"]
    assert found(f"{tmp_path}/wiki/[b]*") == ["wiki/b.json"]
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "d.txt").write_text("x")
    assert found(".cache/*.txt") == [".cache/d.txt"], "whoever names a hidden folder means it"
    with pytest.raises(ClozeError, match=r"wiki/\*\.xml fits nothing in .*/wiki, which holds .hidden.json, a.json"):
        found("wiki/*.xml")
    with pytest.raises(ClozeError, match=r"a pattern with `\.\.`"):
        found("../*.txt")
    (tmp_path / "a[1].txt").write_text("x")
    assert found("a[1].txt") == ["a[1].txt"], "a file may be called like a pattern"


PACKS = [gzip.compress, zstandard.compress, bz2.compress, lzma.compress]


@pytest.mark.parametrize("pack", PACKS, ids=["gzip", "zstandard", "bzip2", "xz"])
@pytest.mark.parametrize("kind", ["lines", "array"])
def test_what_comes_before_a_cut_is_kept(tmp_path: Path, pack: Pack, kind: str) -> None:
    """Within what the compression lets be known: bzip2 knows nothing of a block of 900 kB that it has not all of."""
    texts = [f"문서 {number} {os.urandom(20).hex()}" for number in range(30_000)]
    records = [{"namespace": "0", "title": "가", "text": text} for text in texts]
    lines = "\n\n".join(texts) if kind == "lines" else json.dumps(records, ensure_ascii=False)
    path = tmp_path / "a.gz"
    path.write_bytes(pack(lines.encode())[:-9])
    settings = CorpusSettings(sources=[path])
    read: list[str] = []
    with pytest.raises(SourceDamaged):
        for document in open_reader(path, settings).read(Counts()):
            read.append(document.id)  # what was read before the error is the point
    whole = len(lines.encode())
    lost = 1_000_000 if pack is bz2.compress else 200_000
    assert len(read) > len(texts) * (1 - lost / whole)


def test_of_a_document_that_is_cut_what_came_before_is_kept(tmp_path: Path) -> None:
    """A file without blank lines is one long document."""
    lines = [f"문장 {number} {os.urandom(20).hex()}." for number in range(5_000)]
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode())[:-20_000])
    read: list[str] = []
    with pytest.raises(SourceDamaged):
        for document in open_reader(path, CorpusSettings(sources=[path])).read(Counts()):
            read.append(document.text)
    (text,) = read
    assert 3_000 < len(text.splitlines()) < 5_000


def test_shards_do_not_make_a_large_file_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts begin anew with every shard; the packed bytes that a bomb is known by do not."""
    monkeypatch.setattr(streams, "BOMB_BYTES", 1 << 16)
    monkeypatch.setattr(streams, "BOMB_RATIO", 4)
    monkeypatch.setattr(streams, "_BUFFER_BYTES", 1 << 12)
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", 20_000)
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("\n\n".join(os.urandom(50).hex() for _ in range(5_000)).encode()))
    cut = list(shards.read_shards([path], CorpusSettings()))
    assert len(cut) > 9 and sum(len(shard.raw) for shard in cut) == 5_000
    assert sum(shard.counts.bytes_read for shard in cut) == path.stat().st_size


def test_zeros_in_zstandard_are_refused_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BOMB_BYTES", 1 << 20)
    monkeypatch.setattr(streams, "BOMB_RATIO", 20)
    path = tmp_path / "a.zst"
    path.write_bytes(zstandard.compress(bytes(1 << 26), 3) * 2)
    largest = 0
    unpack = streams._Zstandard._unpack

    def watch(self: Any, chunk: bytes) -> bytes:
        nonlocal largest
        largest = max(largest, len(chunk))
        return unpack(self, chunk)

    monkeypatch.setattr(streams._Zstandard, "_unpack", watch)
    with pytest.raises(ClozeError, match="a zip bomb"):
        unpacked(path)
    assert 0 < largest <= 1 << 12


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_tar_archive_is_no_text(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "가나다."}\n', encoding="utf-8")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.jsonl", "a.jsonl")
    path = tmp_path / "b.tar.gz"
    path.write_bytes(pack((tmp_path / "a.tar").read_bytes()))
    with pytest.raises(ClozeError, match=r"b\.tar\.gz is a tar archive.* tar xf b\.tar\.gz"):
        unpacked(path)
    path.write_bytes(pack(b"m" * 256 + b"gustar la paella"))
    assert unpacked(path).endswith(b"la paella")


def test_folders_behind_links_are_read_once(tmp_path: Path) -> None:
    for name in ("folder/a.txt", "elsewhere/b.txt", "elsewhere/deep/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("가.", encoding="utf-8")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "sub").mkdir()
    (tmp_path / "folder" / "sub" / "d.txt").write_text("가.", encoding="utf-8")
    for link in (".latest", "also"):  # Where a folder itself stands comes before what links call it.
        (tmp_path / "folder" / link).symlink_to(tmp_path / "folder" / "sub")
    found = source_files(CorpusSettings(sources=[Path("folder")]), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "folder/a.txt",
        "folder/link/b.txt",
        "folder/link/deep/c.txt",
        "folder/sub/d.txt",
    ]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(folder: Path, onerror: Any, **_: object) -> Any:
        yield str(folder), [], []
        onerror(PermissionError(13, "Permission denied", str(folder / "closed")))

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(ClozeError, match=r"closed cannot be read \(Permission denied\)"):
        source_files(CorpusSettings(sources=[Path("folder")]), tmp_path)


def test_patterns_that_are_none_and_records_of_sources(tmp_path: Path) -> None:
    for name in ("a.json", "SOURCE.json"):
        (tmp_path / name).write_text("[]", encoding="utf-8")
    assert source_files(CorpusSettings(sources=[Path("*.json")]), tmp_path) == [tmp_path / "a.json"]
    try:
        found = source_files(CorpusSettings(sources=[Path("**.json")]), tmp_path)
    except ClozeError as error:  # Python before 3.13
        assert "is no pattern" in str(error) and "**/*.txt" in str(error)
    else:
        assert found == [tmp_path / "a.json"]


@pytest.mark.parametrize("make", ["zip", "7z"])
def test_bytes_of_an_archive_count_once(tmp_path: Path, make: str) -> None:
    contents = {f"{number}.txt": os.urandom(3_000).hex().encode() for number in range(20)}
    path = tmp_path / f"a.{make}"
    if make == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
    else:
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, data in contents.items():
                archive.writestr(data, name)
    counts = Counts()
    for file in source_files(CorpusSettings(sources=[path]), tmp_path):
        with open_source(file, counts) as opened:
            assert opened.read() == contents[file.name]
    assert 0.8 * path.stat().st_size < counts.bytes_read <= path.stat().st_size
