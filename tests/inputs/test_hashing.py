"""Random numbers as a function: exact, independent of how they are asked for, and statistically sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cloze.inputs import hashing
from cloze.inputs.hashing import hash_u64, integers, permutation, uniform

N = 100_000


def test_one_fold_is_a_splitmix64_step() -> None:
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]  # of seed 0
    assert [hashing._fold_scalar(0, i) for i in range(4)] == published
    assert hashing._fold(0, np.arange(4)).tolist() == published


def test_values_stay_the_same_between_versions() -> None:
    """A run can only be continued by a newer cloze if these never change."""
    assert int(hash_u64(1, "test", 2, 3)) == 0xA353078CD6B8C37B
    assert permutation(8, 1, "test", 0).tolist() == [7, 2, 6, 3, 0, 1, 4, 5]


@given(
    seed=st.integers(0, 2**70),
    counters=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=3),
    purpose=st.text(),
)
def test_scalars_arrays_and_narrow_integers_agree(seed: int, counters: list[int], purpose: str) -> None:
    expected = int(hash_u64(seed, purpose, *counters))
    assert hash_u64(seed, purpose, *counters).shape == ()
    for array_at in range(len(counters)):
        mixed = [np.array([7, c]) if i == array_at else c for i, c in enumerate(counters)]
        assert int(hash_u64(seed, purpose, *mixed)[1]) == expected
    assert int(hash_u64(seed, purpose, *np.array(counters))) == expected
    small = [c % 100 for c in counters]
    narrow = [np.array([c], dtype=np.int32) for c in small]
    assert int(hash_u64(seed, purpose, *narrow)[0]) == int(hash_u64(seed, purpose, *small))


def test_counters_broadcast_and_do_not_see_each_other() -> None:
    rows, places = np.arange(20), np.arange(30)
    grid = hash_u64(1, "grid", rows[:, None], places)
    assert grid.shape == (20, 30)
    assert np.array_equal(grid[7:9, ::-3], hash_u64(1, "grid", rows[7:9, None], places[::-3]))
    assert np.unique(grid).size == grid.size
    assert not np.array_equal(hash_u64(1, "grid", rows, 3), hash_u64(1, "grid", 3, rows))


def test_counters_are_left_as_they_were() -> None:
    counter = np.arange(5, dtype=np.uint64)
    hash_u64(1, "x", counter)
    assert counter.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("counters", [(np.arange(N),), (np.arange(N), 5), (np.arange(N) // 100, np.arange(N) % 100)])
def test_bytes_are_uniform(counters: tuple[np.ndarray | int, ...]) -> None:
    data = hash_u64(3, "uniform", *counters).view(np.uint8).reshape(N, 8)
    for column in data.T:
        assert stats.chisquare(np.bincount(column, minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("bit", [0, 1, 7, 20, 33, 63])
def test_each_bit_of_a_counter_flips_half_of_the_bits(bit: int) -> None:
    i = np.arange(N, dtype=np.uint64)
    below = i & np.uint64((1 << bit) - 1)
    counter = below | (i ^ below) << np.uint64(1)  # this bit is 0 in all of them, so no pair is compared twice
    changed = hash_u64(1, "bits", counter) ^ hash_u64(1, "bits", counter ^ np.uint64(1 << bit))
    flips = np.unpackbits(changed.view(np.uint8)).reshape(N, 64).mean(axis=0)
    assert np.abs(flips - 0.5).max() < 5 * 0.5 / np.sqrt(N)


def test_neighbours_purposes_and_seeds_are_independent() -> None:
    i = np.arange(N)
    series = [
        uniform(1, "a", i),
        uniform(1, "a", i + 1),
        uniform(1, "b", i),
        uniform(2, "a", i),
        uniform(1, "a", 0, i),
        uniform(1, "a", 1, i),
        uniform(1, "a", i, 1),
    ]
    correlations = np.asarray(np.corrcoef(series)) - np.eye(len(series))
    assert np.abs(correlations).max() < 5 / np.sqrt(N)
    for other in series[1:]:  # and no pattern that a correlation misses
        cells = np.bincount((series[0] * 16).astype(int) * 16 + (other * 16).astype(int), minlength=256)
        assert stats.chisquare(cells).pvalue > 1e-4


def test_seed_and_purpose_cannot_be_confused() -> None:
    assert int(hash_u64(1, "1:x")) != int(hash_u64(11, "x"))


def test_uniform_lies_in_the_half_open_interval() -> None:
    values = uniform(1, "u", np.arange(N))
    assert values.dtype == np.float64
    assert values.min() >= 0.0 and values.max() < 1.0
    assert stats.kstest(values, "uniform").pvalue > 1e-4


@given(bound=st.integers(1, 2**32), counter=st.integers(0, 2**62))
def test_integers_are_the_upper_half_of_the_product(bound: int, counter: int) -> None:
    value = integers(bound, 9, "i", counter)
    assert value.dtype == np.int64
    assert int(value) == (int(hash_u64(9, "i", counter)) * bound) >> 64


def test_integers_are_even_and_bounds_broadcast() -> None:
    assert stats.chisquare(np.bincount(integers(7, 1, "i", np.arange(N)), minlength=7)).pvalue > 1e-4
    bounds = np.arange(1, 1_001)
    values = integers(bounds, 1, "many", np.arange(1_000))
    assert np.all((values >= 0) & (values < bounds))
    assert values[500] == integers(501, 1, "many", 500)


@pytest.mark.parametrize("bound", [0, -1, 2**32 + 1, np.array([5, 0])])
def test_impossible_bounds_are_refused(bound: int | np.ndarray) -> None:
    with pytest.raises(ValueError, match="1 to 2\\*\\*32"):
        integers(bound, 1, "i", 0)


@given(n=st.integers(0, 300), copy=st.integers(0, 10))
def test_permutation_has_every_index_once(n: int, copy: int) -> None:
    order = permutation(n, 1, "order", copy)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    assert np.array_equal(order, permutation(n, 1, "order", copy))


def test_permutations_are_even() -> None:
    """Each of the 24 orders of four things comes equally often."""
    orders = [tuple(permutation(4, 1, "order", copy).tolist()) for copy in range(2_400)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4
