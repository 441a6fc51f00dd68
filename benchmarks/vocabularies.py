"""Three kinds of tokenizer on Korean text: what they don't know, tokens a character, seconds and memory to train.

    python benchmarks/vocabularies.py [--write]

The default recipe's settings (16,000 entries) on the shared data's film reviews and manuals, a process each, one
thread. Quality is measured on the validation split, which training does not see.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from common import SHARED_DATA, Table, command, write_result

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.progress import Silent
from cloze.recipe import CorpusSettings, TokenizerSettings
from cloze.report.wording import compact, decimal, percent
from cloze.tokens.quality import quality
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

SOURCES = {"film reviews": "reviews.txt.gz", "manuals": "techdocs.txt.gz"}
UNIGRAM_CHARACTERS = 3_000_000
"""Unigram's sample, at most: 10 million of the reviews take more than seven minutes of half a core."""


@dataclass(frozen=True)
class Measured:
    """One kind on one corpus."""

    counts: dict[str, Any]
    quality: dict[str, Any]
    elapsed_s: float
    bytes_more: int
    """What the process holds at most, less what it held before training."""


def most_memory_bytes() -> int:
    """What this process has held at most. `ru_maxrss` would count the process that started it, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def measure(folder: Path, kind: Literal["wordpiece", "byte-bpe", "unigram"]) -> Measured:
    """Train one kind on the corpus in `folder`."""
    corpus, settings = Corpus(folder), TokenizerSettings(kind=kind)
    if kind == "unigram":
        settings = TokenizerSettings(kind=kind, sample_characters=UNIGRAM_CHARACTERS)
    before = psutil.Process().memory_info().rss
    began_s = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        counts = train_tokenizer(corpus, settings, Path(name), Silent())
        elapsed_s = time.process_time() - began_s
        most = most_memory_bytes()
        found = quality(Tokenizer.load(Path(name)), corpus)
    return Measured(counts, found["validation"], elapsed_s, most - before)


def main() -> None:
    """Print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument("--write", action="store_true", help="keep the table as benchmarks/results/vocabularies.md")
    arguments = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = "1"
    columns = ["text", "kind", "characters", "unknown tokens, %", "tokens a word", "tokens a character"]
    table = Table([*columns, "seconds", "memory, MB"])
    for text, source in SOURCES.items():
        with tempfile.TemporaryDirectory() as name:
            build_corpus(CorpusSettings(sources=[Path("corpus") / source]), arguments.data, Path(name), Silent())
            for kind in ("wordpiece", "byte-bpe", "unigram"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    table.rows.append(row(text, kind, pool.apply(measure, (Path(name), kind))))
                print(table.rows[-1], flush=True)
    if arguments.write:
        notes = (
            "16,000 entries, the default settings (Unigram learns from 3 million characters at most); quality on the "
            "validation split, at most two million characters of it. One thread; seconds are the processor's, memory "
            "is what the process holds at most, less what it held before. MB are 10^6 bytes."
        )
        print(write_result("vocabularies", table, command(), packages=("tokenizers", "numpy"), notes=notes))


def row(text: str, kind: str, measured: Measured) -> list[str]:
    """The table's row of one kind on one corpus."""
    found = measured.quality
    return [
        *(text, f"`{kind}`", compact(measured.counts["sample"]["characters"]), percent(found["unknown_share"], 3)),
        *(decimal(found["tokens_per_word"], 2), decimal(found["tokens_per_character"])),
        *(f"{measured.elapsed_s:.0f}", f"{measured.bytes_more / 1e6:.0f}"),
    ]


if __name__ == "__main__":
    main()
