"""Rows by epoch: nothing lost, nothing repeated, nothing dependent on what was asked before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from cloze.errors import ClozeError
from cloze.inputs.batch import Batch, make_rows
from cloze.inputs.formats import FOLLOWS, RANDOM
from cloze.inputs.planning import offsets_of
from cloze.inputs.rows import Rows
from cloze.recipe import InputSettings, MaskingSettings

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeTokenizer, StoreMaker

CORPUS = [[5, 9, 14, 3, 8], [30, 2, 7], [11], [6, 6, 6, 6, 6, 6, 6]] * 6
FULL = InputSettings(format="full-sentences", length=24)
PAIRS = InputSettings(format="segment-pair", length=24)
CUT = InputSettings(format="full-sentences", length=24, cross_document_attention=False)
DOC = InputSettings(format="doc-sentences", length=24)
SENTENCES = InputSettings(format="sentence-pair", length=24)
ORDER = InputSettings(format="sentence-order", length=24)


def rows_for(
    make_store: StoreMaker,
    tokenizer: FakeTokenizer,
    inputs: InputSettings = FULL,
    copies: int | None = None,
    *,
    shuffle: bool = True,
) -> Rows:
    return Rows(make_store(CORPUS), tokenizer, inputs, MaskingSettings(copies=copies), seed=1, shuffle=shuffle)


def by_row(batch: Batch) -> dict[int, tuple[object, ...]]:
    """Everything a batch says about each row, by row number."""
    found: dict[int, tuple[object, ...]] = {}
    masked = batch.targets["masked_tokens"]
    pairs = batch.targets.get("sentence_pair")
    offsets = batch.offsets.tolist() if batch.parts is None else batch.offsets[offsets_of(batch.parts)].tolist()
    for i, row in enumerate(batch.rows.tolist()):
        inside = (masked.positions >= offsets[i]) & (masked.positions < offsets[i + 1])
        span = slice(offsets[i], offsets[i + 1])
        found[row] = (
            batch.ids[span].tolist(),
            batch.positions[span].tolist(),
            batch.segments[span].tolist(),
            (masked.positions[inside] - offsets[i]).tolist(),
            masked.labels[inside].tolist(),
            None if pairs is None else (int(pairs.positions[i]) - offsets[i], int(pairs.labels[i])),
        )
    return found


def whole(rows: Rows, epoch: int) -> dict[int, tuple[object, ...]]:
    return by_row(rows.batch(epoch, np.arange(rows.rows_in_epoch(epoch))))


@pytest.mark.parametrize("inputs", [FULL, PAIRS, CUT, DOC, SENTENCES, ORDER])
def test_an_epoch_has_every_row_once_however_it_is_cut(
    make_store: StoreMaker, tokenizer: FakeTokenizer, inputs: InputSettings
) -> None:
    rows = rows_for(make_store, tokenizer, inputs)
    count = rows.rows_in_epoch(3)
    expected = whole(rows, 3)
    assert sorted(expected) == list(range(count))
    for size in (1, 5):
        pieces = [by_row(rows.batch(3, np.arange(i, min(i + size, count)))) for i in range(0, count, size)]
        assert {row: seen for piece in pieces for row, seen in piece.items()} == expected


@pytest.mark.parametrize("inputs", [FULL, PAIRS, CUT])
def test_the_original_tokens_come_back(make_store: StoreMaker, tokenizer: FakeTokenizer, inputs: InputSettings) -> None:
    rows = rows_for(make_store, tokenizer, inputs)
    places = np.arange(rows.rows_in_epoch(0))
    batch, now = rows.batch(0, places), rows.epoch(0)
    wanted = make_rows(rows.store, now.plan, now.order[places], tokenizer.cls_id, tokenizer.sep_id)[0]
    assert batch.original_ids.tolist() == wanted.tolist() != batch.ids.tolist()


def test_an_epoch_does_not_depend_on_those_before(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    walked, jumped = rows_for(make_store, tokenizer), rows_for(make_store, tokenizer)
    for epoch in range(4):
        whole(walked, epoch)
    places = np.arange(3)
    assert by_row(walked.batch(4, places)) == by_row(jumped.batch(4, places))
    jumped.batch(9, places)
    assert by_row(walked.batch(4, places)) == by_row(jumped.batch(4, places))


def test_dynamic_masking_is_new_each_epoch(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = rows_for(make_store, tokenizer)
    assert [rows.epoch(epoch).copy for epoch in range(3)] == [0, 1, 2]
    assert whole(rows, 0) != whole(rows, 1)


def test_masks_are_new_even_where_the_rows_are_the_same(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = Rows(make_store([[20] * 9]), tokenizer, FULL, MaskingSettings(), seed=1, shuffle=True)
    first, second = (rows.batch(epoch, np.argsort(rows.epoch(epoch).order)) for epoch in (0, 1))
    assert torch.equal(first.offsets, second.offsets)
    assert first.targets["masked_tokens"].positions.tolist() != second.targets["masked_tokens"].positions.tolist()


def test_places_count_along_the_epochs_order(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = rows_for(make_store, tokenizer)
    order = rows.epoch(2).order
    assert rows.batch(2, np.array([3, 0])).rows.tolist() == order[[3, 0]].tolist()
    assert order.tolist() != sorted(order.tolist())


@pytest.mark.parametrize("inputs", [FULL, PAIRS, CUT, DOC, SENTENCES, ORDER])
@pytest.mark.parametrize("copies", [1, 3])
def test_static_copies_repeat(
    make_store: StoreMaker, tokenizer: FakeTokenizer, inputs: InputSettings, copies: int
) -> None:
    rows = rows_for(make_store, tokenizer, inputs, copies)
    epochs = [whole(rows, epoch) for epoch in range(2 * copies)]
    assert epochs[:copies] == epochs[copies:]
    assert all(epochs[0] != other for other in epochs[1:copies])
    assert not np.array_equal(rows.epoch(0).order, rows.epoch(copies).order)


def test_epochs_of_one_copy_share_their_plan(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = rows_for(make_store, tokenizer, copies=1)
    first = rows.epoch(0)
    assert rows.epoch(0) is first
    assert rows.epoch(1).plan is first.plan


def test_validation_rows_never_change(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = rows_for(make_store, tokenizer, PAIRS, shuffle=False)
    now = rows.epoch(7)
    assert now.copy == 0
    assert now.order.tolist() == list(range(now.plan.rows))
    assert whole(rows, 7) == whole(rows_for(make_store, tokenizer, PAIRS, copies=5, shuffle=False), 0)


def test_pairs_have_labels_and_plain_rows_have_none(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    batch = rows_for(make_store, tokenizer, PAIRS).batch(0, np.arange(10))
    target = batch.targets["sentence_pair"]
    assert target.positions.tolist() == batch.offsets[:-1].tolist()
    assert target.positions.dtype == target.labels.dtype == torch.int64
    assert set(target.labels.tolist()) == {FOLLOWS, RANDOM}
    assert set(batch.segments.tolist()) == {0, 1}
    plain = rows_for(make_store, tokenizer).batch(0, np.arange(3))
    assert set(plain.targets) == {"masked_tokens"}


def test_labels_restore_the_text(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = rows_for(make_store, tokenizer)
    batch = rows.batch(0, np.arange(rows.rows_in_epoch(0)))
    restored = batch.ids.clone()
    restored[batch.targets["masked_tokens"].positions] = batch.targets["masked_tokens"].labels
    content = restored[restored >= 5]
    assert sorted(content.tolist()) == sorted(5 + np.arange(sum(map(sum, CORPUS))) % 995)


def test_unknown_tokens_are_no_targets(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    store = make_store(CORPUS)
    unknown = type(tokenizer)()
    unknown.unknown_id = 17
    rows = Rows(store, unknown, FULL, MaskingSettings(target_frac=0.99), seed=1, shuffle=True)
    batch = rows.batch(0, np.arange(rows.rows_in_epoch(0)))
    assert 17 in batch.ids and 18 in batch.targets["masked_tokens"].labels
    assert 17 not in batch.targets["masked_tokens"].labels


def test_an_empty_split_has_no_rows(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    rows = Rows(make_store([]), tokenizer, FULL, MaskingSettings(), seed=1, shuffle=False)
    assert rows.rows_in_epoch(0) == 0
    with pytest.raises(ClozeError, match="no row to train on"):
        rows.epoch(0)


def test_cut_rows_are_rows_of_attention_but_share_their_targets(
    make_store: StoreMaker, tokenizer: FakeTokenizer
) -> None:
    """A row's share of targets is of all its documents together: one of a word or two need not have any."""
    rows = Rows(make_store([[3]] * 60), tokenizer, CUT, MaskingSettings(), seed=1, shuffle=True)
    batch = rows.batch(0, np.arange(rows.rows_in_epoch(0)))
    assert batch.parts is not None and set(batch.parts.tolist()) == {4}  # 4 x ([CLS] + 3 + [SEP]) in 24
    assert batch.offsets.tolist() == list(range(0, 301, 5)) and batch.longest == 5
    assert batch.positions.tolist() == [0, 1, 2, 3, 4] * 60
    masked = batch.targets["masked_tokens"].positions.numpy()
    assert np.histogram(masked, batch.offsets[::4])[0].tolist() == [round(0.15 * 12)] * 15
    whole_rows = rows_for(make_store, tokenizer).batch(0, np.arange(3))
    assert whole_rows.parts is None


