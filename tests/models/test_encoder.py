"""The encoder is the papers' formula, a row sees itself alone, and chance is a function of (seed, step)."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import cloze.models.encoder
from cloze.inputs.batch import Batch
from cloze.models.albert import Albert
from cloze.models.attention import make_layout, within_window
from cloze.models.bert import Bert
from cloze.models.dropout import seed_dropout
from cloze.models.encoder import Encoder, EncoderConfig, Layer, initialise_normal, rotate, rotation
from cloze.models.modernbert import ModernBert
from cloze.models.roberta import Roberta
from cloze.objectives import Sums
from tests.parity.conftest import VOCABULARY, make_rows

LENGTHS = [7, 3, 1, 7]


def config(**changes: Any) -> EncoderConfig:
    sizes: dict[str, Any] = {"vocabulary_size": VOCABULARY, "layers": 2, "heads": 2, "width": 16}
    return EncoderConfig(**sizes | {"feed_forward_width": 24, "max_length": 12, "dropout": 0.0} | changes)


def filled(model: nn.Module) -> nn.Module:
    """Large weights, and biases and norms away from 0 and 1: a place left out would show."""
    initialise_normal(model, 0.2, seed=3)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    return model.eval()


def encoder(**changes: Any) -> Encoder:
    model = filled(Encoder(config(**changes)))
    assert isinstance(model, Encoder)
    return model


def batch(lengths: list[int] = LENGTHS, seed: int = 0) -> Batch:
    return make_rows(lengths, VOCABULARY, 0, segments=True, seed=seed).flat


def rows_of(flat: Tensor, rows: Batch) -> list[Tensor]:
    return [flat[start:end] for start, end in pairwise(rows.offsets.tolist())]


FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: torch.where(x > 0, x, 0),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
}


def by_the_papers(model: Encoder, ids: Tensor, segments: Tensor, lengths: list[int] | None = None) -> Tensor:
    """Rows [T] of these lengths, or one -> [T, D], from the parameters alone: Vaswani et al. 2017, section 3; Xiong et
    al. 2020, table 1; Zhang and Sennrich 2019, equation 4; Ioffe and Szegedy 2015, algorithm 1."""
    c, p, lengths = model.config, dict(model.named_parameters()), lengths or [len(ids)]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        over = 0 if c.norm == "batch" else 1
        x = x if c.norm == "rms" else x - x.mean(over, keepdim=True)
        x = x / (x.square().mean(over, keepdim=True) + c.norm_eps).sqrt() * p[f"{name}.weight"]
        return x if c.norm == "rms" else x + p[f"{name}.bias"]

    def attention(x: Tensor, name: str) -> Tensor:
        return torch.cat([attention_in_row(row, name) for row in torch.split(x, lengths)])

    def attention_in_row(x: Tensor, name: str) -> Tensor:
        q, k, v = linear(x, f"{name}.qkv").chunk(3, dim=1)
        heads = []
        for head in range(c.heads):
            h = slice(head * c.width // c.heads, (head + 1) * c.width // c.heads)
            weights = (q[:, h] @ k[:, h].T / math.sqrt(c.width // c.heads)).exp()
            heads.append(weights / weights.sum(1, keepdim=True) @ v[:, h])
        return linear(torch.cat(heads, dim=1), f"{name}.output")

    def feed_forward(x: Tensor, name: str) -> Tensor:
        return linear(FORMULAS[c.activation](linear(x, f"{name}.inner")), f"{name}.output")

    places = torch.cat([torch.arange(length) for length in lengths]) + c.position_offset
    tables = {name: p[f"embeddings.{name}.weight"] for name in ("token", "position", "segment")}
    x = norm(tables["token"][ids] + tables["position"][places] + tables["segment"][segments], "embeddings.norm")
    for i in range(c.layers):
        for block, name in ((attention, "attention"), (feed_forward, "feed_forward")):
            place, norm_place = f"layers.{i}.{name}", f"layers.{i}.{name}_norm"
            if c.norm_position == "pre":
                x = x + block(norm(x, norm_place), place)
            else:
                x = norm(x + block(x, place), norm_place)
    return norm(x, "final_norm") if c.norm_position == "pre" else x


@pytest.mark.parametrize("attention", ["explicit", "padded"])
@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize("activation", list(FORMULAS))
def test_it_is_the_formula(attention: str, norm_position: str, activation: str) -> None:
    model, rows = encoder(attention=attention, norm_position=norm_position, activation=activation), batch()
    hidden = model(rows)
    for found, ids, segments in zip(*(rows_of(x, rows) for x in (hidden, rows.ids, rows.segments)), strict=True):
        torch.testing.assert_close(found, by_the_papers(model, ids, segments), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["explicit", "padded"])
@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize("norm", ["rms", "batch"])
def test_other_norms_are_their_formula_on_real_tokens(attention: str, norm_position: str, norm: str) -> None:
    """In training; `padded` pads three of these four rows, and no statistics may know of it."""
    chosen = {"attention": attention, "norm_position": norm_position, "norm": norm, "attention_dropout": 0.0}
    model, rows = encoder(**chosen).train(), batch()
    truth = by_the_papers(model, rows.ids, rows.segments, LENGTHS)
    torch.testing.assert_close(model(rows), truth, atol=2e-5, rtol=1e-5)


def test_positions_start_after_the_unused_rows_of_the_table() -> None:
    model, rows = encoder(position_offset=3), batch()
    hidden = model(rows)
    truth = by_the_papers(model, rows_of(rows.ids, rows)[0], rows_of(rows.segments, rows)[0])
    torch.testing.assert_close(rows_of(hidden, rows)[0], truth, atol=2e-5, rtol=1e-5)
    hidden.square().sum().backward()
    assert model.embeddings.position is not None
    table = model.embeddings.position.weight
    assert table.shape[0] == 12 + 3 and table.grad is not None
    used = table.grad.abs().sum(1) > 0
    assert used.nonzero().flatten().tolist() == list(range(3, 3 + max(LENGTHS)))


def test_a_table_of_one_segment_is_added_everywhere() -> None:
    model, rows = encoder(segment_types=1), batch()
    hidden = model(rows)
    truth = by_the_papers(model, rows_of(rows.ids, rows)[0], torch.zeros(LENGTHS[0], dtype=torch.int64))
    torch.testing.assert_close(rows_of(hidden, rows)[0], truth, atol=2e-5, rtol=1e-5)
    assert torch.equal(model(replace(rows, segments=torch.zeros_like(rows.segments))), hidden)
    hidden.square().sum().backward()
    assert model.embeddings.segment is not None
    gradient = model.embeddings.segment.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0


@pytest.mark.parametrize("attention", ["explicit", "padded"])
@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5, 5]])
def test_a_row_does_not_depend_on_the_others(attention: str, lengths: list[int]) -> None:
    model, rows = encoder(attention=attention), batch(lengths)
    hidden = rows_of(model(rows), rows)
    first = slice(0, lengths[0])
    others = rows.ids.roll(1)
    others[first] = rows.ids[first]
    assert not torch.equal(others, rows.ids)
    assert torch.equal(model(replace(rows, ids=others))[first], hidden[0])
    for row, (start, end) in enumerate(pairwise(rows.offsets.tolist())):
        offsets = torch.tensor([0, end - start], dtype=torch.int32)
        parts = {name: getattr(rows, name)[start:end] for name in ("ids", "positions", "segments")}
        alone = replace(rows, offsets=offsets, longest=end - start, **parts)
        torch.testing.assert_close(model(alone), hidden[row], atol=1e-5, rtol=1e-5)


def test_a_token_sees_its_whole_row_in_both_directions() -> None:
    model, rows = encoder(), batch()
    for changed in (0, LENGTHS[0] - 1):
        ids = rows.ids.clone()
        ids[changed] = 5 if ids[changed] != 5 else 6
        moved = (model(replace(rows, ids=ids)) - model(rows)).abs().amax(dim=1) > 1e-6
        assert moved.tolist() == [True] * LENGTHS[0] + [False] * sum(LENGTHS[1:])


@pytest.mark.parametrize("norm_position", ["post", "pre"])
def test_hidden_states_are_the_embeddings_and_every_layer(norm_position: str) -> None:
    model, rows = encoder(norm_position=norm_position, layers=3), batch()
    states = model.hidden_states(rows)
    assert len(states) == 1 + 3
    assert all(state.shape == (sum(LENGTHS), 16) for state in states)
    assert torch.equal(states[0], model.embeddings(rows.ids, rows.positions, rows.segments))
    assert torch.equal(states[-1], model(rows))


@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_gradients_reach_every_parameter(family: str, norm_position: str) -> None:
    sizes = config(norm_position=norm_position, dropout=0.1, attention_dropout=0.1)
    model = Bert(sizes, pairs=True) if family == "bert" else Roberta(sizes)
    filled(model).train()
    seed_dropout(model.modules(), seed=1, step=0)
    torch.stack([sums.loss for sums in model.losses(batch()).values()]).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
        if name.endswith("qkv.weight"):
            assert all(part.abs().sum() > 0 for part in parameter.grad.chunk(3))


@pytest.mark.parametrize("changes", [{}, {"norm_position": "pre", "positions": "rotary"}, {"attention": "explicit"}])
def test_tokens_behind_the_batch_change_nothing(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def states_and_gradients(step: int) -> tuple[list[Tensor], list[Tensor]]:
        monkeypatch.setattr(cloze.models.encoder, "TOKENS_STEP", step)
        model, rows = encoder(**changes), batch()
        states = model.hidden_states(rows)
        states[-1].square().sum().backward()  # type: ignore[no-untyped-call]
        return states, [cast("Tensor", parameter.grad) for parameter in model.parameters()]

    bare, filled_up = states_and_gradients(1), states_and_gradients(64)
    torch.testing.assert_close(filled_up, bare, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize("embedding_width", [None, 8])
def test_residual_sums_stay_float32_where_products_are_bfloat16(
    norm_position: str, embedding_width: int | None
) -> None:
    """A projection behind the embeddings gives bfloat16, and all sums above it would be, to the last layer."""
    model = encoder(norm_position=norm_position, embedding_width=embedding_width)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert {state.dtype for state in model.hidden_states(batch())} == {torch.float32}


def test_the_last_state_alone_is_held_where_no_other_is_asked_for() -> None:
    model, alive = encoder(), []
    for layer in model.layers:
        layer.register_forward_hook(lambda module, given, state: alive.append(weakref.ref(state)))
    with torch.no_grad():
        model(batch())
        assert sum(one() is not None for one in alive) == 0
        states = model.hidden_states(batch())
    assert len(states) == len(model.layers) + 1


def test_evaluation_draws_nothing() -> None:
    model, rows = encoder(dropout=0.5, attention_dropout=0.5), batch()
    before = torch.get_rng_state()
    first = model(rows)
    seed_dropout(model.modules(), seed=9, step=9)
    assert torch.equal(model(rows), first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("places", [{"dropout": 0.3}, {"attention_dropout": 0.3}])
def test_training_is_a_function_of_seed_and_step(places: dict[str, float]) -> None:
    model, rows = encoder(**({"attention_dropout": 0.0} | places)).train(), batch()

    def forward(seed: int, step: int) -> Tensor:
        seed_dropout(model.modules(), seed, step)
        return model(rows)  # type: ignore[no-any-return]

    first = forward(1, 7)
    other = forward(1, 8)
    torch.manual_seed(5)  # whatever else draws random numbers
    assert torch.equal(forward(1, 7), first)
    assert not torch.equal(other, first) and not torch.equal(forward(2, 7), first)
    assert not torch.equal(model.eval()(rows), first)


def test_without_dropout_training_is_evaluation() -> None:
    model, rows = encoder(attention_dropout=0.0), batch()
    assert torch.equal(model.train()(rows), model.eval()(rows))


MODERN: dict[str, Any] = {
    "positions": "rotary",
    "segment_types": 0,
    "norm_position": "pre",
    "first_attention_norm": False,
    "biases": False,
    "gated": True,
    "local_window": 4,
    "global_every": 2,
}


def test_a_projection_leads_from_narrow_tables_to_the_width() -> None:
    model, rows = encoder(embedding_width=6), batch()
    e = model.embeddings
    assert e.position is not None and e.segment is not None and isinstance(e.projection, nn.Linear)
    x = e.token(rows.ids) + e.position(rows.positions) + e.segment(rows.segments)
    assert x.shape == (sum(LENGTHS), 6)
    assert isinstance(e.norm, nn.LayerNorm)
    truth = nn.functional.layer_norm(x, (6,), e.norm.weight, e.norm.bias, 1e-12) @ e.projection.weight.T
    torch.testing.assert_close(e(rows.ids, rows.positions, rows.segments), truth + e.projection.bias)
    assert isinstance(encoder().embeddings.projection, nn.Identity)


@pytest.mark.parametrize(("groups", "used"), [(1, [0] * 6), (2, [0, 0, 0, 1, 1, 1]), (3, [0, 0, 1, 1, 2, 2])])
def test_a_shared_layer_is_used_many_times_in_a_row(groups: int, used: list[int]) -> None:
    model, rows = encoder(layers=6, layer_groups=groups), batch()
    assert len(model.layers) == groups
    own = encoder(layers=6)
    for place, group in enumerate(used):
        own.layers[place].load_state_dict(model.layers[group].state_dict())
    own.embeddings.load_state_dict(model.embeddings.state_dict())
    for one, other in zip(own.hidden_states(rows), model.hidden_states(rows), strict=True):
        assert torch.equal(one, other)
    for each in (own, model):
        each(rows).square().sum().backward()
    name = "attention.qkv.weight"
    parts = [dict(own.layers[place].named_parameters())[name].grad for place in range(6)]
    for group in range(groups):
        total = sum(part for part, of in zip(parts, used, strict=True) if of == group and part is not None)
        assert isinstance(total, Tensor)
        shared = dict(model.layers[group].named_parameters())[name].grad
        torch.testing.assert_close(shared, total, atol=1e-3, rtol=1e-4)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 8, generator=generator).double() for _ in range(2))

    def score(at: int, to: int, theta: float = 100.0) -> float:
        first, second = (rotation(torch.tensor([place]), 8, theta) for place in (at, to))
        return float((rotate(q, first).double() * rotate(k, second)).sum())

    assert score(0, 0) == pytest.approx(float((q * k).sum()), rel=1e-5)
    for distance in (1, 7, 30):
        assert score(distance, 0) == pytest.approx(score(distance + 9, 9), abs=1e-4)
        assert score(distance, 0) != pytest.approx(score(0, 0), abs=1e-3)
        assert score(distance, 0) != pytest.approx(score(distance, 0, theta=1000.0), abs=1e-3)


def test_rotation_is_the_formula_of_su_et_al() -> None:
    x = torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, rotation(torch.tensor([5]), 6, 100.0)).flatten()
    for i in range(3):
        angle = 5 / 100.0 ** (2 * i / 6)
        a, b = float(x[0, 0, i]), float(x[0, 0, i + 3])
        assert turned[i] == pytest.approx(a * math.cos(angle) - b * math.sin(angle), abs=1e-5)
        assert turned[i + 3] == pytest.approx(a * math.sin(angle) + b * math.cos(angle), abs=1e-5)
    half = rotate(x.bfloat16(), rotation(torch.tensor([5]), 6, 100.0))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float().flatten(), turned, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("attention", ["explicit", "padded"])
def test_local_layers_see_neighbours_and_every_nth_the_row(attention: str) -> None:
    rows = batch([30, 4])

    model = encoder(attention=attention, layers=4, max_length=32, **MODERN)
    seen: list[tuple[int | None, float]] = []

    def note(layer: nn.Module, given: tuple[Any, ...]) -> None:
        seen.append((given[1].window, float(given[2][0][1, 0, -1])))

    for layer in model.layers:
        layer.register_forward_pre_hook(note)
    model(rows)
    wide, narrow = (math.cos(1 / theta ** (6 / 8)) for theta in (160_000.0, 10_000.0))
    assert [window for window, _ in seen] == [None, 2, None, 2]
    assert [cosine for _, cosine in seen] == pytest.approx([wide, narrow, wide, narrow], abs=1e-7)
    x = model.embeddings(rows.ids, rows.positions, rows.segments)
    other = x.clone()
    other[15] += torch.linspace(-1, 1, 16)
    layout, turn = make_layout(rows.offsets, rows.longest, rows.tokens), rotation(rows.positions, 8, 10.0)
    for view, heard in ((layout, range(30)), (within_window(layout, 2), range(13, 18))):
        moved = (model.layers[1](x, view, turn) - model.layers[1](other, view, turn)).abs().amax(dim=1) > 1e-6
        assert moved.nonzero().flatten().tolist() == list(heard)


def test_a_gate_multiplies_the_activation() -> None:
    layer = encoder(**MODERN).layers[0]
    assert isinstance(layer, Layer)
    block = layer.feed_forward
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    value, factor = (x @ block.inner.weight.T).chunk(2, dim=1)
    torch.testing.assert_close(block(x), (FORMULAS["gelu"](value) * factor) @ block.output.weight.T)


def test_without_biases_there_are_none_and_the_first_norm_is_left_out() -> None:
    model = encoder(**MODERN)
    names = set(dict(model.named_parameters()))
    assert not any(name.endswith("bias") for name in names)
    assert "layers.0.attention_norm.weight" not in names and "layers.1.attention_norm.weight" in names
    assert not any("position" in name or "segment" in name for name in names)


@pytest.mark.parametrize("family", ["albert", "modernbert"])
def test_gradients_reach_every_parameter_of_later_families(family: str) -> None:
    rows = batch([12, 1, 7])
    sizes = config(
        **({"embedding_width": 6, "layer_groups": 1} if family == "albert" else MODERN | {"local_window": 2})
    )
    sizes = replace(sizes, dropout=0.1, attention_dropout=0.1)
    model = filled(Albert(sizes, pairs=True) if family == "albert" else ModernBert(sizes)).train()
    seed_dropout(model.modules(), seed=1, step=0)
    sums: dict[str, Sums] = cast("Any", model).losses(rows)
    torch.stack([part.loss for part in sums.values()]).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
