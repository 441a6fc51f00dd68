"""Random numbers that are a function of what they are for: (seed, purpose, counters) -> 64 bits.

No generator is carried along, so the numbers of epoch 70, row 5 are computed without those before them, in any order,
on any rank. Seed and purpose become a 64-bit key (BLAKE2b); each counter is folded in with one step of SplitMix64
(Steele, Lea, Flood 2014; Stafford's 13th finaliser): `key = mix(key + (counter + 1) * GOLDEN)`. Over the last counter
this *is* SplitMix64 started at a random point. The step is a bijection of the counter, so hashes that differ in the
last counter alone never collide.

Counters are integers or integer arrays and broadcast; negative ones count modulo 2**64. Leading scalars cost nothing
per element, so put the array last.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]
UInt64 = NDArray[np.uint64]

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def hash_u64(seed: int, purpose: str, *counters: int | Integers) -> UInt64:
    """64 uniform bits for each element of the broadcast counters; uint64, shape () when all counters are scalars."""
    key = int.from_bytes(blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest(), "little")
    state: int | UInt64 = key
    for counter in counters:
        if isinstance(counter, np.ndarray) or isinstance(state, np.ndarray):
            state = _fold(state, np.asarray(counter))
        else:
            state = _fold_scalar(state, int(counter))
    return np.asarray(state, dtype=np.uint64)


def uniform(seed: int, purpose: str, *counters: int | Integers) -> NDArray[np.float64]:
    """Float64 in [0, 1), multiples of 2**-53, one for each element of the broadcast counters."""
    return (hash_u64(seed, purpose, *counters) >> np.uint64(11)) * np.float64(2.0**-53)


def integers(bound: int | Integers, seed: int, purpose: str, *counters: int | Integers) -> NDArray[np.int64]:
    """Int64 in [0, bound); bounds (1 to 2**32) and counters broadcast. The bias is below bound / 2**64."""
    limit = np.asarray(bound)
    if np.any(limit < 1) or np.any(limit > 1 << 32):
        raise ValueError(f"bounds must lie in 1 to 2**32, got {limit.min():,} to {limit.max():,}")
    factor = limit.astype(np.uint64)
    bits = hash_u64(seed, purpose, *counters)
    # The upper half of the 128-bit product bits * bound, from 32-bit halves: it falls evenly on 0 ... bound - 1.
    half = np.uint64(32)
    lower = ((bits & np.uint64(0xFFFFFFFF)) * factor) >> half
    return np.asarray(((bits >> half) * factor + lower) >> half, dtype=np.int64)


def permutation(n: int, seed: int, purpose: str, *counters: int) -> NDArray[np.int64]:
    """0 ... n - 1 in an order that is a function of (seed, purpose, counters): by hash. Distinct indices cannot tie."""
    return np.argsort(hash_u64(seed, purpose, *counters, np.arange(n))).astype(np.int64, copy=False)


def _fold_scalar(state: int, counter: int) -> int:
    """One SplitMix64 step in Python integers: 1 us, where numpy's scalars would take 10."""
    value = (state + (counter + 1) * _GOLDEN) & _WORD
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & _WORD
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & _WORD
    return value ^ (value >> 31)


def _fold(state: int | UInt64, counter: Integers) -> UInt64:
    """The same step over arrays; uint64 arithmetic wraps as it should."""
    value = counter.astype(np.uint64)
    value += np.uint64(1)
    value *= np.uint64(_GOLDEN)
    value = np.atleast_1d(value + (state if isinstance(state, np.ndarray) else np.uint64(state)))
    scratch = np.empty_like(value)
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        value ^= np.right_shift(value, np.uint64(shift), out=scratch)
        value *= np.uint64(multiplier)
    value ^= np.right_shift(value, np.uint64(31), out=scratch)
    return value.reshape(np.broadcast_shapes(np.shape(state), counter.shape))
