"""Texts as their letters, and the hashes of all sequences of so many letters: how texts are compared with each other.

Only letters and digits count, in lower case: Korean is spaced in many ways, and a copied text rarely keeps its
punctuation. A hash is a polynomial in the code points, mixed, in 64-bit arithmetic: equal on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NO_LETTER = re.compile(r"[\W_]+")
_REPEATED = re.compile(r"(.)\1{2,}")
_BASE = 0x9E3779B97F4A7C15
_MIXER = 0xFF51AFD7ED558CCD


def letters(text: str) -> str:
    """The letters and digits of `text`, in lower case; of a letter that is repeated (ㅋㅋㅋㅋ, 와아아아) two."""
    return _REPEATED.sub(r"\1\1", _NO_LETTER.sub("", text.lower()))


def joined_letters(texts: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    """`letters` of the texts as one, and the place among them of the text that each letter is of."""
    import numpy as np

    parts = [_NO_LETTER.sub("", text.lower()) for text in texts]
    joined = "".join(parts)
    kept = np.ones(len(joined), np.bool_)
    for match in _REPEATED.finditer(joined):
        kept[match.start() + 2 : match.end()] = False
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return _REPEATED.sub(r"\1\1", joined), owner[kept]


def window_hashes(text: str, size: int) -> NDArray[np.uint64]:
    """A hash for each sequence of `size` characters, in order [len(text) - size + 1]; none if the text is shorter."""
    import numpy as np

    if len(text) < size:
        return np.zeros(0, np.uint64)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    # From the hashes of short sequences those of twice the length, by the binary digits of `size`.
    hashes, length = codes, 1
    for digit in f"{size:b}"[1:]:
        hashes = hashes[:-length] * np.uint64(pow(_BASE, length, 1 << 64)) + hashes[length:]
        length *= 2
        if digit == "1":
            hashes = hashes[:-1] * np.uint64(_BASE) + codes[length:]
            length += 1
    # The polynomial's low bits depend on the low bits of the characters alone.
    hashes = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIXER)
    return hashes ^ (hashes >> np.uint64(32))
