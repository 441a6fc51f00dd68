"""Flat batches: all tokens of all rows end to end, with the offsets where rows start. There is no padding.

Axes: R rows, T tokens (special tokens included), M targets, A rows of attention: the R rows, or the pieces of rows that
are cut at their documents' borders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.planning import Plan, ranges

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Int64 = NDArray[np.int64]
RowArrays = tuple[Int64, Int64, Int64, NDArray[np.int32]]
"""ids [T], positions [T], segments [T], offsets [A + 1] of rows end to end."""


class TakesTokens(Protocol):
    """A token store, as far as rows need it."""

    def take(self, starts: Int64, lengths: Int64) -> Int64:
        """Int64 [sum(lengths)]: the ids of these spans of token positions, end to end."""


@dataclass(slots=True)
class Target:
    """What one objective predicts, and where."""

    positions: Tensor
    """Int64 [M]: flat token positions, ascending; the rows' first tokens for objectives on whole rows."""
    labels: Tensor
    """Int64 [M]: token ids or classes; float32 [M] for a regression, [M, C] for several labels at once; int64 [M, 2]
    for the start and the end of an answer."""
    left: Tensor | None = None
    """Int64 [M]: flat position of the token just before the target's span; span_boundary alone."""
    right: Tensor | None = None
    """Int64 [M]: flat position of the token just after it."""
    places: Tensor | None = None
    """Int64 [M]: place within the span, in tokens, from 1."""

    def to(self, device: torch.device | str) -> Target:
        """The same target with its tensors on `device`."""
        left, right, places = (
            None if t is None else to_device(t, device) for t in (self.left, self.right, self.places)
        )
        return Target(to_device(self.positions, device), to_device(self.labels, device), left, right, places)


@dataclass(slots=True)
class Batch:
    """Rows end to end, as tensors on one device."""

    ids: Tensor
    """Int64 [T]: token ids, corrupted where an objective asks for it."""
    positions: Tensor
    """Int64 [T]: place within the row of attention, from 0."""
    segments: Tensor
    """Int64 [T]: 0 or 1."""
    offsets: Tensor
    """Int32 [A + 1]: where each row of attention starts, then T; offsets[:-1] are the [CLS] tokens."""
    longest: int
    """Tokens of the longest row of attention."""
    rows: Int64
    """Int64 [R], numpy: numbers of the rows in their plan or file, for messages."""
    targets: dict[str, Target] = field(default_factory=dict)
    """By objective: "masked_tokens", "span_boundary", "sentence_pair"; in fine-tuning the name of the task's kind."""
    parts: Int64 | None = None
    """Int64 [R], numpy: rows of attention in each row, where rows are cut, or are the options of a question; None: one
    each, so A = R."""

    @property
    def tokens(self) -> int:
        """T."""
        return int(self.ids.shape[0])

    @property
    def original_ids(self) -> Tensor:
        """Int64 [T]: the tokens before any was hidden."""
        masked = self.targets.get("masked_tokens")
        return self.ids if masked is None else self.ids.index_copy(0, masked.positions, masked.labels)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on `device`."""
        return replace(
            self,
            ids=to_device(self.ids, device),
            positions=to_device(self.positions, device),
            segments=to_device(self.segments, device),
            offsets=to_device(self.offsets, device),
            targets={name: target.to(device) for name, target in self.targets.items()},
        )


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on `device`. On the way to a GPU it passes through pinned memory, or the host would wait for all work
    that the GPU still has."""
    if str(device).startswith("cuda") and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def make_rows(store: TakesTokens, plan: Plan, rows: Int64, cls_id: int, sep_id: int) -> RowArrays:
    """Fetch rows of a plan: [CLS] piece [SEP] piece [SEP] ..., in the order of `rows`, each with positions from 0.

    [CLS] is in its first piece's segment, each [SEP] in that of the piece it closes. Where the plan is cut, a piece is
    such a row.
    """
    pieces_of = plan.row_offsets[rows + 1] - plan.row_offsets[rows]
    pieces = ranges(plan.row_offsets[rows], pieces_of)
    lengths = plan.piece_lengths[pieces]
    if plan.cut:
        pieces_of = np.ones_like(pieces)
    row = np.repeat(np.arange(pieces_of.size), pieces_of)

    # Before the first token of piece p stand the [CLS] of its row and of those before, and p [SEP]s.
    specials = row + 1 + np.arange(pieces.size)
    tokens = store.take(plan.piece_starts[pieces], lengths)
    ids = np.full(tokens.size + pieces_of.size + pieces.size, sep_id, dtype=np.int64)
    ids[np.arange(tokens.size) + np.repeat(specials, lengths)] = tokens

    first = np.cumsum(pieces_of) - pieces_of
    slots = lengths + 1
    slots[first] += 1
    offsets = np.append(np.cumsum(slots)[first] - slots[first], ids.size).astype(np.int32)
    ids[offsets[:-1]] = cls_id
    return ids, ranges(0, np.diff(offsets)), np.repeat(plan.piece_segments[pieces].astype(np.int64), slots), offsets


def to_torch(
    arrays: RowArrays, rows: Int64, targets: Mapping[str, tuple[NDArray[Any], ...]], parts: Int64 | None = None
) -> Batch:
    """A Batch that shares memory with these arrays; `targets` maps an objective to (positions [M], labels [M]).

    A span_boundary target goes on with left, right and places [M]. `parts`: see Batch.
    """
    import torch

    ids, positions, segments, offsets = arrays
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        segments=torch.from_numpy(segments),
        offsets=torch.from_numpy(offsets),
        longest=int(np.diff(offsets).max()),
        rows=rows,
        targets={name: Target(*map(torch.from_numpy, of_target)) for name, of_target in targets.items()},
        parts=parts,
    )
