"""What makes training on a CPU fast and has nothing to do with models: how floats and memory are treated."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import torch

from cloze.models.device import is_ampere

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1 << 30


def prepare_cpu() -> bool:
    """Flush subnormal floats, keep freed memory, choose the faster products. Returns whether all threads flush.

    Threads inherit the first from the thread that starts them, so call this before the first parallel operation.
    Memory that was freed before is given back: arrays of another stage's sizes would only lie between those of this.
    """
    give_back_memory()
    keep_freed_memory()
    use_onednn()
    return flush_subnormals()


def flush_subnormals() -> bool:
    """Let the CPU treat floats below 1e-38 as 0: they made a step 6.6 times slower. Returns whether all threads do."""
    torch.set_flush_denormal(True)
    tiny = torch.full((torch.get_num_threads() * 65_536,), 1e-39)
    return bool((tiny * 0.5 == 0).all())


def keep_freed_memory() -> bool:
    """Let glibc keep freed arrays for the next step instead of giving them back to the system.

    By default arrays over 32 MiB are mapped anew each time, and every page is faulted in and zeroed again: a softmax
    over attention scores took several times as long for it (benchmarks/results/cpu_kernels.md). Returns False, and does
    nothing, where the C library is not glibc.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) and mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES - 1))


def give_back_memory() -> None:
    """Return what is freed to the system. Kept between the stages of many runs it grew from 2.5 GB to 3.1 in four."""
    if (malloc_trim := _of_glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    """A function of the C library; None where that is not glibc, which alone has it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def use_onednn() -> bool:
    """Send float32 products to oneDNN where MKL, torch's usual choice, is slow: on AMD. Returns whether it did.

    torch names this switch after bfloat16, because oneDNN may then round to it; it does so in matrix tiles (AMX) only,
    which no AMD processor has. The products are compared with exact ones all the same, and the switch put back if they
    are not float32's. What it gains: benchmarks/results/cpu_kernels.md.
    """
    products: Any = getattr(torch.backends.mkldnn, "matmul", None)
    if not hasattr(products, "fp32_precision") or not _made_by_amd():
        return False
    before, products.fp32_precision = products.fp32_precision, "bf16"
    generator = torch.Generator().manual_seed(0)
    for rows, inner, columns in ((64, 16, 64), (256, 256, 512)):
        a, b = torch.randn(rows, inner, generator=generator), torch.randn(inner, columns, generator=generator)
        exact = a.double() @ b.double()
        if (a @ b - exact).abs().max() > 1e-5 * exact.abs().max():
            products.fp32_precision = before
            return False
    return True


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products under `training.precision`: auto takes bfloat16 where the device multiplies it."""
    natively = is_ampere(device) if device.type == "cuda" else multiplies_bfloat16()
    return torch.bfloat16 if precision == "bfloat16" or (precision == "auto" and natively) else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    """As recipes call it: "float32", "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def multiplies_bfloat16() -> bool:
    """Whether this CPU has products of bfloat16 (AVX-512 BF16, AMX); others convert, and are slower than in float32.

    What it gains: benchmarks/results/pretraining_cpu.md.
    """
    return any(flag in _cpu_info() for flag in ("avx512_bf16", "amx_bf16"))


def _made_by_amd() -> bool:
    return "AuthenticAMD" in _cpu_info()


def _cpu_info() -> str:
    """What Linux says of the CPU; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
