"""Bidirectional self-attention over a flat batch (Vaswani et al. 2017, section 3.2; Devlin et al. 2019, section 3).

Axes: T tokens of all rows end to end, R rows, S slots of the longest row, N heads, H head width; D = N * H.
A backend is a function (q_TNH, k_TNH, v_TNH, layout, dropout) -> y_TNH in the dtype of q; all three mean the same:

    explicit  row by row, softmax(q k^T / sqrt(H)) v as printed in the paper: to read, and the oracle of the tests
    padded    all rows at once in an [R, S] view, padding masked; the view is free when all rows have one length
    varlen    torch.nn.attention.varlen on CUDA: no padding at all

A layout may have a window: a token then sees the tokens of its row that are at most so far away, on either side
(Beltagy et al. 2020, arXiv:2004.05150, section 3.1). `padded` masks what is outside, and cuts long rows into chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cloze.errors import ClozeError
from cloze.models.chunks import HIDDEN, Chunks, make_chunks
from cloze.models.device import is_ampere, varlen_has_windows
from cloze.models.dropout import Dropout

BLOCK_BYTES = 1 << 21
"""Attention scores that a CPU works on at a time: what the caches of two cores hold (benchmarks/cpu_kernels.py)."""


@dataclass(frozen=True)
class Layout:
    """Where rows lie in the flat batch; made once a batch, read by every layer.

    offsets int32 [R + 1]; longest in tokens. `slot_token` int64 [R * S] maps a padded slot to its token (padding to
    token 0), `token_slot` int64 [T] maps back, `bias` float32 [R, 1, 1, S] is 0 on real slots and -inf on padding; all
    three are None when every row has the same length, because the padded view is then a plain reshape.
    `window` is the distance in tokens that attention spans, None where that is the whole row. With it, either `band`
    float32 [S, S] is 0 within the distance and HIDDEN outside, or rows are much longer and `chunks` says how to cut.
    Both are made when `padded` first asks: `varlen` needs neither, and how many chunks there are the device must tell.
    """

    offsets: Tensor
    longest: int
    slot_token: Tensor | None
    token_slot: Tensor | None
    bias: Tensor | None
    window: int | None = None

    @cached_property
    def band(self) -> Tensor | None:
        if self.window is None or self._is_cut:
            return None
        slots = torch.arange(self.longest, device=self.offsets.device)
        return torch.where((slots[:, None] - slots).abs() <= self.window, 0.0, HIDDEN)

    @cached_property
    def chunks(self) -> Chunks | None:
        return make_chunks(self.offsets, self.tokens, self.window) if self.window is not None and self._is_cut else None

    @property
    def _is_cut(self) -> bool:
        """Whether rows are longer than the 4 x `window` keys of a chunk, which would only pad shorter ones."""
        return self.window is not None and self.longest > 4 * self.window > 0

    @property
    def rows(self) -> int:
        return self.offsets.shape[0] - 1

    @property
    def tokens(self) -> int:
        """T."""
        return self.rows * self.longest if self.token_slot is None else self.token_slot.shape[0]


def make_layout(offsets: Tensor, longest: int, tokens: int) -> Layout:
    """Lay out rows starting at `offsets` int32 [R + 1] with `tokens` = T in all."""
    rows = offsets.shape[0] - 1
    if tokens == rows * longest:
        return Layout(offsets, longest, None, None, None)
    starts = offsets[:-1].long()
    lengths = offsets[1:].long() - starts
    slots = torch.arange(longest, device=offsets.device)
    real = slots < lengths[:, None]
    slot_token = torch.where(real, starts[:, None] + slots, 0).reshape(-1)
    # `nonzero` would ask the device how many there are, and wait for all the work that it still has.
    row = torch.repeat_interleave(torch.arange(rows, device=offsets.device), lengths, output_size=tokens)
    token_slot = row * longest + torch.arange(tokens, device=offsets.device) - starts[row]
    # Added to the scores: on a CPU an addition costs a tenth of filling through a mask of booleans.
    bias = torch.where(real, 0.0, -torch.inf)[:, None, None, :]
    return Layout(offsets, longest, slot_token, token_slot, bias)


def within_window(layout: Layout, window: int) -> Layout:
    """The same rows, for attention over at most `window` tokens on either side."""
    return layout if layout.longest <= window + 1 else replace(layout, window=window)


class _Pad(torch.autograd.Function):
    """x_T -> x_RS by a gather; the gradient is the opposite gather, far cheaper than torch's scattered addition."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slot_token: Tensor, token_slot: Tensor) -> Tensor:
        ctx.save_for_backward(token_slot)
        return x.index_select(0, slot_token)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (token_slot,) = ctx.saved_tensors
        return gradient.index_select(0, token_slot), None, None


