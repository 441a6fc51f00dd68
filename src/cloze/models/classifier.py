"""What fine-tuning puts on a pretrained encoder (Devlin et al. 2019, section 4).

Axes: T tokens, R rows of attention, D width, C classes, M tokens with a label. `Classifier` judges rows: a row's vector
is that of its first token, or the mean of all, and goes through the family's pooler (BERT's: dense, tanh; kept when
pretraining trained it), dropout and a linear layer. `TokenClassifier` judges tokens by a linear layer alone. Both load
in transformers as BertForSequenceClassification, RobertaForTokenClassification and so on (`family.HEADS`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cloze.inputs.batch import to_device
from cloze.models import family_of
from cloze.models.dropout import Dropout
from cloze.models.family import HEADS
from cloze.models.heads import RowHead, losses_in_groups
from cloze.objectives import Sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloze.inputs.batch import Batch
    from cloze.models import PretrainingModel
    from cloze.models.family import Pooling


def mean_of_rows(hidden: Tensor, offsets: Tensor) -> Tensor:
    """hidden [T, D], offsets int32 [R + 1] -> [R, D], the mean of each row's tokens."""
    lengths = offsets.diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=hidden.device), lengths, output_size=len(hidden))
    return hidden.new_zeros(len(lengths), hidden.shape[1]).index_add_(0, rows, hidden) / lengths[:, None]


class Classifier(nn.Module):
    """Outputs with names for each row: logits over classes, the one number of a regression, or of an option."""

    class_weights: Tensor | None

    def __init__(
        self,
        model: PretrainingModel,
        classes: Sequence[str],
        dropout: float = 0.1,
        *,
        objective: str = "classification",
        pooling: Pooling | None = None,
        settings: Mapping[str, Any] | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        """`dropout`: share dropped in the head.

        `objective`: classification; multi_label; regression and multiple_choice, which have one class. `pooling`: what
        a row's vector is; None is the family's choice. `settings`: what the task's kind keeps with the model.
        `class_weights` [C]: what a row of each class counts in the loss of a classification; None: 1.
        """
        super().__init__()
        family, config = family_of(model.family), model.encoder.config
        self.family, self.classes, self.encoder = model.family, tuple(classes), model.encoder
        self.objective, self.settings = objective, dict(settings or {})
        self.pooling: Pooling = family.pooling if pooling is None else pooling
        # In transformers an option of several is pooled plainly, whatever a family's classifier does.
        drops = family.drops_before_pooler and HEADS[objective] == "ForSequenceClassification"
        self.first_dropout = Dropout(dropout if drops else 0.0)
        pooler = getattr(model, "pooler", None)
        self.pooler = family.pooler(config) if pooler is None else pooler
        self.head = RowHead(config.width, len(self.classes), dropout)
        self.register_buffer("class_weights", class_weights, persistent=False)

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
        """Sums over the labels of the batch, whose targets carry the objective."""
        labels, pooled = batch.targets[self.objective].labels, self.pool(batch)
        if self.objective == "multiple_choice":
            assert batch.parts is not None
            sizes = to_device(torch.from_numpy(batch.parts), pooled.device)
            return {self.objective: losses_in_groups(self.head(pooled), sizes, int(batch.parts.max()), labels[:, None])}
        if self.objective == "classification":
            return {self.objective: self.head.losses(pooled, labels, self.class_weights)}
        of_rows = {"regression": self.head.squared_errors, "multi_label": self.head.binary_losses}
        return {self.objective: of_rows[self.objective](pooled, labels)}


class TokenClassifier(nn.Module):
    """Outputs with names for each token: logits over tags, or of being the start and the end of an answer."""

    def __init__(
        self,
        model: PretrainingModel,
        classes: Sequence[str],
        dropout: float = 0.1,
        *,
        objective: str = "tagging",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`dropout`: share dropped before the linear layer; none for answers (google-research/bert, run_squad.py).

        `objective`: tagging or question_answering. `settings`: what the task's kind keeps with the model.
        """
        super().__init__()
        family, config = family_of(model.family), model.encoder.config
        self.family, self.classes, self.encoder = model.family, tuple(classes), model.encoder
        self.objective, self.settings = objective, dict(settings or {})
        self.pooling: Pooling = family.pooling
        self.pooler = family.pooler(config) if family.pools_tokens else nn.Identity()
        self.head = RowHead(config.width, len(self.classes), 0.0 if objective == "question_answering" else dropout)

    def logits(self, batch: Batch) -> Tensor:
        """Batch -> logits [T, C]."""
        return self.head(self.pooler(self.encoder(batch)))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums over the tokens that have a label; of answers, over the starts and ends of all rows."""
        target = batch.targets[self.objective]
        if self.objective == "question_answering":
            sizes = batch.offsets.diff()
            return {self.objective: losses_in_groups(self.logits(batch), sizes, batch.longest, target.labels)}
        chosen = self.encoder(batch).index_select(0, target.positions)
        return {self.objective: self.head.losses(self.pooler(chosen), target.labels)}


def classifier_of(
    objective: str,
    model: PretrainingModel,
    classes: Sequence[str],
    dropout: float = 0.1,
    *,
    pooling: Pooling | None = None,
    settings: Mapping[str, Any] | None = None,
    class_weights: Tensor | None = None,
) -> Classifier | TokenClassifier:
    """The classifier that a kind of task trains."""
    if HEADS[objective] in ("ForTokenClassification", "ForQuestionAnswering"):
        return TokenClassifier(model, classes, dropout, objective=objective, settings=settings)
    return Classifier(
        model,
        classes,
        dropout,
        objective=objective,
        pooling=pooling,
        settings=settings,
        class_weights=class_weights,
    )
