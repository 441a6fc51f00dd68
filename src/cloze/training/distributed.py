"""Ranks: what one process of several knows of the others. Models never see this file.

Under `torchrun` every rank takes a contiguous slice of each step's rows; counts, losses and gradients are summed over
ranks, so the numbers are those of one process up to the order of float additions. Gradients travel once a step, flat,
after the last micro-batch: no overlap with backward, no wrapper around the model, and ranks may hold different numbers
of micro-batches, even none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from cloze.errors import ClozeError


@dataclass(frozen=True)
class Ranks:
    """This process among `world` processes, and the device it computes on."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def main(self) -> bool:
        """True on the one rank that writes files and shows progress."""
        return self.rank == 0

    def share(self, rows: int) -> range:
        """The contiguous slice of `rows` places that belongs to this rank; slices differ by at most one row."""
        return range(rows * self.rank // self.world, rows * (self.rank + 1) // self.world)

    def sum_integers(self, values: Sequence[int]) -> list[int]:
        """Exact sums over ranks. Travels over gloo on the host, so that a GPU is not waited for."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(total)
        return [int(value) for value in total]

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank: all ranks take the same decision."""
        return self.sum_integers([int(flag)])[0] > 0

    def sum_tensors(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor (one dtype, one device) by its sum over ranks, in one flat all-reduce."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def copy_from_main(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with the main rank's, so that all ranks start from the same weights."""
        for tensor in tensors if self.world > 1 else ():
            dist.broadcast(tensor, src=0)


@contextmanager
def open_ranks(device: Literal["auto", "cpu", "cuda"] = "auto") -> Iterator[Ranks]:
    """Join the processes that torchrun started (gloo on CPU; NCCL with gloo for host integers on CUDA), or be alone.

    Raises ClozeError if CUDA is asked for and absent, or if a machine has more ranks than GPUs.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    here = choose_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    if here.type == "cuda":
        torch.cuda.set_device(here)
    if world == 1 or dist.is_initialized():
        yield Ranks(rank, world, here)
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if here.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, world, here)
        # A rank that leaves early takes the others' connections with it.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def choose_device(device: Literal["auto", "cpu", "cuda"], local_rank: int = 0) -> torch.device:
    """auto: CUDA if there is one. Raises ClozeError if CUDA is asked for and absent, or has no GPU for this rank."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ClozeError("training.device is cuda, but torch finds no GPU. Set training.device to auto or cpu.")
    if local_rank >= torch.cuda.device_count():
        raise ClozeError(
            f"rank {local_rank} of this machine has no GPU: torch finds {torch.cuda.device_count()}. "
            "Start as many processes as GPUs (torchrun --nproc-per-node), or set training.device to cpu."
        )
    return torch.device("cuda", local_rank)
