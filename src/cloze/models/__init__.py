"""Model families: each one file over one encoder. `build` makes one from the settings of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from cloze.inputs.batch import Batch
    from cloze.models.encoder import Encoder, EncoderConfig
    from cloze.models.heads import MaskedTokensHead
    from cloze.objectives import Sums
    from cloze.recipe import ModelSettings


class PretrainingModel(Protocol):
    """What pretraining, fine-tuning and `fill` need of a family; an nn.Module."""

    family: str
    encoder: Encoder
    masked_tokens: MaskedTokensHead

    def losses(self, batch: Batch) -> dict[str, Sums]: ...
    def pool(self, hidden: Tensor, batch: Batch) -> Tensor: ...
    def masked_logits(self, hidden: Tensor) -> Tensor: ...
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Tensor]: ...


def encoder_config(
    settings: ModelSettings, *, vocabulary_size: int, length: int, pad_id: int, pairs: bool
) -> EncoderConfig:
    """The sizes of an encoder from `settings`; what they leave open comes from the tokenizer and the rows."""
    from cloze.models.encoder import EncoderConfig

    # transformers has pre-norm only in RobertaPreLayerNorm, so every pre-norm encoder counts positions its way.
    offset = pad_id + 1 if settings.family == "roberta" or settings.norm_position == "pre" else 0
    return EncoderConfig(
        vocabulary_size=vocabulary_size,
        layers=settings.layers,
        heads=settings.heads,
        width=settings.width,
        feed_forward_width=settings.feed_forward_width or 4 * settings.width,
        max_length=settings.max_length or length,
        position_offset=offset,
        segment_types=2 if pairs or settings.family == "bert" else 1,
        activation=settings.activation,
        norm_position=settings.norm_position,
        norm_eps=settings.norm_eps,
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        attention=settings.attention,
        initialisation_std=settings.initialisation_std,
    )


def from_config(family: str, config: EncoderConfig, *, pairs: bool) -> PretrainingModel:
    """A model with torch's default weights, to be filled by a checkpoint or by `build`."""
    from cloze.models.bert import Bert
    from cloze.models.roberta import Roberta

    return Bert(config, pairs=pairs) if family == "bert" else Roberta(config)


def build(
    settings: ModelSettings, *, vocabulary_size: int, length: int, pad_id: int, pairs: bool, seed: int
) -> PretrainingModel:
    """A model with truncated-normal weights, a function of `seed`. `pairs`: rows are sentence pairs with a label."""
    from cloze.models.encoder import initialise_normal

    config = encoder_config(settings, vocabulary_size=vocabulary_size, length=length, pad_id=pad_id, pairs=pairs)
    model = from_config(settings.family, config, pairs=pairs)
    initialise_normal(model, settings.initialisation_std, seed)  # type: ignore[arg-type]
    return model
