"""One file over HTTP, so that no byte has to come twice: a broken download goes on where it stopped.

The bytes collect in NAME.partial; beside it NAME.etag.partial keeps the address and the validator (RFC 9110, section
8.8) they came with. Going on asks for a range (section 14) under the condition that the content is still the same
(If-Range), and starts over if it is not, or if the server knows no ranges. What the bytes are worth is for the caller
to check.

httpx2 makes the requests: redirects, proxies, certificates, broken bodies; `tokenizers` brings it along anyway. Why
no library does the whole: pooch 1.9 deletes what has arrived when a connection breaks and knows no git blob ids;
huggingface_hub's http_get compares no validators; pyhaul is for Python 3.12.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.errors import ClozeError
from cloze.files import PARTIAL, os_errors, write_json

if TYPE_CHECKING:
    import httpx2

    from cloze.progress import Meter, Progress

TRIES = 4
"""A connection that breaks is made again; after so many in a row that brought no byte, that is all."""
WAIT_S = 1.0
"""Before the second try; twice as long before each one after it."""
CONNECT_S, SILENCE_S = 10.0, 60.0
"""How long a server may take to answer, and to send nothing in between."""

_BUSY = (408, 425, 429, 500, 502, 503, 504)


class Unreachable(ClozeError):
    """An address that gave nothing; the message is the reason alone."""


class _Again(Exception):
    """The bytes so far are worth nothing: begin at the first one."""


class _Busy(Exception):
    """The server asks to come back later."""


def validator_file(partial: Path) -> Path:
    """What says where the bytes in `partial` came from; it may be absent."""
    return partial.with_name(f"{partial.name.removesuffix(PARTIAL)}.etag{PARTIAL}")


def discard(partial: Path) -> None:
    """Remove what arrived of a file."""
    for path in (partial, validator_file(partial)):
        path.unlink(missing_ok=True)


def download(address: str, partial: Path, progress: Progress, name: str) -> bool:
    """Bring the content of `address` into `partial`, going on behind the bytes that are there.

    Returns whether it was put together from more than one response. Raises Unreachable; `partial` then keeps what
    arrived.
    """
    import httpx2

    # Bytes as they are on the disk of the server: ranges of a compressed transfer would be ranges of something else.
    headers = {"Accept-Encoding": "identity", "User-Agent": "cloze"}
    timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
    hopeless = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.TooManyRedirects)
    failures, most = 0, 0
    with ExitStack() as stack:
        client = stack.enter_context(httpx2.Client(follow_redirects=True, timeout=timeout, headers=headers))
        transfer = _Transfer(client, address, partial, progress, name, stack)
        while True:
            most = max(most, _size(partial))
            try:
                return transfer.run()
            except _Again:
                discard(partial)
                continue
            except (*hopeless, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
                raise Unreachable(f"no connection ({_words(error)})") from None
            except (_Busy, httpx2.HTTPError) as error:
                failures = 1 if _size(partial) > most else failures + 1
                if failures == TRIES:
                    raise Unreachable(f"broke off again and again ({_words(error)})") from None
            time.sleep(WAIT_S * 2 ** (failures - 1))


@dataclass
class _Transfer:
    """Requests for one file that share a client and a dial."""

    client: httpx2.Client
    address: str
    partial: Path
    progress: Progress
    name: str
    stack: ExitStack
    meter: Meter | None = field(default=None, init=False)
    shown: int = field(default=0, init=False)
    """Bytes that the dial shows."""

    def run(self) -> bool:
        """One request, up to the last byte; whether it went on behind bytes that were there.

        Raises _Again, _Busy, Unreachable and httpx2.HTTPError.
        """
        have, validator = self._kept()
        asked = {"Range": f"bytes={have}-"} if have else {}
        if have and validator and not validator.startswith("W/"):  # A weak one may not stand there: section 13.1.5.
            asked["If-Range"] = validator
        with self.client.stream("GET", self.address, headers=asked) as response:
            if response.status_code in _BUSY:
                raise _Busy(f"HTTP {response.status_code} {response.reason_phrase}".rstrip())
            if response.status_code == 416 and have:
                raise _Again
            if response.status_code not in (200, 206):
                raise Unreachable(f"HTTP {response.status_code} {response.reason_phrase}".rstrip())
            found = response.headers.get("ETag") or response.headers.get("Last-Modified", "")
            start, total = _place(response)
            goes_on = response.status_code == 206 and have > 0
            if start != (have if goes_on else 0) or (goes_on and found != validator):
                if not have:
                    raise Unreachable(f"HTTP {response.status_code} from byte {start:,}, though all was asked for")
                raise _Again
            if not goes_on:
                discard(self.partial)
                write_json(validator_file(self.partial), {"address": self.address, "validator": found})
            self._show(start, total)
            with os_errors(self.partial, "--data"), self.partial.open("ab") as file:
                for chunk in response.iter_raw():
                    file.write(chunk)
                    file.flush()  # so that the size of the file is what has arrived
                    self._show(self.shown + len(chunk), total)
        return goes_on

    def _kept(self) -> tuple[int, str]:
        """Bytes that are there of this address, and the validator they came with."""
        try:
            kept = json.loads(validator_file(self.partial).read_bytes())
            if kept["address"] == self.address:
                return _size(self.partial), str(kept["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, ""

    def _show(self, done: int, total: int | None) -> None:
        if self.meter is None:
            self.meter = self.stack.enter_context(self.progress.stage(self.name, total=total, unit="bytes"))
        self.meter.advance(done - self.shown)
        self.shown = done


def _place(response: httpx2.Response) -> tuple[int, int | None]:
    """Where the body begins in the file, and the file's size if the server says it."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        return (int(match[1]), None if match[2] == "*" else int(match[2])) if match else (-1, None)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
