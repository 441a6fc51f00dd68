"""AdamW with BERT's exclusions (Loshchilov and Hutter 2019, arXiv:1711.05101; Devlin et al. 2019, A.2)."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW


def make_optimizer(
    model: nn.Module, *, weight_decay: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-6
) -> AdamW:
    """AdamW over the parameters that need a gradient; each step sets the learning rate.

    Decay is decoupled and leaves biases and LayerNorm alone: exactly the parameters with fewer than two axes. Differs
    from BERT's own Adam in correcting the bias of the moments. Fused: one pass over the weights, on a CPU too.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW([g for g in groups if g["params"]], lr=0.0, betas=(beta1, beta2), eps=eps, fused=True)
