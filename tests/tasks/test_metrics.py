"""Mean and spread over seeds."""

from __future__ import annotations

import pytest

from cloze.tasks.metrics import mean_and_std


def test_spread_over_seeds_is_the_sample_standard_deviation() -> None:
    mean, std = mean_and_std([0.8, 0.9])
    assert mean == pytest.approx(0.85)
    assert std == pytest.approx(0.1 / 2**0.5)
    assert mean_and_std([0.8]) == (0.8, None)
    assert mean_and_std([0.8, None]) == (None, None), "a seed without a value has no place in a mean"
