"""A corpus stage for tests to kill: python killed.py FOLDER PROCESSES builds FOLDER/a.txt into FOLDER/corpus."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

from cloze.corpus import shards
from cloze.corpus.build import build_corpus
from cloze.progress import Silent
from cloze.recipe import CorpusSettings

SHARD_CHARACTERS = 30_000


def text(documents: int, sentences: int = 8) -> str:
    """Different documents of a few hundred characters; the first ones are the same for any number."""
    draws = random.Random(1)
    words = ["한국", "영화", "를", "보고", "나서", "아주", "오래", "생각했다", "그리고"]
    return "\n\n".join(
        "\n".join(f"{number}번 {' '.join(draws.choices(words, k=9))}." for _ in range(sentences))
        for number in range(documents)
    )


def settings(processes: int) -> CorpusSettings:
    """As the test and the process that it kills both use them."""
    return CorpusSettings(sources=[Path("a.txt")], validation_frac=0.1, processes=processes)


if __name__ == "__main__":
    # A shell that starts the tests in the background has them, and so this process, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    shards.SHARD_CHARACTERS = SHARD_CHARACTERS
    folder = Path(sys.argv[1])
    (folder / "corpus").mkdir(exist_ok=True)
    build_corpus(settings(int(sys.argv[2])), folder, folder / "corpus", Silent())
