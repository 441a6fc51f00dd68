"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT's encoder, masked tokens only, one segment.

Faithful: sizes, post-norm, positions that start at padding id + 1, LayerNorm eps 1e-5 by recipe. Loads in transformers
as RobertaForMaskedLM; with pre-norm, which the paper does not have, as RobertaPreLayerNormForMaskedLM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from cloze.models import bert
from cloze.models.encoder import Encoder, EncoderConfig
from cloze.models.heads import MaskedTokensHead
from cloze.objectives import Sums

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch


class Roberta(nn.Module):
    """An encoder with the masked-token head."""

    family = "roberta"

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        # fairseq and transformers use the exact GELU in this head, whatever the encoder's activation is.
        self.masked_tokens = MaskedTokensHead(config, self.encoder.embeddings.token, "gelu")

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums of the one objective."""
        return {"masked_tokens": self.masked_tokens.losses(self.encoder(batch), batch.targets["masked_tokens"])}

    def pool(self, hidden: Tensor, batch: Batch) -> Tensor:
        """hidden [T, D] -> [R, D]: the first token of each row."""
        return hidden.index_select(0, batch.offsets[:-1])

    def masked_logits(self, hidden: Tensor) -> Tensor:
        """hidden [M, D] of some positions -> logits [M, V]."""
        return self.masked_tokens.logits(hidden)


_HEAD = {
    "cls.predictions.bias": "lm_head.bias",
    "cls.predictions.transform.dense": "lm_head.dense",
    "cls.predictions.transform.LayerNorm": "lm_head.layer_norm",
}
_PRE_NORM = {
    "attention.output.LayerNorm": "attention.LayerNorm",
    "output.LayerNorm": "intermediate.LayerNorm",
}


def huggingface_names(layers: int, *, pre_norm: bool) -> dict[str, tuple[str, ...]]:
    """Our tensor -> the tensors of RobertaForMaskedLM (or RobertaPreLayerNormForMaskedLM): BERT's table, renamed."""
    model = "roberta_prelayernorm" if pre_norm else "roberta"
    table = {}
    for ours, theirs in bert.huggingface_names(layers).items():
        table[ours] = tuple(_rename(name, model, pre_norm) for name in theirs)
    if pre_norm:
        table |= {f"encoder.final_norm.{kind}": (f"{model}.LayerNorm.{kind}",) for kind in ("weight", "bias")}
    return table


def _rename(name: str, model: str, pre_norm: bool) -> str:
    for old, new in _HEAD.items():
        name = name.replace(old, new)
    name = name.replace("bert.", f"{model}.", 1) if name.startswith("bert.") else name
    if pre_norm and ".layer." in name:
        for old, new in _PRE_NORM.items():
            if f".{old}." in name:
                return name.replace(old, new)
    return name
