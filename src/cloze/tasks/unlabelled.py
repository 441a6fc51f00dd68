"""Texts without labels, for teachers to judge: none of them may stand in the task's own files.

A text that is one of the test's, or has a stretch of one in it, would let the student see what it is tested on, and
what its teachers think of it; so it is left out, and counted. So are texts of the development set, which is to choose
the epoch, those of the training file, which have labels, and repetitions. Texts are the same if their letters and
digits are; a stretch is what `corpus.contamination` takes for one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from cloze.corpus.contamination import prepare_test_texts
from cloze.corpus.counts import Counts
from cloze.corpus.readers import open_reader
from cloze.corpus.shingles import letters
from cloze.errors import ClozeError
from cloze.recipe import CleaningSettings, CorpusSettings

COMPARED_TEXTS = 1_000
"""Texts that are compared with the test's at once."""


def read_unlabelled(path: Path, text_column: str, own: Mapping[str, Sequence[str]]) -> tuple[list[str], dict[str, int]]:
    """The texts of a file that are not in the task's own, in order, and the counts of all that it has.

    The file has lines of text (white space around them and blank ones mean nothing) or is a table with `text_column`;
    it may be packed. `own`: part of the task -> its texts, "test" last: a text in two parts counts for the later one.
    Counts: found; of these in_<part> for each part, repeated and kept; and malformed, records that can't be read.
    Raises ClozeError for a file that is of another kind or missing, or of which nothing is left.
    """
    tests = prepare_test_texts({"test": own["test"]}, CleaningSettings())
    standing = {letters(text): f"in_{part}" for part, texts in own.items() for text in texts}
    counts = dict.fromkeys(("found", *(f"in_{part}" for part in own), "repeated", "kept"), 0)
    kept, read = [], Counts()
    texts = _texts(path, text_column, read)
    while some := list(islice(texts, COMPARED_TEXTS)):
        for text, overlaps in zip(some, tests.find(some)[0], strict=True):
            key = letters(text)
            place = "in_test" if overlaps else standing.setdefault(key, "kept")
            if place == "kept":
                kept.append(text)
                standing[key] = "repeated"
            counts["found"] += 1
            counts[place] += 1
    counts["malformed"] = sum(tally.documents for tally in read.dropped.values())
    if not kept:
        raise ClozeError(
            f"{path} has {counts['found']:,} texts, and none that is not in the task's own files. Name a file with "
            "other texts of the same kind, or set the task's unlabelled to null."
        )
    return kept, counts


def _texts(path: Path, text_column: str, counts: Counts) -> Iterator[str]:
    """The texts in order, composed to NFC as labelled ones are."""
    first = True
    for document in open_reader(path, CorpusSettings(text_column=text_column)).read(counts):
        if document.markup not in ("lines", "prose"):
            raise ClozeError(
                f"{path} holds articles in markup ({document.markup}). Unlabelled texts are lines of text, or a table "
                f"with a column {text_column!r}."
            )
        texts = document.text.split("\n") if document.markup == "lines" else [document.text]
        columns = texts[0].strip().split("\t")
        if first and len(columns) > 1 and text_column in columns:
            raise ClozeError(
                f"{path} begins with the names of columns ({', '.join(columns)}): it is a table, and its lines are no "
                "texts. Give it a name that ends with .tsv."
            )
        first = False
        yield from (unicodedata.normalize("NFC", text.strip()) for text in texts if text.strip())
