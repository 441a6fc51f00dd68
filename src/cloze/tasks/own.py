"""A user's own labelled file: which kind of task it is, what it holds, and a test split where there is none."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from cloze.errors import ClozeError
from cloze.files import write_text
from cloze.tasks.datasets import Examples

Kind = Literal["classification", "regression"]

MOST_CLASSES = 20
"""A column of numbers with more different values than this is a regression's, unless the user says otherwise."""
TEST_FRAC = 0.1


def kind_of_labels(labels: Sequence[str]) -> Kind:
    """Regression for numbers of which one is no whole number or many are different; else classification."""
    numbers = [_number(label) for label in labels]
    if None in numbers:
        return "classification"
    whole = all(number is not None and number.is_integer() for number in numbers)
    return "classification" if whole and len(set(labels)) <= MOST_CLASSES else "regression"


@dataclass(frozen=True, slots=True)
class Split:
    """Files made of a user's, tab-separated, and what became of its rows."""

    train: Path
    test: Path
    counts: dict[str, int]
    """train, test: rows; spaced: texts whose tabs and line breaks became spaces."""


def write_split(examples: Examples, test: Examples | None, folder: Path) -> Split:
    """Write train.tsv and test.tsv. Without `test`, a hash of a row's texts sends a tenth of them there.

    So equal texts are on one side, and rows added later move no other. Raises ClozeError if a side would be empty.
    """
    sides: dict[str, list[int]] = {"train": [], "test": []}
    if test is None:
        for place in range(len(examples.texts)):
            sides["test" if _hash(examples, place) < TEST_FRAC else "train"].append(place)
        if not sides["train"] or not sides["test"]:
            raise ClozeError(
                f"{examples.path} has {len(examples.texts):,} examples, too few to set a tenth of them apart for "
                "testing. Give a test file of your own (--test)."
            )
    else:
        sides = {"train": list(range(len(examples.texts))), "test": list(range(len(test.texts)))}
    spaced = 0
    for side, places in sides.items():
        source = test if test is not None and side == "test" else examples
        spaced += _write(folder / f"{side}.tsv", source, places)
    counts = {side: len(places) for side, places in sides.items()} | {"spaced": spaced}
    return Split(folder / "train.tsv", folder / "test.tsv", counts)


def describe(examples: Examples, kind: str) -> list[tuple[str, str]]:
    """What a file was understood to hold, as rows of a table: kind, rows, labels with their shares, lengths."""
    pairs = examples.second is not None
    texts = [*examples.texts, *(examples.second or ())]
    lengths = sorted(map(len, texts))
    rows = [
        ("Kind", f"{kind} of {'pairs of texts' if pairs else 'texts'}"),
        ("Examples", f"{len(examples.texts):,}, {examples.counts['empty']:,} empty texts"),
        ("Characters a text", f"median {lengths[len(lengths) // 2]:,}, longest {lengths[-1]:,}"),
    ]
    twice = len(examples.texts) - len(set(zip(examples.texts, examples.second or examples.texts, strict=True)))
    rows.append(("Repeated", f"{twice:,} examples have the texts of an earlier one"))
    if kind == "regression":
        numbers = [float(label) for label in examples.labels]
        spread = f"{min(numbers):g} to {max(numbers):g}, mean {statistics.fmean(numbers):.3g}"
        return [*rows, ("Numbers", spread)]
    found = Counter(examples.labels).most_common()
    shares = [f"{label} {count / len(examples.labels):.1%}" for label, count in found[:10]]
    more = f" and {len(found) - 10:,} more" if len(found) > 10 else ""
    rows.append((f"{len(found):,} classes", ", ".join(shares) + more))
    if len(found) > 1 and found[0][1] >= 10 * found[-1][1]:
        times = found[0][1] / found[-1][1]
        rows.append(("Imbalance", f"{found[0][0]} is {times:,.0f} times as frequent as {found[-1][0]}"))
    return rows


def _write(path: Path, examples: Examples, places: Sequence[int]) -> int:
    """Write some rows; returns how many texts had to be changed."""
    names = ["text", "second", "label"] if examples.second is not None else ["text", "label"]
    lines, spaced = ["\t".join(names)], 0
    for place in places:
        texts = [examples.texts[place], *([examples.second[place]] if examples.second is not None else [])]
        flat = [text.replace("\t", " ").replace("\r", " ").replace("\n", " ") for text in texts]
        spaced += sum(a != b for a, b in zip(texts, flat, strict=True))
        lines.append("\t".join([*flat, examples.labels[place]]))
    write_text(path, "\n".join(lines) + "\n")
    return spaced


def _hash(examples: Examples, place: int) -> float:
    """A number from 0 to 1, a function of the row's texts."""
    texts = [examples.texts[place], *([examples.second[place]] if examples.second is not None else [])]
    digest = blake2b("\0".join(texts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**64


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
