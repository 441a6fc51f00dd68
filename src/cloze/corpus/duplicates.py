"""Near duplicates by MinHash (Broder 1997) and banding (Leskovec et al., Mining of Massive Datasets, 3.4).

A document is the set of its sequences of five letters. Each of n hash functions keeps the smallest hash of the set; two
documents agree in one of these with the probability of their Jaccard similarity s. The minima are cut into bands of r
rows. Documents that agree in a whole band are near duplicates: found with the probability 1 - (1 - s^r)^(n // r), which
is an S, steep around the threshold. The minima are datasketch's, by its scheme affine32, which is named here so that no
later version changes them; only the hashes of the bands are kept, 8 bytes each.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import Any

from cloze.corpus.hashes import HashSet
from cloze.corpus.shingles import letters, window_hashes

LETTERS = 5
"""Length of a sequence."""
LEAST_PROBABILITY = 0.7
"""With which a pair whose similarity is the threshold is found."""

_SEED = 1
_SCHEME = "affine32"
_AT_ONCE = 1024  # Sequences: each takes 4 bytes for every function, and these stay in the cache.


@cache
def bands(threshold: float, permutations: int) -> tuple[int, int]:
    """Number of bands and of their rows: the most rows with which a pair at the threshold is still likely found."""
    for rows in range(permutations, 1, -1):
        if 1 - (1 - threshold**rows) ** (permutations // rows) >= LEAST_PROBABILITY:
            return permutations // rows, rows
    return permutations, 1


def band_hashes(sentences: list[str], threshold: float, permutations: int) -> bytes:
    """The document's bands, 8 bytes each; empty for a document without letters, which resembles nothing."""
    import numpy as np
    from datasketch import MinHash

    text = letters("".join(sentences))
    if not text:
        return b""
    hashes = window_hashes(text, min(LETTERS, len(text)))
    sequences = np.unique((hashes >> np.uint64(32)).astype(np.uint32))
    minima = MinHash(permutations, seed=_SEED, scheme=_SCHEME, hashfunc=int, permutations=_permutations(permutations))
    for start in range(0, len(sequences), _AT_ONCE):
        minima.update_batch(sequences[start : start + _AT_ONCE].tolist())
    count, rows = bands(threshold, permutations)
    values = minima.hashvalues.astype("<u4")[: count * rows].reshape(count, rows)
    return b"".join(
        blake2b(band.tobytes(), digest_size=8, salt=place.to_bytes(2, "little")).digest()
        for place, band in enumerate(values)
    )


@cache
def _permutations(count: int) -> Any:
    """Multipliers and summands of the hash functions, which depend on the seed alone."""
    from datasketch import MinHash

    return MinHash(count, seed=_SEED, scheme=_SCHEME).permutations


class SeenBands:
    """The bands of the documents kept so far: 12 to 24 bytes each, 0.2 to 0.3 KB a document with 14 bands."""

    def __init__(self) -> None:
        self._seen = HashSet()

    def share_one(self, band_hashes: bytes) -> bool:
        """Whether an earlier document has one of these bands."""
        return any(band in self._seen for band in _integers(band_hashes))

    def add(self, band_hashes: bytes) -> None:
        """Remember a document that is kept."""
        for band in _integers(band_hashes):
            self._seen.add(band)


def _integers(band_hashes: bytes) -> list[int]:
    return [int.from_bytes(band_hashes[place : place + 8], "little") for place in range(0, len(band_hashes), 8)]
