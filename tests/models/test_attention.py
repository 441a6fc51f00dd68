"""The backends mean the same, rows do not see each other, and the gathers have the gradients that they claim."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cloze.errors import ClozeError
from cloze.models.attention import (
    BACKENDS,
    Layout,
    _mask,
    attention_maps,
    choose_backend,
    explicit,
    make_layout,
    padded,
    varlen,
    within_window,
)
from cloze.models.chunks import Chunks
from cloze.models.device import varlen_has_windows
from cloze.models.dropout import Dropout, seed_dropout

RAGGED = [5, 1, 12, 7]
EVEN = [6, 6, 6]
LONG = [169, 3]


def inputs(lengths: list[int]) -> tuple[Tensor, Tensor, Tensor, Layout]:
    generator = torch.Generator().manual_seed(0)
    total = sum(lengths)
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    q, k, v = (torch.randn(total, 2, 4, generator=generator, requires_grad=True) for _ in range(3))
    return q, k, v, make_layout(offsets, max(lengths), total)


# A share below 1/512 takes the way of dropout, two plain products on a CPU, and drops nothing.
@pytest.mark.parametrize("share", [0.0, 0.001])
@pytest.mark.parametrize("lengths", [RAGGED, EVEN, LONG])
def test_padded_equals_explicit_with_its_gradients(lengths: list[int], share: float) -> None:
    results = []
    for backend in (explicit, padded):
        q, k, v, layout = inputs(lengths)
        y = backend(q, k, v, layout, Dropout(share))
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()  # type: ignore[no-untyped-call]
        results.append([y.detach(), *(x.grad for x in (q, k, v))])
    for one, other in zip(*results, strict=True):
        assert one is not None and other is not None
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["explicit", "padded"])
def test_a_row_does_not_see_the_others(name: str) -> None:
    q, k, v, layout = inputs(RAGGED)
    together = BACKENDS[name](q, k, v, layout, Dropout(0.0))
    bounds = layout.offsets.tolist()
    for start, end in pairwise(bounds):
        alone = make_layout(torch.tensor([0, end - start], dtype=torch.int32), end - start, end - start)
        y = BACKENDS[name](q[start:end], k[start:end], v[start:end], alone, Dropout(0.0))
        torch.testing.assert_close(together[start:end], y, atol=1e-6, rtol=1e-5)


FAR = [40, 1, 2, 23]
"""With a window of 3, padded slots of short rows see nothing but padding."""


@pytest.mark.parametrize("share", [0.0, 0.001])
@pytest.mark.parametrize("lengths", [RAGGED, EVEN, FAR])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_padded_equals_explicit_within_a_window(lengths: list[int], window: int, share: float) -> None:
    results = []
    for backend in (explicit, padded):
        q, k, v, layout = inputs(lengths)
        y = backend(q, k, v, within_window(layout, window), Dropout(share))
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()  # type: ignore[no-untyped-call]
        results.append([y.detach(), *(x.grad for x in (q, k, v))])
    for one, other in zip(*results, strict=True):
        assert one is not None and other is not None
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [2, 3, 13])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_within_a_window_has_finite_gradients(dtype: torch.dtype, window: int) -> None:
    q, k, v, layout = inputs(FAR)
    y = padded(q.to(dtype), k.to(dtype), v.to(dtype), within_window(layout, window), Dropout(0.0))
    y.float().square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(x.grad is not None and x.grad.isfinite().all() and x.grad.any() for x in (q, k, v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_mask_holds_rows_and_window_for_other_devices(dtype: torch.dtype) -> None:
    """What `padded` gives to torch's own kernel where there is no blocked way."""
    layout = inputs(FAR)[3]
    near = within_window(layout, 10)
    mask = _mask(near.bias, near.band, dtype)
    assert mask is not None and mask.shape == (4, 1, 40, 40) and mask.dtype == dtype
    weights = mask.float().softmax(-1)
    assert weights.isfinite().all()
    seen = weights[0, 0] > 0
    slots = torch.arange(40)
    assert torch.equal(seen, (slots[:, None] - slots).abs() <= 10)
    assert torch.equal(weights[2, 0, :2] > 0, (slots < 2).expand(2, 40))
    rows = _mask(layout.bias, None, dtype)
    assert rows is not None and rows.isinf().any() and rows.shape == (4, 1, 1, 40)
    assert _mask(None, None, dtype) is None
    even = _mask(None, within_window(inputs(EVEN)[3], 2).band, dtype)
    assert even is not None and even.shape == (1, 1, 6, 6)


