"""ModernBERT (Warner et al. 2024, arXiv:2412.13663): masked tokens, and what decoders taught encoders since BERT.

Faithful: rotary positions of two wavelengths, attention over a window in two layers of three, GeGLU, norms before the
blocks and none before the first attention, no biases but the decoder's, no position or segment table (section 2.1 and
appendix A). All of that is switches of `encoder.py`, beside what BERT does there, so this file is only a list of them.
Differs: dropout, where a recipe wants any, stands after both blocks, as in BERT (the authors' pretraining drops a tenth
behind attention alone). The paper's unpadding needs no code: no model here ever sees padding. Loads in transformers as
ModernBertForMaskedLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cloze.models.encoder import Encoder, EncoderConfig
from cloze.models.family import TOKENS, Carrier, Family, Names, task_heads, whole
from cloze.models.heads import MaskedTokensHead
from cloze.models.masked import MaskedTokensModel

if TYPE_CHECKING:
    from cloze.recipe import ModelSettings


class ModernBert(MaskedTokensModel):
    """An encoder with the masked-token head."""

    family = "modernbert"

    def __init__(self, config: EncoderConfig) -> None:
        encoder = Encoder(config)
        super().__init__(encoder, MaskedTokensHead(config, encoder.embeddings.token, "gelu"))


class NormedPooler(nn.Module):
    """Dense, GELU, norm: the masked-token head without its decoder, which fine-tuning goes on with."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width, bias=config.biases)
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps, bias=config.biases)

    def forward(self, rows: Tensor) -> Tensor:
        """rows [R, D] -> [R, D]."""
        return self.norm(nn.functional.gelu(self.dense(rows)))  # type: ignore[no-any-return]


def huggingface_names(layers: int) -> Names:
    """Our tensor -> transformers' tensors (ModernBertForMaskedLM). q, k and v are one matrix there too."""
    names: Names = {
        "encoder.embeddings.token.weight": ("model.embeddings.tok_embeddings.weight",),
        "encoder.embeddings.norm.weight": ("model.embeddings.norm.weight",),
        "encoder.final_norm.weight": ("model.final_norm.weight",),
        "masked_tokens.dense.weight": ("head.dense.weight",),
        "masked_tokens.norm.weight": ("head.norm.weight",),
        "masked_tokens.bias": ("decoder.bias",),
    }
    modules = {
        "attention.qkv": "attn.Wqkv",
        "attention.output": "attn.Wo",
        "attention_norm": "attn_norm",
        "feed_forward.inner": "mlp.Wi",
        "feed_forward.output": "mlp.Wo",
        "feed_forward_norm": "mlp_norm",
    }
    for i in range(layers):
        names |= {
            f"encoder.layers.{i}.{ours}.weight": (f"model.layers.{i}.{theirs}.weight",)
            for ours, theirs in modules.items()
            if i or ours != "attention_norm"
        }
    return names


GLOBAL, LOCAL = "full_attention", "sliding_attention"
_SWITCHES: dict[str, Any] = {
    "positions": "rotary",
    "segment_types": 0,
    "norm_position": "pre",
    "first_attention_norm": False,
    "biases": False,
    "gated": True,
    "scaled_outputs": True,
}
"""What makes the shared encoder a ModernBERT, whatever its size."""


def _kinds(found: Mapping[str, Any]) -> list[str]:
    """GLOBAL or LOCAL for each layer. Older files tell the rhythm, newer ones every layer."""
    layers, rhythm = found["num_hidden_layers"], found["global_attn_every_n_layers"]
    return found.get("layer_types") or [LOCAL if i % rhythm else GLOBAL for i in range(layers)]


def _rhythm(kinds: list[str]) -> int:
    """Distance from the first GLOBAL layer to the next, or to the end."""
    return next((i for i, kind in enumerate(kinds) if i and kind == GLOBAL), len(kinds))


def _thetas(found: Mapping[str, Any]) -> dict[str, Any]:
    """Base of the wavelengths by kind; once an entry each, now within `rope_parameters`."""
    rope = found.get("rope_parameters") or {}
    old = {GLOBAL: found["global_rope_theta"], LOCAL: found["local_rope_theta"]}
    return {kind: (rope.get(kind) or {}).get("rope_theta", theta) for kind, theta in old.items()}


