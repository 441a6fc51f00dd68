"""What the cells of a study cost, and whether they have the same amount of what its budget names.

Costs are those of full rows, so they are upper bounds: documents end, and rows with them. A study of equal FLOPs says
how many; each cell then gets as many steps as they pay for. Equal epochs are equal text, whatever tokens it becomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloze.errors import ClozeError
from cloze.recipe import SEGMENT_FORMATS, Recipe
from cloze.report.wording import MISSING, compact, scientific, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Budget:
    """What every cell of a study has the same amount of, for its readers."""

    name: str
    """As in the study's file: equal tokens, ..."""
    amount: str
    """Of a cell."""
    unit: str

    @property
    def words(self) -> str:
        """The amount and its unit; empty if it varies."""
        if not self.unit:
            return ""
        most = "at most " if self.unit == "tokens" else ""  # Documents end, and rows with them.
        return f"{most}{self.amount} {self.unit}"


def budget_of(name: str, recipe: Recipe, flops: float | None) -> Budget:
    """The budget `name` of a study, of which `recipe` is one cell; `flops` are those of equal FLOPs."""
    match name:
        case "equal tokens":
            amount = compact(tokens(recipe))
        case "equal steps":
            amount = whole(recipe.training.steps)
        case "equal minutes":
            amount = MISSING if recipe.training.minutes is None else f"{recipe.training.minutes:g}"
        case "equal epochs":
            amount = MISSING if recipe.training.epochs is None else f"{recipe.training.epochs:g}"
        case "equal FLOPs":
            amount = scientific(flops)
        case "no pretraining":
            return Budget("No pretraining", MISSING, "")
        case _:
            return Budget("The budget varies", MISSING, "")
    return Budget(name, amount, name.removeprefix("equal "))


def tokens(recipe: Recipe) -> int | None:
    """Tokens of pretraining if all rows are full, special ones included; None without a number of steps."""
    if recipe.only_tasks:
        return 0
    training = recipe.training
    return None if training.steps is None else training.steps * training.batch_rows * recipe.inputs.length


def limits(recipe: Recipe) -> str:
    """What ends pretraining, in words."""
    if recipe.only_tasks:
        return "none"
    training = recipe.training
    named = {"steps": training.steps, "epochs": training.epochs, "minutes": training.minutes}
    return ", ".join(f"{value:,} {name}" for name, value in named.items() if value is not None)


def flops(recipe: Recipe) -> int | None:
    """Operations of pretraining if all rows are full; None without a number of steps, and for the sizes of a folder."""
    if recipe.training.steps is None or recipe.start_from is not None:
        return None
    return recipe.training.steps * step_flops(recipe)


def step_flops(recipe: Recipe) -> int:
    """Operations of an optimiser step on full rows (`training_flops`), with the vocabulary that the recipe asks for."""
    import numpy as np
    import torch

    from cloze.inputs.batch import Batch, Target
    from cloze.models import encoder_config
    from cloze.training.flops import training_flops

    rows, length, pairs = recipe.training.batch_rows, recipe.inputs.length, recipe.inputs.format in SEGMENT_FORMATS
    vocabulary_size = recipe.tokenizer.vocabulary_size
    config = encoder_config(recipe.model, vocabulary_size=vocabulary_size, length=length, pad_id=0, pairs=pairs)
    ordinary = length - (3 if pairs else 2)
    masked = rows * max(1, round(ordinary * recipe.masking.target_frac))
    counts = {"masked_tokens": masked}
    counts |= {"sentence_pair": rows} if pairs else {}
    counts |= {"span_boundary": masked} if recipe.masking.boundaries else {}
    targets = {name: Target(nothing := torch.zeros(count, dtype=torch.long), nothing) for name, count in counts.items()}
    offsets = torch.arange(0, (rows + 1) * length, length, dtype=torch.int32)
    ids = torch.zeros(rows * length, dtype=torch.long)
    return training_flops(config, Batch(ids, ids, ids, offsets, length, np.arange(rows), targets))


def steps_for(recipe: Recipe, amount: float) -> int:
    """How many steps `amount` FLOPs pay for, at least one. Raises ClozeError for a model that is a folder's."""
    if recipe.start_from is not None:
        raise ClozeError("a study of equal FLOPs needs the sizes of its models: start_from leaves them to a folder.")
    return max(1, round(amount / step_flops(recipe)))


LIMITS = ("steps", "epochs", "minutes")
"""Settings of training that end it."""


def unequal(budget: str, recipes: Mapping[str, Recipe]) -> str:
    """What keeps the recipes (run -> recipe) from having the same budget; empty if nothing does."""
    amount_of: Callable[[Recipe], float | None]
    match budget:
        case "equal tokens":
            unit, amount_of = "steps", tokens
        case "equal steps":
            unit, amount_of = "steps", lambda recipe: recipe.training.steps
        case "equal epochs":
            unit, amount_of = "epochs", lambda recipe: recipe.training.epochs
        case "equal minutes":
            unit, amount_of = "minutes", lambda recipe: recipe.training.minutes
        case "no pretraining":
            pretrain = [name for name, recipe in recipes.items() if not recipe.only_tasks]
            start = "set start_from to a model's folder and leave corpus out"
            return f"there is to be {budget}, but {pretrain[0]} pretrains: {start}" if pretrain else ""
        case "equal FLOPs":  # `steps_for` has set the steps that they pay for.
            unit, amount_of = "steps", lambda recipe: 0
        case _:
            return ""
    for name, recipe in recipes.items():
        others = [limit for limit in LIMITS if limit != unit and getattr(recipe.training, limit) is not None]
        # A linear schedule needs steps or epochs; whether they ended it before its minutes, `results` tells afterwards.
        if others and unit != "minutes" and not recipe.only_tasks:
            keys = " and ".join(f"training.{limit}" for limit in others)
            return f"the budget is {budget}, but {name} may end before: set {keys} to null"
    amounts: dict[float, str] = {}
    for name, recipe in recipes.items():
        if (amount := 0 if recipe.only_tasks else amount_of(recipe)) is None:
            return f"the budget is {budget}, but {name} has no limit of {unit}; set training.{unit}"
        amounts.setdefault(amount, name)
    if len(amounts) == 1:
        return ""
    low, high = min(amounts), max(amounts)
    what = budget.removeprefix("equal ")
    return f"the budget is {budget}, but {amounts[low]} has {low:,} {what} and {amounts[high]} {high:,}"
