"""Samples follow the softmax, and the numbers that decide them are those of (seed, step, row, place)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from cloze.inputs.batch import Batch
from cloze.inputs.hashing import uniform
from cloze.objectives.cross_entropy import sampled_cross_entropy
from cloze.objectives.sampling import BLOCK, Noise, draw, seed_noise


def uniforms(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(uniform(seed, "test/draw", np.arange(count)))


@pytest.mark.parametrize("vocabulary", [1, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 11])
def test_samples_follow_the_shares(vocabulary: int) -> None:
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    share, draws = logits.softmax(0), 20_000
    found = torch.cat([draw(share.expand(4_000, -1), part) for part in uniforms(draws).split(4_000)])  # type: ignore[no-untyped-call]
    counts = np.bincount(found.numpy(), minlength=vocabulary)
    assert counts.size == vocabulary
    expected = share.double().numpy() * draws / share.double().sum().item()
    order = np.argsort(expected)
    groups = np.add.reduceat(expected[order], range(0, vocabulary, max(1, vocabulary // 50)))
    seen = np.add.reduceat(counts[order], range(0, vocabulary, max(1, vocabulary // 50)))
    assert vocabulary == 1 or chisquare(seen, groups * seen.sum() / groups.sum()).pvalue > 0.001


@given(
    st.integers(1, 700),
    st.floats(0, 1, exclude_max=True, allow_subnormal=False),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.5, 0.95]),
)
def test_a_draw_is_where_the_running_sum_passes_it(size: int, number: float, seed: int, zero_frac: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(1, size, generator=generator) * (torch.rand(1, size, generator=generator) >= zero_frac)
    share[0, seed % size] = 0.5
    found = int(draw(share, torch.tensor([number], dtype=torch.float64)))
    running = share[0].double().cumsum(0)
    assert share[0, found] > 0, "a share of 0 is never drawn"
    before = running[found] - share[0, found].double()
    slack = 1e-6 * running[-1]
    assert before - slack <= number * running[-1] <= running[found] + slack


def test_the_ends_of_the_unit_interval_are_tokens() -> None:
    share = torch.zeros(2, 600)
    share[:, 3], share[:, 598] = 1e-30, 1.0
    assert draw(share, torch.tensor([0.0, 1.0 - 2.0**-53], dtype=torch.float64)).tolist() == [3, 598]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shares_that_float16_would_lose_are_drawn(dtype: torch.dtype) -> None:
    """One of 60,000 logits is 17 above the rest, whose shares of 4e-8 together are drawn 0.25% of the time."""
    hidden, targets = torch.ones(20_000, 1), torch.zeros(20_000, dtype=torch.int64)
    weight = torch.zeros(60_000, 1)
    weight[7] = 17.0
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        _, found = sampled_cross_entropy(hidden, weight, torch.zeros(60_000), targets, uniforms(20_000))
    rest = found[found != 7]
    expected = 59_999 / (59_999 + math.exp(17.0))
    assert len(rest) / 20_000 == pytest.approx(expected, abs=4 * math.sqrt(expected / 20_000))
    assert len(rest.unique()) > 0.95 * len(rest)


def flat(lengths: list[int], rows: list[int], parts: list[int] | None = None) -> Batch:
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    ids = torch.zeros(int(offsets[-1]), dtype=torch.int64)
    positions = torch.cat([torch.arange(n) for n in lengths])
    cut = None if parts is None else np.array(parts)
    return Batch(ids, positions, ids, offsets, max(lengths), np.array(rows), {}, cut)


def seeded(seed: int, step: int | None) -> Noise:
    noise = Noise()
    seed_noise(torch.nn.Sequential(noise).modules(), seed, step)
    return noise


def test_numbers_are_those_of_the_hash() -> None:
    noise, batch = seeded(3, 17), flat([5, 3, 9], [8, 2, 40_000_000_000])
    found = noise(batch, torch.tensor([0, 4, 5, 7, 16]))
    rows, places = np.array([8, 8, 2, 2, 40_000_000_000]), np.array([0, 4, 0, 2, 8])
    assert np.array_equal(found.numpy(), uniform(3, "samples/training", 17, rows, places))


def test_numbers_do_not_depend_on_the_other_rows() -> None:
    noise, whole, part = seeded(3, 17), flat([5, 3, 9], [8, 2, 5]), flat([3, 9], [2, 5])
    assert torch.equal(noise(whole, torch.tensor([6, 9, 15])), noise(part, torch.tensor([1, 4, 10])))


def test_rows_of_attention_share_the_numbers_of_their_row() -> None:
    noise, where = seeded(3, 17), torch.arange(17)
    whole = noise(flat([8, 9], [8, 2]), where)
    assert torch.equal(noise(flat([5, 3, 2, 6, 1], [8, 2], [2, 3]), where), whole)


def test_steps_seeds_and_validation_differ() -> None:
    batch, where = flat([50], [4]), torch.arange(50)
    keys = [(3, 17), (3, 18), (4, 17), (3, None), (3, 0)]
    found = [seeded(seed, step)(batch, where) for seed, step in keys]
    for i, a in enumerate(found):
        for b in found[:i]:
            assert (a == b).sum() == 0
