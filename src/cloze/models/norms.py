"""What keeps hidden states of one size.

    layer   a token, less its mean, over its standard deviation     Ba et al. 2016, arXiv:1607.06450
    rms     a token over its root mean square; no bias              Zhang and Sennrich 2019, arXiv:1910.07467
    batch   a feature, less its mean, over its standard deviation   Ioffe and Szegedy 2015, arXiv:1502.03167
    none    nothing does: to see what a norm is good for

Axes: T tokens of all rows end to end, D width. A norm sees [T, D], real tokens alone, whatever attention's backend.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NormKind = Literal["layer", "rms", "batch", "none"]


class BatchNorm(nn.Module):
    """Mean and variance of each feature over all T tokens of a forward pass, targets and special tokens included.

    In training a token thus depends on its whole micro-batch. In evaluation it does not: running averages over the
    forward passes of training stand in for both. They begin at 0 and 1, which takes about a hundred passes to forget;
    until then evaluation is off. They are saved with the weights.
    """

    running_mean: Tensor
    running_var: Tensor
    MOMENTUM = 0.1
    """What a forward pass weighs in the running averages; the variance there is the unbiased one, as in torch."""

    def __init__(self, width: int, *, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        # Not nn.BatchNorm1d: that keeps a count beside them, an integer among the weights that nothing reads.
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x [T, D] -> [T, D]; T must be at least 2 in training."""
        averages = self.running_mean, self.running_var
        return F.batch_norm(x, *averages, self.weight, self.bias, self.training, self.MOMENTUM, self.eps)


NORMS = (nn.LayerNorm, nn.RMSNorm, BatchNorm)
"""Modules whose weights begin as 1."""


def make_norm(kind: NormKind, width: int, *, eps: float, bias: bool = True) -> nn.Module:
    """A norm over [T, width]. `bias` is LayerNorm's: RMSNorm never has one, BatchNorm always."""
    match kind:
        case "layer":
            return nn.LayerNorm(width, eps=eps, bias=bias)
        case "rms":
            return nn.RMSNorm(width, eps=eps)
        case "batch":
            return BatchNorm(width, eps=eps)
        case "none":
            return nn.Identity()
