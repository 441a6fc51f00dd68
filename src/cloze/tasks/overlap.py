"""What training, development and test set have in common: a text that was learned is remembered, not understood.

Examples are compared by what they are about, as for splits (`TaskKind.keys`): the text, both texts of a pair, a
question's context or article. They are equal if they are in NFC and with single spaces; empty ones are not looked at.
Published sets have such examples, and scores are compared on all of a set, so none is left out: they are counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from typing import Any
from unicodedata import normalize

from cloze.errors import ClozeError
from cloze.tasks.task import TaskKind

SIDES = (("development", "train"), ("test", "train"), ("test", "development"))
SHOWN = 60
"""Characters of an example that a warning shows."""


def overlaps(kind: TaskKind[Any], parts: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """For development and test set: `shared_with_train`, how many of their examples are about what one of train is.

    `parts`: the examples of each part by its name, None if there is none. A warning says what is shared.
    """
    keys = {name: list(map(plain, kind.keys(part))) for name, part in parts.items() if part is not None}
    found: dict[str, dict[str, int]] = {}
    for name, other in SIDES:
        if name in keys and other in keys:
            known = set(keys[other])
            both = [key for key in keys[name] if key.strip("\0") and key in known]
            found.setdefault(name, {})[f"shared_with_{other}"] = len(both)
            if both:
                share, shown = len(both) / len(keys[name]), " / ".join(both[0].split("\0"))
                shown = shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"
                warnings.warn(
                    f"{len(both):,} of {len(keys[name]):,} {name} examples ({share:.1%}) have the same text as an "
                    f"example of {other}, such as {shown!r}: the model may know them by heart. They are kept, and "
                    "counted in results.json.",
                    stacklevel=2,
                )
    return found


def learned_by_teachers(kind: TaskKind[Any], parts: Mapping[str, Any], learned: Set[str]) -> dict[str, dict[str, int]]:
    """For development and test set: `learned_by_teachers`, how many of their examples are about what is in `learned`,
    the plain keys that a teacher was trained on or chosen by, and not in train.

    A warning says how many. Raises ClozeError if they are most: the teacher would tell what is asked.
    """
    own = set(map(plain, kind.keys(parts["train"])))
    found: dict[str, dict[str, int]] = {}
    for name in ("development", "test"):
        if (part := parts[name]) is None:
            continue
        keys = list(map(plain, kind.keys(part)))
        known = sum(key.strip("\0") != "" and key in learned and key not in own for key in keys)
        found[name] = {"learned_by_teachers": known}
        told = f"its teachers learned from {known:,} of the {len(keys):,} {name} examples"
        if 2 * known > len(keys):
            raise ClozeError(
                f"{told}, which the task itself has not learned from. Let teachers and student set the same part of "
                "the same file apart (test_frac, development_frac), or take teachers that learned from other texts."
            )
        if known:
            warnings.warn(f"{told}. They are kept, and counted in results.json.", stacklevel=2)
    return found


def plain(key: str) -> str:
    """What an example is about, in NFC and with single spaces."""
    return "\0".join(" ".join(normalize("NFC", text).split()) for text in key.split("\0"))
