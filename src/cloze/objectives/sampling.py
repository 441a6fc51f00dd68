"""Drawing one token a target from a softmax, with random numbers that are a function of what they are for.

Axes: M targets, R rows, V vocabulary. A target needs one uniform number, which is looked up in the running sum of its
probabilities. Gumbel noise on the logits (google-research/electra, pretrain_helpers.py) gives the same distribution
from V numbers a target. Shares come as the softmax gives them, in bfloat16 at the least, which has float32's range
(float16 would lose those below 6e-8); they are summed in float32 and looked up in float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cloze.inputs.batch import to_device
from cloze.inputs.hashing import hash_u64

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch

BLOCK = 256
"""Shares summed at once. torch's running sum over 32,000 shares costs 40 times their softmax on a CPU; sums of blocks,
and a running sum within the one block that is hit, cost a quarter of it."""
BELOW_ONE = 1.0 - 2.0**-52


def draw(share: Tensor, uniform: Tensor) -> Tensor:
    """Int64 [M]: column v of row m with probability share[m, v], when `uniform` is uniform.

    share [M, V] float32, rows of non-negative numbers whose sum is above 0 (it need not be 1); uniform float64 [M] in
    [0, 1). A share of 0 is never drawn. A row with a NaN gives some column: its loss, which is NaN, ends the run.
    """
    targets, vocabulary = share.shape
    whole = vocabulary // BLOCK
    sums = share[:, : whole * BLOCK].reshape(targets, whole, BLOCK).sum(dim=2)
    if vocabulary % BLOCK:
        sums = torch.cat([sums, share[:, whole * BLOCK :].sum(dim=1, keepdim=True)], dim=1)
    block, within = _find(sums, uniform)
    columns = block[:, None] * BLOCK + torch.arange(BLOCK, device=share.device)
    inside = share.gather(1, columns.clamp(max=vocabulary - 1)).masked_fill(columns >= vocabulary, 0.0)
    return (block * BLOCK + _find(inside, within)[0]).clamp_(max=vocabulary - 1)


def _find(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Where `uniform` [M] falls among weights [M, N]: the column, int64 [M], and how far into it, [M] in [0, 1)."""
    ends = weights.double().cumsum(dim=1)
    sought = (uniform * ends[:, -1])[:, None]
    # Right: columns of weight 0 end where they begin, and are passed over.
    column = torch.searchsorted(ends, sought, right=True).clamp_(max=weights.shape[1] - 1)
    size = weights.gather(1, column).double()
    within = (sought - (ends.gather(1, column) - size)) / size
    return column.squeeze(1), within.squeeze(1).clamp(0.0, BELOW_ONE)


class Noise(nn.Module):
    """Uniform numbers of (seed, step, row, place): the same for any cut into micro-batches, any rank and any device."""

    def __init__(self) -> None:
        super().__init__()
        self.key: tuple[int, str, int] = (0, "samples/validation", 0)

    # The row numbers are numpy's, and there is nothing here to fuse.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, batch: Batch, positions: Tensor) -> Tensor:
        """positions int64 [M], flat -> float64 [M] in [0, 1), as `cloze.inputs.hashing.uniform` gives them."""
        seed, purpose, step = self.key
        hashes = torch.from_numpy(hash_u64(seed, purpose, step, batch.rows).view(np.int64))
        rows = to_device(hashes, positions.device)
        starts = batch.offsets[:-1].long()
        if batch.parts is not None:
            # Several rows of attention may be one row of the plan; places are counted in that.
            firsts = torch.from_numpy(np.cumsum(batch.parts) - batch.parts)
            starts = starts[to_device(firsts, positions.device)]
        row = torch.searchsorted(starts, positions, right=True) - 1
        return _uniform(rows[row], positions - starts[row])


def seed_noise(modules: Iterable[nn.Module], seed: int, step: int | None) -> None:
    """Point every Noise among `modules` at the numbers of (seed, step); None: of validation, the same at every step."""
    for module in modules:
        if isinstance(module, Noise):
            module.key = (seed, "samples/validation" if step is None else "samples/training", step or 0)


def _uniform(state: Tensor, counter: Tensor) -> Tensor:
    """Fold a last counter into hashes, both int64 [M], and keep 53 bits as float64 in [0, 1).

    The arithmetic of `cloze.inputs.hashing`, which is modulo 2**64, in torch's signed integers, on any device.
    """
    value = state + (counter + 1) * _signed(0x9E3779B97F4A7C15)
    for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ _shifted(value, shift)) * _signed(multiplier)
    return _shifted(value ^ _shifted(value, 31), 11).double() * 2.0**-53


def _shifted(value: Tensor, bits: int) -> Tensor:
    """A logical shift to the right; torch's own repeats the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
