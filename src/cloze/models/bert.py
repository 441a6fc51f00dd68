"""BERT (Devlin et al. 2019, arXiv:1810.04805): masked tokens, and next-sentence prediction when rows are pairs.

Faithful: sizes, post-norm, tied output matrix, pooler, both losses added with weight 1 (google-research/bert).
Differs: nothing but what `encoder.py` says. Loads in transformers as BertForPreTraining (pairs) or BertForMaskedLM.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloze.models.encoder import Encoder, EncoderConfig
from cloze.models.family import Carrier, Family, Names, Part, has_pairs, other_norms, plain_pooler, task_heads, whole
from cloze.models.heads import MaskedTokensHead
from cloze.models.masked import PairsModel

if TYPE_CHECKING:
    from cloze.models import PretrainingModel
    from cloze.recipe import ModelSettings


class Bert(PairsModel):
    """An encoder with the heads of BERT's pretraining. Without `pairs` there is no pooler and no second loss."""

    family = "bert"

    def __init__(self, config: EncoderConfig, *, pairs: bool) -> None:
        encoder = Encoder(config)
        # Pre-norm travels as RobertaPreLayerNorm, whose head has the exact GELU whatever the encoder's activation is.
        activation = "gelu" if config.norm_position == "pre" else config.activation
        super().__init__(encoder, MaskedTokensHead(config, encoder.embeddings.token, activation), pairs=pairs)


def huggingface_names(layers: int) -> Names:
    """Our tensor -> transformers' tensors (BertForPreTraining); several names are consecutive parts of axis 0."""
    names: Names = {
        "encoder.embeddings.token.weight": ("bert.embeddings.word_embeddings.weight",),
        "encoder.embeddings.position.weight": ("bert.embeddings.position_embeddings.weight",),
        "encoder.embeddings.segment.weight": ("bert.embeddings.token_type_embeddings.weight",),
        "masked_tokens.bias": ("cls.predictions.bias",),
    }
    modules: Names = {
        "encoder.embeddings.norm": ("bert.embeddings.LayerNorm",),
        "masked_tokens.dense": ("cls.predictions.transform.dense",),
        "masked_tokens.norm": ("cls.predictions.transform.LayerNorm",),
        "pooler.dense": ("bert.pooler.dense",),
        "sentence_pair.linear": ("cls.seq_relationship",),
    }
    for i in range(layers):
        ours, theirs = f"encoder.layers.{i}", f"bert.encoder.layer.{i}"
        modules |= {
            f"{ours}.attention.qkv": tuple(f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")),
            f"{ours}.attention.output": (f"{theirs}.attention.output.dense",),
            f"{ours}.attention_norm": (f"{theirs}.attention.output.LayerNorm",),
            f"{ours}.feed_forward.inner": (f"{theirs}.intermediate.dense",),
            f"{ours}.feed_forward.output": (f"{theirs}.output.dense",),
            f"{ours}.feed_forward_norm": (f"{theirs}.output.LayerNorm",),
        }
    for kind in ("weight", "bias"):
        names |= {f"{ours}.{kind}": tuple(f"{name}.{kind}" for name in theirs) for ours, theirs in modules.items()}
    return names


COUNTS = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "feed_forward_width",
    "type_vocab_size": "segment_types",
    "max_position_embeddings": "max_length",
}
NUMBERS = {
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initialisation_std",
}
CARRIER = Carrier(
    model_type="bert",
    class_name="Bert",
    base="bert.",
    names=lambda config: huggingface_names(config.layers),
    heads=task_heads({"head.linear": "classifier"}),
    counts=COUNTS,
    numbers=NUMBERS,
    defaults={
        "initializer_range": 0.02,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    },
    only={"position_embedding_type": "absolute", "tie_word_embeddings": True, "is_decoder": False},
    read=lambda found: {},
    write=lambda config: {},
)
OTHER_NORMS_CARRIER = other_norms(CARRIER)


def carrier(config: EncoderConfig) -> Carrier:
    """transformers has pre-norm only as RobertaPreLayerNorm, so a pre-norm BERT travels under that name."""
    from cloze.models import roberta

    if config.norm_position == "pre":
        return roberta.carrier(config)
    return CARRIER if config.norm == "layer" else OTHER_NORMS_CARRIER


def parts(model: PretrainingModel) -> tuple[Part, ...]:
    """One folder; with pairs it is BertForPreTraining, where that carries it."""
    config = model.encoder.config
    carries_pairs = has_pairs(model) and config.norm_position == "post"
    return whole(model, carrier(config), "ForPreTraining" if carries_pairs else "ForMaskedLM")


def _configure(config: EncoderConfig, settings: ModelSettings, pad_id: int, pairs: bool) -> EncoderConfig:
    """Two segments always, as in the paper. Pre-norm counts positions as its carrier does."""
    return replace(config, segment_types=2, position_offset=pad_id + 1 if config.norm_position == "pre" else 0)


FAMILY = Family(
    name="bert",
    configure=_configure,
    build=lambda config, pairs: Bert(config, pairs=pairs),
    carriers=(CARRIER, OTHER_NORMS_CARRIER),
    carrier=carrier,
    parts=parts,
    pooler=plain_pooler,
)
