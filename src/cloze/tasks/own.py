"""A user's own labelled file: which kind of task it is, what it holds, and a test split where there is none."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from cloze.errors import ClozeError
from cloze.files import write_text
from cloze.tasks.datasets import Examples, columns_of
from cloze.tasks.faults import MOST_FRAC, Faults
from cloze.tasks.multi_label import SEPARATOR
from cloze.tasks.overlap import plain
from cloze.tasks.regression import number

Kind = Literal["classification", "multi_label", "regression"]

MOST_CLASSES = 20
"""A column of numbers with more different values than this is a regression's, unless the user says otherwise."""
TEST_FRAC = 0.1


def labels_of(path: Path, columns: Sequence[str], label_column: str) -> list[str]:
    """The labels of a table as they stand there. Raises ClozeError for one without these columns."""
    header, rows = columns_of(path, columns, Faults(path))
    return [fields[header.index(label_column)].strip() for _, fields in rows]


def kind_of_labels(labels: Sequence[str]) -> Kind:
    """Regression for numbers of which one is no whole number or many are different, a few words among them aside.

    Several labels where some have commas and their parts are no more than the different labels; else classification.
    """
    known = [label for label in labels if label]
    numbers = [value for label in known if (value := number(label)) is not None]
    if len(known) - len(numbers) > MOST_FRAC * len(known) or not numbers:
        parts = {part.strip() for label in known for part in label.split(",")} - {""}
        several = any("," in label for label in known) and len(parts) <= len(set(known))
        return "multi_label" if several else "classification"
    whole = all(value.is_integer() for value in numbers)
    return "classification" if whole and len(set(known)) <= MOST_CLASSES else "regression"


@dataclass(frozen=True, slots=True)
class Split:
    """Files made of a user's, tab-separated, and what became of its rows."""

    train: Path
    test: Path
    counts: dict[str, int]
    """train, test: rows; left_out: rows of the user's files that are in neither; moved: rows for testing that train
    got, as it would not have their labels; spaced: texts or labels whose tabs and line breaks became spaces."""


def write_split(examples: Examples, test: Examples | None, folder: Path, kind: str) -> Split:
    """Write train.tsv and test.tsv. Without `test`, a hash of a row's texts sends a tenth of them there.

    So equal texts are on one side, and rows added later move no other. Raises ClozeError if a side would be empty.
    """
    moved = 0
    if test is None:
        keys = [_key(examples, place) for place in range(len(examples.texts))]
        apart = {key for key in keys if _hash(key) < TEST_FRAC}
        if kind != "regression":
            lonely = _keys_of_unseen(examples, keys, apart)
            moved, apart = sum(key in lonely for key in keys), apart - lonely
        sides = {"train": [place for place, key in enumerate(keys) if key not in apart]}
        sides["test"] = [place for place, key in enumerate(keys) if key in apart]
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
    counts = {side: len(places) for side, places in sides.items()} | {"moved": moved, "spaced": spaced}
    counts["left_out"] = sum(part.counts["left_out"] for part in (examples, test) if part is not None)
    return Split(folder / "train.tsv", folder / "test.tsv", counts)


def _keys_of_unseen(examples: Examples, keys: Sequence[str], apart: set[str]) -> set[str]:
    """Of the texts set apart, those with a label that no other text has."""
    labels = [label.split(SEPARATOR) for label in examples.labels]
    seen = {name for key, names in zip(keys, labels, strict=True) if key not in apart for name in names}
    return {key for key, names in zip(keys, labels, strict=True) if key in apart and not seen.issuperset(names)}


def describe(examples: Examples, kind: str) -> list[tuple[str, str]]:
    """What a file was understood to hold, as rows of a table: kind, rows, labels with their shares, lengths."""
    pairs = examples.second is not None
    name = "multi-label classification" if kind == "multi_label" else kind
    texts = [*examples.texts, *(examples.second or ())]
    lengths = sorted(map(len, texts))
    rows = [
        ("Kind", f"{name} of {'pairs of texts' if pairs else 'texts'}"),
        ("Examples", f"{len(examples.texts):,}, {examples.counts['empty']:,} empty texts"),
        ("Left out", f"{examples.counts['left_out']:,} rows"),
        ("Characters a text", f"median {lengths[len(lengths) // 2]:,}, longest {lengths[-1]:,}"),
    ]
    twice = len(examples.texts) - len(set(zip(examples.texts, examples.second or examples.texts, strict=True)))
    rows.append(("Repeated", f"{twice:,} examples have the texts of an earlier one"))
    if kind == "regression":
        numbers = [float(label) for label in examples.labels]
        spread = f"{min(numbers):g} to {max(numbers):g}, mean {statistics.fmean(numbers):.3g}"
        return [*rows, ("Numbers", spread)]
    found = Counter(name for label in examples.labels for name in label.split(SEPARATOR) if name).most_common()
    shares = [f"{label} {count / len(examples.labels):.1%}" for label, count in found[:10]]
    more = f" and {len(found) - 10:,} more" if len(found) > 10 else ""
    names = "labels" if kind == "multi_label" else "classes"
    rows.append((f"{len(found):,} {names}", ", ".join(shares) + more))
    if len(found) > 1 and found[0][1] >= 10 * found[-1][1]:
        times = found[0][1] / found[-1][1]
        rows.append(("Imbalance", f"{found[0][0]} is {times:,.0f} times as frequent as {found[-1][0]}"))
    return rows


def _write(path: Path, examples: Examples, places: Sequence[int]) -> int:
    """Write some rows; returns how many texts or labels had to be changed."""
    names = ["text", "second", "label"] if examples.second is not None else ["text", "label"]
    lines, spaced = ["\t".join(names)], 0
    for place in places:
        label = examples.labels[place].replace(SEPARATOR, ",")
        fields = [examples.texts[place], *([examples.second[place]] if examples.second is not None else []), label]
        flat = [field.replace("\t", " ").replace("\r", " ").replace("\n", " ") for field in fields]
        spaced += sum(a != b for a, b in zip(fields, flat, strict=True))
        lines.append("\t".join(flat))
    write_text(path, "\n".join(lines) + "\n")
    return spaced


def _key(examples: Examples, place: int) -> str:
    """The text of a row, or both."""
    return plain("\0".join([examples.texts[place], *([examples.second[place]] if examples.second is not None else [])]))


def _hash(key: str) -> float:
    """A number from 0 to 1, a function of the key."""
    digest = blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2.0**64
