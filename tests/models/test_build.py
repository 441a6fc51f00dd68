"""A fresh model: sizes from the settings, weights a function of (seed, name) with BERT's distribution."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from cloze.models import PretrainingModel, build, encoder_config, families, family_of, from_config
from cloze.models.bert import Bert
from cloze.models.norms import BatchNorm
from cloze.models.roberta import Roberta
from cloze.recipe import ModelSettings, Recipe

SMALL = {"layers": 2, "heads": 2, "width": 32}
NEEDED: dict[str, dict[str, Any]] = {"modernbert": {"norm_position": "pre"}}
"""Settings that a family can't do without."""
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
@pytest.mark.parametrize(
    ("family", "norm"), [("bert", "layer"), ("roberta", "layer"), ("bert", "rms"), ("bert", "batch")]
)
def test_norms_are_one_and_biases_zero(family: str, norm: str, norm_position: str) -> None:
    model = fresh(family=family, norm=norm, norm_position=norm_position, pairs=family == "bert")
    kinds = (nn.LayerNorm, nn.RMSNorm, BatchNorm)
    norms = {f"{name}.weight" for name, m in model.named_modules() if isinstance(m, kinds)}
    assert ("encoder.final_norm.weight" in norms) == (norm_position == "pre")
    for name, tensor in weights(model).items():
        if tensor.dim() == 1:
            begins = float(name in norms or name.endswith("running_var"))
            assert torch.equal(tensor, torch.full_like(tensor, begins)), name
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


@pytest.mark.parametrize(
    ("family", "eps", "activation"),
    [
        ("bert", 1e-12, "gelu"),
        ("roberta", 1e-5, "gelu"),
        ("albert", 1e-12, "gelu"),
        ("electra", 1e-12, "gelu"),
        ("spanbert", 1e-12, "gelu"),
        ("modernbert", 1e-5, "gelu"),
    ],
)
def test_what_a_recipe_leaves_open_is_the_familys(family: str, eps: float, activation: str) -> None:
    """transformers' defaults of published models, which differ by family; GELU is the exact one."""
    config = cast("Bert", fresh(family=family, **NEEDED.get(family, {}))).encoder.config
    assert (config.norm_eps, config.activation) == (eps, activation)


def test_every_family_is_what_its_file_says() -> None:
    for family in families():
        assert family_of(family.name) is family
        settings = ModelSettings.model_validate(NEEDED.get(family.name, {}) | {"family": family.name} | SMALL)
        for pairs in (False, True):
            model = build(settings, vocabulary_size=300, length=20, pad_id=0, pairs=pairs, seed=1)
            parts = family.parts(model)
            assert model.family == family.name
            assert parts[0].folder == "" and parts[0].carrier is family.carrier(model.encoder.config)
            homeless = [name for name in weights(model) if not any(name in part.names for part in parts)]
            assert not homeless


def test_model_types_are_read_by_one_family_each() -> None:
    found = [carrier.model_type for family in families() for carrier in family.carriers]
    assert len(found) == len(set(found))
    assert {"bert", "roberta", "roberta-prelayernorm", "albert", "modernbert"} <= set(found)


def test_albert_has_the_sizes_of_its_paper() -> None:
    """Lan et al. 2020, table 1: 12M parameters for base, of which the layers have 7.1M."""
    settings = ModelSettings(family="albert", activation="gelu_tanh")
    with torch.device("meta"):
        config = encoder_config(settings, vocabulary_size=30_000, length=512, pad_id=0, pairs=True)
        model = from_config("albert", config, pairs=True)
    assert (config.embedding_width, config.layer_groups, config.segment_types) == (128, 1, 2)
    sizes = {name: parameter.numel() for name, parameter in weights(model).items()}
    assert sum(sizes.values()) / 1e6 == pytest.approx(12, abs=0.5)
    assert sum(n for name, n in sizes.items() if ".layers." in name) == 7_087_872


def test_modernbert_has_the_sizes_of_its_paper() -> None:
    """Warner et al. 2024, table 4: 149M parameters for base, of 22 layers of 768."""
    settings = ModelSettings(family="modernbert", norm_position="pre", layers=22)
    with torch.device("meta"):
        config = encoder_config(settings, vocabulary_size=50_368, length=8192, pad_id=0, pairs=False)
        model = from_config("modernbert", config, pairs=False)
    assert config.feed_forward_width == 1152
    assert sum(parameter.numel() for parameter in weights(model).values()) / 1e6 == pytest.approx(149, abs=1)


def test_the_last_matrices_of_a_deep_modernbert_begin_smaller() -> None:
    model = fresh(family="modernbert", norm_position="pre", width=64, layers=8)
    for block in ("attention.output", "feed_forward.output"):
        x = weights(model)[f"encoder.layers.3.{block}.weight"] * 4 / 0.02  # sqrt(2 x 8) = 4
        assert abs(x.std().item() / WITHIN_TWO_STD - 1) < 0.04 and x.abs().max() <= 2.0 + 1e-4
    x = weights(model)["encoder.layers.3.attention.qkv.weight"] / 0.02
    assert abs(x.std().item() / WITHIN_TWO_STD - 1) < 0.04


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "albert", "norm_position": "pre"}, "norm_position is pre, but albert has only post"),
        ({"family": "modernbert"}, "norm_position is post, but modernbert has only pre"),
        ({"family": "albert", "norm": "rms"}, "norm is a setting of bert and roberta, but family is albert"),
        ({"family": "electra", "norm": "batch"}, "norm is a setting of bert and roberta, but family is electra"),
        ({"norm": "group"}, "Input should be 'layer', 'rms', 'batch' or 'none'"),
        ({"embedding_width": 64}, "embedding_width is a setting of albert and electra, but family is bert"),
        ({"family": "roberta", "local_window": 64}, "local_window is a setting of modernbert, but family is roberta"),
        ({"family": "albert", "layers": 4, "layer_groups": 3}, "layers 4 is not a multiple of layer_groups 3"),
        (
            {"family": "modernbert", "norm_position": "pre", "width": 36},
            "heads are 3 wide, but rotary positions turn pairs",
        ),
    ],
)
def test_settings_that_a_family_does_not_have(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSettings.model_validate(settings)


def test_a_family_without_segments_takes_no_pairs() -> None:
    model = {"family": "modernbert", "norm_position": "pre"}
    with pytest.raises(
        ValidationError, match=r"model\.family modernbert learns nothing from pairs, but inputs\.format segment-pair"
    ):
        Recipe.model_validate({"name": "r", "model": model, "inputs": {"format": "segment-pair"}})
