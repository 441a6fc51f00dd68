from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.recipe import TrainingSettings
from cloze.training.schedule import learning_rate, warmup_steps


def hugging_face(step: int, warmup: int, total: int) -> float:
    """transformers/optimization.py, _get_linear_schedule_with_warmup_lr_lambda."""
    if step < warmup:
        return float(step) / float(max(1, warmup))
    return max(0.0, float(total - step) / float(max(1, total - warmup)))


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_linear_is_that_of_hugging_face(step: int, warmup: int, total: int) -> None:
    ours = learning_rate(step, peak=2e-4, warmup_steps=warmup, total_steps=total, kind="linear")
    assert ours == pytest.approx(2e-4 * hugging_face(step, warmup, total))


def test_a_warm_up_that_never_ends_is_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = TrainingSettings(warmup_steps=100)
    assert warmup_steps(settings, 101) == warmup_steps(settings, None) == 100 and not caplog.records
    assert warmup_steps(settings, 100) == 100
    assert "training.warmup_steps is 100, but training ends after 100 steps" in caplog.text


def test_constant_rises_and_stays() -> None:
    rates = [learning_rate(s, peak=1.0, warmup_steps=2, total_steps=None, kind="constant") for s in (0, 1, 2, 3, 10**6)]
    assert rates == [0.0, 0.5, 1.0, 1.0, 1.0]
