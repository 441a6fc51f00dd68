"""Replaced-token detection (ELECTRA, Clark et al. 2020, arXiv:2003.10555, section 2): which tokens are a generator's?

Axes: T tokens of all rows end to end, M masked tokens. Every real token is judged, [CLS] and [SEP] too, as in
google-research/electra (run_pretraining.py weighs by the input mask). They are never replaced, so they are easy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from cloze.objectives import Sums

if TYPE_CHECKING:
    from cloze.inputs.batch import Target

FIGURES = ("fake_frac", "precision", "recall")
"""Share of fakes among all tokens; of fakes among the tokens called fake; of fakes that are called fake."""


def replace_tokens(ids: Tensor, masked: Target, samples: Tensor) -> tuple[Tensor, Tensor]:
    """(ids int64 [T] as the discriminator reads them, replaced bool [T]).

    ids int64 [T] may be corrupted at the masked positions; `masked` holds them and the original tokens; samples int64
    [M] stand there afterwards. A sample equal to the original counts as original.
    """
    fake = samples != masked.labels
    replaced = torch.zeros_like(ids, dtype=torch.bool).index_copy_(0, masked.positions, fake)
    return ids.index_copy(0, masked.positions, samples), replaced


def replaced_tokens(logits: Tensor, replaced: Tensor) -> Sums:
    """Sums of binary cross-entropy over all tokens: logits [T], above 0 for "replaced"; replaced bool [T]."""
    logits = logits.float()
    loss = F.binary_cross_entropy_with_logits(logits, replaced.float(), reduction="sum")
    called = logits.detach() > 0
    fakes, found = replaced.sum(), (called & replaced).sum()
    tokens = torch.full_like(fakes, replaced.shape[0])
    figures = dict(zip(FIGURES, ((fakes, tokens), (found, called.sum()), (found, fakes)), strict=True))
    return Sums(loss, replaced.shape[0], (called == replaced).sum(), figures)
