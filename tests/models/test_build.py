"""A fresh model: sizes from the settings, weights a function of (seed, name) with BERT's distribution."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from cloze.models import PretrainingModel, build, encoder_config
from cloze.models.bert import Bert
from cloze.models.roberta import Roberta
from cloze.recipe import ModelSettings

WITHIN_TWO_STD = 0.8796
"""Standard deviation of a unit normal cut at two: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))."""


def fresh(*, seed: int = 1, pairs: bool = False, vocabulary_size: int = 300, pad_id: int = 0, **changes: Any) -> Any:
    settings = ModelSettings(**{"layers": 2, "heads": 2, "width": 32} | changes)
    return build(settings, vocabulary_size=vocabulary_size, length=20, pad_id=pad_id, pairs=pairs, seed=seed)


def weights(model: PretrainingModel) -> dict[str, Tensor]:
    return model.state_dict()


def test_weights_are_a_function_of_the_seed() -> None:
    torch.manual_seed(1)
    first = weights(fresh(seed=1, pairs=True))
    torch.manual_seed(2)
    assert all(torch.equal(first[name], tensor) for name, tensor in weights(fresh(seed=1, pairs=True)).items())
    other = weights(fresh(seed=2, pairs=True))
    matrices = [name for name, tensor in first.items() if tensor.dim() == 2]
    assert len(matrices) > 10
    assert not any(torch.equal(first[name], other[name]) for name in matrices)


@pytest.mark.parametrize("more", [{"pairs": True}, {"layers": 3}, {"vocabulary_size": 299}, {"feed_forward_width": 64}])
def test_a_tensor_does_not_depend_on_the_rest_of_the_model(more: dict[str, Any]) -> None:
    small, large = weights(fresh()), weights(fresh(**more))
    same = [name for name in small if small[name].shape == large[name].shape]
    assert "encoder.layers.1.attention.qkv.weight" in same
    assert all(torch.equal(small[name], large[name]) for name in same)


def test_no_two_tensors_share_their_numbers() -> None:
    tensors = [tensor.flatten()[:64] for tensor in weights(fresh(pairs=True)).values() if tensor.dim() == 2]
    assert not any(torch.equal(a, b) for i, a in enumerate(tensors) for b in tensors[:i])


@pytest.mark.parametrize("std", [0.02, 0.1])
def test_matrices_are_truncated_normal(std: float) -> None:
    model = fresh(initialisation_std=std, width=64, vocabulary_size=2_000)
    for name in ("encoder.embeddings.token.weight", "encoder.layers.0.feed_forward.inner.weight"):
        x = weights(model)[name] / std
        assert x.abs().max() <= 2.0 + 1e-5
        assert x.mean().abs() < 4 / x.numel() ** 0.5
        assert abs(x.std().item() / WITHIN_TWO_STD - 1) < 0.02
        beyond_one = (x.abs() > 1).float().mean().item()
        assert abs(beyond_one - 0.2847) < 0.02  # (0.9545 - 0.6827) / 0.9545; a uniform one of this std has 0.34


@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_norms_are_one_and_biases_zero(family: str, norm_position: str) -> None:
    model = fresh(family=family, norm_position=norm_position, pairs=family == "bert")
    norms = {f"{name}.weight" for name, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
    assert ("encoder.final_norm.weight" in norms) == (norm_position == "pre")
    for name, tensor in weights(model).items():
        if tensor.dim() == 1:
            assert torch.equal(tensor, torch.full_like(tensor, float(name in norms))), name
        else:
            assert 0 < tensor.abs().mean() < 0.02, name


def test_sizes_left_open_come_from_the_rows() -> None:
    config = encoder_config(ModelSettings(heads=2, width=32), vocabulary_size=99, length=20, pad_id=0, pairs=False)
    assert (config.feed_forward_width, config.max_length, config.vocabulary_size) == (128, 20, 99)
    model = fresh(family="roberta", max_length=50, feed_forward_width=40, pad_id=1)
    assert weights(model)["encoder.embeddings.position.weight"].shape == (52, 32)
    assert weights(model)["encoder.layers.1.feed_forward.inner.weight"].shape == (40, 32)


@pytest.mark.parametrize(
    ("family", "norm_position", "pairs", "offset", "segments"),
    [
        ("bert", "post", False, 0, 2),
        ("bert", "post", True, 0, 2),
        ("bert", "pre", True, 2, 2),
        ("roberta", "post", False, 2, 1),
        ("roberta", "post", True, 2, 2),
        ("roberta", "pre", False, 2, 1),
    ],
)
def test_families(family: str, norm_position: str, pairs: bool, offset: int, segments: int) -> None:
    model = fresh(family=family, norm_position=norm_position, pairs=pairs, pad_id=1)
    assert isinstance(model, Bert if family == "bert" else Roberta)
    assert model.family == family
    assert (getattr(model, "sentence_pair", None) is not None) == (family == "bert" and pairs)
    encoder = cast("Bert", model).encoder
    assert (encoder.config.position_offset, encoder.config.segment_types) == (offset, segments)
