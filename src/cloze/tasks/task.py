"""What fine-tuning asks of a kind of task. Each kind is one file that ends with a `TaskKind`; `kind_of` finds it.

A task has examples, rows of tokens made of them, a head that is trained on those (`models/classifier.py`), and measures
of how well it does. How often, from which weights, with which seeds and what is kept is the same for all kinds:
`finetuning`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cloze.tasks.features import featurise, map_rows
from cloze.tasks.intervals import Resample, mean

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from _typeshed import DataclassInstance

    from cloze.models.classifier import Classifier, TokenClassifier
    from cloze.recipe import TaskSettings
    from cloze.tasks.datasets import Examples
    from cloze.tasks.features import Features
    from cloze.tokens.tokenizer import Tokenizer

Labels = NDArray[np.int64] | NDArray[np.float32]
Outputs = NDArray[np.float32]
Score = Callable[[Outputs], Mapping[str, Any]]
Record = dict[str, Any]
"""A JSON object."""


class Counted(Protocol):
    """What a kind reads from a file."""

    @property
    def counts(self) -> dict[str, int]: ...


E = TypeVar("E", bound=Counted)
D = TypeVar("D", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Layout:
    """How examples become rows."""

    tokenizer: Tokenizer
    length: int
    """Longest row, special tokens included."""
    segments: int
    """How many the model knows."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one file becomes."""

    features: Features
    labels: Labels
    """[examples, ...]; of a kind that labels tokens [tokens], IGNORED where a token has none."""
    score: Score
    """Outputs of the head for all rows, [rows or tokens, head's width], in their order -> the kind's `measures`; more
    that results.json shall hold of a seed; and `per_example`, float64 [examples, ...]: what `TaskKind.resample` needs,
    which is not kept."""
    predictions: Callable[[Outputs], list[Record]]
    """The same outputs -> of each example, in the file's order, its `id` or `number` (from 1), its `label`, what is
    `predicted`, and how probable that is."""


@dataclass(frozen=True, kw_only=True)
class TaskKind(Generic[E]):
    """One kind of task."""

    name: str
    """In recipes and curves; also the name of its file and of its objective."""
    measures: tuple[str, ...]
    """Of the test, the one that papers report first; `report.wording.MEASURES` says what each one is."""
    learned: tuple[str, ...]
    """Of these, the ones that training adds up batch by batch."""
    read: Callable[[Path, TaskSettings], E]
    """The examples of a file (or folder). Raises ClozeError for one that doesn't fit the settings."""
    classes: Callable[[E, E], tuple[str, ...]]
    """(train, test) -> names of the head's outputs. Raises ClozeError, with file and line, for labels that don't do."""
    inputs: Callable[[E, tuple[str, ...], Layout, TaskSettings], Inputs]
    """(examples, classes) -> their rows, labels and scores."""
    keys: Callable[[E], list[str]]
    """What each example is about: those that share it are never on two sides of a split."""
    take: Callable[[E, Sequence[int]], E]
    """The examples in these places."""
    labels: Callable[[E], Sequence[Collection[str]]] = field(
        default=lambda examples: [()] * examples.counts["examples"]
    )
    """What in each example can only be predicted if training has it: a class, labels, types of entity."""
    learnable: Callable[[E], E] = field(default=lambda examples: examples)
    """Those of a training file that can be learned from; what it leaves out is counted and named in a warning. Raises
    ClozeError for none."""
    resample: Resample = mean
    """How the first measure of some of the examples comes of their `per_example`."""
    per_token: bool = False
    """Whether the head gives an output for each token, not for each row."""
    token_labels: bool = False
    """Whether tokens have labels of their own, too."""
    settings: Callable[[E, TaskSettings], Mapping[str, Any]] = field(default=lambda train, task: {})
    """What a saved model must know of its task to be used; kept, beside the longest row, in its config.json as
    `cloze_task`."""
    names: Callable[[tuple[str, ...], E], tuple[str, ...]] = field(default=lambda classes, examples: classes)
    """(classes as a config.json names them, examples) -> as the examples do. Models of others have their own names."""
    refuse: Callable[[E, tuple[str, ...], Mapping[str, Any], Path], None] = field(default=lambda *_: None)
    """(examples, classes, settings of a saved model, its folder): raises ClozeError, with file and line, for a label
    that this model does not know."""


def rows_of_texts(examples: Examples, layout: Layout) -> Features:
    """A row for every text or pair of texts."""
    return featurise(examples.texts, layout.tokenizer, layout.length, second=examples.second, segments=layout.segments)


def read_texts(path: Path, task: TaskSettings, wrong: Callable[[str], str] | None = None) -> Examples:
    """Texts or pairs with one label each; `wrong`: what is wrong with a label, if anything is."""
    from cloze.tasks.datasets import read_table

    return read_table(
        path,
        task.text_column,
        task.label_column,
        task.second_text_column,
        wrong=wrong,
        columns=task.columns or (),
        entities=task.entity_columns or (),
    )


def keys_of_texts(examples: Examples) -> list[str]:
    """The text of each example, or both texts of a pair."""
    columns = [column for column in (examples.texts, examples.second) if column is not None]
    return ["\0".join(texts) for texts in zip(*columns, strict=True)]


def take(examples: D, places: Sequence[int]) -> D:
    """`places` of every list of a dataclass whose lists run in the order of its examples."""
    lists = {one.name: value for one in fields(examples) if isinstance(value := getattr(examples, one.name), list)}
    taken = {name: [values[place] for place in places] for name, values in lists.items()}
    return replace(examples, **taken, counts={"examples": len(places)})


def settings_of_texts(train: Examples, task: TaskSettings) -> Mapping[str, Any]:
    """What a model of texts must know: whether they come in pairs."""
    return {"pairs": train.second is not None}


def outputs_of(
    kind: TaskKind[Any], classifier: Classifier | TokenClassifier, inputs: Inputs, device: torch.device
) -> Outputs:
    """Outputs of the head for all of `inputs`, as `Inputs.score` takes them: without dropout, in float32."""
    classifier.eval()
    return map_rows(classifier.logits, inputs.features, device=device, per_token=kind.per_token)


def kind_of(name: str) -> TaskKind[Any]:
    """The kind called `name`."""
    found: TaskKind[Any] = import_module(f"cloze.tasks.{name}").KIND
    return found
