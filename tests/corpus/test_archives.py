"""Files in .7z and .zip archives: read without unpacking, whatever is wrong with them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import py7zr
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from py7zr.properties import DefaultFilters
from pyarrow import parquet

from cloze.corpus import streams
from cloze.corpus.archives import members, open_member
from cloze.corpus.counts import Counts
from cloze.corpus.readers import open_reader
from cloze.corpus.sources import fingerprint, ignored_files, ignored_members, packed_bytes, source_files
from cloze.corpus.streams import open_source, source_name
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

FILES = {
    "dump.json": json.dumps([{"namespace": "0", "title": "가", "text": "나."}] * 3).encode(),
    "sub/b.txt": b"b\n" * 9,
}


def seven_zip(path: Path, files: dict[str, bytes] = FILES, password: str | None = None, **options: Any) -> Path:
    with py7zr.SevenZipFile(path, "w", password=password, **options) as archive:
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
    chosen = CorpusSettings(sources=[Path("wiki.bin")])
    found = source_files(chosen, tmp_path)
    assert [file.relative_to(path).as_posix() for file in found] == ["dump.json", "sub/b.txt"]
    assert [read(file) for file in found] == list(FILES.values())
    assert packed_bytes(found) == path.stat().st_size
    assert ignored_files(chosen, tmp_path) == []
    assert fingerprint(found) != fingerprint(found[:1])


@MAKERS
def test_archives_in_folders_are_found_by_their_endings(tmp_path: Path, make: object) -> None:
    make(tmp_path / ("a.7z" if make is seven_zip else "a.zip"))  # type: ignore[operator]
    found = source_files(CorpusSettings(sources=[Path()]), tmp_path)
    assert [file.name for file in found] == ["dump.json", "b.txt"]
    assert ignored_files(CorpusSettings(sources=[Path()]), tmp_path) == []


def test_names_that_lead_out_of_the_archive_are_left_out_and_counted(tmp_path: Path) -> None:
    names = ["../a.txt", "/b.txt", "c/../../d.txt", "C:/e.txt", "f.txt", "Re:zero.txt", "1:1.txt"]
    path = zipped(tmp_path / "x", {name: b"x" for name in names})
    chosen = CorpusSettings(sources=[path])
    found, counts = source_files(chosen, tmp_path), Counts()
    assert found == [path / "1:1.txt", path / "Re:zero.txt", path / "f.txt"]
    assert ignored_members(found, chosen, counts) == 4
    assert counts.dropped["file that leads out of its archive"].examples == [f"x: {name}" for name in names[:3]]
    with pytest.raises(ClozeError, match=r"x holds \.\./a\.txt, which leads out of it"):
        ignored_members(found, CorpusSettings(sources=[path], tolerate="nothing"), counts)
    with pytest.raises(ClozeError, match=r"holds no file but \.\./a\.txt, which are not read"):
        source_files(CorpusSettings(sources=[zipped(tmp_path / "y", {"../a.txt": b"x"})]), tmp_path)


def test_hidden_files_of_an_archive_are_left_out_and_counted(tmp_path: Path) -> None:
    names = ["a.txt", "__MACOSX/._a.txt", ".DS_Store", "b/.git/c.txt"]
    path = zipped(tmp_path / "x.zip", {name: b"x" for name in names})
    chosen = CorpusSettings(sources=[path])
    found, counts = source_files(chosen, tmp_path), Counts()
    assert found == [path / "a.txt"]
    assert ignored_members(found, chosen, counts) == 3 and not counts.dropped


@pytest.mark.parametrize("kind", ["zip", "7z"])
def test_links_in_an_archive_are_no_documents(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.txt").write_text("가.", encoding="utf-8")
    (tmp_path / "link.txt").symlink_to("a.txt")
    path = tmp_path / f"x.{kind}"
    if kind == "7z":
        with py7zr.SevenZipFile(path, "w") as archive:
            for name in ("a.txt", "link.txt"):
                archive.write(tmp_path / name, name)
    else:
        with zipfile.ZipFile(path, "w") as packed:
            packed.write(tmp_path / "a.txt", "a.txt")
            link = zipfile.ZipInfo("link.txt")
            link.external_attr = 0o120777 << 16
            packed.writestr(link, "/etc/passwd")
    chosen = CorpusSettings(sources=[path])
    assert source_files(chosen, tmp_path) == [path / "a.txt"]
    assert ignored_members(source_files(chosen, tmp_path), chosen, Counts()) == 1


@pytest.mark.parametrize("name", ["./a.txt", "d//a.txt", "./d/./a.txt", "d\\a.txt"])
def test_files_are_found_however_an_archive_writes_their_names(tmp_path: Path, name: str) -> None:
    (path,) = source_files(CorpusSettings(sources=[zipped(tmp_path / "x", {name: b"abc"})]), tmp_path)
    assert read(path) == b"abc"


@MAKERS
def test_sources_are_called_by_archive_and_file(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "wiki")  # type: ignore[operator]
    assert [source_name(file) for file in source_files(CorpusSettings(sources=[path]), tmp_path)] == [
        "wiki/dump.json",
        "wiki/sub/b.txt",
    ]
    documents = list(open_reader(path / "dump.json", CorpusSettings()).read(Counts()))
    assert documents[0].id == "wiki/dump.json:1"


@MAKERS
def test_a_cut_archive_costs_no_other_source_where_that_may_be(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "wiki")  # type: ignore[operator]
    path.write_bytes(path.read_bytes()[:-5])
    chosen = CorpusSettings(sources=[path], tolerate="cut files")
    assert source_files(chosen, tmp_path) == [path]
    with pytest.raises(SourceDamaged, match=r"wiki is cut off or a damaged"):
        read(path)


def test_few_chunks_of_a_7z_wait(tmp_path: Path) -> None:
    """The library hands over up to 128 MB at once."""
    path = seven_zip(tmp_path / "a.7z", {"a.txt": bytes(20_000_000)})
    with path.open("rb") as file, open_member(path / "a.txt", path, file) as member:
        unpacking: Any = member
        for _ in range(10):
            assert len(member.read(1 << 30)) == 1 << 20
            assert unpacking._chunks.maxsize == 4 and all(len(chunk) <= 1 << 20 for chunk in unpacking._chunks.queue)


def test_parquet_in_an_archive_is_refused_with_the_way_out(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["a"]}), file := io.BytesIO())
    path = zipped(tmp_path / "a.zip", {"b.parquet": file.getvalue()})
    with pytest.raises(ClozeError, match=r"a\.zip/b\.parquet is a Parquet file that is packed once more\. Unpack it"):
        list(open_reader(path / "b.parquet", CorpusSettings()).read(Counts()))


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


@pytest.mark.parametrize("where", ["files", "header"])
def test_methods_whose_damaged_streams_end_the_process_are_refused(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 16}]
    if where == "header":
        monkeypatch.setattr(DefaultFilters, "ENCODED_HEADER_FILTER", filters)
    path = seven_zip(tmp_path / "a.7z", filters=None if where == "header" else filters)
    with pytest.raises(ClozeError, match=r"a method \(number 030401\) other than LZMA.*Unpack it first: 7z x a\.7z"):
        members(path)


@pytest.mark.parametrize(
    "filters",
    [
        [{"id": py7zr.FILTER_LZMA}],
        [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2}],
        [{"id": py7zr.FILTER_DELTA}, {"id": py7zr.FILTER_LZMA2}],
        [{"id": py7zr.FILTER_BZIP2}],
        [{"id": py7zr.FILTER_DEFLATE}],
        [{"id": py7zr.FILTER_ZSTD}],
        [{"id": py7zr.FILTER_COPY}],
    ],
    ids=str,
)
def test_usual_methods_are_read(tmp_path: Path, filters: list[dict[str, int]]) -> None:
    path = seven_zip(tmp_path / "a.7z", filters=filters)
    found = members(path)
    assert found is not None and [read(file) for file in found.files] == list(FILES.values())


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
    monkeypatch.setattr(streams, "BOMB_BYTES", 10_000_000)
    monkeypatch.setattr(streams, "BOMB_RATIO", 20)
    path = zipped(tmp_path / "a.zip", {"a.txt": b" " * 50_000_000})
    with pytest.raises(ClozeError, match=r"unpacks to more than .* a zip bomb"):
        read(path / "a.txt")
    assert len(read(zipped(tmp_path / "b.zip", {"a.txt": b" " * 9_000_000}) / "a.txt")) == 9_000_000


@pytest.fixture(
    scope="module", params=["7z", zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of each kind and method."""
    path = tmp_path_factory.mktemp("whole") / "a"
    if request.param == "7z":
        return seven_zip(path).read_bytes()
    with zipfile.ZipFile(path, "w", request.param) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_archives(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    """Bytes are changed, put in or cut out: files, or one error that a user can act on."""
    path, content = tmp_path / "a", whole
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, 300)) % (len(content) + 1)
        end = min(len(content), begin + data.draw(st.integers(0, 8)))
        content = content[:begin] + data.draw(st.binary(max_size=8)) + content[end:]
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, 300))]
    path.write_bytes(content)
    try:
        for file in source_files(CorpusSettings(sources=[path]), tmp_path):
            read(file)
    except ClozeError as error:
        assert "\n" not in str(error)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloze.corpus import archives

    monkeypatch.setattr(archives, "MOST_MEMBERS", {"7z": 1, "zip": 1})
    with pytest.raises(ClozeError, match=r"holds 2 files, more than 1.*7z x"):
        members(seven_zip(tmp_path / "a.7z"))
    with pytest.raises(ClozeError, match=r"holds 2 files, more than 1.*unzip"):
        members(zipped(tmp_path / "a.zip"))
