"""How many steps there are, and the learning rate as a function of the step alone (BERT A.2: linear both ways)."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Literal

from cloze.errors import RecipeError

if TYPE_CHECKING:
    from cloze.inputs.rows import Rows
    from cloze.recipe import TrainingSettings


log = logging.getLogger(__name__)


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


def total_steps(settings: TrainingSettings, rows: Rows) -> int | None:
    """The limit in steps. Epochs count as many steps as the first epoch has, the last and smaller step of it
    included."""
    limits = [] if settings.steps is None else [settings.steps]
    if settings.epochs is not None:
        steps = math.ceil(rows.rows_in_epoch(0) / rows.rows_per_step(settings.batch_rows))
        limits.append(max(1, round(settings.epochs * steps)))
    return min(limits, default=None)


def warmup_steps(settings: TrainingSettings, total: int | None) -> int:
    """Steps of warm-up, of `total` steps; says so if training ends before them.

    Raises RecipeError for a share of no known number.
    """
    if settings.warmup_steps is not None:
        if total is not None and 0 < total <= settings.warmup_steps:
            log.warning(
                "training.warmup_steps is %s, but training ends after %s steps: the learning rate never reaches its "
                "peak. Lower it, or set it to null for training.warmup_frac of all steps.",
                f"{settings.warmup_steps:,}",
                f"{total:,}",
            )
        return settings.warmup_steps
    if total is None and settings.warmup_frac > 0:
        raise RecipeError(
            f"training.warmup_frac {settings.warmup_frac} is a share of all steps, but only training.minutes ends "
            "this run. Set training.warmup_steps."
        )
    return round(settings.warmup_frac * (total or 0))
