"""The learning rate as a function of the optimiser step alone (BERT A.2: linear warm-up, linear decay)."""

from __future__ import annotations

from typing import Literal


def learning_rate(
    step: int, *, peak: float, warmup_steps: int, total_steps: int | None, kind: Literal["linear", "constant"]
) -> float:
    """The learning rate of the update that follows `step` finished updates (0 for the first one).

    Convention of Hugging Face (get_linear_schedule_with_warmup): decay starts where warm-up ends, so the peak is
    reached once, at `warmup_steps`, and the rate would be 0 at `total_steps`. BERT's own code counts the decay from
    step 0, so its rate drops to peak x (1 - warmup_steps / total_steps) when warm-up ends; ELECTRA's multiplies both.
    With warm-up the first update has rate 0, as in all three.
    `kind` constant: no decay; `total_steps` is not read and may be None.
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    if kind == "constant":
        return peak
    assert total_steps is not None, "a linear schedule has an end"
    return peak * max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))
