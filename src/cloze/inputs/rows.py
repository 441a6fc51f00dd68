"""Rows of a split by epoch: from (epoch, places in its order) to a Batch with targets.

An epoch is a plan (which spans make which row), an order, and masks. All are functions of (seed, copy or epoch, row),
so step 70,000 needs nothing of the steps before it. `masking.copies` N takes plan and masks from copy epoch mod N (1:
BERT's fixed masks; 10: RoBERTa's ten copies); null takes a new copy each epoch. The order is new each epoch either way.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.batch import Batch, TakesTokens, make_rows, to_torch
from cloze.inputs.formats import Plan, Spans, plan, rows_of_tokens
from cloze.inputs.hashing import permutation
from cloze.inputs.masking import mask
from cloze.inputs.planning import offsets_of
from cloze.inputs.spans import boundaries
from cloze.recipe import InputSettings, MaskingSettings

Int64 = NDArray[np.int64]

FINGERPRINT_DIGITS = 12
SHORT_ROWS = ("sentence-pair", "doc-sentences")
"""Formats for which `inputs.batch_unit` auto means tokens: RoBERTa (arXiv:1907.11692), section 4.2."""


class Store(Spans, TakesTokens, Protocol):
    """A token store: where sentences and documents lie, and their tokens."""


class Vocabulary(Protocol):
    """The parts of a tokenizer that rows and masks are made with."""

    vocabulary_size: int
    unknown_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    @property
    def special_ids(self) -> list[int]:
        """Never targets."""

    @property
    def ordinary_ids(self) -> Int64:
        """Int64: the ids that may replace a target."""

    @property
    def word_starts(self) -> NDArray[np.bool_]:
        """Bool [vocabulary_size]: True where an entry begins a word."""

    @property
    def characters(self) -> Int64:
        """Int64 [vocabulary_size]: characters of text that an entry stands for."""


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """One pass over the corpus."""

    number: int
    copy: int
    """Names the plan and the masks."""
    plan: Plan
    order: Int64
    """Int64 [R]: the plan's row at each place of the epoch."""


class Rows:
    """The rows of one split. `shuffle` False is for validation: copy 0 in the plan's order, at every epoch the same."""

    def __init__(
        self,
        store: Store,
        tokenizer: Vocabulary,
        inputs: InputSettings,
        masking: MaskingSettings,
        seed: int,
        *,
        shuffle: bool,
    ) -> None:
        self.store = store
        self.tokenizer = tokenizer
        self.inputs = inputs
        self.masking = masking
        self.seed = seed
        self.shuffle = shuffle
        # Predicting [UNK] teaches nothing, so it is no target, like the special tokens.
        self._special = np.zeros(tokenizer.vocabulary_size, dtype=np.bool_)
        self._special[[*tokenizer.special_ids, tokenizer.unknown_id]] = True
        self._last: Epoch | None = None
        self._rows_of_tokens: dict[int, int] = {}

    @property
    def fingerprint(self) -> str:
        """In hex, of where sentences and documents lie in the store, and of the vocabulary's size: in practice, of the
        corpus and its tokenizer. The tokens themselves are not read."""
        offsets = (self.store.sentence_offsets, self.store.document_offsets)
        digest = hashlib.sha256(str(self.tokenizer.vocabulary_size).encode())
        for one in offsets:
            digest.update(np.ascontiguousarray(one).data)
        return digest.hexdigest()[:FINGERPRINT_DIGITS]

    def epoch(self, number: int) -> Epoch:
        """Plan and order of this epoch; the last one is kept, and its plan serves every epoch of the same copy."""
        if self._last is None or self._last.number != number:
            copy = self._copy(number)
            same = self._last is not None and self._last.copy == copy
            rows = self._last.plan if self._last and same else plan(self.store, self.inputs, self.seed, copy)
            order = permutation(rows.rows, self.seed, "rows/order", number) if self.shuffle else np.arange(rows.rows)
            self._last = Epoch(number, copy, rows, order)
        return self._last

    def rows_in_epoch(self, number: int) -> int:
        """Rows of this epoch; copies of one corpus may differ a little. 0 for an empty split, which has no plan."""
        return self.epoch(number).plan.rows if self.store.sentence_offsets[-1] else 0

    def rows_per_step(self, batch_rows: int) -> int:
        """Rows that a step of `batch_rows` takes by `inputs.batch_unit`: as many, or those of as many tokens.

        In tokens, it is how many rows of mean length hold batch_rows x `inputs.length` tokens; the mean is that of the
        first epoch, so all steps of a run are equally large. Also turns `micro_batch_rows` into rows.
        """
        unit = self.inputs.batch_unit
        if unit == "rows" or (unit == "auto" and self.inputs.format not in SHORT_ROWS):
            return batch_rows
        if batch_rows not in self._rows_of_tokens:
            self._rows_of_tokens[batch_rows] = rows_of_tokens(self.epoch(0).plan, batch_rows * self.inputs.length)
        return self._rows_of_tokens[batch_rows]

    def batch(self, epoch: int, places: Int64) -> Batch:
        """The rows at these places (0 to `rows_in_epoch` - 1) of the epoch's order.

        Targets: "masked_tokens"; for pairs, "sentence_pair"; for `masking.boundaries`, "span_boundary" on the same
        tokens. A row's tokens and targets do not depend on the rows it is asked for with.
        """
        now = self.epoch(epoch)
        rows = now.order[places]
        ids, positions, segments, offsets = make_rows(
            self.store, now.plan, rows, self.tokenizer.cls_id, self.tokenizer.sep_id
        )
        parts = now.plan.row_offsets[rows + 1] - now.plan.row_offsets[rows] if now.plan.cut else None
        corrupted, masked, labels = mask(
            ids,
            # The share of targets is one of the whole row: a document of three words need not have one.
            offsets if parts is None else offsets[offsets_of(parts)],
            rows,
            settings=self.masking,
            special=self._special,
            word_starts=self.tokenizer.word_starts,
            ordinary_ids=self.tokenizer.ordinary_ids,
            mask_id=self.tokenizer.mask_id,
            seed=self.seed,
            copy=now.copy,
        )
        targets: dict[str, tuple[Int64, ...]] = {"masked_tokens": (masked, labels)}
        if self.masking.boundaries:
            targets["span_boundary"] = (masked, labels, *boundaries(masked))
        if now.plan.paired:
            targets["sentence_pair"] = (offsets[:-1].astype(np.int64), now.plan.labels[rows].astype(np.int64))
        return to_torch((corrupted, positions, segments, offsets), rows, targets, parts)

    def _copy(self, epoch: int) -> int:
        if not self.shuffle:
            return 0
        return epoch if self.masking.copies is None else epoch % self.masking.copies
