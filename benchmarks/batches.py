"""What the input stage costs: planning an epoch in each format, and making a batch of rows with each kind of mask.

    python benchmarks/batches.py [--write]

The text is the reviews of the shared data, else the generated sample, as tokens of the default WordPiece. Times are the
processor's, of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from common import Table, command, write_result
from data import make_corpus

from cloze.inputs.formats import plan
from cloze.inputs.rows import Rows
from cloze.progress import Silent
from cloze.recipe import InputSettings, MaskingSettings, StoreSettings, TokenizerSettings
from cloze.report.wording import decimal, whole
from cloze.tokens.store import Store, build_store
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

FORMATS = ("full-sentences", "doc-sentences", "segment-pair", "sentence-pair", "sentence-order")
UNITS = ("token", "word", "span", "ngram")
LENGTHS = (128, 512)
BATCH_TOKENS = 8_192
BATCHES, PLANS = 200, 5
"""Repetitions; the table has medians."""


def median_ms(work: Callable[[int], object], times: int) -> float:
    """Median milliseconds of the processor; `work` is told which time it is."""
    found = []
    for turn in range(times):
        began_s = time.process_time()
        work(turn)
        found.append(1e3 * (time.process_time() - began_s))
    return statistics.median(found)


def planning(store: Store) -> Table:
    """Milliseconds to plan an epoch, and its rows."""
    table = Table(["format", *(head for length in LENGTHS for head in (f"rows of {length}", "planned, ms"))])
    for name in FORMATS:
        cells: list[str] = []
        for length in LENGTHS:
            planned = partial(plan, store, InputSettings.model_validate({"format": name, "length": length}), 1)
            cells += [whole(planned(0).rows), decimal(median_ms(planned, PLANS), 0)]
        table.rows.append([name, *cells])
    return table


def batches(store: Store, tokenizer: Tokenizer) -> Table:
    """Milliseconds to make a batch."""
    table = Table(["masked", *(f"{BATCH_TOKENS // length} rows of {length}, ms" for length in LENGTHS)])
    for unit in UNITS:
        cells = []
        for length in LENGTHS:
            masking = MaskingSettings.model_validate({"unit": unit})
            rows = Rows(store, tokenizer, InputSettings(length=length), masking, seed=1, shuffle=True)
            number, size = rows.rows_in_epoch(0), BATCH_TOKENS // length

            def make(turn: int, rows: Rows = rows, number: int = number, size: int = size) -> object:
                return rows.batch(0, np.arange(turn * size, (turn + 1) * size) % number)

            cells.append(decimal(median_ms(make, BATCHES), 1))
        table.rows.append([unit, *cells])
    return table


def main() -> None:
    """Print the tables, and keep them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the tables as benchmarks/results/batches.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, source = make_corpus(folder, None)
        train_tokenizer(corpus, TokenizerSettings(), folder / "tokenizer", Silent())
        build_store(corpus, folder / "tokenizer", StoreSettings(), folder, Silent())
        tokenizer = Tokenizer.load(folder / "tokenizer")
        store = Store.open(folder, "train", tokenizer)
        sentences, tokens = len(store.sentence_offsets) - 1, int(store.sentence_offsets[-1])
        text = f"{planning(store)}\n\n{batches(store, tokenizer)}"
    print(text)
    if arguments.write:
        notes = (
            f"{source}: {whole(sentences)} sentences of {tokens / sentences:.1f} tokens in the mean (WordPiece, 16,000 "
            f"entries). Rows are full sentences where batches are made; 15% are masked. Medians of {PLANS} plans and "
            f"{BATCHES} batches; milliseconds of the processor, one thread."
        )
        print(write_result("batches", text, command(), packages=("numpy",), notes=notes))


if __name__ == "__main__":
    main()
