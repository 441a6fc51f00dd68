"""What makes training on a CPU fast and has nothing to do with models: how floats and memory are treated."""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1 << 30


def prepare_cpu() -> bool:
    """Flush subnormal floats and keep freed memory. Returns whether all threads flush.

    Threads inherit the first from the thread that starts them, so call this before the first parallel operation.
    """
    keep_freed_memory()
    return flush_subnormals()


def flush_subnormals() -> bool:
    """Let the CPU treat floats below 1e-38 as 0: they made a step 6.6 times slower. Returns whether all threads do."""
    torch.set_flush_denormal(True)
    tiny = torch.full((torch.get_num_threads() * 65_536,), 1e-39)
    return bool((tiny * 0.5 == 0).all())


def keep_freed_memory() -> bool:
    """Let glibc keep freed arrays for the next step instead of giving them back to the system.

    By default arrays over 32 MiB are mapped anew each time, and every page is faulted in and zeroed again: a softmax
    over attention scores took several times as long for it (benchmarks/results/cpu_kernels.md). Peak memory stays the
    same; it is returned when the process ends. Returns False, and does nothing, where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has no mallopt
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) and mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES - 1))
