"""AdamW with BERT's exclusions (Loshchilov and Hutter 2019, arXiv:1711.05101; Devlin et al. 2019, A.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW

RATE_FACTOR = "rate_factor"
"""Of a group of parameters, what the step's learning rate is multiplied with; 1 where a group has none."""


def make_optimizer(
    model: nn.Module,
    *,
    weight_decay: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-6,
    rate_factors: Mapping[str, float] | None = None,
) -> AdamW:
    """AdamW over the parameters that need a gradient; each step sets the learning rate.

    Decay is decoupled and leaves biases and norms alone: exactly the parameters with fewer than two axes. Differs
    from BERT's own Adam in correcting the bias of the moments. Fused: one pass over the weights, on a CPU too.
    `rate_factors`: of each parameter, what its learning rate is multiplied with; None: 1.
    """
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for matrices in (True, False):
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and (parameter.ndim >= 2) == matrices:
                factor = 1.0 if rate_factors is None else rate_factors[name]
                groups.setdefault((factor, matrices), []).append(parameter)
    made: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": weight_decay if matrices else 0.0}
        | ({} if factor == 1.0 else {RATE_FACTOR: factor})
        for (factor, matrices), parameters in groups.items()
    ]
    return AdamW(made, lr=0.0, betas=(beta1, beta2), eps=eps, fused=True)


def layer_factors(model: nn.Module, layers: int, decay: float) -> dict[str, float]:
    """Learning rates that fall by `decay` with every layer towards the input, as factors by parameters' names.

    The head and the highest layer have 1, layer l (from 1) decay ** (layers - l), the embeddings decay ** layers
    (Clark et al. 2020, arXiv:2003.10555, table 7; their code lowers all layers by two further steps below the head). A
    layer that is used several times (ALBERT's) has the factor of its highest use.
    """
    owners = [int(found[1]) for name, _ in model.named_parameters() if (found := _LAYER.match(name))]
    uses = layers // (max(owners) + 1)

    def height(name: str) -> int:
        if name.startswith("encoder.embeddings."):
            return 0
        found = _LAYER.match(name)
        return layers if found is None else (int(found[1]) + 1) * uses

    return {name: decay ** (layers - height(name)) for name, _ in model.named_parameters()}


_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
