"""How much of the machine a step uses: operations a step needs, over the matrix products this machine can do.

Counted is what the model needs (Chowdhery et al. 2022, arXiv:2204.02311, appendix B): a multiplication and an
addition for every weight a token meets, twice that in backward; nothing for padding, recomputation, norms or dropout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cloze.errors import ClozeError
from cloze.models.heads import SpanBoundaryHead

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.models.encoder import EncoderConfig

MEASURE_S = 0.2
"""Seconds given to the measurement of the peak."""


TARGET_WEIGHTS: dict[str, Callable[[EncoderConfig], int]] = {
    "masked_tokens": lambda c: c.table_width * (c.width + c.vocabulary_size),
    "sentence_pair": lambda c: c.width * (c.width + 2),
    "span_boundary": lambda c: c.width * (2 * c.width + SpanBoundaryHead.PLACE_WIDTH + c.width + c.vocabulary_size),
    "replaced_tokens": lambda c: c.width * (c.width + 1),
}
"""Weights that a target of an objective meets, in the head on an encoder of these sizes."""


def training_flops(config: EncoderConfig, batch: Batch) -> int:
    """Floating-point operations of forward and backward over one batch on the host.

    6 x matmul weights x tokens, a shared layer counted each time it is used; attention 12 x width x the pairs of tokens
    that see each other in each layer; heads on their targets alone, 6 x `TARGET_WEIGHTS` for each. With a generator the
    masked tokens are its task, and all tokens are judged by the encoder (ELECTRA). Raises ClozeError for an objective
    whose cost is not known.
    """
    generator = config.generator
    if unknown := sorted(batch.targets.keys() - TARGET_WEIGHTS.keys()):
        raise ClozeError(
            f"nobody has said what a target of {', '.join(unknown)} costs; known are {', '.join(TARGET_WEIGHTS)}. "
            "Add it to TARGET_WEIGHTS in training/flops.py."
        )
    counts = {name: len(target.labels) for name, target in batch.targets.items()}
    if generator is not None:
        counts["replaced_tokens"] = batch.tokens
    total = _encoder_flops(config, batch) + (0 if generator is None else _encoder_flops(generator, batch))
    for name, count in counts.items():
        under = generator if generator is not None and name == "masked_tokens" else config
        total += 6 * TARGET_WEIGHTS[name](under) * count
    return total


def _encoder_flops(config: EncoderConfig, batch: Batch) -> int:
    width = config.width
    feed_forward = (3 if config.gated else 2) * width * config.feed_forward_width
    weights = config.layers * (4 * width * width + feed_forward) + (config.embedding_width or 0) * width
    lengths = (batch.offsets[1:] - batch.offsets[:-1]).long()
    pairs = sum(_pairs(lengths, config.local_window if config.is_local(i) else None) for i in range(config.layers))
    return 6 * weights * batch.tokens + 12 * width * pairs


def _pairs(lengths: Tensor, window: int | None) -> int:
    """Pairs of tokens that see each other in rows of these `lengths` int64 [R]; each token sees itself."""
    if window is None:
        return int(lengths.square().sum())
    side = (lengths - 1).clamp(max=window // 2)
    return int((lengths * (2 * side + 1) - side * (side + 1)).sum())


def measure_peak(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of a large square matrix product in `dtype`: the best of as many as fit in `MEASURE_S`, at least two.

    A measured ceiling of this machine as it is now, not the number of a data sheet.
    """
    side = 8192 if device.type == "cuda" else 1536
    a, b = (torch.full((side, side), value, dtype=dtype, device=device) for value in (0.5, 0.25))
    seconds: list[float] = []
    while len(seconds) < 2 or sum(seconds) < MEASURE_S:
        seconds.append(_seconds(lambda: a @ b, device))
    return 2 * side**3 / min(seconds) / 1e9


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started_at = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started_at