class _Unpad(torch.autograd.Function):
    """x_RS -> x_T by a gather; padded slots get no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, token_slot: Tensor) -> Tensor:
        ctx.save_for_backward(token_slot)
        ctx.slots = x.shape[0]
        return x.index_select(0, token_slot)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (token_slot,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.slots, *gradient.shape[1:]).index_copy_(0, token_slot, gradient), None


class _PadKeys(torch.autograd.Function):
    """x_T -> the keys of all chunks, where a token is once or twice; the gradient gathers both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, key_token: Tensor, *slots: Tensor) -> Tensor:
        ctx.save_for_backward(*slots)
        return x.index_select(0, key_token)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        key_slot, other_slot, has_other = ctx.saved_tensors
        other = gradient.index_select(0, other_slot) * has_other.to(gradient.dtype)
        return gradient.index_select(0, key_slot) + other, None, None, None, None


def explicit(q: Tensor, k: Tensor, v: Tensor, layout: Layout, dropout: Dropout) -> Tensor:
    """softmax(q k^T / sqrt(H)) v, one row after the other: q, k, v [T, N, H] -> [T, N, H]."""
    outputs = []
    for q_row, k_row, v_row, weights in _row_weights(q, k, v, layout):
        del q_row, k_row
        outputs.append((dropout(weights) @ v_row).transpose(0, 1))
    return torch.cat(outputs)


def attention_maps(q: Tensor, k: Tensor, layout: Layout) -> list[Tensor]:
    """The softmax weights themselves: one [N, S, S] tensor a row, S being that row's length."""
    return [weights for _, _, _, weights in _row_weights(q, k, k, layout)]


def _row_weights(q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """For each row q, k, v as [N, S, H] and softmax(q k^T / sqrt(H)) as [N, S, S]."""
    rows = []
    bounds = layout.offsets.tolist()
    for start, end in pairwise(bounds):
        q_row, k_row, v_row = (x[start:end].transpose(0, 1) for x in (q, k, v))
        scores = q_row @ k_row.transpose(1, 2) / math.sqrt(q.shape[-1])
        if layout.window is not None:
            slots = torch.arange(end - start, device=q.device)
            scores = scores.masked_fill((slots[:, None] - slots).abs() > layout.window, -torch.inf)
        rows.append((q_row, k_row, v_row, scores.softmax(dim=-1)))
    return rows


def padded(q: Tensor, k: Tensor, v: Tensor, layout: Layout, dropout: Dropout) -> Tensor:
    """All rows at once: q, k, v [T, N, H] -> [T, N, H] through an [R, N, S, H] view, or through chunks of rows."""
    if layout.chunks is not None:
        return _in_chunks(q, k, v, layout.chunks, dropout)
    q, k, v = (_to_slots(x, layout) for x in (q, k, v))
    y = _attend(q, k, v, layout.bias, layout.band, dropout)
    y = y.transpose(1, 2).reshape(layout.rows * layout.longest, y.shape[1], y.shape[3])
    if layout.token_slot is not None:
        y = _Unpad.apply(y, layout.token_slot)  # type: ignore[no-untyped-call]
    return y


def _in_chunks(q: Tensor, k: Tensor, v: Tensor, chunks: Chunks, dropout: Dropout) -> Tensor:
    """q, k, v [T, N, H] -> [T, N, H], by chunks of rows."""
    count, _, queries, keys = chunks.bias.shape
    q = _Pad.apply(q, chunks.query_token, chunks.query_slot)  # type: ignore[no-untyped-call]
    k, v = (
        _PadKeys.apply(x, chunks.key_token, chunks.key_slot, chunks.other_slot, chunks.has_other)  # type: ignore[no-untyped-call]
        for x in (k, v)
    )
    q, k, v = (x.view(count, size, *x.shape[1:]).transpose(1, 2) for x, size in ((q, queries), (k, keys), (v, keys)))
    y = _attend(q, k, v, chunks.bias, None, dropout).transpose(1, 2)
    y = y.reshape(count * queries, *y.shape[2:])
    return _Unpad.apply(y, chunks.query_slot)  # type: ignore[no-untyped-call, no-any-return]


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, band: Tensor | None, dropout: Dropout) -> Tensor:
    """q [R, N, S, H], k and v [R, N, S', H] -> [R, N, S, H], the device's way."""
    if q.device.type == "cpu":
        return blocked(q, k, v, bias, dropout, band)
    share = dropout.share if dropout.training else 0.0
    return F.scaled_dot_product_attention(q, k, v, attn_mask=_mask(bias, band, q.dtype), dropout_p=share)


