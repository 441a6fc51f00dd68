"""Where a model is surest and wrong: often what is wrong there is the label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 10
LONGEST_TEXT = 300


def most_confident(
    probabilities: NDArray[np.float64], right: NDArray[np.bool_], describe: Callable[[int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The wrong predictions of highest probability, surest first.

    `probabilities` [N] of what was predicted; `right` [N]; `describe`: what is said of the example in a place. Texts
    lose their end after 300 characters.
    """
    wrong = np.flatnonzero(~right)
    surest = wrong[np.argsort(-probabilities[wrong], kind="stable")][:SHOWN]
    return [
        {key: _cut(value) if isinstance(value, str) else value for key, value in describe(place).items()}
        | {"probability": float(probabilities[place])}
        for place in surest.tolist()
    ]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
