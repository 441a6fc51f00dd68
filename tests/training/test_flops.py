from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from cloze.training.flops import measure_peak, training_flops


def test_formula_counts_what_torch_counts(tiny: Callable[..., Any]) -> None:
    """Rows of one length, so that no backend pads anything."""
    run = tiny(documents=60)
    lengths = run.train_rows.epoch(0).plan.row_lengths()[run.train_rows.epoch(0).order]
    places = np.flatnonzero(lengths == np.bincount(lengths).argmax())
    assert len(places) > 2
    batch = run.train_rows.batch(0, places)
    with FlopCounterMode(display=False) as counter:
        sum(part.loss for part in run.model.losses(batch).values()).backward()
    assert training_flops(run.model.encoder.config, batch) == counter.get_total_flops()


def test_the_peak_is_a_rate() -> None:
    assert measure_peak(torch.device("cpu"), torch.float32) > 0.1
