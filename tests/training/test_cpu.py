"""Settings of the process that make CPU training fast, and change no number that matters."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from cloze.training import cpu

PRODUCTS = """
import torch
from cloze.training import cpu

a, b = torch.randn(300, 256), torch.randn(256, 200)
used = cpu.use_onednn()
exact = a.double() @ b.double()
assert (a @ b - exact).abs().max() < 1e-5 * exact.abs().max()
matmul = getattr(torch.backends.mkldnn, "matmul", None)
assert not used or matmul.fp32_precision == "bf16"
# A processor that rounds is found out, and the switch put back.
if used:
    matmul.fp32_precision = "none"
    cpu._made_by_amd = lambda: True
    half = lambda x: x.bfloat16().to(x.dtype) if x.dtype == torch.float32 else x
    torch.Tensor.__matmul__ = lambda a, b: torch.mm(half(a), half(b))
    assert not cpu.use_onednn() and matmul.fp32_precision == "none"
"""

SCRIPT = """
import resource, torch
from cloze.training.cpu import keep_freed_memory, prepare_cpu

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(12_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
kept = keep_freed_memory()
faults()
print(kept, without, faults(), prepare_cpu())
"""


def test_freed_memory_is_used_again_and_subnormals_are_zero() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, without, with_it, flushed = done.stdout.split()
    # Where the C library is not glibc there is nothing to keep.
    assert kept == "False" or int(with_it) < 0.7 * int(without), done.stdout
    assert flushed == "True"


GIVEN_BACK = """
from pathlib import Path
import torch
from cloze.training.cpu import keep_freed_memory, prepare_cpu

def megabytes():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) // 1000

kept, before = keep_freed_memory(), megabytes()
parts = [torch.ones(1_000_000) for _ in range(150)]
last = torch.ones(1_000)
del parts
freed = megabytes()
prepare_cpu()
print(kept, freed - before, megabytes() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_a_stage_has_freed_is_given_back_when_the_next_begins() -> None:
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=True)
    kept, freed, after = done.stdout.split()
    assert kept == "False" or (int(freed) > 500 and int(after) < 300), done.stdout


def test_products_stay_float32() -> None:
    done = subprocess.run([sys.executable, "-c", PRODUCTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("flags", "auto"), [("fma avx512_bf16", "bfloat16"), ("amx_tile amx_bf16", "bfloat16"), ("avx2 avx512f", "float32")]
)
def test_auto_precision_is_what_the_cpu_multiplies(flags: str, auto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_cpu_info", lambda: f"vendor_id : x\nflags : fpu {flags} sse\n")
    device = torch.device("cpu")
    assert cpu.choose_dtype("auto", device) is getattr(torch, auto)
    assert cpu.choose_dtype("float32", device) is torch.float32
    assert cpu.choose_dtype("bfloat16", device) is torch.bfloat16
    for ampere, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(cpu, "is_ampere", lambda device, ampere=ampere: ampere)
        assert cpu.choose_dtype("auto", torch.device("cuda")) is dtype
