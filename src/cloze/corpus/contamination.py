"""Texts of test sets that stand in the corpus: a model that has read them is not tested by them.

Texts are compared by their letters and digits. A test text is in a document if 50 of its letters in a row are
(`overlap_letters`); a text that is shorter must be there whole, and one of less than 20 letters is not looked for:
"정말 재미있게 잘 봤습니다" is anybody's. Fifty letters in a row, or the whole shorter text, is GPT-4's rule (appendix
C, arXiv:2303.08774), which looks for three samples of each text where this looks for all.

A test file is read without knowing its task: every string in it that is long enough, a field of a table or a value
anywhere in JSON, is a test text. So questions and contexts, both sentences of a pair and all choices are looked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.corpus.counts import Counts
from cloze.corpus.csv_rows import csv_rows
from cloze.corpus.personal import mask
from cloze.corpus.shingles import joined_letters, letters, window_hashes
from cloze.errors import ClozeError
from cloze.files import files_below
from cloze.recipe import CleaningSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_LETTERS = 20
"""Shorter test texts are not looked for."""


@dataclass(frozen=True)
class _Windows:
    """Hashes of sequences of one length, to be looked up."""

    size: int
    hashes: NDArray[np.uint64]
    """[windows] Sorted."""
    text_of: NDArray[np.int32]
    """[windows] The test text that each stands in."""
    starts: NDArray[np.bool_]
    """[a power of two] Whether there is a hash that begins with these bits: most sequences need no closer look."""

    def find(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places in `text` of sequences that are one of these, [N], and the equal ones here, from and to, [N, 2]."""
        import numpy as np

        hashes = window_hashes(text, self.size)
        places = np.flatnonzero(self.starts[_first_bits(hashes, len(self.starts))])
        equal = np.stack([np.searchsorted(self.hashes, hashes[places], side) for side in ("left", "right")], axis=1)
        there = equal[:, 0] < equal[:, 1]
        return places[there], equal[there]

    def texts_of(self, equal: NDArray[np.int64]) -> NDArray[np.int32]:
        """The test texts, sorted, that sequences (from and to, [N, 2]) stand in: a template stands in thousands."""
        import numpy as np

        parts = [self.text_of[start:end] for start, end in np.unique(equal, axis=0).tolist()]
        return np.unique(np.concatenate([np.zeros(0, np.int32), *parts]))


def _first_bits(hashes: NDArray[np.uint64], values: int) -> NDArray[np.int64]:
    """As many of the first bits of each hash as tell `values` apart, a power of two above 1."""
    import numpy as np

    return (hashes >> np.uint64(65 - values.bit_length())).astype(np.int64)


@dataclass(frozen=True)
class TestTexts:
    """The texts of all test sets, ready to be looked for: about 25 bytes a letter of the long ones."""

    __test__ = False  # pytest takes a class of this name for tests

    sets: tuple[str, ...]
    """Names of the test sets."""
    set_of: NDArray[np.int32]
    """[texts] The place of each text's set in `sets`."""
    long: _Windows
    """Every sequence of `overlap_letters` of the texts that have so many."""
    short: _Windows
    """The first 20 letters of the others."""
    short_texts: Mapping[int, str]
    """Number -> letters of the shorter texts."""

    def texts(self, name: str) -> int:
        """How many texts of a set are looked for."""
        return int((self.set_of == self.sets.index(name)).sum())

    def find(self, sentences: list[str]) -> tuple[list[bool], NDArray[np.int32]]:
        """Whether each sentence overlaps with a test text, and the numbers of these texts, sorted."""
        import numpy as np

        text, owner = joined_letters(sentences)
        places, equal = self.long.find(text)
        covered = np.zeros(len(text) + 1, np.int64)  # +1 where an overlap begins, -1 behind its end
        np.add.at(covered, places, 1)
        np.add.at(covered, places + self.long.size, -1)
        numbers = {*self.long.texts_of(equal).tolist()}
        for place, (start, end) in zip(*map(np.ndarray.tolist, self.short.find(text)), strict=True):
            for number in self.short.text_of[start:end].tolist():
                if text.startswith(short := self.short_texts[number], place):
                    covered[place] += 1
                    covered[place + len(short)] -= 1
                    numbers.add(number)
        touched = np.zeros(len(sentences), np.bool_)
        touched[owner[np.cumsum(covered)[:-1] > 0]] = True
        return touched.tolist(), np.array(sorted(numbers), np.int32)


