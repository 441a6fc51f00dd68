"""What fine-tuning asks of a kind of task. Each kind is one file that ends with a `TaskKind`; `kind_of` finds it.

A task has rows, what they are labelled with, a head that is trained on them, and measures of how well it does. How
often, from which weights, with which seeds and what is kept is the same for all kinds: `finetuning`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cloze.tasks.datasets import Examples

Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the rows of both files are labelled with, in file order."""

    classes: tuple[str, ...]
    """Names of the head's outputs."""
    train: Labels
    test: Labels


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """One kind of task."""

    name: str
    """In recipes and curves; also the name of its file and of its objective."""
    measures: tuple[str, ...]
    """Of the test, the one that papers report first; `report.wording.MEASURES` says what each one is."""
    learned: tuple[str, ...]
    """Of these, the ones that training adds up batch by batch."""
    label: Callable[[Examples, Examples], Labelled]
    """(train, test) -> their labels. Raises ClozeError, with file and line, for one that can't be."""
    score: Callable[[NDArray[np.float32], Labels], Mapping[str, Any]]
    """(outputs [rows, head's width], labels [rows]) -> `measures`, and more that results.json shall hold of a seed."""


def kind_of(name: str) -> TaskKind:
    """The kind called `name`."""
    found: TaskKind = import_module(f"cloze.tasks.{name}").KIND
    return found
