"""What makes a run of pretraining the same run: the settings under which a checkpoint goes on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloze.training.checkpoint import settings_of
from cloze.training.cpu import choose_dtype, dtype_name

if TYPE_CHECKING:
    import torch

    from cloze.recipe import Recipe

MAY_CHANGE = frozenset(
    f"training.{name}"
    for name in (
        *("minutes", "micro_batch_rows", "compile", "device", "keep_checkpoints"),
        *("log_every_steps", "validate_every_steps", "checkpoint_every_steps"),
    )
)
"""Settings that a run may go on under with another value: they change how it is computed or watched, not what."""


log = logging.getLogger(__name__)


def dtype_of_run(saved: Path | None, precision: str, device: torch.device) -> torch.dtype:
    """The precision of a recipe; under `auto` that of the checkpoint it goes on from, whichever machine began it."""
    here = choose_dtype(precision, device)
    begun = settings_of(saved).get("training.precision") if saved and precision == "auto" else None
    if begun not in (None, dtype_name(here)):
        log.warning("This run began in %s and goes on in it; begun here, it would be %s.", begun, dtype_name(here))
    return here if begun is None else choose_dtype(begun, device)


def identity(recipe: Recipe, rows: str, dtype: torch.dtype) -> dict[str, Any]:
    """What decides the numbers of a run, by dotted name: a checkpoint goes on under the same settings and rows only.

    `rows` is `Rows.fingerprint`; `dtype` the precision in use: `auto` may mean another on another machine.
    """
    sections = recipe.model_dump(mode="json", include={"inputs", "masking", "model", "training"})
    flat = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
    flat["training.precision"] = dtype_name(dtype)
    # BatchNorm takes its statistics from a micro-batch, whose size then decides the numbers.
    may_change = MAY_CHANGE - ({"training.micro_batch_rows"} if recipe.model.norm == "batch" else set())
    fixed = {"seed": recipe.seed, "store.fingerprint": rows}
    return fixed | {name: value for name, value in flat.items() if name not in may_change}
