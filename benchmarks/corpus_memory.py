"""Dump to token store on a generated dump of any size: peak memory, MB/s, and how busy the cores are.

The dump has Namuwiki's form. An article is put together from sections of four articles of the built-in sample, drawn at
random, and a line with its number, so that no two are equal; it is written as a stream. Each stage runs in a process of
its own. Memory is the peak of the resident set (VmHWM): of the process that reads and writes, and of its largest
worker. Busy is the CPU time of all of them, as a share of the time that the cores had.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from common import Table, command, write_result

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.corpus.sample.articles import article
from cloze.corpus.sample.world import make_world
from cloze.progress import Silent
from cloze.recipe import CorpusSettings, StoreSettings, TokenizerSettings
from cloze.tokens.quality import quality
from cloze.tokens.store import build_store
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer
from cloze.workers import available_cores

SAMPLE_ARTICLES = 1_000
ARTICLES_IN_ONE = 4
VOCABULARY = 8_000
"""As much as the generated text gives."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=5_000)
    parser.add_argument("--processes", type=int, default=0, help="workers; 0: one for each core")
    parser.add_argument("--sample-characters", type=int, default=50_000_000, help="for the tokenizer")
    parser.add_argument("--folder", type=Path, help="where dump and stages go (default: a temporary folder)")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/corpus_memory.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        size = write_dump(folder / "dump.json", options.megabytes * 1_000_000)
        table = Table(["stage", "seconds", "MB/s of the dump", "busy", "peak MiB, first process", "largest worker"])
        everything_s = cpu_s = 0.0
        cores = available_cores()
        for title, stage in STAGES.items():
            elapsed_s, used_s, own, workers = measure(stage, folder, options.processes, options.sample_characters)
            everything_s, cpu_s = everything_s + elapsed_s, cpu_s + used_s
            table.rows.append(row(title, size, elapsed_s, used_s, cores, own, workers))
            print(table.rows[-1], flush=True)
        table.rows.append(row("dump to store", size, everything_s, cpu_s, cores))
        kept = Corpus(folder / "corpus").batches("train")
    notes = (
        f"Dump: {size / 1e6:,.0f} MB, generated; {kept:,} record batches of training text. Workers: "
        f"{options.processes or cores}. Tokenizer: WordPiece, {VOCABULARY:,} entries, on at most "
        f"{options.sample_characters:,} characters."
    )
    print(f"\n{table}\n\n{notes}")
    if options.write:
        print(write_result("corpus_memory", table, command(), packages=("pyarrow", "tokenizers"), notes=notes))


def write_dump(path: Path, size: int) -> int:
    """Write a dump of about `size` bytes; returns how many there are."""
    written = 0
    with path.open("wb") as file:
        for number, text in enumerate(articles()):
            record = {"namespace": "0", "title": f"문서 {number}", "text": text, "contributors": ["user1"]}
            line = json.dumps(record, ensure_ascii=False).encode()
            written += file.write((b"[" if number == 0 else b",") + line)
            if written >= size:
                break
        written += file.write(b"]")
    return written


def articles() -> Iterator[str]:
    """Markup of articles without end, no two of them equal."""
    world = make_world(1, SAMPLE_ARTICLES)
    whole = (article(1, index, subject, world) for index, subject in enumerate(world.subjects))
    sections = [section for text in whole for section in text.split("\n== ")]
    draws, number = random.Random(1), 0
    while True:
        number += 1
        chosen = draws.choices(sections, k=5 * ARTICLES_IN_ONE)
        yield "\n== ".join([f"이 문서는 {number}번째 문서이다.", *chosen])


def row(
    title: str, size: int, elapsed_s: float, cpu_s: float, cores: int, own: int | None = None, workers: int = 0
) -> list[str]:
    """A line of the table."""
    busy = cpu_s / elapsed_s / cores
    peaks = ["" if own is None else f"{own:,}", f"{workers:,}" if workers else ""]
    return [title, f"{elapsed_s:.1f}", f"{size / 1e6 / elapsed_s:.1f}", f"{busy:.0%}", *peaks]


def make_corpus(folder: Path, processes: int, sample_characters: int) -> None:
    """The corpus stage."""
    settings = CorpusSettings(sources=[Path("dump.json")], processes=processes)
    build_corpus(settings, folder, folder / "corpus", Silent())


def make_tokenizer(folder: Path, processes: int, sample_characters: int) -> None:
    """The tokenizer stage, with its report on the tokenizer's quality."""
    corpus = Corpus(folder / "corpus")
    settings = TokenizerSettings(vocabulary_size=VOCABULARY, sample_characters=sample_characters)
    train_tokenizer(corpus, settings, folder / "tokenizer", Silent())
    quality(Tokenizer.load(folder / "tokenizer"), corpus)


def make_store(folder: Path, processes: int, sample_characters: int) -> None:
    """The store stage."""
    settings = StoreSettings(processes=processes)
    build_store(Corpus(folder / "corpus"), folder / "tokenizer", settings, folder / "store", Silent())


Stage = Callable[[Path, int, int], None]
STAGES: dict[str, Stage] = {"corpus": make_corpus, "tokenizer": make_tokenizer, "store": make_store}


def measure(stage: Stage, folder: Path, processes: int, sample_characters: int) -> tuple[float, float, int, int]:
    """Seconds, CPU seconds, and peak MiB of the stage's process and of its largest worker."""
    (folder / stage.__name__.removeprefix("make_")).mkdir()
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_timed, args=(theirs, stage, folder, processes, sample_characters))
    process.start()
    own = workers = 0
    while not mine.poll(0.1):
        assert process.is_alive(), f"{stage.__name__} died"
        assert process.pid is not None
        own = max(own, peak_mib(process.pid))
        workers = max([workers, *map(peak_mib, children(process.pid))])
    elapsed_s, cpu_s = mine.recv()
    process.join()
    return elapsed_s, cpu_s, own, workers


def _timed(result: Connection, stage: Stage, folder: Path, processes: int, sample_characters: int) -> None:
    before, started_at = os.times(), time.perf_counter()
    stage(folder, processes, sample_characters)
    used = os.times()
    result.send((time.perf_counter() - started_at, sum(used[:4]) - sum(before[:4])))


def children(pid: int) -> list[int]:
    """Processes that this one started."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def peak_mib(pid: int) -> int:
    """Peak of the resident set; 0 for a process that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) // 1024 if found else 0


if __name__ == "__main__":
    main()
