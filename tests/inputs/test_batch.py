"""Flat batches: rows end to end, in any order, without padding."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloze.inputs.batch import Batch, make_rows, to_torch
from cloze.inputs.formats import Plan, plan
from cloze.recipe import InputSettings

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeStore, StoreMaker

CLS, SEP = 2, 3


def row_by_row(store: FakeStore, made: Plan, rows: list[int]) -> list[list[tuple[int, int, int]]]:
    """(id, position, segment) of each token of each row, in plain loops."""
    result = []
    for row in rows:
        ids, segments = [CLS], [0]
        for piece in range(made.row_offsets[row], made.row_offsets[row + 1]):
            tokens = store.take(made.piece_starts[piece : piece + 1], made.piece_lengths[piece : piece + 1])
            ids += [*tokens.tolist(), SEP]
            segments += [int(made.piece_segments[piece])] * (tokens.size + 1)
        result.append(list(zip(ids, range(len(ids)), segments, strict=True)))
    return result


@pytest.mark.parametrize("format", ["full-sentences", "segment-pair"])
@given(
    corpus=st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=6), min_size=2, max_size=6),
    length=st.integers(8, 32),
    picks=st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
)
def test_rows_in_any_order_and_number(
    make_store: StoreMaker, format: str, corpus: list[list[int]], length: int, picks: list[int]
) -> None:
    store = make_store(corpus)
    made = plan(store, InputSettings.model_validate({"format": format, "length": length}), 1, 0)
    rows = np.array(picks, dtype=np.int64) % made.rows
    ids, positions, segments, offsets = make_rows(store, made, rows, CLS, SEP)
    assert offsets.dtype == np.int32 and {ids.dtype, positions.dtype, segments.dtype} == {np.dtype(np.int64)}
    assert np.array_equal(np.diff(offsets), made.row_lengths()[rows])
    flat = list(zip(ids.tolist(), positions.tolist(), segments.tolist(), strict=True))
    assert [flat[a:b] for a, b in pairwise(offsets)] == row_by_row(store, made, rows.tolist())


@given(
    corpus=st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=6), min_size=2, max_size=6),
    length=st.integers(8, 32),
    picks=st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
)
def test_a_row_that_is_cut_is_a_row_for_each_document(
    make_store: StoreMaker, corpus: list[list[int]], length: int, picks: list[int]
) -> None:
    store = make_store(corpus)
    made = plan(store, InputSettings(length=length, cross_document_attention=False), 1, 0)
    rows = np.array(picks, dtype=np.int64) % made.rows
    ids, positions, segments, offsets = make_rows(store, made, rows, CLS, SEP)
    expected = []
    for row in rows.tolist():
        for piece in range(made.row_offsets[row], made.row_offsets[row + 1]):
            tokens = store.take(made.piece_starts[piece : piece + 1], made.piece_lengths[piece : piece + 1])
            expected.append([CLS, *tokens.tolist(), SEP])
    assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == expected
    assert positions.tolist() == [i for part in expected for i in range(len(part))]
    assert offsets.dtype == np.int32 and not segments.any()
    assert ids.size == made.row_lengths()[rows].sum()


def example() -> Batch:
    ids, places, segments = (
        np.array([2, 9, 3, 2, 8, 7, 3]),
        np.array([0, 1, 2, 0, 1, 2, 3]),
        np.array([0, 0, 0] * 2 + [1]),
    )
    targets = {
        "masked_tokens": (np.array([1, 5]), np.array([6, 7])),
        "sentence_pair": (np.array([0, 3]), np.array([0, 1])),
        "span_boundary": tuple(np.array([[1, 5], [6, 7], [0, 4], [2, 6], [1, 1]])),
    }
    return to_torch((ids, places, segments, np.array([0, 3, 7], dtype=np.int32)), np.array([40, 2]), targets)


def test_a_batch_knows_its_sizes_and_dtypes() -> None:
    batch = example()
    assert (batch.tokens, batch.longest, batch.rows.tolist()) == (7, 4, [40, 2])
    assert batch.offsets.dtype == torch.int32
    assert {batch.ids.dtype, batch.positions.dtype, batch.segments.dtype} == {torch.int64}
    assert batch.targets["masked_tokens"].positions.tolist() == [1, 5]
    assert batch.targets["masked_tokens"].labels.tolist() == [6, 7]
    assert batch.targets["masked_tokens"].left is None


def test_every_tensor_of_a_batch_moves() -> None:
    moved = example().to("meta")
    targets = [tensor for target in moved.targets.values() for tensor in (target.positions, target.labels)]
    spans = moved.targets["span_boundary"]
    assert spans.left is not None and spans.right is not None and spans.places is not None
    targets += [spans.left, spans.right, spans.places]
    tensors = [moved.ids, moved.positions, moved.segments, moved.offsets, *targets]
    assert len(tensors) == 13 and {tensor.device.type for tensor in tensors} == {"meta"}
    assert (moved.tokens, moved.longest, moved.rows.tolist()) == (7, 4, [40, 2])
