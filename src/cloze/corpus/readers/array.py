"""The values of one JSON array, however long, whose bad ones do not spoil the rest.

A streaming parser stops at the first mistake. Here the array is only cut into its values, by brackets and quotes, and
each is parsed by itself. A mistake can hide where a value ends: a missing quote turns all that follows inside out. But
the bytes `{"namespace"` (a brace and the first key of the first object) stand in no string of valid JSON, where quotes
are escaped, so behind a mistake the next place where they stand begins a new object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cloze.corpus.chunks import Readable, read_chunk
from cloze.corpus.readers.record import MAX_DOCUMENT_BYTES

CHUNK_BYTES = 1 << 20
SUSPICIOUS_BYTES = 1 << 22
"""In a value that is longer the next object is looked for."""

_STRUCTURE = re.compile(rb'["{}\[\]]')
_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_LITERAL = re.compile(rb"[^ \t\r\n,\]{}\[\"]*")
_FIRST_KEY = re.compile(rb'\{\s*"(?:[^"\\]|\\.){1,100}"')


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the array, or what is wrong where one should be."""

    place: int
    """Byte of the file where it begins."""
    value: Any = None
    problem: str = ""


class ArrayReader:
    """Cuts `file`, which stands just behind the array's opening bracket, into values.

    `place`: the byte it is at; `decode`: a value's bytes -> its text, or None where they have none; `nested`: the array
    is in an object, so more may follow. The time is linear in the length of the file, whatever stands in it.
    """

    def __init__(
        self, file: Readable, place: int, decode: Callable[[bytes], str | None], *, nested: bool = False
    ) -> None:
        self.ended = False
        """The array's closing bracket was read."""
        self._file, self._decode, self._nested = file, decode, nested
        self._buffer = bytearray()
        self._offset = place  # of the buffer's first byte
        self._begin = -1  # of the value in the buffer; -1 between values
        self._scan = 0  # up to here the buffer was looked at
        self._depth = 0
        self._in_string = False
        self._too_long = False
        self._at_end = False
        self._key = b""

    def __iter__(self) -> Iterator[Value]:
        """The values in order."""
        while not self._at_end:
            self._read()
            while self._advance():
                yield from self._finish()
            if self._begin >= 0 and (self._at_end or len(self._buffer) - self._begin > SUSPICIOUS_BYTES):
                yield from self._give_up()
                self._at_end = self._at_end and self._scan >= len(self._buffer)
            if self.ended and (rest := self._buffer[self._scan :].strip()):
                again = self._next_object(self._scan - 1, len(self._buffer))
                if again >= 0 or not self._nested:
                    yield Value(self._offset + self._scan, problem=f"{bytes(rest[:40])!r} behind the array's end")
                self.ended = again < 0
                self._scan = len(self._buffer) if self.ended else again
            self._forget()

    def _read(self) -> None:
        chunk = read_chunk(self._file, CHUNK_BYTES)
        self._at_end = not chunk
        self._buffer += chunk

    def _advance(self) -> bool:
        """Look on until a value has ended (True) or the buffer has (False)."""
        buffer = self._buffer
        while self._scan < len(buffer) and not self.ended:
            if self._in_string:
                self._scan = _string_end(buffer, self._scan)
                if self._scan == 0:
                    self._scan = len(buffer)
                    return False
                self._in_string = False
                if self._depth == 0:
                    return True
                continue
            if self._begin < 0:
                self._scan = _end(_BETWEEN, buffer, self._scan)
                if self._scan == len(buffer):
                    return False
                if buffer[self._scan] == ord("]"):
                    self._scan += 1
                    self.ended = True
                    return False
                self._begin = self._scan
                if (literal := _end(_LITERAL, buffer, self._scan)) > self._scan:
                    self._scan = literal
                    if literal == len(buffer) and not self._at_end:
                        self._scan, self._begin = self._begin, -1  # it may go on in the next chunk
                        return False
                    return True
            found = _STRUCTURE.search(buffer, self._scan)
            if found is None:
                self._scan = len(buffer)
                return False
            mark, self._scan = found.group(), found.end()
            self._in_string = mark == b'"'
            self._depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
            if self._depth <= 0 and not self._in_string:
                return True
        return False

    def _finish(self) -> Iterator[Value]:
        """The value that has just ended."""
        begin, self._depth = self._begin, 0
        place, data = self._offset + begin, bytes(self._buffer[begin : self._scan])
        self._begin = -1
        if self._too_long:
            self._too_long = False
            return
        if (text := self._decode(data)) is None:
            yield Value(place, problem="bytes that are neither UTF-8 nor, for certain, CP949")
            return
        value, problem = None, ""
        try:
            value = json.loads(text, strict=False)  # a line break in a string does no harm
        except (ValueError, RecursionError) as error:
            problem = f"no JSON ({error})"
        # Over the end of a string, one shows that the quotes are inside out; within a good value it is its own.
        behind = begin if problem else self._scan - len(self._key)
        if not isinstance(value, dict) and (again := self._next_object(behind, self._scan)) >= 0:
            self._scan = again
            problem = problem or "no JSON (an object begins within it)"
        if problem:
            yield Value(place, problem=problem)
            return
        if not self._key and isinstance(value, dict) and (first := _FIRST_KEY.match(data)):
            self._key = first.group()
        yield Value(place, value)

    def _give_up(self) -> Iterator[Value]:
        """A value that goes on and on: behind a mistake the next object begins within it."""
        begin, length = self._begin, len(self._buffer) - self._begin
        again = self._next_object(begin, len(self._buffer))
        if again < 0 and not self._at_end and length <= MAX_DOCUMENT_BYTES:
            return
        if not self._too_long:
            problem = f"longer than {MAX_DOCUMENT_BYTES:,} bytes"
            if again >= 0:
                problem = "no JSON (it does not end before the next object)"
            elif self._at_end:
                problem = "the file ends in the middle of it"
            yield Value(self._offset + begin, problem=problem)
        if again >= 0 or self._at_end:
            self._begin, self._scan = -1, again if again >= 0 else len(self._buffer)
            self._depth, self._in_string, self._too_long = 0, False, False
        else:
            self._too_long = True

    def _next_object(self, begin: int, end: int) -> int:
        """Where in the buffer an object begins, by its first key, behind `begin` and before `end`; -1: nowhere."""
        return self._buffer.find(self._key, begin + 1, end + len(self._key) - 1) if self._key else -1

    def _forget(self) -> None:
        """Drop what is done with from the buffer."""
        done = self._scan if self._begin < 0 or self._too_long else self._begin
        if self._in_string and self._too_long:  # backslashes whose other half is yet to come
            done -= len(self._buffer) - len(self._buffer.rstrip(b"\\"))
        del self._buffer[:done]
        self._offset += done
        self._scan -= done
        self._begin = self._begin if self._begin < 0 else max(0, self._begin - done)


def _string_end(buffer: bytearray, place: int) -> int:
    """Behind the next quote that no backslash escapes; 0: there is none."""
    while (quote := buffer.find(b'"', place)) >= 0:
        slashes = quote
        while slashes and buffer[slashes - 1] == ord("\\"):
            slashes -= 1
        place = quote + 1
        if (quote - slashes) % 2 == 0:
            return place
    return 0


def _end(pattern: re.Pattern[bytes], buffer: bytearray, place: int) -> int:
    """Where a match of a pattern that always matches ends."""
    match = pattern.match(buffer, place)
    return match.end() if match else place
