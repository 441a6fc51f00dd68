"""Texts as token ids, and flat batches of rows of similar length.

A row is [CLS] text [SEP], or a pair as the tokenizer lays it out; an example is a row, or several rows that are judged
together. Every text is tokenised once; a batch is then a gather from one long array. Batches have no padding, but
attention works on a view padded to the longest row, so rows of similar length belong together.
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
IGNORED = -1
"""Label of a token that has none: it carries no loss."""
SCORING_TOKENS = 8_192
"""Largest padded size of a batch that is only scored, if it has more than one row."""


@dataclass(frozen=True, slots=True)
class Features:
    """Tokenised texts, in the order they were given: row i is `ids[offsets[i]:offsets[i + 1]]`, specials included."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    counts: dict[str, int]
    """rows; tokens: kept, specials aside; unknown_tokens: of those, [UNK]; and what the kind counts, such as
    truncated: rows that lost their end; truncated_tokens: what they lost."""
    segments: NDArray[np.int8] | None = None
    """Segment of each token; None: all 0."""
    parts: NDArray[np.int64] | None = None
    """Example i is the rows `parts[i]` to `parts[i + 1]`; None: each row is one."""

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.offsets if self.parts is None else self.parts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, specials included."""
        return np.diff(self.offsets)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Padded tokens of each example: its length, or the number of its rows times the longest."""
        if self.parts is None:
            return self.lengths
        return np.maximum.reduceat(self.lengths, self.parts[:-1]) * np.diff(self.parts)

    def rows_of(self, examples: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of these examples, in their order."""
        return examples if self.parts is None else ranges(self.parts[examples], _sizes(self.parts, examples))

    def tokens_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in `ids` of the tokens of these rows, in their order."""
        return ranges(self.offsets[rows], _sizes(self.offsets, rows))

    def batch(
        self,
        examples: NDArray[np.int64],
        targets: Mapping[str, NDArray[np.int64] | NDArray[np.float32]] | None = None,
        *,
        per_token: bool = False,
    ) -> Batch:
        """The flat batch of `examples`, in that order.

        `targets`: objective -> what its examples are labelled with, [all examples, ...]; `per_token`: [all tokens].
        """
        rows = self.rows_of(examples)
        lengths, places = _sizes(self.offsets, rows), self.tokens_of(rows)
        offsets = np.append(0, np.cumsum(lengths))
        ids = self.ids[places].astype(np.int64)
        segments = np.zeros_like(ids) if self.segments is None else self.segments[places].astype(np.int64)
        parts = None if self.parts is None else _sizes(self.parts, examples)
        firsts = offsets[:-1] if parts is None else offsets[np.cumsum(parts) - parts]
        found: dict[str, tuple[NDArray[np.int64], NDArray[np.int64] | NDArray[np.float32]]] = {}
        for name, labels in (targets or {}).items():
            known = np.flatnonzero(labels[places] != IGNORED) if per_token else None
            found[name] = (firsts, labels[examples]) if known is None else (known, labels[places[known]])
        return to_torch((ids, ranges(0, lengths), segments, offsets.astype(np.int32)), examples, found, parts)


def _sizes(offsets: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sizes at these places of what lies between offsets; those of all others cost nothing."""
    return offsets[places + 1] - offsets[places]


class RowBuilder:
    """Rows one after the other, each [CLS] text [SEP] or, of two texts, as the tokenizer lays a pair out."""

    def __init__(self, tokenizer: Tokenizer, *, pair: bool, segments: int) -> None:
        """`segments`: how many the model knows; a pair's other ones become the last of them."""
        one: tuple[tuple[int | None, int], ...] = ((tokenizer.cls_id, 0), (None, 0), (tokenizer.sep_id, 0))
        self.layout = tokenizer.pair_layout if pair else one
        self.specials = sum(number is not None for number, _ in self.layout)
        self._unknown_id = tokenizer.unknown_id
        self._segments = np.array([min(segment, max(segments - 1, 0)) for _, segment in self.layout], dtype=np.int8)
        self._rows: list[NDArray[np.int32]] = []
        self._lengths: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def start_of_last_text(self, *before: Sequence[int]) -> int:
        """Place in a row where its last text begins, if `before` is what stands in it before that."""
        last = max(place for place, (number, _) in enumerate(self.layout) if number is None)
        return last - len(before) + sum(map(len, before))

    def add(self, *texts: Sequence[int]) -> None:
        """A row of these token ids."""
        waiting = iter(texts)
        pieces = [next(waiting) if number is None else [number] for number, _ in self.layout]
        self._lengths.append(tuple(map(len, pieces)))
        self._rows.append(np.array([token for piece in pieces for token in piece], dtype=np.int32))

    def features(self, counts: Mapping[str, int], parts: Sequence[int] | None = None) -> Features:
        """All rows. `counts` join those of rows and tokens; `parts`: rows of each example, where not 1."""
        flat = np.concatenate([np.zeros(0, dtype=np.int32), *self._rows])
        counted = {
            "rows": len(self),
            "tokens": len(flat) - self.specials * len(self),
            "unknown_tokens": int(np.count_nonzero(flat == self._unknown_id)),
        }
        kinds = np.tile(self._segments, len(self))
        segments = np.repeat(kinds, np.array(self._lengths, dtype=np.int64).ravel()) if kinds.any() else None
        offsets = np.cumsum([0, *map(len, self._rows)])
        joined = None if parts is None else np.cumsum([0, *parts])
        return Features(flat, offsets, {**counted, **counts}, segments, joined)


def featurise(
    texts: Sequence[str], tokenizer: Tokenizer, length: int, *, second: Sequence[str] | None = None, segments: int = 2
) -> Features:
    """Tokenise `texts` into rows of at most `length` tokens, specials included; a longer text loses its end.

    With `second` a row is a pair, and of a pair that is too long the longer text loses its end, token by token.
    """
    builder = RowBuilder(tokenizer, pair=second is not None, segments=segments)
    room = length - builder.specials
    cut: list[int] = []
    for start in range(0, len(texts), TOKENISE_TEXTS):
        columns = [column[start : start + TOKENISE_TEXTS] for column in (texts, second) if column is not None]
        for row in zip(*map(tokenizer.encode, columns), strict=True):
            kept = fitting([len(ids) for ids in row], room)
            cut.append(sum(map(len, row)) - sum(kept))
            builder.add(*(ids[:count] for ids, count in zip(row, kept, strict=True)))
    return builder.features({"truncated": sum(tokens > 0 for tokens in cut), "truncated_tokens": sum(cut)})


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


def scoring_batches(sizes: NDArray[np.int64], tokens: int) -> list[NDArray[np.int64]]:
    """Every example once, smallest first, in batches whose padded size (largest x examples) is at most `tokens` if it
    can."""
    order = np.argsort(sizes, kind="stable")
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * sizes[order[end]] > tokens:
            batches.append(order[start:end])
            start = end
    return batches


def map_rows(
    function: Callable[[Batch], Tensor],
    features: Features,
    *,
    device: torch.device,
    tokens: int = SCORING_TOKENS,
    per_token: bool = False,
) -> NDArray[np.float32]:
    """Apply `function`, Batch on `device` -> [R, W] (`per_token`: [T, W]), to all examples without gradients.

    Returns [rows, W] or [tokens, W] in their own order.
    """
    import torch

    batches = scoring_batches(features.sizes, tokens)
    with torch.inference_mode():
        parts = [function(features.batch(examples).to(device)).float().cpu().numpy() for examples in batches]
    if not parts:
        return np.zeros((0, 0), dtype=np.float32)
    places = features.rows_of(np.concatenate(batches))
    places = features.tokens_of(places) if per_token else places
    result = np.empty((len(places), parts[0].shape[1]), dtype=np.float32)
    result[places] = np.concatenate(parts)
    return result
