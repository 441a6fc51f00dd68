"""What the rules of cleaning find, and what they find wrongly: broken encodings, boilerplate, test texts.

    python benchmarks/cleaning.py [--write]

The text is the shared data's: novels, manuals, reviews, comments. Lines are broken on purpose as others break them
(UTF-8 or EUC-KR read as Latin-1 or CP1252), and all sound lines are offered to the same rules. Test texts are looked
for in the reviews: those of NSMC's training file should be there, those of its test file should not.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import ftfy.bad_codecs  # noqa: F401 - "sloppy-windows-1252": CP1252 as browsers read it, its five gaps as Latin-1
from common import SHARED_DATA, Table, command, write_result

from cloze.corpus.cleaning import drop_lines
from cloze.corpus.contamination import read_test_texts
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.encodings import repair
from cloze.corpus.prepare import prepare
from cloze.corpus.readers import open_reader
from cloze.recipe import CleaningSettings, CorpusSettings
from cloze.report.wording import percent, whole

SOURCES = ("novels.txt", "techdocs.txt.gz", "reviews.txt.gz", "comments.txt.gz")
EVERY = 40
"""One line of so many is broken on purpose."""


def documents(source: Path) -> Iterator[Document]:
    """Documents as the corpus stage makes them."""
    settings, counts = CorpusSettings(), Counts()
    for raw in open_reader(source, settings).read(counts):
        yield prepare(raw, settings, counts).document


def misread(line: str, written: str, read: str) -> str | None:
    """The line, written in one encoding and read in another; None where that can't be done or changes nothing."""
    with suppress(UnicodeError):
        broken = line.encode(written).decode(read)
        return broken if broken != line else None
    return None


WAYS: dict[str, Callable[[str], str | None]] = {
    "UTF-8 as Latin-1": lambda line: misread(line, "utf-8", "latin-1"),
    "UTF-8 as CP1252": lambda line: misread(line, "utf-8", "sloppy-windows-1252"),
    "EUC-KR as Latin-1": lambda line: misread(line, "euc_kr", "latin-1"),
}


def encodings(lines: list[str]) -> Table:
    """Of lines broken in each way, those that come back and those that become something else; of sound ones, too."""
    table = Table(["lines", "how many", "come back", "%", "become something else"])
    korean = [line for line in lines[::EVERY] if any("가" <= character <= "힣" for character in line)]
    for name, way in WAYS.items():
        became: Counter[str] = Counter()
        for line in korean:
            if (broken := way(line)) is not None:
                found = repair(broken, Counts(), "")
                became["back" if found == line else "left" if found == broken else "else"] += 1
        total = became.total()
        row = [name, whole(total), whole(became["back"]), percent(became["back"] / total), whole(became["else"])]
        table.rows.append(row)
    changed = sum(repair(line, Counts(), "") != line for line in lines)
    table.rows.append(["sound", whole(len(lines)), "", "", whole(changed)])
    return table


def boilerplate(found: dict[str, list[Document]]) -> Table:
    """Lines of each source that the built-in rules take for boilerplate."""
    settings = CorpusSettings(cleaning=CleaningSettings(korean_boilerplate=True))
    table = Table(["source", "lines", "taken for boilerplate"])
    for name, parts in found.items():
        lines = sum(len(document.sentences) for document in parts)
        kept = sum(len(drop_lines(document, settings, Counts()).sentences) for document in parts)
        table.rows.append([name, whole(lines), whole(lines - kept)])
    return table


def test_texts(reviews: list[Document], data: Path) -> Table:
    """Texts of NSMC's two files that stand in the reviews, of those long enough to be looked for."""
    files = {part: data / "nsmc" / f"ratings_{part}.txt" for part in ("train", "test")}
    wanted = read_test_texts(files, CleaningSettings(decontaminate="lines"))
    found: set[int] = set()
    for document in reviews:
        found.update(wanted.find(document.sentences)[1].tolist())
    table = Table(["NSMC's file", "texts of 20 letters or more", "found in the reviews"])
    for place, name in enumerate(wanted.sets):
        there = sum(int(wanted.set_of[number]) == place for number in found)
        table.rows.append([name, whole(wanted.texts(name)), whole(there)])
    return table


def main() -> None:
    """Print the tables, and keep them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument("--write", action="store_true", help="keep the tables as benchmarks/results/cleaning.md")
    arguments = parser.parse_args()
    found = {name: list(documents(arguments.data / "corpus" / name)) for name in SOURCES}
    lines = [sentence for parts in found.values() for document in parts for sentence in document.sentences]
    tables = [encodings(lines), boilerplate(found), test_texts(found["reviews.txt.gz"], arguments.data)]
    text = "\n\n".join(map(str, tables))
    print(text)
    if arguments.write:
        notes = (
            f"Lines are sentences of finished documents. Every {EVERY}th is broken on purpose, if it has Hangul and "
            "can be written so (CP1252 as browsers read it, its five gaps as Latin-1). What neither comes back nor "
            "becomes something else stays broken. What becomes something else out of EUC-KR is a syllable that was "
            "typed as its jamo behind a filler (U+3164): that encoding has no other way to write it, and is read as "
            "the syllable."
        )
        print(write_result("cleaning", text, command(), packages=("ftfy", "numpy"), notes=notes))


if __name__ == "__main__":
    main()
