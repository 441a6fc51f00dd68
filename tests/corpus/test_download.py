"""Downloads against a server of our own: whole, broken, changed in between, refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloze.corpus import download as download_module
from cloze.corpus.download import TRIES, Unreachable, download, validator_file
from cloze.progress import Meter, Silent
from tests.corpus.site import Site, serve

CONTENT = bytes(range(256)) * 2000


class Watched:
    """A progress that remembers its dial."""

    def __init__(self) -> None:
        self.done, self.total, self.stages = 0.0, 0.0, 0

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Meter]:
        self.stages += 1
        self.total = total or 0.0
        yield self

    def advance(self, amount: float = 1.0) -> None:
        self.done += amount

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(download_module, "WAIT_S", 0.0)
    with serve() as site:
        site.files["a/file.txt"] = CONTENT
        yield site


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "file.txt.partial"


def bring(site: Site, partial: Path, progress: Watched | None = None, path: str = "a/file.txt") -> bool:
    return download(f"{site.address}/{path}", partial, progress or Silent(), "file.txt")


def leave(site: Site, partial: Path, size: int) -> None:
    """A first process that was stopped after `size` bytes."""
    site.cuts = [size, *[0] * TRIES]
    with pytest.raises(Unreachable):
        bring(site, partial)
    assert partial.stat().st_size == size
    site.cuts, site.requests = [], []


def test_a_file_comes_whole_and_its_size_is_shown(site: Site, partial: Path) -> None:
    progress = Watched()
    assert bring(site, partial, progress) is False
    assert partial.read_bytes() == CONTENT
    assert (progress.done, progress.total, progress.stages) == (len(CONTENT), len(CONTENT), 1)


def test_a_broken_connection_goes_on_in_the_same_call(site: Site, partial: Path) -> None:
    site.cuts = [100_000, 50_000]
    progress = Watched()
    assert bring(site, partial, progress) is True
    assert partial.read_bytes() == CONTENT
    assert site.asked == ["", "bytes=100000-", "bytes=150000-"]
    assert (progress.done, progress.stages) == (len(CONTENT), 1)


def test_a_stopped_process_goes_on_in_the_next_call(site: Site, partial: Path) -> None:
    leave(site, partial, 200_000)
    progress = Watched()
    assert bring(site, partial, progress) is True
    assert partial.read_bytes() == CONTENT
    assert site.requests == [("a/file.txt", "bytes=200000-", '"one"')]
    assert progress.done == progress.total == len(CONTENT)


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', ""])
def test_any_validator_and_none_will_do(site: Site, partial: Path, etag: str) -> None:
    site.etag = etag
    leave(site, partial, 1_000)
    assert bring(site, partial) is True
    assert partial.read_bytes() == CONTENT
    assert site.requests == [("a/file.txt", "bytes=1000-", etag if etag == '"one"' else "")]


def test_a_server_without_ranges_sends_all_anew(site: Site, partial: Path) -> None:
    leave(site, partial, 200_000)
    site.ranges = False
    progress = Watched()
    assert bring(site, partial, progress) is False
    assert partial.read_bytes() == CONTENT
    assert progress.done == len(CONTENT)


@pytest.mark.parametrize("strength", ["", "W/"])
def test_changed_content_comes_anew(site: Site, partial: Path, strength: str) -> None:
    site.etag = f'{strength}"one"'
    leave(site, partial, 200_000)
    site.etag, site.files["a/file.txt"] = f'{strength}"two"', CONTENT[::-1]
    assert bring(site, partial) is False
    assert partial.read_bytes() == CONTENT[::-1]


def test_a_range_that_begins_elsewhere_is_not_appended(site: Site, partial: Path) -> None:
    leave(site, partial, 200_000)
    site.shift = 10
    assert bring(site, partial) is False
    assert partial.read_bytes() == CONTENT


def test_more_bytes_than_there_are(site: Site, partial: Path) -> None:
    leave(site, partial, 200_000)
    site.files["a/file.txt"] = CONTENT[:1_000]
    assert bring(site, partial) is False
    assert partial.read_bytes() == CONTENT[:1_000]


def test_bytes_of_unknown_origin_are_not_gone_on_from(site: Site, partial: Path) -> None:
    leave(site, partial, 200_000)
    validator_file(partial).write_text("{", encoding="utf-8")
    assert bring(site, partial) is False
    site.files["b/file.txt"] = CONTENT[::-1]
    leave(site, partial, 300)
    assert bring(site, partial, path="b/file.txt") is False
    assert partial.read_bytes() == CONTENT[::-1]


def test_redirects_are_followed_with_the_range(site: Site, partial: Path) -> None:
    site.moved["old"] = f"{site.address}/a/file.txt"
    site.cuts = [70_000]
    assert bring(site, partial, path="old") is True
    assert partial.read_bytes() == CONTENT
    assert [request for request in site.requests if request[0] == "a/file.txt"][-1][1] == "bytes=70000-"


def test_a_busy_server_is_asked_again(site: Site, partial: Path) -> None:
    site.statuses = [503, 429, 500]
    bring(site, partial)
    assert partial.read_bytes() == CONTENT
    assert len(site.requests) == 4


@pytest.mark.parametrize(
    ("statuses", "message", "requests"),
    [([404], "HTTP 404 Not Found", 1), ([403], "HTTP 403", 1), ([503] * 9, "again and again .HTTP 503", TRIES)],
)
def test_what_a_server_refuses(site: Site, partial: Path, statuses: list[int], message: str, requests: int) -> None:
    site.statuses = statuses
    with pytest.raises(Unreachable, match=message):
        bring(site, partial)
    assert len(site.requests) == requests
    assert not partial.exists()


def test_a_refusal_leaves_what_had_arrived(site: Site, partial: Path) -> None:
    leave(site, partial, 200_000)
    site.statuses = [404]
    with pytest.raises(Unreachable):
        bring(site, partial)
    bring(site, partial)
    assert partial.read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=200000-"


def test_a_server_that_breaks_off_for_ever_with_ever_new_content(site: Site, partial: Path) -> None:
    site.cuts = [100] * 50
    tags = iter(range(1000))
    type(site).etag = property(lambda _: f'W/"{next(tags)}"')  # type: ignore[assignment]
    try:
        with pytest.raises(Unreachable):
            bring(site, partial)
    finally:
        type(site).etag = '"one"'
    assert len(site.requests) < 15


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x", "http://[", "http://no-such-host.invalid/x"])
def test_no_connection_is_told_at_once(partial: Path, address: str) -> None:
    with pytest.raises(Unreachable, match="no connection"):
        download(address, partial, Silent(), "x")


def test_a_loop_of_redirects(site: Site, partial: Path) -> None:
    site.moved["loop"] = f"{site.address}/loop"
    with pytest.raises(Unreachable, match="redirects"):
        bring(site, partial, path="loop")
