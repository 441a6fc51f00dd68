"""What a model is trained for.

An objective returns a sum and a count, never a mean: the loop divides once, by the count over all micro-batches and
ranks, so the gradient does not depend on how a batch was cut. Health figures travel the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sums:
    """loss: scalar, nats summed over targets, differentiable. count: targets. correct: scalar, how many were right.

    `figures` say whether training is healthy: name -> (number that did, number that could), scalars without gradient.
    """

    loss: Tensor
    count: int
    correct: Tensor
    figures: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
