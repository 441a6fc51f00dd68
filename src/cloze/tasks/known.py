"""Labels of a file that a saved model was never taught: it cannot give them, so no score would mean anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cloze.errors import ClozeError

SHOWN = 10


def refuse_unknown(model: Path, file: Path, labels: Iterable[tuple[int, str]], known: Sequence[str]) -> None:
    """Raise ClozeError for the first label of `file`, (line, label), that is none of those `known` to `model`."""
    for line, label in labels:
        if label not in known:
            shown = ", ".join(map(repr, known[:SHOWN])) + (", ..." if len(known) > SHOWN else "")
            raise ClozeError(
                f"{file}, line {line}: the label {label!r} is none that {model} knows; it gives {shown}. Correct the "
                "label, or fine-tune on it. If only the name differs, change it in the file or in id2label of the "
                "model's config.json."
            )
