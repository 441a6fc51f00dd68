"""Near duplicates: MB/s, found and wrongly found, and memory, against datasketch and rensa used as their pages show.

Documents are the manuals of the shared data, else the generated sample, in pieces of about 1,500 characters, and copies
of some of them in which words were replaced; the similarity of each pair is counted exactly. All roads take sequences
of five letters, 112 hash functions and 14 bands. datasketch hashes each sequence with SHA-1 and keeps an LSH index of
its own; rensa (Rust) hashes for itself, and compares whole signatures behind its bands.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from common import SHARED_DATA, Table, command, write_result

from cloze.corpus.counts import Counts
from cloze.corpus.duplicates import LETTERS, SeenBands, band_hashes, bands
from cloze.corpus.prepare import prepare
from cloze.corpus.readers import open_reader
from cloze.corpus.sample import write_sample
from cloze.corpus.shingles import letters
from cloze.recipe import CorpusSettings

THRESHOLD, PERMUTATIONS = 0.75, 112
PIECE_CHARACTERS = 1_500
RANGES = ((0.9, 1.0), (0.8, 0.9), (0.7, 0.8), (0.5, 0.7), (0.0, 0.5))
WRONG_BELOW = 0.5
"""A document that is found though no earlier one is as similar as this was found wrongly."""

Road = Callable[[list[str]], list[bool]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=1_500, help="documents without the copies")
    parser.add_argument("--copies", type=int, default=600)
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/duplicates.md")
    options = parser.parse_args()
    originals, source = pieces(options.pieces)
    texts = originals + copies(originals, options.copies)
    sets = [shingles(text) for text in texts]
    similarity = most_similar(sets)
    table = Table(("", "MB/s", "MiB", *(f"found, J {low}-{high}" for low, high in RANGES), "found wrongly"))
    inside = [
        [place for place, j in enumerate(similarity) if low <= j < high or j == high == 1.0] for low, high in RANGES
    ]
    table.rows.append(("documents", "", "", *(f"{len(places):,}" for places in inside), ""))
    for name in ROADS:
        # A process each: memory that one road has freed would be used again by the next.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found, elapsed_s, mebibytes = pool.apply(measure, (name, texts))
        shares = [f"{sum(found[place] for place in places) / max(len(places), 1):.1%}" for places in inside]
        wrong = sum(flag and j < WRONG_BELOW for flag, j in zip(found, similarity, strict=True))
        speed = sum(len(text.encode()) for text in texts) / 1e6 / elapsed_s
        table.rows.append((name, f"{speed:.2f}", f"{mebibytes:.1f}", *shares, f"{wrong:,}"))
    count, rows = bands(THRESHOLD, PERMUTATIONS)
    expected = [f"{1 - (1 - ((low + high) / 2) ** rows) ** count:.1%}" for low, high in RANGES]
    table.rows.append((f"expected of {count} bands of {rows}, mid-range", "", "", *expected, ""))
    notes = (
        f"Text: {source}, {len(originals):,} pieces and {options.copies:,} copies. J is the exact Jaccard similarity "
        f"with the most similar earlier document; found wrongly: J below {WRONG_BELOW}. One core; MB are 10^6 bytes of "
        "UTF-8; MiB is what the process needs more at the end than at the start (USS)."
    )
    print(f"{table}\n\n{notes}")
    if options.write:
        packages = ("numpy", "datasketch", "rensa")
        print(write_result("duplicates", table, command(), packages=packages, notes=notes))


def pieces(number: int) -> tuple[list[str], str]:
    """Pieces of real or generated documents, and what they are in words."""
    with tempfile.TemporaryDirectory() as name:
        manuals = SHARED_DATA / "corpus" / "techdocs.txt.gz"
        source = manuals if manuals.exists() else write_sample(Path(name))["articles"]
        settings, counts, found = CorpusSettings(), Counts(), [""]
        for raw in open_reader(source, settings).read(counts):
            for sentence in prepare(raw, settings, counts).document.sentences:
                if len(found[-1]) > PIECE_CHARACTERS:
                    found.append("")
                found[-1] += f"{sentence} "
            if len(found) > 4 * number:
                break
    return random.Random(1).sample(found, min(number, len(found))), source.name


def copies(originals: list[str], number: int) -> list[str]:
    """Pieces again, each with another share of its words replaced by words of the piece's own."""
    generator, made = random.Random(2), []
    for text in generator.choices(originals, k=number):
        words, share = text.split(), generator.random() * 0.25
        made.append(" ".join(generator.choice(words) if generator.random() < share else word for word in words))
    return made


def shingles(text: str) -> set[str]:
    plain = letters(text)
    return {plain[place : place + LETTERS] for place in range(max(1, len(plain) - LETTERS + 1))}


def most_similar(sets: list[set[str]]) -> list[float]:
    """The highest Jaccard similarity of each document with an earlier one."""
    holders: dict[str, list[int]] = {}
    highest = []
    for place, mine in enumerate(sets):
        common = Counter(other for sequence in mine for other in holders.get(sequence, ()))
        ratios = (both / (len(mine) + len(sets[other]) - both) for other, both in common.items())
        highest.append(max(ratios, default=0.0))
        for sequence in mine:
            holders.setdefault(sequence, []).append(place)
    return highest


def measure(name: str, texts: list[str]) -> tuple[list[bool], float, float]:
    """Whether each document was found to be a near duplicate, seconds of the processor, MiB."""
    import psutil

    process = psutil.Process()
    ROADS[name](texts[:5])  # imports
    before, started_s = process.memory_full_info().uss, time.process_time()
    found = ROADS[name](texts)
    elapsed_s = time.process_time() - started_s
    return found, elapsed_s, (process.memory_full_info().uss - before) / 2**20


def with_cloze(texts: list[str]) -> list[bool]:
    seen, found = SeenBands(), []
    for text in texts:
        hashed = band_hashes([text], THRESHOLD, PERMUTATIONS)
        found.append(seen.share_one(hashed))
        if not found[-1]:
            seen.add(hashed)
    return found


def with_datasketch(texts: list[str]) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    index, found = MinHashLSH(num_perm=PERMUTATIONS, params=bands(THRESHOLD, PERMUTATIONS)), []
    for place, text in enumerate(texts):
        minima = MinHash(PERMUTATIONS, seed=1)
        minima.update_batch([sequence.encode() for sequence in shingles(text)])
        found.append(bool(index.query(minima)))
        if not found[-1]:
            index.insert(place, minima)
    return found


def with_rensa(texts: list[str]) -> list[bool]:
    from rensa import RMinHashDeduplicator

    count, _ = bands(THRESHOLD, PERMUTATIONS)
    index = RMinHashDeduplicator(THRESHOLD, PERMUTATIONS, True, count, 1)
    kept = index.add_pairs((str(place), list(shingles(text))) for place, text in enumerate(texts))
    return [not keep for keep in kept]


ROADS: dict[str, Road] = {"cloze": with_cloze, "datasketch": with_datasketch, "rensa": with_rensa}

if __name__ == "__main__":
    main()
