"""Dropout whose masks are a function of (seed, step, micro-batch) and nothing else (Srivastava et al. 2014).

`seed_dropout` is called before every training forward pass, so step 70,000 draws its masks without the 69,999 before
it and a resumed run repeats the uninterrupted one bit for bit. On a CPU torch draws one number a value and compares
into booleans, which costs more than the attention it thins out (docs/experiments.md). Here one 64-bit word serves eight
values, most words of a long draw come from Marsaglia's xorshift64 (2003) run in parallel, and bytes become zeros and
ones by arithmetic alone. The share is therefore rounded to a multiple of 1/256, at most 255/256 (0.1 becomes 26/256),
and the scale is the exact inverse of what is kept. On other devices torch's own kernels and generator are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from cloze.inputs.hashing import hash_u64

_LEVELS = 256
_STREAMS = 8
STREAM_WORDS = 8_192
"""Words that are worth a stream: below that torch's generator is faster than starting seven operations."""
_LOW_57_BITS = (1 << 57) - 1
"""Turns torch's arithmetic shift by 7 into the logical one of xorshift64."""


class Dropout(nn.Module):
    """Zeroes a share of the values while training and scales the rest by 1 / (1 - share)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator = torch.Generator()

    def extra_repr(self) -> str:
        return f"share={self.share}"

    @property
    def _threshold(self) -> int:
        """Bytes below it are dropped, on a CPU."""
        return min(round(self.share * _LEVELS), _LEVELS - 1)

    @property
    def scale(self) -> float:
        """What kept values are multiplied by on a CPU: the inverse of the share that is kept after rounding."""
        return _LEVELS / (_LEVELS - self._threshold)

    def kept(self, count: int) -> Tensor:
        """uint8 [count] on a CPU: 0 where dropped, 1 elsewhere."""
        threshold = self._threshold
        values: Tensor = _random_bytes(count, self.generator)
        # A byte below the threshold becomes 0, any other 1; comparing into booleans is ten times slower.
        return values.clamp_(threshold - 1, threshold).sub_(threshold - 1) if threshold else values.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape -> the same shape and dtype."""
        if not self.training or self.share == 0.0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.share, training=True)
        # The scale comes last, as a number: in bfloat16 the product of ones with it would be another scale.
        return (self.kept(x.numel()).to(x.dtype).view(x.shape) * x).mul_(self.scale)


# The compiler can't follow a view of words as bytes, and there is nothing here to fuse.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _random_bytes(count: int, generator: torch.Generator) -> Tensor:
    """uint8 [count]: xorshift64 run in parallel, each run begun by the generator and `streams` words long."""
    streams = min(_STREAMS, max(1, count // (8 * STREAM_WORDS)))
    words = torch.empty(streams, -(-count // (8 * streams)), dtype=torch.int64)
    # random_ alone draws 63 bits; naming the whole range gives all 64, and so eight whole bytes.
    words[0].random_(torch.iinfo(torch.int64).min, None, generator=generator)
    for before, word in pairwise(words):
        torch.bitwise_xor(before, before << 13, out=word)
        word ^= (word >> 7) & _LOW_57_BITS
        word ^= word << 17
    return words.view(-1).view(torch.uint8)[:count]


def seed_dropout(modules: Iterable[nn.Module], seed: int, step: int, micro: int = 0) -> None:
    """Point every Dropout among `modules` at the masks of (seed, step, micro). `micro` also tells ranks apart."""
    for site, module in enumerate(m for m in modules if isinstance(m, Dropout)):
        module.generator.manual_seed(int(hash_u64(seed, "dropout", step, micro, site)) >> 1)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(int(hash_u64(seed, "dropout", step, micro)) >> 1)
