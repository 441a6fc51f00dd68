"""Scores against hand-made numbers and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cloze.tasks.metrics import log_softmax, mean_and_std, score


def test_scores_of_a_hand_made_table() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], dtype=np.float32))
    scores = score(logits, np.array([0, 1, 2]))
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.loss == pytest.approx(-np.log([0.7, 0.8, 0.2]).mean(), rel=1e-6)
    assert scores.confusion == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_loss_is_torchs_cross_entropy_also_for_large_logits() -> None:
    generator = np.random.default_rng(5)
    logits = (generator.standard_normal((50, 4)) * 300).astype(np.float32)
    labels = generator.integers(4, size=50)
    want = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)).item()
    assert score(logits, labels).loss == pytest.approx(want, rel=1e-9)
    assert np.exp(log_softmax(logits)).sum(axis=1) == pytest.approx(np.ones(50))


def test_spread_over_seeds_is_the_sample_standard_deviation() -> None:
    mean, std = mean_and_std([0.8, 0.9])
    assert mean == pytest.approx(0.85)
    assert std == pytest.approx(0.1 / 2**0.5)
    assert mean_and_std([0.8]) == (0.8, None)
