"""Which files are read, and unpacking them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from cloze.corpus.counts import Counts
from cloze.corpus.sources import ignored_files, open_source, source_files
from cloze.errors import ClozeError
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
    with pytest.raises(ClozeError, match=r"wiki/\*\.xml fits nothing in .*/wiki, which holds .hidden.json, a.json"):
        found("wiki/*.xml")
    with pytest.raises(ClozeError, match=r"a pattern with `\.\.`"):
        found("../*.txt")
    (tmp_path / "a[1].txt").write_text("x")
    assert found("a[1].txt") == ["a[1].txt"], "a file may be called like a pattern"
