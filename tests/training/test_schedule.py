from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.training.schedule import learning_rate


def hugging_face(step: int, warmup_steps: int, total_steps: int) -> float:
    """transformers/optimization.py, _get_linear_schedule_with_warmup_lr_lambda."""
    if step < warmup_steps:
        return float(step) / float(max(1, warmup_steps))
    return max(0.0, float(total_steps - step) / float(max(1, total_steps - warmup_steps)))


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_linear_is_that_of_hugging_face(step: int, warmup_steps: int, total_steps: int) -> None:
    ours = learning_rate(step, peak=2e-4, warmup_steps=warmup_steps, total_steps=total_steps, kind="linear")
    assert ours == pytest.approx(2e-4 * hugging_face(step, warmup_steps, total_steps))


def test_constant_rises_and_stays() -> None:
    rates = [learning_rate(s, peak=1.0, warmup_steps=2, total_steps=None, kind="constant") for s in (0, 1, 2, 3, 10**6)]
    assert rates == [0.0, 0.5, 1.0, 1.0, 1.0]
