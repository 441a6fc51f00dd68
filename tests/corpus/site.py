"""A web server in a thread, for tests of downloads: knows ranges or not, cuts connections, redirects, is busy."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server says, to be changed by a test at any time."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Path without its first slash -> content."""
    ranges: bool = True
    etag: str = '"one"'
    """Empty: none is sent."""
    cuts: list[int] = field(default_factory=list)
    """For each of the next answers, how many bytes of its body are sent before the connection breaks."""
    statuses: list[int] = field(default_factory=list)
    """For each of the next requests, a status to answer with and nothing else."""
    moved: dict[str, str] = field(default_factory=dict)
    stalls: list[int] = field(default_factory=list)
    """For each of the next answers, how many bytes are sent before the server falls silent until it is shut down."""
    down: threading.Event = field(default_factory=threading.Event)
    """Set when it is shut down."""
    shift: int = 0
    """Ranges begin this many bytes later than was asked: a server that is wrong."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """What was asked: path, Range, If-Range."""
    address: str = ""

    @property
    def asked(self) -> list[str]:
        """The ranges that were asked for."""
        return [asked for _, asked, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site, path = self.site, self.path.removeprefix("/")
        asked, condition = self.headers.get("Range", ""), self.headers.get("If-Range", "")
        site.requests.append((path, asked, condition))
        self.close_connection = True
        if site.statuses:
            self._answer(site.statuses.pop(0), b"", {})
        elif path in site.moved:
            self._answer(302, b"", {"Location": site.moved[path]})
        elif path not in site.files:
            self._answer(404, b"none", {})
        else:
            self._send(site, site.files[path], asked, condition)

    def _send(self, site: Site, content: bytes, asked: str, condition: str) -> None:
        headers = {"ETag": site.etag} if site.etag else {}
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        if not (match and site.ranges and condition in ("", site.etag)):
            self._answer(200, content, headers)
        elif (start := int(match[1])) >= len(content):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        else:
            start += site.shift
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        good = status in (200, 206)
        if good and self.site.stalls:
            self.wfile.write(body[: self.site.stalls.pop(0)])
            self.site.down.wait()
        else:
            self.wfile.write(body[: self.site.cuts.pop(0)] if good and self.site.cuts else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[Site]:
    """A site that is up until the end of the block."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.down.set()
        server.shutdown()
        server.server_close()
        thread.join()
