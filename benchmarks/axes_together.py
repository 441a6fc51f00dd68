"""Each axis of a study of two axes over all values of the other together: studies/tokenizer.yaml, for example.

    python benchmarks/axes_together.py tokenizer [--afterwards] [--write]

It trains nothing: it reads studies/results/NAME.csv, of a study whose cells were each pretrained anew. A pair is a
value of the other axis and a seed (fine-tunings averaged), as in the tests that a study's page has since of its axes
together; beside them stand intervals, how many pairs are above and below, and how far seeds lie apart. `--afterwards`
says that this was thought of when the results had been seen. `--write` keeps the table as
studies/results/NAME-together.md.
"""

from __future__ import annotations

import argparse
import csv
import statistics

from common import RESULTS, Table, command, write_result

from cloze.study.statistics import Difference, difference, estimate, holm

STUDIES = RESULTS.parents[1] / "studies" / "results"
Cell = tuple[tuple[str, str], str]
"""The values of both axes and the seed of pretraining."""


def read_scores(name: str) -> dict[str, dict[Cell, dict[str, float]]]:
    """Task -> cell -> seed of fine-tuning -> the headline of the test, the first of its measures."""
    found: dict[str, dict[Cell, dict[str, float]]] = {}
    with (STUDIES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                first, _, second = row["variant"].partition(", ")
                cell = ((first, second), row["pretraining_seed"])
                runs = found.setdefault(row["task"], {}).setdefault(cell, {})
                runs.setdefault(row["finetuning_seed"], float(row["value"]))
    return found


def spreads(task: str, cells: dict[Cell, dict[str, float]]) -> str:
    """How far fine-tunings of one model lie apart, and pretrainings of one variant; how the first seed does."""
    variants: dict[tuple[str, str], list[float]] = {}
    for (names, _), runs in cells.items():
        variants.setdefault(names, []).append(statistics.fmean(runs.values()))
    within = statistics.fmean(statistics.variance(runs.values()) for runs in cells.values()) ** 0.5
    between = statistics.fmean(map(statistics.variance, variants.values())) ** 0.5
    above = [next(iter(runs.values())) - statistics.fmean(runs.values()) for runs in cells.values()]
    return (
        f"{task}: standard deviation over fine-tunings of one pretrained model {100 * within:.2f}, of their means over "
        f"pretrainings of one variant {100 * between:.2f}; the first fine-tuning seed is above its model's mean in "
        f"{sum(one > 0 for one in above)} of {len(above)} cells ({100 * min(above):+.2f} to {100 * max(above):+.2f})."
    )


def compared(scores: dict[Cell, float], axis: int) -> dict[tuple[str, str], tuple[Difference, list[float]]]:
    """(value, the axis's first) -> their difference and the pairs' own, over all cells that differ in nothing else."""
    values = list(dict.fromkeys(cell[0][axis] for cell in scores))
    found = {}
    for value in values[1:]:
        pairs = []
        for (names, seed), score in scores.items():
            if names[axis] == value:
                base = (values[0], names[1]) if axis == 0 else (names[0], values[0])
                pairs.append((score, scores[base, seed]))
        ours, theirs = zip(*pairs, strict=True)
        found[value, values[0]] = (difference(ours, theirs), [a - b for a, b in pairs])
    return found


def main() -> None:
    """Print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="name of a study of two axes whose runs are in studies/results/NAME.csv")
    parser.add_argument("--afterwards", action="store_true", help="say that the results had been seen")
    parser.add_argument("--write", action="store_true", help="keep the table in studies/results")
    arguments = parser.parse_args()
    scores = read_scores(arguments.study)
    means = {
        task: {cell: statistics.fmean(runs.values()) for cell, runs in cells.items()} for task, cells in scores.items()
    }
    found = {
        (task, *names): one
        for task, cells in means.items()
        for axis in (0, 1)
        for names, one in compared(cells, axis).items()
    }
    several = {task: cells for task, cells in scores.items() if all(len(runs) > 1 for runs in cells.values())}
    luck = "\n\n".join(spreads(task, cells) for task, cells in several.items())
    corrected = holm({" ".join(key): one.p for key, (one, _) in found.items() if one.p is not None})
    table = Table(["task", "", "against", "pairs", "difference", "95% interval", "above, below", "p", "p, corrected"])
    for key, (one, pairs) in found.items():
        ends = estimate(pairs)
        low, high = (f"{100 * (end or 0.0):+.2f}" for end in (ends.low, ends.high))
        sides = f"{sum(pair > 0 for pair in pairs)}, {sum(pair < 0 for pair in pairs)}"
        p = ["", ""] if one.p is None else [f"{one.p:.4f}", f"{corrected[' '.join(key)]:.4f}"]
        table.rows.append([*key, f"{len(pairs)}", f"{100 * one.mean:+.2f}", f"{low} to {high}", sides, *p])
    print(f"{table}\n\n{luck}" if luck else table)
    if arguments.write:
        when = " Thought of after the results had been seen." if arguments.afterwards else ""
        notes = (
            f"From {arguments.study}.csv; a pair is a value of the other axis and a seed of pretraining. Paired "
            f"t-test, two-sided, corrected for the {len(corrected)} of this table (Holm 1979). Points of per "
            f"cent.{when}" + (f"\n\nPoints, roots of mean variances. {luck}" if luck else "")
        )
        name = f"{arguments.study}-together"
        print(write_result(name, table, command(), packages=("scipy",), notes=notes, folder=STUDIES))


if __name__ == "__main__":
    main()
