"""A classifier of whole rows on a pretrained encoder (Devlin et al. 2019, section 4.1).

Axes: T tokens, R rows, D width, C classes. The head is a dense layer with tanh over the first token (BERT's pooler,
kept when pretraining trained it), dropout, and a linear layer; RoBERTa drops once more before the dense layer. So it
loads in transformers as BertForSequenceClassification, RobertaForSequenceClassification or its pre-norm sibling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from cloze.models.dropout import Dropout
from cloze.models.heads import Pooler, RowHead
from cloze.objectives import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloze.inputs.batch import Batch
    from cloze.models import PretrainingModel


class Classifier(nn.Module):
    """Logits over named classes for each row."""

    def __init__(self, model: PretrainingModel, classes: Sequence[str], dropout: float = 0.1) -> None:
        super().__init__()
        width = model.encoder.config.width
        self.family, self.classes, self.encoder = model.family, tuple(classes), model.encoder
        self.first_dropout = Dropout(dropout if model.family == "roberta" else 0.0)
        pooler = getattr(model, "pooler", None)
        self.pooler = Pooler(width) if pooler is None else pooler
        self.head = RowHead(width, len(self.classes), dropout)

    def pool(self, batch: Batch) -> Tensor:
        """Batch -> [R, D]."""
        first = self.encoder(batch).index_select(0, batch.offsets[:-1])
        return self.pooler(self.first_dropout(first))  # type: ignore[no-any-return]

    def logits(self, batch: Batch) -> Tensor:
        """Batch -> logits [R, C]."""
        return self.head(self.pool(batch))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums over the rows of the batch, whose targets carry "classification"."""
        return {"classification": self.head.losses(self.pool(batch), batch.targets["classification"].labels)}
