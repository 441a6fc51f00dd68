"""Reading a stream that may break off: what came before the place is given, and then the error."""

from __future__ import annotations

import lzma
import zlib
from typing import Protocol

from cloze.errors import ClozeError

BREAKS = (EOFError, OSError, zlib.error, lzma.LZMAError, ClozeError)
"""What a stream that is cut off or damaged raises."""


class Readable(Protocol):
    """A buffered stream of bytes."""

    def read1(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, by one read of what lies below."""


def read_chunk(file: Readable, size: int) -> bytes:
    """Up to `size` bytes, fewer only at the end and before an error, which the next call raises: `read` would raise it
    in place of what it had read by then."""
    parts: list[bytes] = []
    missing = size
    try:
        while missing and (part := file.read1(missing)):
            parts.append(part)
            missing -= len(part)
    except BREAKS:
        if not parts:
            raise
    return b"".join(parts)
