"""SpanBERT (Joshi et al. 2019, arXiv:1907.10529): BERT on single segments, with masked spans told from their borders.

Each masked token is predicted twice, from its own hidden state and from those beside its span; both losses are added
with weight 1. Rows need `masking.unit` span and `masking.boundaries`; there is no next-sentence prediction.
Loads in transformers as BertForMaskedLM; the head of the second objective lies beside it in a file of its own, which
transformers does not open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloze.models import bert
from cloze.models.encoder import Encoder, EncoderConfig
from cloze.models.family import Family, Names, Part, plain_pooler
from cloze.models.heads import MaskedTokensHead, SpanBoundaryHead
from cloze.models.masked import MaskedTokensModel
from cloze.objectives import Sums

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.models import PretrainingModel
    from cloze.recipe import ModelSettings


class SpanBert(MaskedTokensModel):
    """An encoder with the heads of both objectives."""

    family = "spanbert"

    def __init__(self, config: EncoderConfig) -> None:
        encoder = Encoder(config)
        super().__init__(encoder, MaskedTokensHead(config, encoder.embeddings.token, config.activation))
        self.span_boundary = SpanBoundaryHead(config, encoder.embeddings.token)

    def losses(self, batch: Batch) -> dict[str, Sums]:
        """Sums of both objectives."""
        hidden = self.encoder(batch)
        return {
            "masked_tokens": self.masked_tokens.losses(hidden, batch.targets["masked_tokens"]),
            "span_boundary": self.span_boundary.losses(hidden, batch.targets["span_boundary"]),
        }


BOUNDARY_FILE = "span_boundary.safetensors"


def _boundary_names() -> Names:
    modules = ("place.weight", *(f"{name}.{kind}" for name in _LAYERS for kind in ("weight", "bias")), "bias")
    return {f"span_boundary.{name}": (f"span_boundary.{name}",) for name in modules}


_LAYERS = ("first", "first_norm", "second", "second_norm")


def _parts(model: PretrainingModel) -> tuple[Part, ...]:
    config = model.encoder.config
    return (
        Part(folder="", head="ForMaskedLM", config=config, carrier=bert.CARRIER, names=bert.CARRIER.names(config)),
        Part(folder="", head=None, file=BOUNDARY_FILE, config=config, carrier=bert.CARRIER, names=_boundary_names()),
    )


def _configure(config: EncoderConfig, settings: ModelSettings, pad_id: int, pairs: bool) -> EncoderConfig:
    """Rows are one segment; the table has two, as BERT's, for tasks on pairs."""
    return replace(config, segment_types=2)


FAMILY = Family(
    name="spanbert",
    configure=_configure,
    build=lambda config, pairs: SpanBert(config),
    carriers=(),
    carrier=lambda config: bert.CARRIER,
    parts=_parts,
    pooler=plain_pooler,
)
