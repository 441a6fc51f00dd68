"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): a small generator fills gaps, the encoder tells which tokens it made.

Axes: T tokens, R rows, M masked tokens, D width, G width of the generator, E embedding width, V vocabulary.
The generator predicts the masked tokens (weight 1); one token is drawn from each prediction, without a gradient, and
put into the gap; the discriminator, which is what fine-tuning keeps, judges every token of the row (weight 50).

Faithful: both embed with the same tables of tokens, positions and segments and the same norm, E wide, each with a
projection of its own where E is not its width; the generator has all layers, and a share of the width, heads and
feed-forward (section 3.2; google-research/electra). A sample equal to the original counts as original.
Differs: samples come from one uniform number a token, not from Gumbel noise over the vocabulary
(`objectives.sampling`); the learning rate is that of `training.schedule`; rows have one segment, where nine in ten of
the reference's have two, so nothing but weight decay reaches the second segment's vector.
Loads in transformers as ElectraForPreTraining, the generator in the subfolder `generator` as ElectraForMaskedLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cloze.errors import ClozeError
from cloze.models import bert
from cloze.models.encoder import Embeddings, Encoder, EncoderConfig
from cloze.models.family import Family, Names, Part, task_heads
from cloze.models.heads import GeluPooler, MaskedTokensHead, ReplacedTokensHead
from cloze.objectives import Sums
from cloze.objectives.replaced_tokens import FIGURES, replace_tokens, replaced_tokens
from cloze.objectives.sampling import Noise

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.models import PretrainingModel
    from cloze.recipe import ModelSettings

GENERATOR_FOLDER = "generator"
SHARED = ("token", "position", "segment", "norm")
"""Parts of the embeddings that the generator has from the discriminator."""


class Electra(nn.Module):
    """The discriminator, `encoder`, and its generator. One that was saved without a generator can be fine-tuned."""

    family = "electra"
    weights: Mapping[str, float] = {"masked_tokens": 1.0, "replaced_tokens": 50.0}
    """Of the objectives (section 3.1: lambda = 50)."""
    figures = tuple(f"replaced_tokens/{name}" for name in FIGURES)

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.replaced_tokens = ReplacedTokensHead(config)
        self.generator = None if config.generator is None else Encoder(config.generator)
        if config.generator is not None and self.generator is not None:
            _share(self.encoder.embeddings, self.generator.embeddings)
            # transformers uses the exact GELU in this head, whatever the encoder's activation is.
            self.masked_tokens = MaskedTokensHead(config.generator, self.encoder.embeddings.token, "gelu")
            self.noise = Noise()

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums of both objectives. What is drawn is a function of the seed, the step, the row and the place."""
        masked = batch.targets["masked_tokens"]
        hidden, uniform = self._generator()(batch), self.noise(batch, masked.positions)
        sums, samples = self.masked_tokens.sample(hidden, masked, uniform)
        ids, replaced = replace_tokens(batch.ids, masked, samples)
        logits = self.replaced_tokens(self.encoder(replace(batch, ids=ids)))
        return {"masked_tokens": sums, "replaced_tokens": replaced_tokens(logits, replaced)}

    def pool(self, hidden: Tensor, batch: Batch) -> Tensor:
        """hidden [T, D] -> [R, D]: the first token of each row."""
        return hidden.index_select(0, batch.offsets[:-1])

    def masked_logits(self, hidden: Tensor) -> Tensor:
        """The generator's hidden [M, G] of some positions -> logits [M, V]."""
        self._generator()
        return self.masked_tokens.logits(hidden)

    def token_logits(self, batch: Batch, positions: Tensor) -> Tensor:
        """The generator's logits [M, V] at the flat `positions` int64 [M] of `batch`."""
        return self.masked_logits(self._generator()(batch)[positions])

    def _generator(self) -> Encoder:
        if self.generator is None:
            raise ClozeError(
                "this ELECTRA model has no generator, which guesses tokens and makes what pretraining tells apart. Put "
                f"the generator's folder (ElectraForMaskedLM) into the model's folder as {GENERATOR_FOLDER}/."
            )
        return self.generator


def _share(wide: Embeddings, narrow: Embeddings) -> None:
    """Let `narrow` look its tokens up in the tables of `wide`; its projection stays its own."""
    for name in SHARED:
        delattr(narrow, name)
        # Past nn.Module's registry: a shared tensor has one name, is trained by one optimiser state and saved once.
        narrow.__dict__[name] = getattr(wide, name)


