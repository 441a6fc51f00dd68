"""What the sections of the recipe share: their base class, types of numbers, and one error for what does not fit."""

from __future__ import annotations

import codecs
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

# Numbers are strict: YAML gives numbers as numbers, and without it `steps: true` would train for one step.
Frac = Annotated[float, Field(ge=0.0, le=1.0, strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, lt=1.0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Amount = Annotated[int, Field(ge=0, strict=True)]
Factor = Annotated[float, Field(gt=0.0, le=1.0, strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, strict=True, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0.0, strict=True, allow_inf_nan=False)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Settings(BaseModel):
    """A section of the recipe. An unknown key is an error; the docstring under a field is its help text.

    A docstring ends with the value's unit and where its default comes from; `recipe_file` prints both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


def refuse(problems: list[tuple[str, str]]) -> None:
    """Raise one error if settings do not fit together.

    `problems`: (keys, message) for each; the keys are dotted from the section that checks and separated by spaces, and
    the first one is where the user is sent. `recipe_file` reads them from the error's context.
    """
    if problems:
        text = "; ".join(message for _, message in problems)
        raise PydanticCustomError("unfit", "{text}", {"text": text, "problems": problems})


def check_encoding(name: str) -> str:
    """The name of an encoding of text that Python knows, or auto. Raises ValueError."""
    if name != "auto":
        try:
            "".encode(codecs.lookup(name).name)
        except (LookupError, TypeError):
            raise ValueError(
                f"{name!r} is no encoding of text; expected auto, utf-8, cp949, euc-kr or the like"
            ) from None
    return name
