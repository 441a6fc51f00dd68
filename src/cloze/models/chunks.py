"""Long rows cut into chunks, so that attention within a window pays for neighbours and not for whole rows.

Axes: T tokens of all rows end to end, C chunks, w the window: how far a token sees on either side (Beltagy et al. 2020,
arXiv:2004.05150, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

HIDDEN = -1e30
"""Added to scores outside the window: their weights are exactly 0. Not infinite, because a padded slot far from its
row sees padding alone, and a softmax over nothing would be NaN there and, in backward, everywhere."""


@dataclass(frozen=True)
class Chunks:
    """Rows cut into C chunks of 2w tokens. Each sees itself and w tokens on both sides: 4w in place of a whole row.

    `query_token` int64 [C * 2w] and `key_token` int64 [C * 4w] map slots to tokens (token 0 where there is none),
    `query_slot` int64 [T] maps back. A token is a key in its own chunk, at `key_slot` int64 [T], and in the chunk next
    to the half that it lies in, at `other_slot` int64 [T], if `has_other` (float32 [T, 1, 1], 1 or 0). `bias` float32
    [C, 1, 2w, 4w] is 0 or HIDDEN.
    """

    query_token: Tensor
    key_token: Tensor
    query_slot: Tensor
    key_slot: Tensor
    other_slot: Tensor
    has_other: Tensor
    bias: Tensor


def make_chunks(offsets: Tensor, tokens: int, window: int) -> Chunks:
    """The chunks of rows that begin at `offsets` int32 [R + 1], T = `tokens` in all; w = `window` is at least 1."""
    starts, lengths, size = offsets[:-1].long(), offsets.diff().long(), 2 * window
    in_row = (lengths + size - 1) // size  # chunks
    first = in_row.cumsum(0) - in_row
    row_numbers = torch.arange(len(lengths), device=offsets.device)
    row = torch.repeat_interleave(row_numbers, in_row)
    begin = (torch.arange(len(row), device=offsets.device) - first[row]) * size
    end = lengths[row][:, None]
    near = torch.arange(2 * size, device=offsets.device)
    query, key = begin[:, None] + near[:size], begin[:, None] - window + near
    real = (key >= 0) & (key < end)
    seen = ((near[:size, None] + window - near).abs() <= window) & real[:, None, :]
    start = starts[row][:, None]
    own_row = torch.repeat_interleave(row_numbers, lengths, output_size=tokens)
    place = torch.arange(tokens, device=offsets.device) - starts[own_row]
    chunk, inside = place // size, place % size
    key_slot = (first[own_row] + chunk) * 2 * size + window + inside
    early = inside < window  # Of the first half of a chunk, and so seen from the chunk before.
    return Chunks(
        query_token=torch.where(query < end, start + query, 0).reshape(-1),
        key_token=torch.where(real, start + key, 0).reshape(-1),
        query_slot=(first[own_row] + chunk) * size + inside,
        key_slot=key_slot,
        # One chunk is 2 * size slots and `size` tokens on.
        other_slot=(key_slot + torch.where(early, -size, size)).clamp(0, len(row) * 2 * size - 1),
        has_other=torch.where(early, chunk > 0, chunk + 1 < in_row[own_row]).float()[:, None, None],
        bias=torch.where(seen, 0.0, HIDDEN)[:, None],
    )
