"""Fetching data sets: from the publisher, a mirror's folder or address; nothing wrong is ever in place."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloze.corpus import catalogue
from cloze.corpus import download as download_module
from cloze.corpus.catalogue import DataFile, DataSet, find
from cloze.corpus.fetch import fetch
from cloze.errors import ClozeError
from cloze.progress import Silent
from tests.corpus.site import Site, serve

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN, TEST = "글\t1\n".encode() * 40_000, b"text\t0\n" * 100
COMMIT = "c" * 40


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


FILES = (DataFile("sub/train.txt", blob_id(TRAIN), len(TRAIN)), DataFile("sub/test.txt", blob_id(TEST)))
TOYS = DataSet(
    name="toys",
    title="Toys",
    task="classification",
    language="ko",
    licence="CC BY-SA 4.0",
    licence_address="https://example.org/by-sa",
    citation="A. Author: Toys. 2020.",
    address="https://example.org/toys",
    repository="who/toys",
    commit=COMMIT,
    files=FILES,
)
PLACE = f"who/toys/{COMMIT}/sub"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The publisher."""
    monkeypatch.setattr(download_module, "WAIT_S", 0.0)
    with serve() as site:
        monkeypatch.setattr(catalogue, "ORIGIN", site.address)
        site.files = {f"{PLACE}/train.txt": TRAIN, f"{PLACE}/test.txt": TEST}
        yield site


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: a port that nobody listens to."""
    monkeypatch.setattr(catalogue, "ORIGIN", "http://127.0.0.1:9")


def bring(data: Path, mirror: Path | str | None = None) -> list[str]:
    return [path.name for path in fetch(TOYS, data, Silent(), None if mirror is None else str(mirror))]


def check(data: Path) -> None:
    """All is there, and nothing else."""
    assert (data / "toys" / "train.txt").read_bytes() == TRAIN
    assert (data / "toys" / "test.txt").read_bytes() == TEST
    assert {path.name for path in (data / "toys").iterdir()} == {"train.txt", "test.txt", "SOURCE.json", ".lock"}


def test_a_set_comes_from_its_publisher_with_a_record_of_whose_it_is(site: Site, tmp_path: Path) -> None:
    assert bring(tmp_path) == ["train.txt", "test.txt"]
    check(tmp_path)
    record = json.loads((tmp_path / "toys" / "SOURCE.json").read_bytes())
    assert record["licence"] == "CC BY-SA 4.0"
    assert record["citation"] == "A. Author: Toys. 2020."
    assert record["commit"] == COMMIT
    assert record["files"]["train.txt"]["blob_id"] == blob_id(TRAIN)


def test_what_is_here_is_checked_and_not_fetched(site: Site, tmp_path: Path) -> None:
    bring(tmp_path)
    record = (tmp_path / "toys" / "SOURCE.json").read_bytes()
    site.requests = []
    assert bring(tmp_path) == []
    assert site.requests == []
    assert (tmp_path / "toys" / "SOURCE.json").read_bytes() == record
    (tmp_path / "toys" / "test.txt").unlink()
    assert bring(tmp_path) == ["test.txt"]
    check(tmp_path)


def test_files_that_were_put_there_by_hand_are_recorded(offline: None, tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "train.txt").write_bytes(TRAIN)
    (tmp_path / "toys" / "test.txt").write_bytes(TEST)
    assert bring(tmp_path) == []
    check(tmp_path)


def test_another_file_of_the_name_is_left_alone(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "test.txt").write_bytes(b"mine")
    with pytest.raises(ClozeError, match="left as it is") as caught:
        bring(tmp_path)
    assert blob_id(b"mine") in str(caught.value) and blob_id(TEST) in str(caught.value)
    assert (tmp_path / "toys" / "test.txt").read_bytes() == b"mine"
    assert site.requests == []


def test_a_broken_fetch_goes_on(site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(ClozeError, match="100,000 bytes that arrived are kept"):
        bring(tmp_path)
    assert not (tmp_path / "toys" / "train.txt").exists()
    assert not (tmp_path / "toys" / "SOURCE.json").exists()
    site.requests, site.cuts = [], []
    bring(tmp_path)
    check(tmp_path)
    assert site.asked == ["bytes=100000-", ""]


def test_a_fetch_that_ended_before_the_name_was_given(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "train.txt.partial").write_bytes(TRAIN)
    bring(tmp_path)
    check(tmp_path)
    assert len(site.requests) == 1


def test_a_process_that_is_killed_leaves_what_arrived(site: Site, tmp_path: Path) -> None:
    site.stalls = [100_000]
    program = "import sys; from tests.corpus import test_fetch as t; t.catalogue.ORIGIN, folder = sys.argv[1:]; "
    arguments = [program + "t.bring(t.Path(folder))", site.address, str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-c", *arguments], cwd=REPOSITORY)
    partial = tmp_path / "toys" / "train.txt.partial"
    while not partial.exists() or partial.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "toys" / "train.txt").exists()
    site.requests = []
    bring(tmp_path)
    check(tmp_path)
    assert site.asked == ["bytes=100000-", ""]


def test_wrong_content_is_told_with_both_ids_and_not_kept(site: Site, tmp_path: Path) -> None:
    site.files[f"{PLACE}/test.txt"] = b"tampered"
    with pytest.raises(ClozeError, match="Nothing of it was kept") as caught:
        bring(tmp_path)
    assert blob_id(b"tampered") in str(caught.value) and blob_id(TEST) in str(caught.value)
    left = {path.name for path in (tmp_path / "toys").iterdir()}
    assert left == {"train.txt", "SOURCE.json", ".lock"}
    assert list(json.loads((tmp_path / "toys" / "SOURCE.json").read_bytes())["files"]) == ["train.txt"]


def test_a_first_part_of_something_else_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.etag, site.cuts = "", [100_000, 0, 0, 0, 0]
    with pytest.raises(ClozeError):
        bring(tmp_path)
    (tmp_path / "toys" / "train.txt.partial").write_bytes(b"x" * 100_000)
    site.cuts = []
    bring(tmp_path)
    check(tmp_path)


@pytest.mark.parametrize("layout", [PLACE, "toys"])
def test_a_mirrors_folder_in_both_layouts(offline: None, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "mirror" / layout
    folder.mkdir(parents=True)
    (folder / "train.txt").write_bytes(TRAIN)
    (folder / "test.txt").write_bytes(TEST)
    assert bring(tmp_path / "data", tmp_path / "mirror") == ["train.txt", "test.txt"]
    check(tmp_path / "data")


def test_a_mirrors_folder_with_wrong_content(offline: None, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "toys").mkdir(parents=True)
    (tmp_path / "mirror" / "toys" / "train.txt").write_bytes(b"wrong")
    with pytest.raises(ClozeError, match=blob_id(b"wrong")):
        bring(tmp_path / "data", tmp_path / "mirror")
    assert [path.name for path in (tmp_path / "data" / "toys").iterdir()] == [".lock"]


@pytest.mark.parametrize("layout", [PLACE, "toys"])
def test_a_mirrors_address_in_both_layouts(offline: None, tmp_path: Path, layout: str) -> None:
    with serve() as mirror:
        mirror.files = {f"m/{layout}/train.txt": TRAIN, f"m/{layout}/test.txt": TEST}
        assert bring(tmp_path, f"{mirror.address}/m/") == ["train.txt", "test.txt"]
    check(tmp_path)


def test_what_a_mirror_lacks_comes_from_the_publisher(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "toys").mkdir(parents=True)
    (tmp_path / "mirror" / "toys" / "train.txt").write_bytes(TRAIN)
    bring(tmp_path / "data", tmp_path / "mirror")
    check(tmp_path / "data")
    assert [path for path, _, _ in site.requests] == [f"{PLACE}/test.txt"]


def test_neither_network_nor_mirror(offline: None, tmp_path: Path) -> None:
    with pytest.raises(ClozeError) as caught:
        bring(tmp_path)
    origin = f"http://127.0.0.1:9/{PLACE}/train.txt"
    for said in (f"{origin}: no connection", "CLOZE_DATA_MIRROR", f"fetch {origin}", str(tmp_path / "toys/train.txt")):
        assert said in str(caught.value)
    with pytest.raises(ClozeError, match="gone is neither a folder here nor an address") as caught:
        bring(tmp_path, tmp_path / "gone")
    assert str(caught.value).count("not there") == 2


def test_two_processes_at_once_fetch_once(site: Site, tmp_path: Path) -> None:
    threads = [threading.Thread(target=bring, args=(tmp_path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(tmp_path)
    assert len(site.requests) == 2


def test_a_set_without_checksums_is_fetched_by_hand(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"https://www\.cs\.cmu\.edu.*Licence: research only"):
        fetch(find("race"), tmp_path, Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "toys").write_bytes(b"")
    with pytest.raises(ClozeError, match="toys"):
        bring(tmp_path)


def test_real_files_from_a_folder_laid_out_like_the_data(offline: None, tmp_path: Path, shared_data: Path) -> None:
    data_set = find("hate-speech")
    fetched = fetch(data_set, tmp_path, Silent(), str(shared_data))
    assert [path.stat().st_size for path in fetched] == [file.bytes for file in data_set.files]
