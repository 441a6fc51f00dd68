"""What was kept, what was dropped and why: nothing leaves the corpus without being counted here.

Each entry has documents, sentences, characters and up to three examples. A reason counts in the unit it acts in: a
redirect drops a document (and its characters), markup drops characters of a document that stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cloze.corpus.document import Document

MAX_EXAMPLES = 3
EXAMPLE_CHARACTERS = 100
STEPS = (
    *("unprintable characters", "U+FFFD", "white space", "extra white space", "markup"),
    *("boilerplate line", "repeated line", "overlaps with a test set", "repeats itself"),
    *("empty", "shorter than", "longer than", "not in corpus.languages", "less than", "duplicate", "near duplicate"),
    "read after max_documents",
)
"""How the reasons begin, in the order of the steps; what a reader leaves out comes before them."""


@dataclass(slots=True)
class Tally:
    """Sums under one name."""

    documents: int = 0
    sentences: int = 0
    characters: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, *, documents: int = 0, sentences: int = 0, characters: int = 0, example: str = "") -> None:
        """Add to the sums; the first three examples that differ are kept, cut to 100 characters."""
        self.documents += documents
        self.sentences += sentences
        self.characters += characters
        if example and len(self.examples) < MAX_EXAMPLES:
            cut = len(example) > EXAMPLE_CHARACTERS
            shown = example[: EXAMPLE_CHARACTERS - 1] + "…" if cut else example
            shown = shown.encode(errors="replace").decode()  # JSON may hold surrogates, which are no text
            self.examples += [shown] if shown not in self.examples else []

    def merge(self, other: Tally) -> None:
        """Add the sums of another tally, and its examples while there are fewer than three."""
        self.add(documents=other.documents, sentences=other.sentences, characters=other.characters)
        self.examples = list(dict.fromkeys(self.examples + other.examples))[:MAX_EXAMPLES]

    def to_json(self) -> dict[str, Any]:
        """Documents, sentences, characters and, where there are any, examples."""
        sums = {"documents": self.documents, "sentences": self.sentences, "characters": self.characters}
        return sums | ({"examples": self.examples} if self.examples else {})


@dataclass(slots=True)
class Counts:
    """The books of one corpus. Readers are handed them and enter what they drop or change."""

    kept: dict[str, Tally] = field(default_factory=dict)
    """By split."""
    dropped: dict[str, Tally] = field(default_factory=dict)
    """By reason: documents or characters that are not in the corpus."""
    changed: dict[str, Tally] = field(default_factory=dict)
    """By reason: text that is in the corpus in another form."""
    tests: dict[str, dict[str, int]] = field(default_factory=dict)
    """By test set: texts that were looked for in the corpus, and how many of them were found."""
    bytes_read: int = 0
    """Of the source files, as they lie on the disk."""

    def keep(self, split: str, document: Document) -> None:
        """Enter a document that goes into `split`."""
        self._add_kept(split, document, 1)

    def move(self, document: Document, source: str, target: str) -> None:
        """Enter that a kept document changes its split."""
        self._add_kept(source, document, -1)
        self._add_kept(target, document, 1)

    def drop(
        self, reason: str, *, documents: int = 0, sentences: int = 0, characters: int = 0, example: str = ""
    ) -> None:
        """Enter what is left out, and one example of it."""
        tally = self.dropped.setdefault(reason, Tally())
        tally.add(documents=documents, sentences=sentences, characters=characters, example=example)

    def change(self, reason: str, *, documents: int = 0, characters: int = 0, example: str = "") -> None:
        """Enter what is kept in another form, and one example of it."""
        self.changed.setdefault(reason, Tally()).add(documents=documents, characters=characters, example=example)

    def merge(self, other: Counts) -> None:
        """Add the books of another part of the same corpus; those of the part that comes first come first."""
        for mine, theirs in ((self.kept, other.kept), (self.dropped, other.dropped), (self.changed, other.changed)):
            for name, tally in theirs.items():
                mine.setdefault(name, Tally()).merge(tally)
        self.tests = self.tests or other.tests  # They are counted by one `Selection`.
        self.bytes_read += other.bytes_read

    @property
    def documents(self) -> int:
        """Documents kept so far."""
        return sum(tally.documents for tally in self.kept.values())

    def to_json(self) -> dict[str, Any]:
        """{"kept": {...}, "train": {...}, "validation": {...}, "dropped": {reason: {...}}, "changed": {...}, ...}.

        The reasons stand in the order of the steps.
        """
        return {
            "kept": self._total().to_json(),
            **{split: tally.to_json() for split, tally in self.kept.items()},
            "dropped": {reason: self.dropped[reason].to_json() for reason in sorted(self.dropped, key=_step)},
            "changed": {reason: tally.to_json() for reason, tally in sorted(self.changed.items())},
            "funnel": self.funnel(),
            **({"tests": self.tests} if self.tests else {}),
            "bytes_read": self.bytes_read,
        }

    def funnel(self) -> list[dict[str, Any]]:
        """What each step left, in order: [{"step": ..., "dropped": {...}, "left": {...}, "examples": [...]}, ...].

        The first row has what was read: all that was kept or dropped, text that was changed in its new form.
        """
        steps = [(reason, self.dropped[reason]) for reason in sorted(self.dropped, key=_step)]
        left = self._total()
        for _, tally in steps:
            left.add(documents=tally.documents, sentences=tally.sentences, characters=tally.characters)
        rows: list[dict[str, Any]] = [{"step": "read", "dropped": Tally().to_json(), "left": left.to_json()}]
        for reason, tally in steps:
            left.add(documents=-tally.documents, sentences=-tally.sentences, characters=-tally.characters)
            dropped = tally.to_json()
            examples = dropped.pop("examples", [])
            rows.append({"step": reason, "dropped": dropped, "left": left.to_json(), "examples": examples})
        return rows

    def _total(self) -> Tally:
        total = Tally()
        for tally in self.kept.values():
            total.add(documents=tally.documents, sentences=tally.sentences, characters=tally.characters)
        return total

    def _add_kept(self, split: str, document: Document, sign: int) -> None:
        self.kept.setdefault(split, Tally()).add(
            documents=sign, sentences=sign * len(document.sentences), characters=sign * document.characters
        )


def _step(reason: str) -> tuple[int, str]:
    """For sorting: the place of a reason among the steps, -1 for a reader's; then its name."""
    return next((place for place, start in enumerate(STEPS) if reason.startswith(start)), -1), reason