def generator_config(config: EncoderConfig, frac: float) -> EncoderConfig:
    """The generator of a discriminator: `frac` of its heads, width and feed-forward, all of its layers."""
    heads = max(1, round(config.heads * frac))
    width = heads * max(1, round(config.width * frac / heads))
    return replace(
        config,
        heads=heads,
        width=width,
        feed_forward_width=max(1, round(config.feed_forward_width * frac)),
        embedding_width=None if width == config.table_width else config.table_width,
        generator=None,
    )


def _names(config: EncoderConfig, encoder: str = "encoder") -> Names:
    """Tensors of ElectraModel, for one of our encoders: BERT's names, and the projection."""
    theirs = {ours: names for ours, names in bert.huggingface_names(config.layers).items() if "encoder." in ours}
    table: Names = {
        f"encoder.embeddings.projection.{kind}": (f"electra.embeddings_project.{kind}",) for kind in ("weight", "bias")
    }
    table |= {ours: tuple(name.replace("bert.", "electra.", 1) for name in names) for ours, names in theirs.items()}
    shared = tuple(f"encoder.embeddings.{name}." for name in SHARED)
    return {
        ours if ours.startswith(shared) else ours.replace("encoder.", f"{encoder}.", 1): n for ours, n in table.items()
    }


def _with_head(names: Names, modules: Mapping[str, str]) -> Names:
    pairs = ((ours, theirs, kind) for ours, theirs in modules.items() for kind in ("weight", "bias"))
    return names | {f"{ours}.{kind}": (f"{theirs}.{kind}",) for ours, theirs, kind in pairs}


def discriminator_names(config: EncoderConfig) -> Names:
    """Our tensor -> those of ElectraForPreTraining."""
    modules = {"dense": "dense", "linear": "dense_prediction"}
    heads = {f"replaced_tokens.{ours}": f"discriminator_predictions.{theirs}" for ours, theirs in modules.items()}
    return _with_head(_names(config), heads)


def generator_names(config: EncoderConfig) -> Names:
    """Our tensor -> those of ElectraForMaskedLM. The shared tables are named as the discriminator's."""
    modules = {"dense": "dense", "norm": "LayerNorm"}
    heads = {f"masked_tokens.{ours}": f"generator_predictions.{theirs}" for ours, theirs in modules.items()}
    return _with_head(_names(config, "generator"), heads) | {"masked_tokens.bias": ("generator_lm_head.bias",)}


def _read(found: Mapping[str, Any]) -> dict[str, Any]:
    """transformers projects where the widths differ."""
    same = found["embedding_size"] == found["hidden_size"]
    return {"embedding_width": None if same else found["embedding_size"]}


CARRIER = replace(
    bert.CARRIER,
    model_type="electra",
    class_name="Electra",
    base="electra.",
    names=discriminator_names,
    heads=task_heads(
        {"pooler.dense": "classifier.dense", "head.linear": "classifier.out_proj"},
        choices={"pooler.dense": "sequence_summary.summary", "head.linear": "classifier"},
    ),
    amounts=("embedding_size",),
    defaults={**bert.CARRIER.defaults, "embedding_size": 128},
    problems=lambda found: [] if found["embedding_size"] else ["embedding_size is 0, expected a whole number above 0"],
    read=_read,
    write=lambda config: {"embedding_size": config.table_width},
)


def _parts(model: PretrainingModel) -> tuple[Part, ...]:
    config = model.encoder.config
    discriminator = Part(folder="", head="ForPreTraining", config=config, carrier=CARRIER, names=CARRIER.names(config))
    if config.generator is None:
        return (discriminator,)
    names = generator_names(config.generator)
    part = Part(folder=GENERATOR_FOLDER, head="ForMaskedLM", config=config.generator, carrier=CARRIER, names=names)
    return discriminator, part


def _configure(config: EncoderConfig, settings: ModelSettings, pad_id: int, pairs: bool) -> EncoderConfig:
    """Two segments always, as in the reference; E is the width unless set (128 in ELECTRA-small)."""
    width = settings.embedding_width
    config = replace(config, segment_types=2, embedding_width=None if width == config.width else width)
    return replace(config, generator=generator_config(config, settings.generator_frac))


FAMILY = Family(
    name="electra",
    configure=_configure,
    build=lambda config, pairs: Electra(config),
    carriers=(CARRIER,),
    carrier=lambda config: CARRIER,
    parts=_parts,
    pooler=lambda config: GeluPooler(config.width),
    drops_before_pooler=True,
    generator_folder=GENERATOR_FOLDER,
)
