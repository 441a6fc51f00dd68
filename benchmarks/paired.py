"""Classifiers on the same labelled texts, one after another: is the first better than each of the others?

    python benchmarks/paired.py runs/nsmc-record/tasks/student/model runs/nsmc-record/tasks/nsmc/model \\
        runs/nsmc-record/tasks/nsmc/models/seed-2 runs/nsmc-record/tasks/nsmc/models/seed-3 --test nsmc/ratings_test.txt

An exact McNemar test counts the texts on which one of two is right and the other is not. The p of the single others are
corrected by Holm's method; the last row is the others together, by the mean of their probabilities.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from common import SHARED_DATA, Table, command, write_result
from numpy.typing import NDArray
from scipy.stats import binomtest

import cloze
from cloze.study.statistics import holm
from cloze.tasks.datasets import Examples, read_table


def probabilities(folder: Path, examples: Examples, classes: list[str]) -> NDArray[np.float64]:
    """[texts, classes]: what the classifier in `folder` says."""
    said = cloze.load(folder).predict(examples.texts)
    return np.array([[one.probabilities[name] for name in classes] for one in said])


def compared(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Texts that only the first has right, that only the second has, and p."""
    first, second = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return first, second, float(binomtest(first, first + second).pvalue) if first + second else 1.0


def main() -> None:
    """Print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", help="folders of classifiers; the first is compared")
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument(
        "--test", type=Path, required=True, help="labelled file in NSMC's format, below the data folder"
    )
    parser.add_argument("--write", metavar="NAME", help="keep the table as benchmarks/results/NAME.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    examples = read_table(arguments.data / arguments.test, "document", "label")
    classes = sorted(set(examples.labels))
    wanted = np.array([classes.index(label) for label in examples.labels])
    said = [probabilities(folder, examples, classes) for folder in arguments.models]
    right = [one.argmax(axis=1) == wanted for one in said]
    together = np.mean(said[1:], axis=0).argmax(axis=1) == wanted
    rows = {
        f"{folder}": compared(right[0], other) for folder, other in zip(arguments.models[1:], right[1:], strict=True)
    }
    corrected = holm({name: p for name, (_, _, p) in rows.items()})
    table = Table(["classifier", "accuracy, %", "only the first right", "only it right", "p", "p, corrected"])
    table.rows.append([f"{arguments.models[0]}, the first", f"{100 * right[0].mean():.2f}", "", "", "", ""])
    for (name, (first, second, p)), other in zip(rows.items(), right[1:], strict=True):
        table.rows.append(
            [name, f"{100 * other.mean():.2f}", f"{first}", f"{second}", f"{p:.4f}", f"{corrected[name]:.4f}"]
        )
    first, second, p = compared(right[0], together)
    table.rows.append(["the others together", f"{100 * together.mean():.2f}", f"{first}", f"{second}", f"{p:.4f}", ""])
    print(table)
    if arguments.write:
        print(write_result(arguments.write, table, command()))


if __name__ == "__main__":
    main()
