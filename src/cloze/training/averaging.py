"""A running average of the weights, which is what is validated, scored and saved (Polyak and Juditsky 1992,
doi:10.1137/0330046; exponentially weighted: Szegedy et al. 2016, arXiv:1512.00567, section 8).

After t steps it is sum_i d^(t - i) w_i / sum_i d^(t - i) over the weights w_1 ... w_t, d being the decay: the last
1 / (1 - d) steps or so. The divisor, Adam's correction of a moment's beginning, keeps what was there before the first
step out of it. So it exists after every step, whatever ends the training. The weights that learn are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """The average of a model's trained parameters."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """`decay`: what a step's weights count in the average one step later, above 0 and below 1."""
        self.decay = decay
        self._parameters = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.tensors = {name: weight.detach().clone() for name, weight in self._parameters.items()}
        """The average by the parameters' names, on their device: all that a checkpoint needs of it."""

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the weights as they are after `steps` finished steps, the latest one included."""
        share = (1 - self.decay) / (1 - self.decay**steps)
        for name, weight in self._parameters.items():
            self.tensors[name].lerp_(weight, share)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Within the block the model has the average in place of its own weights, which change places with it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def apply(self) -> None:
        """Give the model the average for good."""
        for name, weight in self._parameters.items():
            weight.copy_(self.tensors[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, weight in self._parameters.items():
            own = weight.clone()
            weight.copy_(self.tensors[name])
            self.tensors[name].copy_(own)
