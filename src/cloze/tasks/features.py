"""Texts as token ids, and flat batches of rows of similar length.

A row is [CLS] text [SEP], or a pair as the tokenizer lays it out. Every text is tokenised once; a batch is then a
gather from one long array. Batches have no padding, but attention works on a view padded to the longest row, so rows of
similar length belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.batch import Batch, to_torch
from cloze.inputs.formats import ranges
from cloze.inputs.hashing import permutation

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from cloze.tokens.tokenizer import Tokenizer

BUCKET_BATCHES = 50
"""Batches that are sorted by length together: enough that a batch's rows differ little in length, few enough that the
order stays random (the same number as in transformers' LengthGroupedSampler)."""
TOKENISE_TEXTS = 10_000
"""Texts handed to the tokenizer at once."""
SCORING_TOKENS = 8_192
"""Largest padded size of a batch that is only scored, if it has more than one row."""


@dataclass(frozen=True, slots=True)
class Features:
    """Tokenised texts, in the order they were given: row i is `ids[offsets[i]:offsets[i + 1]]`, specials included."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    counts: dict[str, int]
    """rows; tokens: kept, specials aside; unknown_tokens: of those, [UNK]; truncated: rows that lost their end;
    truncated_tokens: what they lost."""
    segments: NDArray[np.int8] | None = None
    """Segment of each token; None: all 0."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, specials included."""
        return np.diff(self.offsets)

    def batch(
        self, rows: NDArray[np.int64], targets: Mapping[str, NDArray[np.int64] | NDArray[np.float32]] | None = None
    ) -> Batch:
        """The flat batch of `rows`, in that order; `targets`: objective -> what its rows have, [all rows]."""
        lengths = self.lengths[rows]
        offsets = np.append(0, np.cumsum(lengths))
        places = ranges(self.offsets[rows], lengths)
        ids = self.ids[places].astype(np.int64)
        segments = np.zeros_like(ids) if self.segments is None else self.segments[places].astype(np.int64)
        of_rows = {name: (offsets[:-1], labels[rows]) for name, labels in (targets or {}).items()}
        return to_torch((ids, ranges(0, lengths), segments, offsets.astype(np.int32)), rows, of_rows)


def featurise(
    texts: Sequence[str], tokenizer: Tokenizer, length: int, *, second: Sequence[str] | None = None, segments: int = 2
) -> Features:
    """Tokenise `texts` into rows of at most `length` tokens, specials included; a longer text loses its end.

    With `second` a row is a pair, and of a pair that is too long the longer text loses its end, token by token.
    `segments`: how many the model knows; a pair's other ones become the last of them.
    """
    if second is None:
        layout: tuple[tuple[int | None, int], ...] = ((tokenizer.cls_id, 0), (None, 0), (tokenizer.sep_id, 0))
    else:
        layout = tokenizer.pair_layout
    room = length - sum(number is not None for number, _ in layout)
    parts: list[NDArray[np.int32]] = []
    lengths: list[tuple[int, ...]] = []
    cut: list[int] = []
    for start in range(0, len(texts), TOKENISE_TEXTS):
        columns = [column[start : start + TOKENISE_TEXTS] for column in (texts, second) if column is not None]
        for row in zip(*map(tokenizer.encode, columns), strict=True):
            kept = fitting([len(ids) for ids in row], room)
            cut.append(sum(map(len, row)) - sum(kept))
            waiting = iter([ids[:count] for ids, count in zip(row, kept, strict=True)])
            pieces = [next(waiting) if number is None else [number] for number, _ in layout]
            lengths.append(tuple(map(len, pieces)))
            parts.append(np.array([token for piece in pieces for token in piece], dtype=np.int32))
    flat = np.concatenate([np.zeros(0, dtype=np.int32), *parts])
    counts = {
        "rows": len(parts),
        "tokens": len(flat) - (length - room) * len(parts),
        "unknown_tokens": int(np.count_nonzero(flat == tokenizer.unknown_id)),
        "truncated": sum(tokens > 0 for tokens in cut),
        "truncated_tokens": sum(cut),
    }
    kinds = np.array([min(segment, max(segments - 1, 0)) for _, segment in layout], dtype=np.int8)
    of_tokens = np.repeat(np.tile(kinds, len(parts)), np.array(lengths, dtype=np.int64).ravel())
    return Features(flat, np.cumsum([0, *map(len, parts)]), counts, of_tokens if kinds.any() else None)


def fitting(lengths: Sequence[int], room: int) -> list[int]:
    """How much of one or two texts is kept: the longer one is cut until they fit, of equal ones the second.

    The same as taking one token after the other (google-research/bert, run_classifier.py, _truncate_seq_pair).
    """
    if sum(lengths) <= room or len(lengths) == 1:
        return [min(length, room) for length in lengths]
    first, second = lengths
    if first <= room // 2:
        return [first, room - first]
    return [room - min(second, room // 2), min(second, room // 2)]


def training_batches(lengths: NDArray[np.int64], batch_rows: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Every row once, in batches of `batch_rows` (one may be smaller): a function of (seed, epoch).

    Rows are shuffled, sorted by length within buckets of `BUCKET_BATCHES` batches, cut into batches, and the batches
    shuffled again.
    """
    order = permutation(len(lengths), seed, "fine-tuning rows", epoch)
    bucket = np.arange(len(order)) // (BUCKET_BATCHES * batch_rows)
    order = order[np.lexsort((lengths[order], bucket))]
    batches = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    return [batches[place] for place in permutation(len(batches), seed, "fine-tuning batches", epoch)]


def scoring_batches(lengths: NDArray[np.int64], tokens: int) -> list[NDArray[np.int64]]:
    """Every row once, shortest first, in batches whose padded size (rows x longest) is at most `tokens` if it can."""
    order = np.argsort(lengths, kind="stable")
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > tokens:
            batches.append(order[start:end])
            start = end
    return batches


def map_rows(
    function: Callable[[Batch], Tensor], features: Features, *, device: torch.device, tokens: int = SCORING_TOKENS
) -> NDArray[np.float32]:
    """Apply `function`, Batch on `device` -> [R, W], to all rows without gradients: [rows, W] in their own order."""
    import torch

    places = scoring_batches(features.lengths, tokens)
    with torch.inference_mode():
        parts = [function(features.batch(rows).to(device)).float().cpu().numpy() for rows in places]
    if not parts:
        return np.zeros((0, 0), dtype=np.float32)
    result = np.empty((len(features.lengths), parts[0].shape[1]), dtype=np.float32)
    result[np.concatenate(places)] = np.concatenate(parts)
    return result
