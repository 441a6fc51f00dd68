"""Cross-entropy over a large vocabulary without the [targets, vocabulary] array.

Axes: M targets, D width, V vocabulary. Logits exist for one chunk of targets at a time; their gradient, softmax -
one-hot, is formed in the same chunk and multiplied into the gradients of hidden states, weight and bias at
once. Three matrix products a chunk, no recomputation, and memory for one chunk whatever M is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cloze.objectives import Sums
from cloze.objectives.sampling import draw

CHUNK_BYTES = 1 << 25
"""Float32 logits of one chunk: enough for fast products, and little memory (benchmarks/results/cpu_kernels.md)."""


def chunk_targets(vocabulary: int, device: torch.device) -> int:
    """Targets in one chunk. A GPU wants larger products than a CPU's cache holds."""
    budget = CHUNK_BYTES if device.type == "cpu" else 8 * CHUNK_BYTES
    return max(32, budget // (4 * vocabulary))


class _ChunkedCrossEntropy(torch.autograd.Function):
    """(hidden [M, D], weight [V, D], bias [V], labels [M]) -> (loss sum, correct, samples [M] or [0]).

    Gradients are made on the way, shares in the memory of the logits; samples are drawn where `uniform` [M] is given.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, uniform: Tensor | None, backward: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        device, (vocabulary, width) = hidden.device.type, weight.shape
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        correct = torch.zeros((), dtype=torch.int64, device=hidden.device)
        samples = labels.new_empty(0 if uniform is None else labels.shape[0])
        with torch.autocast(device, enabled=False):
            inputs = _widened(hidden.to(dtype), hidden.new_ones(hidden.shape[0], dtype=dtype))
            table = _widened(weight.to(dtype), bias.to(dtype))
            of_hidden, of_table = (
                torch.zeros_like(x, dtype=torch.float32) if backward else x.new_empty(0, width + 1)
                for x in (hidden, table)
            )
            step = chunk_targets(vocabulary, hidden.device)
            memory = table.new_empty(min(step, labels.shape[0]), vocabulary)
            for start in range(0, labels.shape[0], step):
                chunk, wanted = inputs[start : start + step], labels[start : start + step, None]
                logits = torch.mm(chunk, table.T, out=memory[: len(chunk)])
                largest, target = logits.amax(dim=1, keepdim=True).float(), logits.gather(1, wanted).float()
                correct += (target >= largest).sum()
                share = torch.softmax(logits, dim=1, out=logits)
                # The largest share is 1 / sum exp(logit - largest): the log-normaliser without a second pass of exp.
                loss += (largest - share.amax(dim=1, keepdim=True).float().log() - target).sum()
                if uniform is not None:
                    samples[start : start + step] = draw(share.float(), uniform[start : start + step])
                if backward:
                    share.scatter_add_(1, wanted, share.new_full(target.shape, -1.0))
                    of_hidden[start : start + step] = share @ table[:, :width]
                    _add_product(of_table, share.T, chunk)
        ctx.save_for_backward(of_hidden, of_table[:, :width], of_table[:, width])
        ctx.mark_non_differentiable(correct, samples)
        ctx.dtypes = (hidden.dtype, weight.dtype, bias.dtype)
        return loss, correct, samples

    @staticmethod
    def backward(ctx: Any, loss: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (g.mul_(loss).to(dtype) for g, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True))
        return *scaled, None, None, None


def _widened(matrix: Tensor, column: Tensor) -> Tensor:
    """matrix [N, D], column [N] -> [N, D + 1] and zeros up to a multiple of 8, which a GPU's products want.

    The product of hidden states with a column of ones and weights with a column of biases is the logits, and that of
    the logits' gradients with the former the gradient of both: a pass over the logits saved in either direction.
    """
    spare = matrix.new_zeros(matrix.shape[0], -(matrix.shape[1] + 1) % 8)
    return torch.cat([matrix, column[:, None], spare], dim=1)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right; in one pass where their dtypes agree."""
    if left.dtype == total.dtype:
        torch.addmm(total, left, right, out=total)
    else:
        total += left @ right


def cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Sums:
    """Sums of -log softmax(hidden weight^T + bias)[label] over the targets.

    hidden [M, D] and weight [V, D] in any float dtype (products and shares are in the autocast dtype, sums in float32),
    bias [V], labels int64 [M]. Ties for the largest logit count as correct. The graph can be traversed once.
    """
    sums: Sums = sampled_cross_entropy(hidden, weight, bias, labels, None)[0]
    return sums


# Written out by hand, with nothing left to fuse; captured, it would be compiled anew for every number of targets.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def sampled_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, uniform: Tensor | None
) -> tuple[Sums, Tensor]:
    """`cross_entropy`, and a token for each target drawn from the same softmax, which no chunk computes twice.

    `uniform` float64 [M] in [0, 1) decides the draw; samples are int64 [M], without a gradient. None draws nothing.
    """
    # Asked here because autograd switches itself off inside a Function: scoring must not pay for gradients.
    backward = torch.is_grad_enabled() and any(x.requires_grad for x in (hidden, weight, bias))
    loss, correct, samples = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, labels, uniform, backward
    )
    return Sums(loss, labels.shape[0], correct), samples
