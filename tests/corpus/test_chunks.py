"""A stream that breaks off gives what it had, and then its error."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.chunks import read_chunk


class Breaks(io.RawIOBase):
    """Gives its pieces one by one, and then fails for ever."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        if not self._pieces:
            raise EOFError("cut")
        view, piece = memoryview(buffer), self._pieces.pop(0)  # type: ignore[arg-type]
        given, rest = piece[: len(view)], piece[len(view) :]
        self._pieces[:0] = [rest] if rest else []
        view[: len(given)] = given
        return len(given)


@given(pieces=st.lists(st.binary(max_size=20), max_size=6), size=st.integers(1, 50))
def test_everything_comes_before_the_error(pieces: list[bytes], size: int) -> None:
    file, read = io.BufferedReader(Breaks(pieces), 64), b""
    with pytest.raises(EOFError, match="cut"):
        while True:
            chunk = read_chunk(file, size)
            assert 0 < len(chunk) <= size
            read += chunk
    assert read == b"".join(pieces)


@given(data=st.binary(max_size=100), size=st.integers(1, 50))
def test_chunks_are_whole_but_for_the_last(data: bytes, size: int) -> None:
    file = io.BufferedReader(io.BytesIO(data), 8)
    chunks = list(iter(lambda: read_chunk(file, size), b""))
    assert b"".join(chunks) == data and {len(chunk) for chunk in chunks[:-1]} <= {size}
