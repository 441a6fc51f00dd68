"""Rows of pairs against rows of sentences, both corpora of studies/input-formats.yaml together.

    python benchmarks/formats_together.py [--write]

It trains nothing: it reads studies/results/input-formats.csv. An observation is a corpus and a pretraining seed: the
mean of the two formats with pairs, minus the mean of the two without. The study compares formats one by one; this
test was thought of after its results had been seen, so its p is smaller than it should be. `--write` keeps the table as
studies/results/input-formats-together.md.
"""

from __future__ import annotations

import argparse
import csv
import statistics

from common import RESULTS, Table, command, write_result

from cloze.study.statistics import difference, holm

STUDIES = RESULTS.parents[1] / "studies" / "results"
PAIRS, SENTENCES = ("segment-pair", "sentence-pair"), ("full-sentences", "doc-sentences")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the table in studies/results")
    write = parser.parse_args().write
    scores = _scores()
    tasks = list(dict.fromkeys(task for task, *_ in scores))
    places = sorted({(corpus, seed) for _, corpus, _, seed in scores})
    means = {
        task: [
            [statistics.fmean(scores[task, corpus, one, seed] for one in formats) for corpus, seed in places]
            for formats in (PAIRS, SENTENCES)
        ]
        for task in tasks
    }
    found = {task: difference(*both) for task, both in means.items()}
    corrected = holm({task: one.p for task, one in found.items() if one.p is not None})
    table = Table(["task", "pairs", "sentences", "difference", "p", "p, corrected"])
    for task, one in found.items():
        with_pairs, without = (f"{100 * statistics.fmean(side):.2f}" for side in means[task])
        p = "" if one.p is None else f"{one.p:.5f}"
        row = [task, with_pairs, without, f"{100 * one.mean:+.2f}", p, f"{corrected[task]:.5f}"]
        table.rows.append(row)
    print(table)
    if write:
        notes = (
            f"From input-formats.csv, {len(places)} pairs of (corpus, pretraining seed); paired t-test, two-sided, "
            "corrected for the five tasks (Holm 1979). Thought of after the results had been seen. Points of per cent."
        )
        print(
            write_result("input-formats-together", table, command(), packages=("scipy",), notes=notes, folder=STUDIES)
        )


def _scores() -> dict[tuple[str, str, str, str], float]:
    """(task, corpus, format, pretraining seed) -> the headline of the test, which is the first of its measures."""
    found: dict[tuple[str, str, str, str], float] = {}
    with (STUDIES / "input-formats.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                corpus, form = row["variant"].split(", ")
                found.setdefault((row["task"], corpus, form, row["pretraining_seed"]), float(row["value"]))
    return found


if __name__ == "__main__":
    main()