def read_test_texts(files: Mapping[str, Path], settings: CleaningSettings) -> TestTexts:
    """Read test files, or folders of them, by their sets' names.

    Raises ClozeError for a file that is missing, not UTF-8, or begins like JSON and is none.
    """
    return prepare_test_texts(
        {name: (string for file in files_below(path) for string in _strings(file)) for name, path in files.items()},
        settings,
    )


def prepare_test_texts(sets: Mapping[str, Iterable[str]], settings: CleaningSettings) -> TestTexts:
    """The texts of test sets, by the sets' names."""
    import numpy as np

    texts: list[str] = []
    set_of: list[int] = []
    for place, strings in enumerate(sets.values()):
        found = (letters(mask(string, settings.mask_personal_data, Counts())) for string in strings)
        texts += [text for text in found if len(text) >= LEAST_LETTERS]
        set_of += [place] * (len(texts) - len(set_of))
    lengths = np.array([len(text) for text in texts], np.int64)
    ends, owner = np.cumsum(lengths), np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
    left = ends[owner] - np.arange(len(owner))  # letters of its text from each letter on
    first = left == lengths[owner]
    is_long = lengths >= settings.overlap_letters
    whole = "".join(texts)

    def windows(size: int, wanted: NDArray[np.bool_]) -> _Windows:
        # The last letters of all texts together begin no sequence.
        hashes = np.append(window_hashes(whole, size), np.zeros(min(size - 1, len(whole)), np.uint64))[wanted]
        order = np.argsort(hashes, kind="stable")
        starts = np.zeros(1 << (8 * len(hashes) + 1).bit_length(), bool)
        starts[_first_bits(hashes, len(starts))] = True
        return _Windows(size, hashes[order], owner[wanted][order], starts)

    return TestTexts(
        tuple(sets),
        np.array(set_of, np.int32),
        windows(settings.overlap_letters, left >= settings.overlap_letters),
        windows(LEAST_LETTERS, first & ~is_long[owner]),
        {number: texts[number] for number in np.flatnonzero(~is_long).tolist()},
    )


def _strings(path: Path) -> Iterator[str]:
    """Every string in a file of JSON, JSON lines, CSV or tab-separated fields, composed to NFC."""
    from unicodedata import normalize

    try:
        text = normalize("NFC", path.read_bytes().decode("utf-8").removeprefix("\ufeff"))
    except OSError as error:
        raise ClozeError(f"The test file {path} cannot be read ({error.strerror}). Check the recipe's paths.") from None
    except UnicodeDecodeError as error:
        raise ClozeError(
            f"The test file {path} is not UTF-8 at byte {error.start:,}. Expected a table or JSON; convert it first."
        ) from None
    if text.lstrip()[:1] in ("{", "["):
        yield from _values(path, text)
    elif path.suffix.lower() == ".csv":
        for row in csv_rows(io.StringIO(text, newline="")):
            yield from row.fields
    else:
        for line in text.split("\n"):
            yield from line.split("\t")


def _values(path: Path, text: str) -> Iterator[str]:
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        try:
            waiting = [json.loads(line) for line in text.split("\n") if line.strip()]
        except (ValueError, RecursionError) as error:
            raise ClozeError(
                f"The test file {path} begins like JSON and is none ({error}). Expected one JSON value, or one a line."
            ) from None
    waiting.reverse()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            waiting += reversed(list(value.values()) if isinstance(value, dict) else value)
