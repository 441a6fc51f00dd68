"""How much of the machine a step uses: operations a step needs, over the matrix products this machine can do.

Counted is what the model needs (Chowdhery et al. 2022, arXiv:2204.02311, appendix B): a multiplication and an
addition for every weight a token meets, twice that in backward; nothing for padding, recomputation, norms or dropout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.models.encoder import EncoderConfig

MEASURE_S = 0.2
"""Seconds given to the measurement of the peak."""


def training_flops(config: EncoderConfig, batch: Batch) -> int:
    """Floating-point operations of forward and backward over one batch on the host.

    6 x matmul weights x tokens; attention 12 x width x the sum of squared row lengths in each layer; the heads on their
    targets alone: 6 x (width^2 + width x vocabulary) for a masked token, 6 x (width^2 + 2 x width) for a pair.
    """
    width, layers = config.width, config.layers
    lengths = (batch.offsets[1:] - batch.offsets[:-1]).long()
    weights = layers * (4 * width * width + 2 * width * config.feed_forward_width)
    encoder = 6 * weights * batch.tokens + 12 * layers * width * int(lengths.square().sum())
    heads = {"masked_tokens": width * (width + config.vocabulary_size), "sentence_pair": width * (width + 2)}
    return encoder + sum(6 * heads[name] * len(target.labels) for name, target in batch.targets.items())


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