@pytest.mark.parametrize("lengths", [FAR, [41, 12, 13, 1, 36], [24, 24]])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_long_rows_are_cut_into_chunks_that_see_all_of_their_windows(lengths: list[int], window: int) -> None:
    layout = inputs(lengths)[3]
    near = within_window(layout, window)
    chunks = near.chunks
    assert chunks is not None and near.band is None
    count, _, queries, keys = chunks.bias.shape
    assert (queries, keys) == (2 * window, 4 * window)
    assert count == sum(-(-length // queries) for length in lengths)
    seen = {(row, column) for row, column in _pairs_of(chunks)}
    bounds = layout.offsets.tolist()
    rows = [range(start, end) for start, end in pairwise(bounds)]
    assert seen == {(i, j) for row in rows for i in row for j in row if abs(i - j) <= window}
    # Slots and tokens are each other's inverse.
    tokens = torch.arange(sum(lengths))
    assert torch.equal(chunks.query_token[chunks.query_slot], tokens)
    assert torch.equal(chunks.key_token[chunks.key_slot], tokens)
    other = chunks.has_other.flatten().bool()
    assert torch.equal(chunks.key_token[chunks.other_slot[other]], tokens[other])
    places = torch.cat([chunks.key_slot, chunks.other_slot[other]])
    assert len(set(places.tolist())) == len(places) == int(_real_keys(chunks).sum())


def _real_keys(chunks: Chunks) -> Tensor:
    """[C * 4w]: key slots that any query sees or that lie within the row."""
    return (chunks.bias[:, 0] == 0).any(dim=1).flatten()


def _pairs_of(chunks: Chunks) -> list[tuple[int, int]]:
    """(query token, key token) for all that a real query sees."""
    count, _, queries, keys = chunks.bias.shape
    real = torch.zeros(count * queries, dtype=torch.bool).index_fill_(0, chunks.query_slot, True).view(count, queries)
    visible = (chunks.bias[:, 0] == 0) & real[:, :, None]
    query = chunks.query_token.view(count, queries, 1).expand_as(visible)[visible]
    key = chunks.key_token.view(count, 1, keys).expand_as(visible)[visible]
    return list(zip(query.tolist(), key.tolist(), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_chunks_hide_in_half_precision_too(dtype: torch.dtype) -> None:
    chunks = within_window(inputs(FAR)[3], 3).chunks
    assert chunks is not None
    mask = _mask(chunks.bias, None, dtype)
    assert mask is not None and mask.isfinite().all()
    visible = (chunks.bias == 0).any(-1, keepdim=True)
    weights = mask.float().softmax(-1)
    assert torch.equal((weights > 0) & visible, (chunks.bias == 0) & visible)


@pytest.mark.parametrize("name", ["explicit", "padded"])
def test_a_window_is_a_distance_on_either_side(name: str) -> None:
    q, k, v, layout = inputs([12, 5])
    values = torch.zeros_like(v).index_fill_(0, torch.tensor(6), 1.0)  # one token speaks; who hears it?
    y = BACKENDS[name](q, k, values, within_window(layout, 2), Dropout(0.0))
    assert (y.abs().amax((1, 2)) > 0).nonzero().flatten().tolist() == [4, 5, 6, 7, 8]


def test_a_window_wider_than_the_rows_is_none() -> None:
    _, _, _, layout = inputs(RAGGED)
    assert within_window(layout, max(RAGGED) - 1) is layout
    assert within_window(layout, max(RAGGED) - 2).window == max(RAGGED) - 2


def test_maps_within_a_window() -> None:
    q, k, _, layout = inputs(RAGGED)
    for weights in attention_maps(q, k, within_window(layout, 1)):
        slots = torch.arange(weights.shape[1])
        near = (slots[:, None] - slots).abs() <= 1
        assert torch.equal(weights > 0, near.expand_as(weights))
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_maps_are_distributions_over_the_row() -> None:
    q, k, _, layout = inputs(RAGGED)
    for length, weights in zip(RAGGED, attention_maps(q, k, layout), strict=True):
        assert weights.shape == (2, length, length)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, length))


def test_attention_dropout_keeps_the_mean() -> None:
    q, k, v, layout = inputs(EVEN)
    dropout = Dropout(0.25)
    with torch.no_grad():
        exact = padded(q, k, v, layout, Dropout(0.0))
        mean = torch.zeros_like(exact)
        for step in range(400):
            seed_dropout(dropout.modules(), 1, step)
            mean += padded(q, k, v, layout, dropout) / 400
    assert (mean - exact).abs().max() < 0.25
    assert (mean - exact).abs().mean() < 0.04


def query(**changes: Any) -> Any:
    """What `choose_backend` asks of a tensor, on a machine without CUDA too."""
    usual = {"is_cuda": True, "dtype": torch.bfloat16, "shape": (9, 2, 16), "device": SimpleNamespace(type="cuda")}
    return SimpleNamespace(**(usual | changes))


CPU = {"is_cuda": False, "device": SimpleNamespace(type="cpu")}


def test_auto_takes_varlen_where_it_can_run() -> None:
    assert choose_backend("auto", query(), Dropout(0.0)) is varlen
    assert choose_backend("auto", query(dtype=torch.float16), Dropout(0.1).eval()) is varlen
    assert choose_backend("auto", query(), Dropout(0.1)) is padded
    for changes in (CPU, {"dtype": torch.float32}, {"shape": (9, 2, 12)}, {"shape": (9, 2, 264)}):
        assert choose_backend("auto", query(**changes), Dropout(0.0)) is padded


def test_varlen_is_refused_where_it_cannot_run() -> None:
    assert choose_backend("varlen", query(), Dropout(0.0)) is varlen
    for changes, dropout, named in ((CPU, 0.0, "on cpu"), ({}, 0.1, "dropout 0.1"), ({"shape": (9, 2, 12)}, 0, "12")):
        with pytest.raises(ClozeError, match=named):
            choose_backend("varlen", query(**changes), Dropout(dropout))


def test_a_device_before_ampere_has_no_varlen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloze.models.attention.is_ampere", lambda device: False)
    assert choose_backend("auto", query(), Dropout(0.0)) is padded
    with pytest.raises(ClozeError, match="Ampere or later"):
        choose_backend("varlen", query(), Dropout(0.0))


def test_layers_with_a_window_take_padded_where_varlen_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, backend in ((True, varlen), (False, padded)):
        monkeypatch.setattr("cloze.models.attention.varlen_has_windows", lambda has=has: has)
        assert choose_backend("auto", query(), Dropout(0.0), 64) is backend
        assert choose_backend("varlen", query(), Dropout(0.0), 64) is backend
        assert choose_backend("varlen", query(), Dropout(0.0)) is varlen
        assert choose_backend("explicit", query(), Dropout(0.0), 64) is explicit
    with pytest.raises(ClozeError, match="on cpu"):
        choose_backend("varlen", query(**CPU), Dropout(0.0), 64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="variable-length attention is a CUDA kernel")
@pytest.mark.parametrize("window", [None, 2])
def test_varlen_equals_explicit(window: int | None) -> None:
    if window is not None and not varlen_has_windows():
        pytest.skip("this torch's kernel takes no window")
    q, k, v, layout = inputs(RAGGED)
    cuda = make_layout(layout.offsets.cuda(), layout.longest, q.shape[0])
    if window is not None:
        layout, cuda = within_window(layout, window), within_window(cuda, window)
    wide = [x.detach().repeat(1, 1, 4).cuda().bfloat16() for x in (q, k, v)]
    y = BACKENDS["varlen"](wide[0], wide[1], wide[2], cuda, Dropout(0.0)).float().cpu()
    q, k, v = (x.float().cpu() for x in wide)
    truth = explicit(q, k, v, layout, Dropout(0.0))
    torch.testing.assert_close(y, truth, atol=2e-2, rtol=2e-2)