def _problems(found: Mapping[str, Any]) -> list[str]:
    kinds, rope = found.get("layer_types"), found.get("rope_parameters") or {}
    wrong = [] if found["global_attn_every_n_layers"] else ["global_attn_every_n_layers is 0, expected at least 1"]
    if kinds is not None:
        every = _rhythm(kinds) if isinstance(kinds, list) and kinds else 1
        if kinds != [LOCAL if i % every else GLOBAL for i in range(found["num_hidden_layers"])]:
            wrong.append(
                f"layer_types is {kinds!r}, expected {GLOBAL!r} every n-th layer from the first, else {LOCAL!r}"
            )
    if not isinstance(rope, dict) or not all(isinstance(entry, dict | None) for entry in rope.values()):
        return [*wrong, f"rope_parameters is {rope!r}, expected an object for each kind of layer"]
    for kind, theta in _thetas(found).items():
        if type(theta) not in (int, float) or theta <= 0:
            wrong.append(f"rope_theta of {kind} is {theta!r}, expected a number above 0")
    for kind, entry in rope.items():
        if (scaling := (entry or {}).get("rope_type", "default")) != "default":
            wrong.append(f"rope_type of {kind} is {scaling!r}, and cloze has only 'default'")
    return wrong


def _read(found: Mapping[str, Any]) -> dict[str, Any]:
    thetas = _thetas(found)
    return {
        **_SWITCHES,
        "local_window": found["local_attention"],
        "global_every": _rhythm(_kinds(found)),
        "rotary_theta": float(thetas[GLOBAL]),
        "local_rotary_theta": float(thetas[LOCAL]),
    }


def _write(config: EncoderConfig) -> dict[str, Any]:
    kinds = [LOCAL if config.is_local(i) else GLOBAL for i in range(config.layers)]
    thetas = {GLOBAL: config.rotary_theta, LOCAL: config.local_rotary_theta}
    return {
        "layer_types": kinds,
        "rope_parameters": {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in thetas.items()},
        # transformers 4 reads these four in place of the two above.
        "global_attn_every_n_layers": config.global_every,
        "global_rope_theta": config.rotary_theta,
        "local_rope_theta": config.local_rotary_theta,
        "embedding_dropout": config.dropout,
        **{f"{place}_bias": False for place in ("attention", "mlp", "norm", "classifier")},
        "decoder_bias": True,
        "classifier_activation": "gelu",
    }


_HEAD = {"pooler.dense": "head.dense", "pooler.norm": "head.norm", "head.linear": "classifier"}
"""The same in all its fine-tuned classes."""
CARRIER = Carrier(
    model_type="modernbert",
    class_name="ModernBert",
    base="model.",
    names=lambda config: huggingface_names(config.layers),
    heads=task_heads(_HEAD, tokens=_HEAD, answers=_HEAD, choices=_HEAD),
    counts={
        "vocab_size": "vocabulary_size",
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "intermediate_size": "feed_forward_width",
        "max_position_embeddings": "max_length",
        "local_attention": "local_window",
    },
    numbers={
        "norm_eps": "norm_eps",
        "mlp_dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initialisation_std",
    },
    amounts=("global_attn_every_n_layers",),
    tokens={**TOKENS, "cls_token_id": "cls_id", "sep_token_id": "sep_id"},
    activation="hidden_activation",
    defaults={
        "hidden_activation": "gelu",
        "initializer_range": 0.02,
        "norm_eps": 1e-5,
        "mlp_dropout": 0.0,
        "attention_dropout": 0.0,
        "local_attention": 128,
        "classifier_dropout": 0.0,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
    },
    only={
        "tie_word_embeddings": True,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
        "classifier_activation": "gelu",
    },
    problems=_problems,
    read=_read,
    write=_write,
)


def _configure(config: EncoderConfig, settings: ModelSettings, pad_id: int, pairs: bool) -> EncoderConfig:
    """Three matrices 1.5 D wide (base: 1,152 of 768) are 4.5 D^2 weights; BERT's two are 8 D^2 and its layers fewer."""
    return replace(
        config,
        **_SWITCHES,
        feed_forward_width=settings.feed_forward_width or settings.width * 3 // 2,
        local_window=settings.local_window,
        global_every=settings.global_every,
        rotary_theta=settings.rotary_theta,
        local_rotary_theta=settings.local_rotary_theta,
    )


FAMILY = Family(
    name="modernbert",
    configure=_configure,
    build=lambda config, pairs: ModernBert(config),
    carriers=(CARRIER,),
    carrier=lambda config: CARRIER,
    parts=lambda model: whole(model, CARRIER, "ForMaskedLM"),
    pooler=NormedPooler,
    pooling="mean",
    pools_tokens=True,
    kept={f"masked_tokens.{name}.weight": f"pooler.{name}.weight" for name in ("dense", "norm")},
)
