"""Files in .7z and .zip archives: read without unpacking, whatever is wrong with them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from cloze.corpus import sources
from cloze.corpus.archives import members
from cloze.corpus.counts import Counts
from cloze.corpus.sources import fingerprint, ignored_files, open_source, packed_bytes, source_files
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

py7zr = pytest.importorskip("py7zr", reason="the archives extra is not installed")

FILES = {
    "dump.json": json.dumps([{"namespace": "0", "title": "가", "text": "나."}] * 3).encode(),
    "sub/b.txt": b"b\n" * 9,
}


def seven_zip(path: Path, files: dict[str, bytes] = FILES, **options: str) -> Path:
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writef(io.BytesIO(data), name)
    return path


def zipped(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


MAKERS = pytest.mark.parametrize("make", [seven_zip, zipped])


def read(path: Path) -> bytes:
    with open_source(path, Counts()) as file:
        return file.read()


@MAKERS
def test_files_in_an_archive_are_sources(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "wiki.bin")  # type: ignore[operator]
    settings = CorpusSettings(sources=[Path("wiki.bin")])
    found = source_files(settings, tmp_path)
    assert [file.relative_to(path).as_posix() for file in found] == ["dump.json", "sub/b.txt"]
    assert [read(file) for file in found] == list(FILES.values())
    assert packed_bytes(found) == path.stat().st_size
    assert ignored_files(settings, tmp_path) == []
    assert fingerprint(found) != fingerprint(found[:1])


@MAKERS
def test_archives_in_folders_are_found_by_their_endings(tmp_path: Path, make: object) -> None:
    make(tmp_path / ("a.7z" if make is seven_zip else "a.zip"))  # type: ignore[operator]
    found = source_files(CorpusSettings(sources=[Path()]), tmp_path)
    assert [file.name for file in found] == ["dump.json", "b.txt"]
    assert ignored_files(CorpusSettings(sources=[Path()]), tmp_path) == []


@MAKERS
def test_names_that_lead_out_of_the_archive_are_left_out(tmp_path: Path, make: object) -> None:
    names = ["../a.txt", "/b.txt", "c/../../d.txt", "e.txt"]
    path = zipped(tmp_path / "x", {name: b"x" for name in names})
    assert members(path) == [path / "e.txt"]


@pytest.mark.parametrize("length", [1, 20, 60, -5])
@MAKERS
def test_archives_that_are_cut_are_named(tmp_path: Path, make: object, length: int) -> None:
    path = make(tmp_path / "wiki")  # type: ignore[operator]
    path.write_bytes(path.read_bytes()[:length])
    if length == 1:
        assert members(path) is None, "one byte is a text"
        return
    with pytest.raises(SourceDamaged, match=r"wiki is cut off or a damaged (7z|zip) archive"):
        members(path)


@MAKERS
def test_a_changed_byte_is_found(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "wiki", {"a.txt": bytes(range(256)) * 40})  # type: ignore[operator]
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceDamaged, match="wiki"):
        read(path / "a.txt")


def test_a_password_is_told(tmp_path: Path) -> None:
    path = seven_zip(tmp_path / "secret.7z", password="x")
    with pytest.raises(ClozeError, match=r"secret\.7z is protected by a password\. Unpack it first: 7z x secret\.7z"):
        source_files(CorpusSettings(sources=[path]), tmp_path)


def test_who_stops_reading_leaves_no_thread_behind(tmp_path: Path) -> None:
    import threading

    path = seven_zip(tmp_path / "a.7z", {"a.txt": b"0123456789" * 1_000_000})
    before = threading.active_count()
    with open_source(path / "a.txt", Counts()) as file:
        assert file.read(10) == b"0123456789"
    assert threading.active_count() == before


def test_archives_within_archives_are_refused(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip").read_bytes()
    with pytest.raises(ClozeError, match="an archive within an archive"):
        read(zipped(tmp_path / "a.zip", {"inner.zip": inner}) / "inner.zip")


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BOMB_BYTES", 10_000_000)
    monkeypatch.setattr(sources, "BOMB_RATIO", 20)
    path = zipped(tmp_path / "a.zip", {"a.txt": b" " * 50_000_000})
    with pytest.raises(ClozeError, match=r"unpacks to more than .* a zip bomb"):
        read(path / "a.txt")
    assert len(read(zipped(tmp_path / "b.zip", {"a.txt": b" " * 9_000_000}) / "a.txt")) == 9_000_000


def test_many_files_in_a_7z_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloze.corpus import archives

    monkeypatch.setattr(archives, "MOST_MEMBERS", 1)
    with pytest.raises(ClozeError, match=r"holds 2 files, more than 1.*7z x"):
        members(seven_zip(tmp_path / "a.7z"))
