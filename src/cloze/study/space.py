"""What a search looks for and where: the `search` section of a study's file, in place of `axes`.

    search:
      space:
        tasks.0.peak_learning_rate: {low: 1e-4, high: 2e-3, scale: log}
        tasks.0.dropout: {low: 0.0, high: 0.3}
        tasks.0.batch_rows: [16, 32, 64]
      maximise: nsmc                # a task, on its development set
      trials: 20

A setting is written as on the command line of `cloze run`. One that takes whole numbers gets whole numbers.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from cloze.recipe import Amount, Name, Settings, refuse
from cloze.recipe.base import Count
from cloze.recipe_file import settings

Value = str | int | float | bool | None
Number = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Range(Settings):
    """Numbers from `low` to `high`, both included."""

    low: Number
    high: Number
    scale: Literal["uniform", "log", "integer"] = "uniform"
    """How they are drawn. log: uniform in the logarithm; integer: whole numbers, all alike."""

    @model_validator(mode="after")
    def _fits(self) -> Range:
        wrong: list[tuple[str, str]] = []
        if not self.low < self.high:
            wrong.append(("low high", f"the range is empty: low {self.low} is not below high {self.high}"))
        if self.scale == "log" and self.low <= 0:
            wrong.append(("low scale", f"scale log begins above 0, but low is {self.low}"))
        if self.scale == "integer" and not (isinstance(self.low, int) and isinstance(self.high, int)):
            wrong.append(("low high scale", f"scale integer goes from {self.low} to {self.high}: write whole numbers"))
        refuse(wrong)
        return self


Choices = Annotated[list[Value], Field(min_length=2)]
Values = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(lambda value: "choices" if isinstance(value, list) else "range"),
]


class SearchSettings(Settings):
    """What a search tries, and what it holds for better."""

    space: Annotated[dict[str, Values], Field(min_length=1)]
    """Dotted setting -> a range of numbers, or a list of values to choose from."""
    maximise: Name | None = None
    """Name of the task whose headline measure on its development set decides, the mean over its seeds."""
    minimise: Literal["masked_tokens", "sentence_pair", "replaced_tokens", "span_boundary"] | None = None
    """Objective of pretraining whose last validation loss decides."""
    trials: Count
    """How many there are in all. It may grow later: the search goes on."""
    seed: Amount = 1
    """The same seed and results give the same trials."""

    @model_validator(mode="after")
    def _fits(self) -> SearchSettings:
        wrong: list[tuple[str, str]] = []
        if (self.maximise is None) == (self.minimise is None):
            wrong.append(("maximise minimise", "give one of them: maximise a task or minimise a validation loss"))
        for key, values in self.space.items():
            if isinstance(values, list) and any(value in values[:place] for place, value in enumerate(values)):
                wrong.append((f"space.{key}", "a value stands twice"))
        refuse(wrong)
        return self


def ends(values: Range | list[Value]) -> list[Value]:
    """The values to check a setting by: the ends of a range, or all choices."""
    return [values.low, values.high] if isinstance(values, Range) else values


def takes_whole_numbers(key: str) -> bool:
    """Whether the recipe's setting of that name takes whole numbers only."""
    known = settings().get(tuple(0 if part.isdecimal() else part for part in key.split(".")))
    return known is not None and known.expected.startswith("a whole number")


def shown(value: Value) -> str:
    """A value as a recipe has it, in few characters."""
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')
