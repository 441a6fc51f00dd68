"""What a CUDA device and this torch's kernels for it can do; the compiler takes the answers for constants."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature

import torch

AMPERE = (8, 0)
"""Compute capability from which a device multiplies bfloat16, and flash attention runs."""


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def is_ampere(device: torch.device) -> bool:
    """Whether a CUDA device is of the Ampere generation or a later one; so taken where there is none to ask."""
    return not torch.cuda.is_available() or _capability(device) >= AMPERE


@lru_cache
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


# The compiler need not look into signatures.
@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def varlen_has_windows() -> bool:
    """Whether this torch's kernel takes a window; its first versions don't."""
    from torch.nn.attention.varlen import varlen_attn

    return "window_size" in signature(varlen_attn).parameters
