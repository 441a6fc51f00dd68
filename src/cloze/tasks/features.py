"""Texts as token ids, and flat batches of rows of similar length.

A row is [CLS] text [SEP]. Every text is tokenised once; a batch is then a gather from one long array. Batches have no
padding, but attention works on a view padded to the batch's longest row, so rows of similar length belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, specials included."""
        return np.diff(self.offsets)

    def batch(self, rows: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> Batch:
        """The flat batch of `rows`, in that order; `labels` [all rows] become the target "classification"."""
        lengths = self.lengths[rows]
        offsets = np.append(0, np.cumsum(lengths))
        ids = self.ids[ranges(self.offsets[rows], lengths)].astype(np.int64)
        targets = {} if labels is None else {"classification": (offsets[:-1], labels[rows])}
        return to_torch((ids, ranges(0, lengths), np.zeros_like(ids), offsets.astype(np.int32)), rows, targets)


def featurise(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> Features:
    """Tokenise `texts` into rows of at most `length` tokens, specials included; a longer text loses its end."""
    rows: list[NDArray[np.int32]] = []
    cut: list[int] = []
    for start in range(0, len(texts), TOKENISE_TEXTS):
        for ids in tokenizer.encode(texts[start : start + TOKENISE_TEXTS]):
            kept = ids[: length - 2]
            cut.append(len(ids) - len(kept))
            rows.append(np.array([tokenizer.cls_id, *kept, tokenizer.sep_id], dtype=np.int32))
    flat = np.concatenate([np.zeros(0, dtype=np.int32), *rows])
    counts = {
        "rows": len(rows),
        "tokens": len(flat) - 2 * len(rows),
        "unknown_tokens": int(np.count_nonzero(flat == tokenizer.unknown_id)),
        "truncated": sum(tokens > 0 for tokens in cut),
        "truncated_tokens": sum(cut),
    }
    return Features(flat, np.cumsum([0, *map(len, rows)]), counts)


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