def test_boundaries_are_a_target_of_the_masked_tokens(make_store: StoreMaker, tokenizer: FakeTokenizer) -> None:
    masking = MaskingSettings(unit="span", boundaries=True)
    for inputs in (FULL, CUT, PAIRS):
        rows = Rows(make_store(CORPUS), tokenizer, inputs, masking, seed=1, shuffle=True)
        batch = rows.batch(0, np.arange(rows.rows_in_epoch(0)))
        masked, spans = batch.targets["masked_tokens"], batch.targets["span_boundary"]
        assert torch.equal(masked.positions, spans.positions) and torch.equal(masked.labels, spans.labels)
        assert spans.left is not None and spans.right is not None and spans.places is not None
        assert not torch.isin(torch.cat([spans.left, spans.right]), masked.positions).any()
        row = torch.searchsorted(batch.offsets, masked.positions, right=True)
        for beside in (spans.left, spans.right):
            assert torch.equal(torch.searchsorted(batch.offsets, beside, right=True), row)
        assert torch.equal(spans.left + spans.places, masked.positions)
    plain = Rows(make_store(CORPUS), tokenizer, FULL, MaskingSettings(unit="span"), seed=1, shuffle=True)
    assert set(plain.batch(0, np.arange(3)).targets) == {"masked_tokens"}


@pytest.mark.parametrize(
    ("inputs", "unit", "in_tokens"),
    [
        *((inputs, "auto", False) for inputs in (FULL, PAIRS, CUT, ORDER)),
        *((inputs, "auto", True) for inputs in (DOC, SENTENCES)),
        (SENTENCES, "rows", False),
        (FULL, "tokens", True),
    ],
)
def test_a_step_is_measured_in_rows_or_in_tokens(
    make_store: StoreMaker, tokenizer: FakeTokenizer, inputs: InputSettings, unit: str, in_tokens: bool
) -> None:
    rows = rows_for(make_store, tokenizer, inputs.model_copy(update={"batch_unit": unit}))
    lengths = rows.epoch(0).plan.row_lengths()
    expected = round(32 * 24 / lengths.mean()) if in_tokens else 32
    assert rows.rows_per_step(32) == expected
    assert not in_tokens or expected > 32
    rows.epoch(5)
    assert rows.rows_per_step(32) == expected, "the same in all epochs"
