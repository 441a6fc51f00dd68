"""The choices inside a CPU step, each beside what it replaced: allocation, dropout, attention, cross-entropy, products.

    python benchmarks/cpu_kernels.py --write

Times are medians of repeated calls in one process; where gradients matter, forward and backward together. Memory
allocation is measured in a process of its own, because a process cannot give the setting back.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from common import Table, command, write_result
from torch import Tensor
from torch.nn import functional as F

from cloze.models.attention import blocked
from cloze.models.dropout import Dropout
from cloze.models.encoder import TOKENS_STEP
from cloze.objectives import cross_entropy as chunked
from cloze.training.cpu import keep_freed_memory, prepare_cpu

VOCABULARY = 16_000


def median_ms(work: Callable[[], object], repeats: int = 9) -> float:
    """Median milliseconds of one call, after two that are not counted."""
    times = []
    for _ in range(repeats + 2):
        started_at = time.perf_counter()
        work()
        times.append(time.perf_counter() - started_at)
    return 1e3 * statistics.median(times[2:])


def two_products(q: Tensor, k: Tensor, v: Tensor, dropout: torch.nn.Module) -> Tensor:
    """softmax(q k^T / sqrt(H)) v, all rows in one call after the other."""
    weights: Tensor = dropout((q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1))
    return weights @ v


def attention_ms(rows: int, length: int, width: int, dtype: torch.dtype, kind: str, share: float) -> float:
    """Forward and backward of one layer's attention over even rows."""
    # As they come out of one linear layer: three views that are not contiguous.
    qkv = torch.randn(rows, length, 3, 4, width, dtype=dtype).requires_grad_()
    gradient = torch.randn(rows, 4, length, width, dtype=dtype)
    dropout = Dropout(share)

    def work() -> None:
        q, k, v = qkv.transpose(1, 3).unbind(dim=2)
        if kind == "torch":
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=share)
        elif kind == "plain":
            y = two_products(q, k, v, dropout)
        else:
            y = blocked(q, k, v, None, dropout)
        y.backward(gradient)  # type: ignore[no-untyped-call]

    return median_ms(work)


def cross_entropy_ms(chunk_bytes: int | None, dtype: torch.dtype) -> float:
    """Forward and backward over 1,229 targets (15% of 8,192 tokens) at width 64; None: torch, all logits at once."""
    hidden, weight = (torch.randn(n, 64, requires_grad=True) for n in (1_229, VOCABULARY))
    bias, labels = torch.zeros(VOCABULARY, requires_grad=True), torch.randint(0, VOCABULARY, (1_229,))
    chunked.CHUNK_BYTES = chunk_bytes or chunked.CHUNK_BYTES

    def work() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
            if chunk_bytes is None:
                loss: Tensor = F.cross_entropy(F.linear(hidden, weight, bias).float(), labels, reduction="sum")
            else:
                loss = chunked.cross_entropy(hidden, weight, bias, labels).loss
        loss.backward()  # type: ignore[no-untyped-call]

    return median_ms(work)


def product_gflops(dtype: torch.dtype) -> float:
    """GFLOP/s of [8192, 256] x [256, 1024]."""
    a, b = torch.randn(8_192, 256, dtype=dtype), torch.randn(256, 1_024, dtype=dtype)
    return 2 * 8_192 * 256 * 1_024 / median_ms(lambda: a @ b) / 1e6


def feed_forward_ms(step: int, dtype: torch.dtype) -> float:
    """A batch through 64 -> 256 -> 64, forward and backward; every one has another number of tokens (500 to 799),
    filled up to a multiple of `step`."""
    block = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 64))
    sizes = iter((torch.randperm(300) + 500).tolist())

    def work() -> None:
        tokens = -(-next(sizes) // step) * step
        with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
            y: Tensor = block(torch.zeros(tokens, 64))
        y.sum().backward()  # type: ignore[no-untyped-call]

    return median_ms(work, repeats=200)


def dropout_ms(dropout: torch.nn.Module, dtype: torch.dtype) -> float:
    """Forward over 8,192 x 256 numbers."""
    x = torch.randn(8_192, 256, dtype=dtype)
    return median_ms(lambda: dropout(x))


def softmax_ms() -> float:
    """Softmax of 32 x 4 x 256 x 256 numbers, whose result is new memory every time."""
    scores = torch.randn(32, 4, 256, 256)
    return median_ms(lambda: scores.softmax(-1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    parser.add_argument("--softmax", choices=["default", "kept"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.softmax != "default":
        keep_freed_memory()
    if arguments.softmax:
        print(softmax_ms())
        return
    table = Table(["what", "float32", "bfloat16"])
    dtypes = (torch.float32, torch.bfloat16)
    for kind in ("default", "kept"):
        again = [sys.executable, __file__, "--softmax", kind, "--threads", str(arguments.threads)]
        found = float(subprocess.run(again, capture_output=True, text=True, check=True).stdout)
        table.rows.append([f"softmax into new memory, freed memory {kind}", f"{found:.1f} ms", ""])
    for library in ("as torch chooses", "after prepare_cpu"):
        products = [f"{product_gflops(dtype):,.0f} GFLOP/s" for dtype in dtypes]
        table.rows.append([f"matrix product 8,192 x 256 x 1,024, {library}", *products])
        prepare_cpu()
    for rows, length, width, share in ((32, 256, 16, 0.1), (32, 256, 16, 0.0), (128, 64, 64, 0.0), (16, 512, 64, 0.0)):
        for kind, label in (("torch", "torch's kernel"), ("plain", "all rows at once"), ("blocked", "blocks")):
            times = [f"{attention_ms(rows, length, width, dtype, kind, share):.1f} ms" for dtype in dtypes]
            shape = f"{rows} rows of {length}, head width {width}, dropout {share:g}"
            table.rows.append([f"attention, {shape}: {label}", *times])
    for name, dropout in (("torch's", torch.nn.Dropout(0.1)), ("ours", Dropout(0.1))):
        times = [f"{dropout_ms(dropout, dtype):.2f} ms" for dtype in dtypes]
        table.rows.append([f"dropout of 8,192 x 256: {name}", *times])
    for step, label in ((1, "as they come"), (TOKENS_STEP, f"filled up to a multiple of {TOKENS_STEP}")):
        times = [f"{feed_forward_ms(step, dtype):.2f} ms" for dtype in dtypes]
        table.rows.append([f"feed-forward block of 64 x 256, each time another number of tokens: {label}", *times])
    for chunk in (None, 1 << 20, 1 << 23, 1 << 25, 1 << 27):
        label = "all logits at once (torch)" if chunk is None else f"chunks of {chunk >> 20} MiB"
        times = [f"{cross_entropy_ms(chunk, dtype):.0f} ms" for dtype in dtypes]
        table.rows.append([f"cross-entropy of 1,229 targets over 16,000: {label}", *times])
    print(table)
    if arguments.write:
        notes = f"{arguments.threads} threads; medians of 9 calls (feed-forward 200); attention, feed-forward and "
        notes += "cross-entropy forward and backward."
        print(write_result("cpu_kernels", table, command(), packages=("torch",), notes=notes))


if __name__ == "__main__":
    main()
