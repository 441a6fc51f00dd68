"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT's encoder, masked tokens only, one segment.

Faithful: sizes, post-norm, positions that start at padding id + 1, LayerNorm eps 1e-5 by recipe. Loads in transformers
as RobertaForMaskedLM; with pre-norm, which the paper does not have, as RobertaPreLayerNormForMaskedLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloze.models import bert
from cloze.models.encoder import Encoder, EncoderConfig
from cloze.models.family import Carrier, Family, Names, other_norms, plain_pooler, task_heads, whole
from cloze.models.heads import MaskedTokensHead
from cloze.models.masked import MaskedTokensModel

if TYPE_CHECKING:
    from cloze.recipe import ModelSettings


class Roberta(MaskedTokensModel):
    """An encoder with the masked-token head."""

    family = "roberta"

    def __init__(self, config: EncoderConfig) -> None:
        encoder = Encoder(config)
        # fairseq and transformers use the exact GELU in this head, whatever the encoder's activation is.
        super().__init__(encoder, MaskedTokensHead(config, encoder.embeddings.token, "gelu"))


_HEAD = {
    "cls.predictions.bias": "lm_head.bias",
    "cls.predictions.transform.dense": "lm_head.dense",
    "cls.predictions.transform.LayerNorm": "lm_head.layer_norm",
}
_PRE_NORM = {
    "attention.output.LayerNorm": "attention.LayerNorm",
    "output.LayerNorm": "intermediate.LayerNorm",
}


def huggingface_names(layers: int, *, pre_norm: bool) -> Names:
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


def _read(found: Mapping[str, Any]) -> dict[str, Any]:
    """Their position table begins with rows that no token uses."""
    offset = found["pad_token_id"] + 1
    return {"position_offset": offset, "max_length": found["max_position_embeddings"] - offset}


CARRIER = replace(
    bert.CARRIER,
    model_type="roberta",
    class_name="Roberta",
    base="roberta.",
    names=lambda config: huggingface_names(config.layers, pre_norm=False),
    heads=task_heads({"pooler.dense": "classifier.dense", "head.linear": "classifier.out_proj"}),
    amounts=("pad_token_id",),
    defaults={**bert.CARRIER.defaults, "pad_token_id": 1},
    read=_read,
    # Positions count from theirs, whatever the tokenizer's is.
    write=lambda config: {
        "max_position_embeddings": config.max_length + config.position_offset,
        "pad_token_id": config.position_offset - 1,
    },
)
PRE_NORM_CARRIER = replace(
    CARRIER,
    model_type="roberta-prelayernorm",
    class_name="RobertaPreLayerNorm",
    base="roberta_prelayernorm.",
    names=lambda config: huggingface_names(config.layers, pre_norm=True),
    read=lambda found: _read(found) | {"norm_position": "pre"},
)
OTHER_NORMS_CARRIER = other_norms(CARRIER)
PRE_NORM_OTHER_NORMS_CARRIER = other_norms(PRE_NORM_CARRIER)


def carrier(config: EncoderConfig) -> Carrier:
    """transformers has another class for pre-norm, and none for other norms than LayerNorm."""
    pre_norm = config.norm_position == "pre"
    if config.norm == "layer":
        return PRE_NORM_CARRIER if pre_norm else CARRIER
    return PRE_NORM_OTHER_NORMS_CARRIER if pre_norm else OTHER_NORMS_CARRIER


def _configure(config: EncoderConfig, settings: ModelSettings, pad_id: int, pairs: bool) -> EncoderConfig:
    return replace(config, position_offset=pad_id + 1)


FAMILY = Family(
    name="roberta",
    configure=_configure,
    build=lambda config, pairs: Roberta(config),
    carriers=(CARRIER, PRE_NORM_CARRIER, OTHER_NORMS_CARRIER, PRE_NORM_OTHER_NORMS_CARRIER),
    carrier=carrier,
    parts=lambda model: whole(model, carrier(model.encoder.config), "ForMaskedLM"),
    pooler=plain_pooler,
    drops_before_pooler=True,
)
