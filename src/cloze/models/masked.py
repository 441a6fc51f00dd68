"""What families with one encoder and a masked-token head share; each family's file builds the parts and names them.

Axes: T tokens, R rows, M masked tokens, D width, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from cloze.models.heads import Pooler, RowHead
from cloze.objectives import Sums

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.models.encoder import Encoder
    from cloze.models.heads import MaskedTokensHead


class MaskedTokensModel(nn.Module):
    """An encoder with the masked-token head (RoBERTa, ModernBERT)."""

    def __init__(self, encoder: Encoder, masked_tokens: MaskedTokensHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.masked_tokens = masked_tokens

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums of the one objective."""
        return {"masked_tokens": self.masked_tokens.losses(self.encoder(batch), batch.targets["masked_tokens"])}

    def pool(self, hidden: Tensor, batch: Batch) -> Tensor:
        """hidden [T, D] -> [R, D]: the first token of each row."""
        return hidden.index_select(0, batch.offsets[:-1])

    def masked_logits(self, hidden: Tensor) -> Tensor:
        """hidden [M, D] of some positions -> logits [M, V]."""
        return self.masked_tokens.logits(hidden)

    def token_logits(self, batch: Batch, positions: Tensor) -> Tensor:
        """Logits [M, V] at the flat `positions` int64 [M] of `batch`."""
        return self.masked_logits(self.encoder(batch)[positions])


class PairsModel(MaskedTokensModel):
    """With a pooler and a head that judges two segments (BERT, ALBERT); without `pairs` there is neither."""

    def __init__(self, encoder: Encoder, masked_tokens: MaskedTokensHead, *, pairs: bool) -> None:
        super().__init__(encoder, masked_tokens)
        width = encoder.config.width
        self.pooler = Pooler(width) if pairs else None
        self.sentence_pair = RowHead(width, 2) if pairs else None

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums of each objective whose targets the batch carries."""
        hidden = self.encoder(batch)
        sums = {"masked_tokens": self.masked_tokens.losses(hidden, batch.targets["masked_tokens"])}
        if self.sentence_pair is not None:
            labels = batch.targets["sentence_pair"].labels
            sums["sentence_pair"] = self.sentence_pair.losses(self.pool(hidden, batch), labels)
        return sums

    def pool(self, hidden: Tensor, batch: Batch) -> Tensor:
        """hidden [T, D] -> [R, D]: first tokens, through the pooler where there is one."""
        first = super().pool(hidden, batch)
        return first if self.pooler is None else self.pooler(first)
