"""A classifier of whole rows on a pretrained encoder (Devlin et al. 2019, section 4.1).

Axes: T tokens, R rows, D width, C classes. A row's vector is that of its first token, or the mean of all. It goes
through the family's pooler (BERT's: dense, tanh; kept when pretraining trained it), dropout and a linear layer. The
whole loads in transformers as BertForSequenceClassification, RobertaForSequenceClassification and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cloze.models import family_of
from cloze.models.dropout import Dropout
from cloze.models.heads import RowHead
from cloze.objectives import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloze.inputs.batch import Batch
    from cloze.models import PretrainingModel
    from cloze.models.family import Pooling


def mean_of_rows(hidden: Tensor, offsets: Tensor) -> Tensor:
    """hidden [T, D], offsets int32 [R + 1] -> [R, D], the mean of each row's tokens."""
    lengths = offsets.diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=hidden.device), lengths, output_size=len(hidden))
    return hidden.new_zeros(len(lengths), hidden.shape[1]).index_add_(0, rows, hidden) / lengths[:, None]


class Classifier(nn.Module):
    """Outputs with names for each row: logits over classes, or the one number of a regression."""

    def __init__(
        self,
        model: PretrainingModel,
        classes: Sequence[str],
        dropout: float = 0.1,
        *,
        objective: str = "classification",
        pooling: Pooling | None = None,
    ) -> None:
        """`dropout`: share dropped in the head. `objective`: classification, or regression, which has one class.

        `pooling`: what a row's vector is; None is the family's choice.
        """
        super().__init__()
        family, config = family_of(model.family), model.encoder.config
        self.family, self.classes, self.encoder = model.family, tuple(classes), model.encoder
        self.objective = objective
        self.pooling: Pooling = family.pooling if pooling is None else pooling
        self.first_dropout = Dropout(dropout if family.drops_before_pooler else 0.0)
        pooler = getattr(model, "pooler", None)
        self.pooler = family.pooler(config) if pooler is None else pooler
        self.head = RowHead(config.width, len(self.classes), dropout)

    def pool(self, batch: Batch) -> Tensor:
        """Batch -> [R, D]."""
        hidden = self.encoder(batch)
        if self.pooling == "mean":
            rows = mean_of_rows(hidden, batch.offsets)
        else:
            rows = hidden.index_select(0, batch.offsets[:-1])
        return self.pooler(self.first_dropout(rows))  # type: ignore[no-any-return]

    def logits(self, batch: Batch) -> Tensor:
        """Batch -> logits [R, C]."""
        return self.head(self.pool(batch))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums over the rows of the batch, whose targets carry the objective."""
        labels, pooled = batch.targets[self.objective].labels, self.pool(batch)
        of_rows = self.head.squared_errors if self.objective == "regression" else self.head.losses
        return {self.objective: of_rows(pooled, labels)}
