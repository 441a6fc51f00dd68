"""Which examples are learned from, which choose the epoch, and which are only tested.

The epoch may be chosen by a development set, never by the test set: its own file, or training examples that a hash of
what they are about sets apart. So equal texts, questions about one text, and pairs with the same first text (a
premise's other hypotheses would give the last one away) are on one side, and examples that are added later move no
other. Examples whose label only the part would have, with all that are about the same, are learned from instead:
nothing could predict it. A test set that is a part of the one labelled file is made in the same way.

Parts of the training examples, for the question how much more of them would help, are the first ones of another order
by hash: a larger part holds every smaller one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.files import files_below, sha256_file
from cloze.inputs.hashing import uniform
from cloze.tasks.overlap import overlaps, plain
from cloze.tasks.task import TaskKind, kind_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cloze.recipe import TaskSettings

Places = NDArray[np.int64]

FEW = 30
"""Examples of a part below which a warning says that they are few: 1 is 3 points of accuracy."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The examples of a task."""

    labelled: Any
    """The training file as it was read."""
    train: Any
    """What is learned from, without those set apart."""
    development: Any | None
    test: Any
    classes: tuple[str, ...]
    """Of the whole training file."""
    settings: Mapping[str, Any]
    """What a saved model must know of its task."""
    counts: Mapping[str, Mapping[str, int]]
    """Of each part, with what it shares with others; also of the training file as it was read, if a part of it was set
    apart."""


def read_splits(data: Path, task: TaskSettings) -> Splits:
    """Read the task's files, relative to `data`.

    Raises ClozeError for one that doesn't fit, for a development file that is the test file, and for a share set apart
    that leaves one side empty.
    """
    kind = kind_of(task.kind)
    paths = {name: data / path for name, path in task.labelled.items()}
    files = {path: kind.read(path, task) for path in dict.fromkeys(paths.values())}
    read = {name: files[path] for name, path in paths.items()}
    train, test, development = read["train"], read["test"], read.get("development")
    counts, labelled = {}, train
    if task.test_frac:
        kind.classes(labelled, labelled)  # What is wrong with the labels is told of the whole file.
        train, test, moved = _apart(kind, labelled, task.test_frac, "test", paths["train"])
        counts["labelled file"] = {**labelled.counts, "moved_to_train": moved}
    classes = kind.classes(train, test)
    counts |= {"train": train.counts, "test": test.counts}
    settings = kind.settings(train, task)
    if development is not None:
        kind.classes(train, development)
        _refuse_test_file(task, paths)
        counts["development"] = development.counts
    elif task.development_frac:
        whole = train.counts
        train, development, moved = _apart(kind, train, task.development_frac, "development", paths["train"])
        counts["train file"] = {**whole, "moved_to_train": moved}
        counts |= {"train": train.counts, "development": development.counts}
    train = kind.learnable(train)
    counts["train"] = train.counts
    shared = overlaps(kind, {"train": train, "development": development, "test": test})
    counts = {name: {**found, **shared.get(name, {})} for name, found in counts.items()}
    return Splits(labelled, train, development, test, classes, settings, counts)


def split(keys: Sequence[str], frac: float, purpose: str) -> tuple[Places, Places]:
    """Places to learn from, and about `frac` of all that are set apart; equal keys are on one side."""
    apart = _drawn(keys, purpose) < frac
    return np.flatnonzero(~apart), np.flatnonzero(apart)


def _apart(kind: TaskKind[Any], examples: Any, frac: float, purpose: str, path: Path) -> tuple[Any, Any, int]:
    """The examples to learn from, those set apart, and how many of the former were moved there for their labels.

    Raises ClozeError if there are none of either.
    """
    keys = [plain(key).partition("\0")[0] for key in kind.keys(examples)]
    learned, apart = split(keys, frac, purpose)
    labels = kind.labels(examples)
    seen = {name for place in learned for name in labels[place]}
    lonely = {keys[place] for place in apart if not seen.issuperset(labels[place])}
    stays = np.array([keys[place] not in lonely for place in apart], dtype=np.bool_)
    moved = int((~stays).sum())
    learned, apart = np.sort(np.concatenate([learned, apart[~stays]])), apart[stays]
    if not len(learned) or not len(apart):
        flag = " (--test)" if purpose == "test" else ""
        why = f"{moved:,} more have labels that no other example has, and are learned from" if moved else ""
        raise ClozeError(
            f"{path} has too few examples for a {purpose} part: {purpose}_frac {frac:g} sets {len(apart):,} of "
            f"{len(keys):,} examples apart and leaves {len(learned):,} to learn from "
            f"({why or 'examples about one text stay together'}). Name a {purpose} file{flag}, or change "
            f"{purpose}_frac in a recipe."
        )
    if len(apart) < FEW:
        warnings.warn(
            f"{path}: the {purpose} part is {len(apart):,} of {len(keys):,} examples, too few to tell good from bad.",
            stacklevel=3,
        )
    return kind.take(examples, learned.tolist()), kind.take(examples, apart.tolist()), moved


def part(keys: Sequence[str], share: float) -> Places:
    """Places of `share` of all, at least one, ascending; a larger share holds those of a smaller one."""
    order = np.argsort(_drawn(keys, "share of training"), kind="stable")
    return np.sort(order[: max(1, round(share * len(keys)))])


def of_part(kind: TaskKind[Any], examples: Any, share: float) -> Any:
    """`share` of the examples."""
    return kind.take(examples, part(kind.keys(examples), share).tolist())


def _drawn(keys: Sequence[str], purpose: str) -> NDArray[np.float64]:
    """A number from 0 to 1 for each key, a function of it."""
    found = {key: float(uniform(0, f"{purpose}:{key!a}")) for key in dict.fromkeys(keys)}
    return np.array([found[key] for key in keys])


def _refuse_test_file(task: TaskSettings, paths: Mapping[str, Path]) -> None:
    digests = {name: [sha256_file(file) for file in files_below(paths[name])] for name in ("test", "development")}
    if digests["test"] == digests["development"]:
        raise ClozeError(
            f"task {task.name}: the development file {paths['development']} is the test file. Choosing by it would be "
            "training on the test; name another file, or let development_frac set a part of the training file apart."
        )


def how_chosen(task: TaskSettings, headline: str, examples: int) -> dict[str, Any] | None:
    """How the development set was made, as results.json has it; None: there is none."""
    if not task.chooses:
        return None
    made = "file" if task.development is not None else "hash of the training examples"
    return {"made": made, "share": task.development_frac or None, "examples": examples, "measure": headline}


@dataclass(slots=True)
class EpochChoice:
    """The best epoch so far by a measure of which more is better; of equal ones the earlier."""

    measure: str
    scores: list[dict[str, float | None]] = field(default_factory=list)
    """Measures on the development set after each epoch."""
    best: int = 0
    """Place of the best epoch in `scores`."""
    _weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, scores: dict[str, float | None], model: nn.Module) -> bool:
        """Take note of an epoch; whether it is the best so far, whose weights are kept."""
        self.scores.append(scores)
        better = len(self.scores) == 1 or _rank(scores[self.measure]) > _rank(self.scores[self.best][self.measure])
        if better:
            self.best = len(self.scores) - 1
            self._weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return better

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights of the best epoch."""
        model.load_state_dict(self._weights)


def _rank(value: float | None) -> float:
    """A measure that does not exist (a correlation with a constant) is below all others."""
    return -np.inf if value is None else value
