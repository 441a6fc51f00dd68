"""Model families: each one file over one encoder. `build` makes one from the settings of a recipe.

A family is known by its name in `ModelSettings.family`, which is also the name of its file; that file's `FAMILY` says
everything else about it (`family.py`).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from cloze.inputs.batch import Batch
    from cloze.models.encoder import Encoder, EncoderConfig
    from cloze.models.family import Family
    from cloze.models.heads import MaskedTokensHead
    from cloze.objectives import Sums
    from cloze.recipe import ModelSettings


NORM_EPS = {"roberta": 1e-5, "modernbert": 1e-5}
"""Families that add another number than BERT's 1e-12 to the variance."""


class PretrainingModel(Protocol):
    """What pretraining, fine-tuning and `fill` need of a family; an nn.Module.

    `encoder` is what fine-tuning keeps. `masked_tokens` may stand on another one (ELECTRA's generator), so whoever asks
    for tokens calls `token_logits`.
    """

    family: str
    encoder: Encoder
    masked_tokens: MaskedTokensHead

    def losses(self, batch: Batch) -> dict[str, Sums]: ...
    def pool(self, hidden: Tensor, batch: Batch) -> Tensor: ...
    def masked_logits(self, hidden: Tensor) -> Tensor: ...
    def token_logits(self, batch: Batch, positions: Tensor) -> Tensor: ...
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Tensor]: ...


@cache
def family_of(name: str) -> Family:
    """The family called `name`, read from its file."""
    found: Family = import_module(f"cloze.models.{name}").FAMILY
    return found


def families() -> tuple[Family, ...]:
    """All families, in the order of `ModelSettings.family`."""
    from cloze.recipe import ModelSettings

    return tuple(family_of(name) for name in get_args(ModelSettings.model_fields["family"].annotation))


def encoder_config(
    settings: ModelSettings, *, vocabulary_size: int, length: int, pad_id: int, pairs: bool
) -> EncoderConfig:
    """The sizes of an encoder from `settings`; what they leave open comes from the tokenizer, rows and family."""
    from cloze.models.encoder import EncoderConfig

    plain = EncoderConfig(  # what only some families have is for them to add
        vocabulary_size=vocabulary_size,
        layers=settings.layers,
        heads=settings.heads,
        width=settings.width,
        feed_forward_width=settings.feed_forward_width or 4 * settings.width,
        max_length=settings.max_length or length,
        segment_types=2 if pairs else 1,
        activation=settings.activation,
        norm=settings.norm,
        norm_position=settings.norm_position,
        norm_eps=settings.norm_eps or NORM_EPS.get(settings.family, 1e-12),
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        attention=settings.attention,
        initialisation_std=settings.initialisation_std,
    )
    return family_of(settings.family).configure(plain, settings, pad_id, pairs)


def from_config(family: str, config: EncoderConfig, *, pairs: bool) -> PretrainingModel:
    """A model with torch's default weights, to be filled by a checkpoint or by `build`."""
    return family_of(family).build(config, pairs)


def build(
    settings: ModelSettings, *, vocabulary_size: int, length: int, pad_id: int, pairs: bool, seed: int
) -> PretrainingModel:
    """A model with truncated-normal weights, a function of `seed`. `pairs`: rows are sentence pairs with a label."""
    from cloze.models.encoder import initialise_normal

    config = encoder_config(settings, vocabulary_size=vocabulary_size, length=length, pad_id=pad_id, pairs=pairs)
    model = from_config(settings.family, config, pairs=pairs)
    initialise_normal(model, settings.initialisation_std, seed)  # type: ignore[arg-type]
    return model
