"""Text to token store: MB/s on two processes against `datasets.map`, and peak memory for a corpus ten times larger.

Both sides get the same tokenizer, start from sentences in an Arrow file and end with ids in an Arrow file; cleaning the
raw text comes before. The text is the reviews of the shared data, when they are at hand, else the generated sample.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import SHARED_DATA, Table, command, write_result

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus, CorpusWriter
from cloze.corpus.sample import write_sample
from cloze.progress import Silent
from cloze.recipe import CorpusSettings, StoreSettings, TokenizerSettings
from cloze.tokens.store import build_store
from cloze.tokens.tokenizer import train_tokenizer

PROCESSES = 2
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, help="use the first documents only (default: all)")
    parser.add_argument("--vocabulary-size", type=int, default=16_000)
    parser.add_argument("--copies", type=int, default=10, help="how many times larger the larger corpus is")
    parser.add_argument("--write", action="store_true", help="keep the tables in benchmarks/results/data.md")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # two processes of one thread each, on both sides
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, source = make_corpus(folder, options.documents)
        settings = TokenizerSettings(vocabulary_size=options.vocabulary_size)
        train_tokenizer(corpus, settings, folder / "tokenizer", Silent())
        speed = measure_speed(corpus, folder)
        memory = measure_memory(corpus, folder, options.copies)
    tables = f"{speed}\n\n{memory}"
    notes = (
        f"Text: {source}; WordPiece with {options.vocabulary_size:,} entries; {PROCESSES} processes; best of {ROUNDS} "
        "rounds, the roads taking turns; MB are 10^6 bytes of UTF-8. Memory is what a process has to itself (USS): for "
        "the writing process what it needs more than before, for a worker all of it."
    )
    print(f"{tables}\n\n{notes}")
    if options.write:
        packages = ("tokenizers", "pyarrow", "numpy", "datasets", "transformers")
        print(write_result("data", tables, command(), packages=packages, notes=notes))


def make_corpus(folder: Path, max_documents: int | None) -> tuple[Corpus, str]:
    """The corpus stage's output for the reviews or the sample, and what it is in words."""
    reviews = SHARED_DATA / "corpus" / "reviews.txt.gz"
    source = reviews if reviews.exists() else write_sample(folder / "sample")["articles"]
    settings = CorpusSettings(sources=[source], max_documents=max_documents, validation_frac=0.0)
    (folder / "corpus").mkdir()
    build_corpus(settings, folder, folder / "corpus", Silent())
    return Corpus(folder / "corpus"), source.name


def measure_speed(corpus: Corpus, folder: Path) -> Table:
    """Best time of each road; they take turns, so that a busy moment of the machine hits all of them."""
    sentences = list(corpus.sentences("train"))
    megabytes = sum(len(sentence.encode()) for sentence in sentences) / 1e6
    roads: dict[str, Callable[[], int]] = {"cloze": lambda: run_cloze(corpus, folder)}
    roads |= datasets_roads(sentences, folder)
    del sentences
    best = dict.fromkeys(roads, float("inf"))
    tokens: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name, road in roads.items():
            started_at = time.perf_counter()
            tokens[name] = road()
            best[name] = min(best[name], time.perf_counter() - started_at)
    assert len(set(tokens.values())) == 1, f"the roads gave different numbers of tokens: {tokens}"
    slowest = max(best.values())
    table = Table(["text to ids on disk", "seconds", "MB/s", "tokens/s", "times"])
    for name, elapsed_s in best.items():
        speed = [f"{elapsed_s:.1f}", f"{megabytes / elapsed_s:.1f}", f"{tokens[name] / elapsed_s:,.0f}"]
        table.rows.append([name, *speed, f"{slowest / elapsed_s:.1f}"])
    return table


def run_cloze(corpus: Corpus, folder: Path) -> int:
    """The store stage; tokens written."""
    settings = StoreSettings(processes=PROCESSES)
    (folder / "store").mkdir(exist_ok=True)
    counts = build_store(corpus, folder / "tokenizer", settings, folder / "store", Silent())
    return int(counts["train"]["tokens"])


def datasets_roads(sentences: list[str], folder: Path) -> dict[str, Callable[[], int]]:
    """`datasets.map` in batches with the Transformers tokenizer, and with the bare one of the tokenizers library."""
    import datasets
    import tokenizers
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"text": sentences}).save_to_disk(folder / "sentences")
    dataset = datasets.load_from_disk(folder / "sentences")
    transformers_tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    bare = tokenizers.Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))

    def with_transformers(batch: dict[str, list[str]]) -> dict[str, Any]:
        encoded = transformers_tokenizer(
            batch["text"], add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False
        )
        return {"input_ids": encoded["input_ids"]}

    def with_bare(batch: dict[str, list[str]]) -> dict[str, Any]:
        return {"input_ids": [row.ids for row in bare.encode_batch_fast(batch["text"], add_special_tokens=False)]}

    features = datasets.Features({"input_ids": datasets.Sequence(datasets.Value("uint16"))})

    def road(function: Callable[[dict[str, list[str]]], dict[str, Any]]) -> int:
        mapped = dataset.map(
            function,
            batched=True,
            num_proc=PROCESSES,
            remove_columns=["text"],
            features=features,
            load_from_cache_file=False,
        )
        return sum(len(chunk.values) for chunk in mapped.data.column("input_ids").chunks)

    return {
        "datasets.map, transformers": lambda: road(with_transformers),
        "datasets.map, tokenizers": lambda: road(with_bare),
    }


def measure_memory(corpus: Corpus, folder: Path, copies: int) -> Table:
    """Peak memory of the store stage for the corpus, and for as many copies of it in one."""
    larger = Corpus(folder / "larger")
    larger.folder.mkdir()
    with CorpusWriter(larger.folder, "train") as writer, CorpusWriter(larger.folder, "validation"):
        for _ in range(copies):
            for document in corpus.documents("train"):
                writer.write(document)
    table = Table(["peak memory of the store stage, MiB", "writing process", "largest worker", "together"])
    for name, measured in (("the corpus", corpus), (f"{copies} times the corpus", larger)):
        with peak_memory() as peak:
            run_cloze(measured, folder)
        table.rows.append([name, *(f"{peak[key] / 2**20:,.0f}" for key in ("parent", "worker", "all"))])
    return table


@contextlib.contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """Peaks in bytes, sampled every 20 ms: this process (more than at the start), its largest worker, all together."""
    peak = {"parent": 0, "worker": 0, "all": 0}
    at_start = own_bytes("self")
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            workers = [own_bytes(child.pid) for child in multiprocessing.active_children()]
            parent = own_bytes("self") - at_start
            now = {"parent": parent, "worker": max(workers, default=0), "all": parent + sum(workers)}
            peak.update({key: max(peak[key], value) for key, value in now.items()})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def own_bytes(process: int | str | None) -> int:
    """Memory of a process that no other process shares; mapped files count only where it wrote to them. Linux."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (OSError, ProcessLookupError):  # it has ended meanwhile
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty"))


if __name__ == "__main__":
    main()
