"""The encoder that every family shares (Vaswani et al. 2017; Devlin et al. 2019, arXiv:1810.04805, section 3).

Axes: T tokens of all rows end to end, E embedding width (often D), D width, N heads, H head width, F feed-forward
width; D = N * H.
forward(batch) -> hidden [T, D]. There is no padding anywhere but inside one attention backend.
A switch is an argument: post- or pre-norm, four activations, three attention backends.
Pre-norm keeps the embedding norm and adds a final one, as transformers' `RobertaPreLayerNorm` does, so that it exports.
Differs from the paper: q, k and v are one matrix of 3D rows; interop splits it. Parity: tests/parity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloze.models.attention import Layout, choose_backend, make_layout
from cloze.models.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloze.inputs.batch import Batch

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "elu": F.elu,
}


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes and switches of an encoder; all that is needed to build one. Widths in numbers, lengths in tokens."""

    vocabulary_size: int
    embedding_width: int | None = None
    """Width of tokens, positions and segments where a projection to `width` follows; None: no projection."""
    layers: int
    heads: int
    width: int
    feed_forward_width: int
    max_length: int
    position_offset: int = 0
    """Unused rows at the head of the position table: padding id + 1 in RoBERTa, 0 in BERT."""
    segment_types: int = 2
    activation: Literal["gelu", "gelu_tanh", "relu", "elu"] = "gelu"
    norm_position: Literal["post", "pre"] = "post"
    norm_eps: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    attention: Literal["auto", "explicit", "padded", "varlen"] = "auto"
    initialisation_std: float = 0.02
    generator: EncoderConfig | None = None
    """A second, narrower encoder that pretraining has beside this one (ELECTRA)."""

    @property
    def table_width(self) -> int:
        """Width of the token table."""
        return self.width if self.embedding_width is None else self.embedding_width


class Embeddings(nn.Module):
    """Token + position + segment, normalised (Devlin et al. 2019, figure 2).

    With `embedding_width` E the tables are E wide, and one matrix leads to D: V x E + E x D numbers in place of V x D
    (Lan et al. 2020, section 3.1).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.table_width
        self.position_offset = config.position_offset
        self.token = nn.Embedding(config.vocabulary_size, width)
        self.position = nn.Embedding(config.max_length + config.position_offset, width)
        self.segment = nn.Embedding(config.segment_types, width)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.dropout = Dropout(config.dropout)
        self.projection = nn.Identity() if config.embedding_width is None else nn.Linear(width, config.width)

    def forward(self, ids: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
        """ids, positions, segments int64 [T] -> [T, D]. Positions count from 0 in every row."""
        x: Tensor = self.token(ids) + self.position(positions + self.position_offset)
        # A table of one segment is a constant vector: adding it needs no lookup.
        x = x + (self.segment.weight[0] if self.segment.num_embeddings == 1 else self.segment(segments))
        return self.projection(self.dropout(self.norm(x)))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Every token looks at every token of its own row, through N heads of width H."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.backend = config.heads, config.attention
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)
        self.dropout = Dropout(config.attention_dropout)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """x [T, D] -> [T, D]."""
        q, k, v = self.qkv(x).view(x.shape[0], 3, self.heads, -1).unbind(dim=1)
        y = choose_backend(self.backend, q, self.dropout)(q, k, v, layout, self.dropout)
        return self.output(y.reshape(x.shape))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """The same two linear layers at every token: D -> F -> D."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, config.feed_forward_width)
        self.output = nn.Linear(config.feed_forward_width, config.width)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        """x [T, D] -> [T, D]."""
        return self.output(self.activation(self.inner(x)))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention, then feed-forward, each inside a residual sum.

    post: x = norm(x + block(x)), as in Vaswani et al. 2017. pre: x = x + block(norm(x)), as in Xiong et al. 2020.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """x [T, D] -> [T, D]."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), layout))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # type: ignore[no-any-return]
        x = self.attention_norm(x + self.dropout(self.attention(x, layout)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Embeddings and a stack of layers; a final norm when norms stand before the blocks."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        pre_norm = config.norm_position == "pre"
        self.final_norm = nn.LayerNorm(config.width, eps=config.norm_eps) if pre_norm else nn.Identity()

    def forward(self, batch: Batch) -> Tensor:
        """Hidden states [T, D] of the last layer."""
        return self.hidden_states(batch)[-1]

    def hidden_states(self, batch: Batch) -> list[Tensor]:
        """Output of the embeddings and of each layer, [T, D] each; the last one after the final norm."""
        layout = make_layout(batch.offsets, batch.longest, batch.ids.shape[0])
        states: list[Tensor] = [self.embeddings(batch.ids, batch.positions, batch.segments)]
        for layer in self.layers:
            states.append(layer(states[-1], layout))
        states[-1] = self.final_norm(states[-1])
        return states


def initialise_normal(model: nn.Module, std: float, seed: int) -> None:
    """Truncated normal (two standard deviations) for matrices and tables, zero biases, unit norms (BERT, modeling.py).

    Each tensor draws from its own generator, keyed by (seed, name): another head leaves the encoder's weights alone.
    """
    from cloze.inputs.hashing import hash_u64

    norms = {id(p) for m in model.modules() if isinstance(m, nn.LayerNorm) for p in m.parameters()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) in norms:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            elif parameter.dim() == 1:
                parameter.zero_()
            else:
                generator = torch.Generator().manual_seed(int(hash_u64(seed, f"weights of {name}")) >> 1)
                nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std, generator=generator)
