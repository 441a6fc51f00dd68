"""The encoder that every family shares (Vaswani et al. 2017; Devlin et al. 2019, arXiv:1810.04805, section 3).

Axes: T tokens of all rows end to end, E embedding width (often D), D width, N heads, H head width, F feed-forward
width; D = N * H.
forward(batch) -> hidden [T, D]. There is no padding anywhere but inside one attention backend.
A switch is an argument: what ALBERT or ModernBERT does otherwise than BERT stands beside what BERT does.
Pre-norm keeps the embedding norm and adds a final one, as RobertaPreLayerNorm and ModernBERT do in transformers.
Differs from the papers: q, k and v are one matrix of 3D rows; interop splits it. Parity: tests/parity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloze.models.attention import Layout, choose_backend, make_layout, within_window
from cloze.models.dropout import Dropout
from cloze.models.norms import NORMS, NormKind, make_norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloze.inputs.batch import Batch

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "elu": F.elu,
}
TOKENS_STEP = 64
"""On a CPU all but attention sees the tokens of a batch filled up to a multiple of it, because oneDNN makes kernels for
every number of rows: those of a new number take as long as a small model's step."""


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
    layer_groups: int | None = None
    """Layers that have weights of their own, each used for layers / layer_groups in a row; None: all of them."""
    positions: Literal["learned", "rotary"] = "learned"
    """learned: a table, added to the tokens; rotary: q and k are turned by an angle that grows with the position."""
    position_offset: int = 0
    """Unused rows at the head of the position table: padding id + 1 in RoBERTa, 0 in BERT."""
    rotary_theta: float = 160_000.0
    """Base of the rotary wavelengths where a token sees its whole row. The longest is 2 pi theta tokens."""
    local_rotary_theta: float = 10_000.0
    """The same in layers with a window."""
    local_window: int | None = None
    """Tokens that a token sees, half of them on each side, in all layers but every `global_every`-th; None: all."""
    global_every: int = 1
    segment_types: int = 2
    """Rows of the segment table; 0: there is none."""
    activation: Literal["gelu", "gelu_tanh", "relu", "elu"] = "gelu"
    norm: NormKind = "layer"
    """What the embeddings, the blocks and the end are normed with; heads have LayerNorm."""
    norm_position: Literal["post", "pre"] = "post"
    first_attention_norm: bool = True
    """Whether pre-norm norms the embeddings again, which were just normed."""
    norm_eps: float = 1e-12
    biases: bool = True
    """Whether matrices and LayerNorms have biases."""
    gated: bool = False
    """Whether the activation multiplies a second projection (GLU) in place of standing alone."""
    dropout: float = 0.1
    attention_dropout: float = 0.1
    attention: Literal["auto", "explicit", "padded", "varlen"] = "auto"
    initialisation_std: float = 0.02
    scaled_outputs: bool = False
    """Whether the last matrix of each block starts smaller by sqrt(2 x layers), so that the residual sum doesn't grow
    with depth (Radford et al. 2019; Shoeybi et al. 2019, arXiv:1909.08053)."""
    generator: EncoderConfig | None = None
    """A second, narrower encoder that pretraining has beside this one (ELECTRA)."""

    @property
    def table_width(self) -> int:
        """Width of the token table."""
        return self.width if self.embedding_width is None else self.embedding_width

    @property
    def head_width(self) -> int:
        """H."""
        return self.width // self.heads

    def is_local(self, layer: int) -> bool:
        """Whether tokens of this layer (from 0) see their neighbours only."""
        return self.local_window is not None and layer % self.global_every != 0


def _norm(width: int, config: EncoderConfig) -> nn.Module:
    return make_norm(config.norm, width, eps=config.norm_eps, bias=config.biases)


