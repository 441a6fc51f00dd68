"""What is wrong with single examples of a labelled file, told once for all of them, with places and counts.

An example that cannot be used is left out, named in a warning and counted in results.json: a line with a field too many
says nothing against the 100,000 others. Where more than a tenth would be left out, or none kept, it is not the examples
that are wrong but the separator, the columns or the kind, and going on would lie: that is an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from cloze.errors import ClozeError, some

NAMED = 5
"""Faults that a message names; the others are counted."""
MOST_FRAC = 0.1
"""Share of a file's examples that may be left out."""


class Faults:
    """Collects the examples of one file that cannot be used."""

    def __init__(self, path: Path, look_at: str = "its separator and columns") -> None:
        """`look_at`: what may be wrong if many examples are."""
        self._path, self._look_at = path, look_at
        self._first: list[str] = []
        self.count = 0

    def add(self, where: str, what: str) -> None:
        """One example: its place in the file, and what is wrong with it."""
        self.count += 1
        if self.count <= NAMED:
            self._first.append(f"{where}: {what}")

    def settle(self, kept: int) -> int:
        """How many examples are left out beside `kept` good ones, with a warning that names the first of them.

        Raises ClozeError if they are too many.
        """
        if not self.count:
            return 0
        found = some(self._first, NAMED, total=self.count, mark="; ")
        of = f"{self.count:,} of {kept + self.count:,} examples"
        if not kept or self.count > MOST_FRAC * (kept + self.count):
            raise ClozeError(
                f"{self._path}, {found}. {of} cannot be used: correct or remove them, or look at {self._look_at}."
            )
        warnings.warn(f"{self._path}: {of} cannot be used and are left out: {found}", stacklevel=2)
        return self.count


def place(path: Path, number: int) -> str:
    """How messages name a line of a table, or an object of an array of JSON."""
    return f"{'object' if path.suffix.lower() == '.json' else 'line'} {number}"


def count_repeated(path: Path, ids: Sequence[tuple[str, str]]) -> int:
    """How many examples have the id of an earlier one; `ids` are (id, place), an empty id is none.

    They are kept, and named in a warning, unless they are so many that the ids are none (KorSTS counts by source).
    """
    seen: dict[str, str] = {}
    again = [(name, where) for name, where in ids if name and seen.setdefault(name, where) != where]
    if len(again) > MOST_FRAC * len(ids) and len(again) > NAMED:
        share = f"{len(again):,} of {len(ids):,} examples have an earlier one's"
        warnings.warn(f"{path}: the ids do not tell examples apart: {share}. All are kept.", stacklevel=2)
    elif again:
        told = [f"{where} has {name!r}, the id of {seen[name]}" for name, where in again]
        named = some(told, NAMED, mark="; ")
        warnings.warn(f"{path}: {len(again):,} examples have an earlier one's id, and are kept: {named}", stacklevel=2)
    return len(again)


def refuse_unseen(train: Path, test: Path, labels: Iterable[tuple[int, str]], known: Sequence[str]) -> None:
    """Raise ClozeError if a label of the test set, (line, label), is none of those `known` from training.

    Nothing could ever predict it, and without these examples the score would be that of an easier test.
    """
    seen = set(known)
    strange = [(line, label) for line, label in labels if label not in seen]
    if strange:
        line, label = strange[0]
        names = list(dict.fromkeys(label for _, label in strange))
        raise ClozeError(
            f"{test}, {place(test, line)}: the label {label!r} never occurs in {train}, which has {_quoted(known)}. "
            f"{len(strange):,} label(s) of the test are so: {_quoted(names)}. Nothing can predict them: correct "
            "them, or train on them."
        )


def refuse_unknown(model: Path, file: Path, labels: Iterable[tuple[int, str]], known: Sequence[str]) -> None:
    """A model cannot give a label that it was never taught, so no score would mean anything.

    Raises ClozeError for the first label of `file`, (line, label), that is none of those `known` to `model`.
    """
    for line, label in labels:
        if label not in known:
            raise ClozeError(
                f"{file}, {place(file, line)}: the label {label!r} is none that {model} knows; it gives "
                f"{_quoted(known)}. Correct the label, or fine-tune on it. If only the name differs, change it in the "
                "file or in id2label of the model's config.json."
            )


def _quoted(names: Sequence[str]) -> str:
    return some([repr(name) for name in names], 10)
