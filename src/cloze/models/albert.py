"""ALBERT (Lan et al. 2020, arXiv:1909.11942): BERT with a factorised embedding and one layer used many times.

Faithful: tokens, positions and segments of width E, then a matrix to D (section 3.1); layers shared by groups; the
masked-token head at width E, tied to the token table (google-research/albert, run_pretraining.py); sentence order over
the pooler, 0 = in order, 1 = swapped (section 3.1); both losses added with weight 1. Version 2 is tanh-GELU and no
dropout, by recipe. Differs: a row's order is the only thing that is ever swapped (inputs/pairs.py).
Loads in transformers as AlbertForPreTraining (pairs) or AlbertForMaskedLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloze.models import bert
from cloze.models.encoder import Encoder, EncoderConfig
from cloze.models.family import Family, Names, has_pairs, plain_pooler, whole
from cloze.models.heads import MaskedTokensHead
from cloze.models.masked import PairsModel

if TYPE_CHECKING:
    from cloze.recipe import ModelSettings


class Albert(PairsModel):
    """An encoder with the heads of ALBERT's pretraining. Without `pairs` there is no pooler and no second loss."""

    family = "albert"

    def __init__(self, config: EncoderConfig, *, pairs: bool) -> None:
        encoder = Encoder(config)
        super().__init__(encoder, MaskedTokensHead(config, encoder.embeddings.token, config.activation), pairs=pairs)


def huggingface_names(groups: int) -> Names:
    """Our tensor -> transformers' tensors (AlbertForPreTraining); several names are consecutive parts of axis 0."""
    tables = ("word", "position", "token_type")
    names: Names = {
        f"encoder.embeddings.{ours}.weight": (f"albert.embeddings.{theirs}_embeddings.weight",)
        for ours, theirs in zip(("token", "position", "segment"), tables, strict=True)
    }
    names["masked_tokens.bias"] = ("predictions.bias",)
    modules: Names = {
        "encoder.embeddings.norm": ("albert.embeddings.LayerNorm",),
        "encoder.embeddings.projection": ("albert.encoder.embedding_hidden_mapping_in",),
        "masked_tokens.dense": ("predictions.dense",),
        "masked_tokens.norm": ("predictions.LayerNorm",),
        "pooler.dense": ("albert.pooler",),
        "sentence_pair.linear": ("sop_classifier.classifier",),
    }
    for i in range(groups):
        ours, theirs = f"encoder.layers.{i}", f"albert.encoder.albert_layer_groups.{i}.albert_layers.0"
        modules |= {
            f"{ours}.attention.qkv": tuple(f"{theirs}.attention.{part}" for part in ("query", "key", "value")),
            f"{ours}.attention.output": (f"{theirs}.attention.dense",),
            f"{ours}.attention_norm": (f"{theirs}.attention.LayerNorm",),
            f"{ours}.feed_forward.inner": (f"{theirs}.ffn",),
            f"{ours}.feed_forward.output": (f"{theirs}.ffn_output",),
            f"{ours}.feed_forward_norm": (f"{theirs}.full_layer_layer_norm",),
        }
    for kind in ("weight", "bias"):
        names |= {f"{ours}.{kind}": tuple(f"{name}.{kind}" for name in theirs) for ours, theirs in modules.items()}
    return names


def _problems(found: Mapping[str, Any]) -> list[str]:
    layers, groups = found["num_hidden_layers"], found["num_hidden_groups"]
    return [f"num_hidden_groups {groups} doesn't divide num_hidden_layers {layers}"] if layers % groups else []


CARRIER = replace(
    bert.CARRIER,
    model_type="albert",
    class_name="Albert",
    base="albert.",
    names=lambda config: huggingface_names(config.layer_groups or config.layers),
    classifier_dropout="classifier_dropout_prob",
    counts={**bert.COUNTS, "embedding_size": "embedding_width", "num_hidden_groups": "layer_groups"},
    defaults={
        "initializer_range": 0.02,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-12,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "num_hidden_groups": 1,
        "embedding_size": 128,
        "classifier_dropout_prob": 0.1,
    },
    only={**bert.CARRIER.only, "inner_group_num": 1},
    problems=_problems,
)


def _configure(config: EncoderConfig, settings: ModelSettings, pad_id: int, pairs: bool) -> EncoderConfig:
    """E is 128 and there is one group, in all sizes of the paper (table 1)."""
    return replace(
        config,
        segment_types=2,
        embedding_width=settings.embedding_width or 128,
        layer_groups=settings.layer_groups or 1,
    )


FAMILY = Family(
    name="albert",
    configure=_configure,
    build=lambda config, pairs: Albert(config, pairs=pairs),
    carriers=(CARRIER,),
    carrier=lambda config: CARRIER,
    parts=lambda model: whole(model, CARRIER, "ForPreTraining" if has_pairs(model) else "ForMaskedLM"),
    pooler=plain_pooler,
)