class Embeddings(nn.Module):
    """Token + position + segment, normalised (Devlin et al. 2019, figure 2), as far as there are tables.

    With `embedding_width` E the tables are E wide, and one matrix leads to D: V x E + E x D numbers in place of V x D
    (Lan et al. 2020, section 3.1).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, rows = config.table_width, config.max_length + config.position_offset
        self.position_offset = config.position_offset
        self.token = nn.Embedding(config.vocabulary_size, width)
        self.position = nn.Embedding(rows, width) if config.positions == "learned" else None
        self.segment = nn.Embedding(config.segment_types, width) if config.segment_types else None
        self.norm = _norm(width, config)
        self.dropout = Dropout(config.dropout)
        self.projection = nn.Identity() if config.embedding_width is None else nn.Linear(width, config.width)

    def forward(self, ids: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
        """ids, positions, segments int64 [T] -> [T, D]. Positions count from 0 in every row."""
        x: Tensor = self.token(ids)
        if self.position is not None:
            x = x + self.position(positions + self.position_offset)
        if self.segment is not None:
            # A table of one segment is a constant vector: adding it needs no lookup.
            x = x + (self.segment.weight[0] if self.segment.num_embeddings == 1 else self.segment(segments))
        x = self.dropout(self.norm(x))
        # Autocast's product would make all residual sums above it bfloat16.
        return self.projection(x).to(x.dtype)  # type: ignore[no-any-return]


Rotation = tuple[Tensor, Tensor]
"""Cosine and sine, float32 [T, 1, H / 2], of each token's angles."""


