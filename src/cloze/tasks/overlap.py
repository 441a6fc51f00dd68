"""What training, development and test set have in common: a text that was learned is remembered, not understood.

Examples are compared by what they are about, as for splits (`TaskKind.keys`): the text, both texts of a pair, a
question's context or article. They are equal if they are in NFC and with single spaces; empty ones are not looked at.
Published sets have such examples, and scores are compared on all of a set, so none is left out: they are counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

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


def plain(key: str) -> str:
    """What an example is about, in NFC and with single spaces."""
    return "\0".join(" ".join(normalize("NFC", text).split()) for text in key.split("\0"))
