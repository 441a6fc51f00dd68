"""Intervals and tests against scipy, hand-made numbers, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cloze.study.statistics import difference, estimate, holm


def test_a_mean_and_its_interval() -> None:
    found = estimate([0.85, 0.7, 0.8])
    low, high = stats.t.interval(0.95, 2, np.mean([0.85, 0.7, 0.8]), stats.sem([0.85, 0.7, 0.8]))
    assert [found.mean, found.low, found.high] == pytest.approx([0.7833333, low, high])
    alone = estimate([0.8])
    assert (alone.low, alone.high, alone.observations) == (None, None, 1)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    inside = 0
    for _ in range(2_000):
        found = estimate(generator.normal(0.5, 0.1, 3).tolist())
        assert found.low is not None and found.high is not None
        inside += found.low <= 0.5 <= found.high
    assert 0.93 < inside / 2_000 < 0.97


def test_differences_are_paired() -> None:
    ours, base = [0.81, 0.92, 0.87], [0.80, 0.90, 0.85]
    found = difference(ours, base)
    assert found.mean == pytest.approx(5 / 300) and found.pairs == 3
    assert found.p == pytest.approx(stats.ttest_rel(ours, base).pvalue)
    assert difference([0.5], [0.4]).p is None, "one pair has no spread"
    assert difference([0.5, 0.6], [0.5, 0.6]).p == 1.0


def test_equal_differences_in_all_pairs_are_not_tested() -> None:
    """A coarse test set gives them by chance, and t would be infinite; 0.85 - 0.8 and 0.9 - 0.85 differ by rounding."""
    assert difference([0.85, 0.9], [0.8, 0.85]).p is None


def test_holm_of_a_hand_made_list() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": 0.03, "c": pytest.approx(0.06), "b": pytest.approx(0.06)}
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=12))
def test_corrected_ps_keep_the_order_and_are_no_smaller(values: list[float]) -> None:
    ps = {f"{i}": value for i, value in enumerate(values)}
    corrected = holm(ps)
    assert all(ps[name] <= corrected[name] <= 1.0 for name in ps)
    order = sorted(ps, key=ps.__getitem__)
    assert [corrected[name] for name in order] == sorted(corrected.values())
    assert max(corrected.values()) <= min(1.0, max(ps.values()) * len(ps))