def rotation(positions: Tensor, width: int, theta: float) -> Rotation:
    """Angles position / theta^(2i / H), i < H / 2 (Su et al. 2021, arXiv:2104.09864, section 3.2.2).

    positions int64 [T], `width` = H.
    """
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angles = positions[:, None, None].float() * (1.0 / theta**exponents)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn x [T, N, H] in the planes of its dimensions i and i + H / 2; computed in float32."""
    cosine, sine = by
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return turned.to(x.dtype)


class SelfAttention(nn.Module):
    """Every token looks at the tokens of its own row, or at its neighbours there, through N heads of width H."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.backend = config.heads, config.attention
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.biases)
        self.output = nn.Linear(config.width, config.width, bias=config.biases)
        self.dropout = Dropout(config.attention_dropout)

    def forward(self, x: Tensor, layout: Layout, turn: Rotation | None = None) -> Tensor:
        """x [T, D] -> [T, D]."""
        tokens = layout.tokens
        q, k, v = _resize(self.qkv(x), tokens).view(tokens, 3, self.heads, -1).unbind(dim=1)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        y = choose_backend(self.backend, q, self.dropout, layout.window)(q, k, v, layout, self.dropout)
        return self.output(_resize(y.reshape(tokens, -1), x.shape[0]))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """The same linear layers at every token: D -> F -> D. Gated, `inner` gives F values and F factors (GeGLU).

    GLU: Dauphin et al. 2017, arXiv:1612.08083; with GELU: Shazeer 2020, arXiv:2002.05202.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.gated = config.gated
        inner = config.feed_forward_width * (2 if config.gated else 1)
        self.inner = nn.Linear(config.width, inner, bias=config.biases)
        self.output = nn.Linear(config.feed_forward_width, config.width, bias=config.biases)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        """x [T, D] -> [T, D]."""
        x = self.inner(x)
        if self.gated:
            x, factors = x.chunk(2, dim=-1)
            return self.output(self.activation(x) * factors)  # type: ignore[no-any-return]
        return self.output(self.activation(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention, then feed-forward, each inside a residual sum.

    post: x = norm(x + block(x)), as in Vaswani et al. 2017. pre: x = x + block(norm(x)), as in Xiong et al. 2020.
    """

    def __init__(self, config: EncoderConfig, *, first: bool = False) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.attention = SelfAttention(config)
        bare = first and not config.first_attention_norm
        self.attention_norm = nn.Identity() if bare else _norm(config.width, config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = _norm(config.width, config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Layout, turn: Rotation | None = None) -> Tensor:
        """x [T, D] -> [T, D]."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), layout, turn))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # type: ignore[no-any-return]
        x = self.attention_norm(x + self.dropout(self.attention(x, layout, turn)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Embeddings and a stack of layers; a final norm when norms stand before the blocks."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        groups = config.layers if config.layer_groups is None else config.layer_groups
        self.layers = nn.ModuleList(Layer(config, first=i == 0) for i in range(groups))
        self.final_norm = _norm(config.width, config) if config.norm_position == "pre" else nn.Identity()

    def forward(self, batch: Batch) -> Tensor:
        """Hidden states [T, D] of the last layer."""
        return self._states(batch, every=False)[-1]

    def hidden_states(self, batch: Batch) -> list[Tensor]:
        """Output of the embeddings and of each layer, [T, D] each; the last one after the final norm."""
        return self._states(batch, every=True)

    def _states(self, batch: Batch, *, every: bool) -> list[Tensor]:
        """`every` state or the last one alone: without a backward pass the others need not be held."""
        whole, local = self._sights(batch)
        # BatchNorm's statistics are those of real tokens alone.
        fills = batch.ids.device.type == "cpu" and self.config.norm != "batch"
        rounded = batch.tokens + (-batch.tokens % TOKENS_STEP if fills else 0)
        flat = (_resize(x, rounded) for x in (batch.ids, batch.positions, batch.segments))
        states: list[Tensor] = [self.embeddings(*flat)]
        for i in range(self.config.layers):
            layer = self.layers[i * len(self.layers) // self.config.layers]
            state = layer(states[-1], *(local if self.config.is_local(i) else whole))
            states = [*states, state] if every else [state]
        states[-1] = self.final_norm(states[-1])
        return [_resize(state, batch.tokens) for state in states]

    def _sights(self, batch: Batch) -> tuple[tuple[Layout, Rotation | None], ...]:
        """What a token may see and how far it is turned: in layers that see the row, and in those with a window."""
        config, positions = self.config, batch.positions
        layout = make_layout(batch.offsets, batch.longest, batch.ids.shape[0])
        near = layout if config.local_window is None else within_window(layout, config.local_window // 2)
        if config.positions == "learned":
            return (layout, None), (near, None)
        thetas = config.rotary_theta, config.local_rotary_theta
        wide, narrow = (rotation(positions, config.head_width, theta) for theta in thetas)
        return (layout, wide), (near, narrow)


def _resize(x: Tensor, rows: int) -> Tensor:
    """x [T, ...] cut to `rows`, or with zeros behind it."""
    missing = rows - x.shape[0]
    if missing <= 0:
        return x[:rows] if missing else x
    return F.pad(x, (0, 0) * (x.ndim - 1) + (0, missing))


def initialise_normal(model: nn.Module, std: float, seed: int) -> None:
    """Truncated normal (two standard deviations) for matrices and tables, zero biases, unit norms (BERT, modeling.py).

    Each tensor draws from its own generator, keyed by (seed, name): another head leaves the encoder's weights alone.
    """
    from cloze.inputs.hashing import hash_u64

    norms = {id(p) for m in model.modules() if isinstance(m, NORMS) for p in m.parameters()}
    factors = _start_factors(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) in norms:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            elif parameter.dim() == 1:
                parameter.zero_()
            else:
                generator = torch.Generator().manual_seed(int(hash_u64(seed, f"weights of {name}")) >> 1)
                own = std * factors.get(id(parameter), 1.0)
                nn.init.trunc_normal_(parameter, std=own, a=-2 * own, b=2 * own, generator=generator)


def _start_factors(model: nn.Module) -> dict[int, float]:
    """id of a parameter -> what its standard deviation is multiplied by, where that isn't 1."""
    encoders = [m for m in model.modules() if isinstance(m, Encoder) and m.config.scaled_outputs]
    return {
        id(block.output.weight): (2 * encoder.config.layers) ** -0.5
        for encoder in encoders
        for block in encoder.modules()
        if isinstance(block, SelfAttention | FeedForward)
    }