def _mask(bias: Tensor | None, band: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Bias and band as one addend to the scores, in `dtype`: [R or 1, 1, S or 1, S']."""
    if band is not None:
        bias = band[None, None] if bias is None else bias + band
    if bias is None or bias.shape[2] == 1:  # Of rows' ends alone; every slot sees a token, so they may be infinite.
        return None if bias is None else bias.to(dtype)
    return _finite(bias, dtype)


def _finite(addend: Tensor, dtype: torch.dtype) -> Tensor:
    """In `dtype`, in which HIDDEN may be infinite: a padded slot far from its row sees nothing but what is hidden."""
    return addend.clamp(min=torch.finfo(dtype).min / 2).to(dtype)


def _to_slots(x: Tensor, layout: Layout) -> Tensor:
    """[T, N, H] -> [R, N, S, H]."""
    if layout.slot_token is not None:
        x = _Pad.apply(x, layout.slot_token, layout.token_slot)  # type: ignore[no-untyped-call]
    return x.view(layout.rows, layout.longest, *x.shape[1:]).transpose(1, 2)


def blocked(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout: Dropout, band: Tensor | None = None
) -> Tensor:
    """softmax(q k^T / sqrt(H)) v over [R, N, S, H] on a CPU, a few rows at a time.

    Added to the scores are bias [R, 1, 1, S] and band [S, S], where there are any.

    torch's own kernel has no dropout on a CPU, and is slower at every shape of benchmarks/results/cpu_kernels.md.
    """
    drops = dropout.training and dropout.share > 0.0
    scores = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    kept = dropout.kept(scores).view(*q.shape[:3], k.shape[2]) if drops else None
    y: Tensor = _Blocked.apply(q, k, v, bias, band, kept, dropout.scale if drops else 1.0)  # type: ignore[no-untyped-call]
    return y


class _Blocked(torch.autograd.Function):
    """The chain of scores, softmax, dropout and sum, block after block, so that its parts meet in the cache.

    Kept for backward are the softmax weights before dropout, and one byte for each that says whether it was kept.
    Dropout's scale is a factor of the output and of its gradient: H numbers a token in place of S.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        band: Tensor | None,
        kept: Tensor | None,
        scale: float,
    ) -> Tensor:
        q = q.contiguous() * q.shape[-1] ** -0.5
        k, v = k.contiguous(), v.contiguous()
        y = torch.empty_like(q)
        # Scoring keeps nothing for a backward pass that won't come.
        weights = q.new_empty(*q.shape[:3], k.shape[2]) if any(ctx.needs_input_grad) else None
        bias, band = (x if x is None else _finite(x, q.dtype) for x in (bias, band))
        with torch.autocast("cpu", enabled=False):
            for block in _blocks(q, k):
                scores = q[block] @ k[block].transpose(-1, -2)
                if bias is not None:
                    scores += bias[block]
                if band is not None:
                    scores += band
                used = torch.softmax(scores, -1, out=scores if weights is None else weights[block])
                if kept is not None:
                    used = kept[block].to(used.dtype).mul_(used)
                torch.matmul(used, v[block], out=y[block])
        if weights is not None:
            ctx.save_for_backward(q, k, v, weights, kept)
        ctx.scale = scale
        return y.mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, kept = ctx.saved_tensors
        gradient = gradient.contiguous() * ctx.scale
        of_q = torch.empty_like(q)
        # [R, N, H, S], because a product reads the scores as they lie a third faster than transposed.
        of_k, of_v = (torch.empty_like(x.transpose(-1, -2), memory_format=torch.contiguous_format) for x in (k, v))
        for block in _blocks(q, k):
            used, of_output = weights[block], gradient[block]
            of_weights = of_output @ v[block].transpose(-1, -2)
            if kept is not None:
                factors = kept[block].to(used.dtype)
                of_weights *= factors
                used = factors.mul_(used)
            torch.matmul(of_output.transpose(-1, -2), used, out=of_v[block])
            of_scores = torch._softmax_backward_data(of_weights, weights[block], -1, weights.dtype)
            torch.matmul(of_scores, k[block], out=of_q[block])
            torch.matmul(q[block].transpose(-1, -2), of_scores, out=of_k[block])
        of_q *= q.shape[-1] ** -0.5
        return of_q, of_k.transpose(-1, -2), of_v.transpose(-1, -2), None, None, None, None


def _blocks(q: Tensor, k: Tensor) -> list[slice]:
    """Slices of rows whose scores, [rows, N, S, S] in the dtype of q [R, N, S, H], are about BLOCK_BYTES."""
    row_bytes = q.shape[1] * q.shape[2] * k.shape[2] * q.element_size()
    rows = max(1, BLOCK_BYTES // max(1, row_bytes))
    return [slice(start, start + rows) for start in range(0, q.shape[0], rows)]


def varlen(q: Tensor, k: Tensor, v: Tensor, layout: Layout, dropout: Dropout) -> Tensor:
    """Rows as they lie: q, k, v [T, N, H] -> [T, N, H]; CUDA, float16 or bfloat16, and no dropout of weights."""
    from torch.nn.attention.varlen import varlen_attn

    bounds = layout.offsets, layout.offsets, layout.longest, layout.longest
    if layout.window is None:  # The first versions of the kernel don't know the word.
        y = varlen_attn(q, k, v, *bounds)
    else:
        y = varlen_attn(q, k, v, *bounds, window_size=(layout.window, layout.window))
    assert isinstance(y, Tensor)  # a pair only when the log-normaliser is asked for
    return y


VARLEN_WIDTH = 256
"""Widest head that flash attention takes."""
Backend = Callable[[Tensor, Tensor, Tensor, Layout, Dropout], Tensor]
BACKENDS: dict[str, Backend] = {"explicit": explicit, "padded": padded, "varlen": varlen}


def choose_backend(name: str, q: Tensor, dropout: Dropout, window: int | None = None) -> Backend:
    """The backend called `name` for q [T, N, H]; auto takes varlen where it can run, padded elsewhere.

    Layers with a window take padded in place of a varlen that has none.

    Raises ClozeError if varlen is asked for where it can't run: the kernel would fail, or ignore the dropout.
    """
    drops = dropout.training and dropout.share > 0.0
    width, of_kernel = q.shape[-1], q.dtype in (torch.float16, torch.bfloat16) and not drops
    fits = q.is_cuda and of_kernel and width % 8 == 0 and width <= VARLEN_WIDTH and is_ampere(q.device)
    if window is not None and name in ("auto", "varlen") and fits and not varlen_has_windows():
        return padded
    if name == "auto":
        return varlen if fits else padded
    if name == "varlen" and not fits:
        raise ClozeError(
            f"model.attention is varlen, but this is {q.dtype} on {q.device.type}, heads of width {width} and "
            f"attention dropout {dropout.share if drops else 0.0}. varlen needs float16 or bfloat16 on CUDA (Ampere or "
            f"later), a width of at most {VARLEN_WIDTH} that 8 divides, and no dropout. Set model.attention to auto."
        )
    return BACKENDS[name]
