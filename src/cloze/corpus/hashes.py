"""A set of 64-bit hashes that takes 12 to 24 bytes each, where Python's own takes about 100."""

from __future__ import annotations

from array import array

_FIRST_SLOTS = 1 << 12
_FULLEST = 2 / 3


class HashSet:
    """Numbers from 0 to 2**64 - 1 that are already random, in a table with open addressing and linear probing.

    0 marks an empty slot, so 0 counts as 1: one hash more that two texts may share.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, value: int) -> bool:
        return self._slots[self._place(value or 1)] != 0

    def add(self, value: int) -> None:
        """Take a number in, if it is not there."""
        place = self._place(value or 1)
        if self._slots[place]:
            return
        self._slots[place] = value or 1
        self._size += 1
        if self._size > _FULLEST * len(self._slots):
            before, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for known in before:
                if known:
                    self._slots[self._place(known)] = known

    def _place(self, value: int) -> int:
        """Where the number is, or the empty slot where it would be."""
        slots, last = self._slots, len(self._slots) - 1
        place = value & last
        while slots[place] not in (0, value):
            place = (place + 1) & last
        return place
