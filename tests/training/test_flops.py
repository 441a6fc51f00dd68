from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import cloze.models.encoder
from cloze.errors import ClozeError
from cloze.inputs.batch import Batch
from cloze.models import build, encoder_config
from cloze.recipe import ModelSettings
from cloze.training.flops import measure_peak, training_flops
from tests.parity.conftest import VOCABULARY, make_rows


@pytest.fixture(autouse=True)
def no_tokens_behind_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloze.models.encoder, "TOKENS_STEP", 1)


def spare_flops(model: Any, batch: Batch) -> int:
    """What the columns beside the token table cost, which carry the bias: two of three products have them."""
    vocabulary, width = model.encoder.embeddings.token.weight.shape
    return int(2 * 2 * len(batch.targets["masked_tokens"].labels) * vocabulary * (8 - width % 8))


def test_formula_counts_what_torch_counts(tiny: Callable[..., Any]) -> None:
    """Rows of one length, so that no backend pads anything."""
    run = tiny(documents=60)
    lengths = run.train_rows.epoch(0).plan.row_lengths()[run.train_rows.epoch(0).order]
    places = np.flatnonzero(lengths == np.bincount(lengths).argmax())
    assert len(places) > 2
    batch = run.train_rows.batch(0, places)
    with FlopCounterMode(display=False) as counter:
        sum(part.loss for part in run.model.losses(batch).values()).backward()
    expected = training_flops(run.model.encoder.config, batch) + spare_flops(run.model, batch)
    assert counter.get_total_flops() == expected


SMALL = {"layers": 4, "heads": 2, "width": 16}
MODERN = {"family": "modernbert", "norm_position": "pre"}


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "albert", "embedding_width": 6, "layer_groups": 2},
        MODERN,
        MODERN | {"feed_forward_width": 10, "local_window": 200},
    ],
)
def test_formula_counts_what_torch_counts_for_every_family(settings: dict[str, Any]) -> None:
    """Rows of one length, and windows that span them."""
    batch = make_rows([12, 12, 12], VOCABULARY, 0, segments=False).flat
    pairs = settings["family"] == "albert"
    if not pairs:
        del batch.targets["sentence_pair"]
    chosen = ModelSettings.model_validate(SMALL | settings)
    model = build(chosen, vocabulary_size=VOCABULARY, length=12, pad_id=0, pairs=pairs, seed=1)
    with FlopCounterMode(display=False) as counter:
        torch.stack([part.loss for part in model.losses(batch).values()]).sum().backward()  # type: ignore[no-untyped-call]
    assert counter.get_total_flops() == training_flops(model.encoder.config, batch) + spare_flops(model, batch)


def test_a_window_counts_the_tokens_within_it() -> None:
    lengths = [40, 1, 7, 3, 2]
    batch = make_rows(lengths, VOCABULARY, 0, segments=False).flat
    batch.targets.clear()

    def counted(window: int) -> int:
        settings = ModelSettings.model_validate(SMALL | MODERN | {"local_window": window})
        config = encoder_config(settings, vocabulary_size=VOCABULARY, length=40, pad_id=0, pairs=False)
        return training_flops(config, batch)

    for window in (1, 2, 8, 38):
        unseen = sum(abs(i - j) > window // 2 for n in lengths for i in range(n) for j in range(n))
        assert counted(100) - counted(window) == 12 * 16 * 2 * unseen  # layers 1 and 2 of 0 to 3 are local


def test_a_generator_is_counted_too() -> None:
    batch = make_rows([12, 5], VOCABULARY, 0, segments=False).flat
    del batch.targets["sentence_pair"]
    settings = ModelSettings.model_validate(SMALL)
    large = encoder_config(settings, vocabulary_size=VOCABULARY, length=12, pad_id=0, pairs=False)
    small = replace(large, width=8, embedding_width=16)
    judged = 6 * 16 * 17 * batch.tokens
    without = replace(batch, targets={})
    both = training_flops(large, without) + training_flops(small, batch) + judged
    assert training_flops(replace(large, generator=small), batch) == both


def test_an_objective_of_unknown_cost_is_named() -> None:
    batch = make_rows([12], VOCABULARY, 0, segments=False).flat
    batch.targets["next_word"] = batch.targets["masked_tokens"]
    config = encoder_config(
        ModelSettings.model_validate(SMALL), vocabulary_size=VOCABULARY, length=12, pad_id=0, pairs=False
    )
    with pytest.raises(ClozeError, match=r"next_word costs; known are masked_tokens, .*training/flops\.py"):
        training_flops(config, batch)


def test_the_peak_is_a_rate() -> None:
    assert measure_peak(torch.device("cpu"), torch.float32) > 0.1
