"""What counting letters gives: character n-grams and a logistic regression on NSMC, the line an encoder must beat.

    python benchmarks/ngrams.py [--write]

scikit-learn as its pages show it: TF-IDF of all sequences of one to five letters within words that stand in two texts
or more, and the regression, on the files that the encoders learn from. How strongly weights are held back, and whether
a sequence that stands in a text twice counts twice, is chosen on a tenth of the training reviews; then all of them are
learned from, and the test is scored once. Seconds are the processor's, of one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import SHARED_DATA, Table, command, write_result
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from cloze.report.wording import percent, whole
from cloze.tasks.datasets import read_table
from cloze.tasks.intervals import bootstrap, mean

LONGEST, MIN_TEXTS, ITERATIONS = 5, 2, 1_000
"""Letters of the longest sequence; texts that it must stand in; steps of the regression, at most."""
HELD_OUT = 0.1
"""Share of the training reviews that choose."""
CHOICES = [(logarithmic, strength) for logarithmic in (False, True) for strength in (1.0, 3.0, 10.0)]
"""Whether counts within a text are taken as logarithms, and the inverse strength of the regularisation."""


class Classifier:
    """TF-IDF and the regression, learned from `texts`."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str], logarithmic: bool, strength: float) -> None:
        self.vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(1, LONGEST), min_df=MIN_TEXTS, sublinear_tf=logarithmic
        )
        self.model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        self.model.fit(self.vectorizer.fit_transform(texts), labels)

    def right(self, texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.float64]:
        """[texts]: 1 where the class said is the label."""
        said = self.model.predict(self.vectorizer.transform(texts))
        return np.asarray(said == np.asarray(labels), dtype=np.float64)


def main() -> None:
    """Print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument("--write", action="store_true", help="keep the table as benchmarks/results/ngrams.md")
    arguments = parser.parse_args()
    files = (arguments.data / "nsmc" / f"ratings_{part}.txt" for part in ("train", "test"))
    train, test = (read_table(path, "document", "label") for path in files)
    first = int(HELD_OUT * len(train.texts))  # the file is in no order
    table = Table(["counts in a text", "C", "held-out accuracy, %", "test accuracy, %", "95% interval", "seconds"])
    held_out: dict[tuple[bool, float], float] = {}
    for choice in CHOICES:
        began_s = time.process_time()
        right = Classifier(train.texts[first:], train.labels[first:], *choice).right(
            train.texts[:first], train.labels[:first]
        )
        held_out[choice] = float(right.mean())
        seconds = f"{time.process_time() - began_s:.0f}"
        table.rows.append([*shown(choice), percent(held_out[choice]), "", "", seconds])
        print(table.rows[-1])
    chosen = max(CHOICES, key=held_out.__getitem__)
    began_s = time.process_time()
    classifier = Classifier(train.texts, train.labels, *chosen)
    learned_s = time.process_time() - began_s
    right = classifier.right(test.texts, test.labels)
    scored = bootstrap(right, mean)
    assert scored is not None  # accuracy exists for every resample
    ends = f"{percent(scored['low'])} - {percent(scored['high'])}"
    table.rows.append([*shown(chosen), "", percent(float(right.mean())), ends, f"{learned_s:.0f}"])
    print(table)
    if arguments.write:
        sequences, texts = whole(len(classifier.vectorizer.vocabulary_)), whole(len(train.texts))
        notes = (
            f"{sequences} sequences of 1 to {LONGEST} letters within words (`char_wb`), each in {MIN_TEXTS} texts or "
            f"more; logistic regression of at most {whole(ITERATIONS)} steps. {texts} reviews to learn from, of which "
            f"{whole(first)} choose, and {whole(len(test.texts))} to test, on this project's split. The last row "
            "learns from all. The interval is a percentile bootstrap over the test's reviews; seconds are the "
            "processor's."
        )
        print(write_result("ngrams", table, command(), packages=("scikit-learn", "numpy"), notes=notes))


def shown(choice: tuple[bool, float]) -> list[str]:
    """The first two cells of a row."""
    logarithmic, strength = choice
    return ["logarithms" if logarithmic else "as they are", f"{strength:g}"]


if __name__ == "__main__":
    main()
