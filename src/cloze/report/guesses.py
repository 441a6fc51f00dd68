"""How the model learned to fill gaps: the top guesses for the same sentences at several steps of pretraining."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloze.report.plots import Plot, guess_plot
from cloze.report.run import RunData, dig, number

SHOWN_STEPS = 8
"""Rows of a table; the curve beside it has every step."""
PLOTTED_SENTENCES = 12
"""Sentences that get a curve, so that the page stays small; all get a table."""


@dataclass(frozen=True)
class Guess:
    """One word for a gap."""

    token: str
    probability: float


@dataclass(frozen=True)
class Gap:
    """One gap of one sentence over the steps."""

    sentence: str
    place: int
    """0 is the sentence's first gap."""
    rows: list[tuple[int, list[Guess]]]
    """(step, guesses, best first) of the shown steps."""
    plot: Plot | None

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The sentence in (text, kind): kind is "here" for this gap, "gap" for the others, empty for text."""
        pieces = re.split(r"\[MASK\]|<mask>", self.sentence)
        marked = [(pieces[0], "")]
        for i, piece in enumerate(pieces[1:]):
            marked += [("MASK", "here" if i == self.place else "gap"), (piece, "")]
        return marked


def gaps(run: RunData) -> list[Gap]:
    """Every gap of every sentence in guesses.jsonl, in the file's order."""
    found: dict[tuple[str, int], dict[int, list[Guess]]] = {}
    for line in run.guesses:
        step, masks = number(line.get("step")), line.get("guesses")
        if step is not None and isinstance(masks, list):
            for place, mask in enumerate(masks):
                found.setdefault((str(line.get("sentence")), place), {})[int(step)] = _guesses(mask)
    sentences = list(dict.fromkeys(sentence for sentence, _ in found))
    plotted = set(sentences[:PLOTTED_SENTENCES])
    return [_gap(sentence, place, steps, sentence in plotted) for (sentence, place), steps in found.items()]


def spaced(values: Sequence[int], count: int) -> list[int]:
    """At most `count` of the values, closer together at the start, where learning is fast; first and last are in."""
    if len(values) <= count:
        return list(values)
    places = np.unique(np.geomspace(1, len(values), count).round().astype(int)) - 1
    return [values[place] for place in places]


def _gap(sentence: str, place: int, steps: dict[int, list[Guess]], plotted: bool) -> Gap:
    known = {step: guesses for step, guesses in sorted(steps.items()) if guesses}
    rows = [(step, known[step]) for step in spaced(list(known), SHOWN_STEPS)]
    if not plotted or len(known) < 2:
        return Gap(sentence, place, rows, None)
    by_step = [{guess.token: guess.probability for guess in guesses} for guesses in known.values()]
    title = f"Best guesses for gap {place + 1} of: {sentence}"
    return Gap(sentence, place, rows, guess_plot(title, list(known), by_step))


def _guesses(mask: object) -> list[Guess]:
    found = mask if isinstance(mask, list) else []
    pairs = [(dig(guess, "token"), number(dig(guess, "probability"))) for guess in found]
    guesses = [Guess(str(token), probability) for token, probability in pairs if probability is not None]
    return sorted(guesses, key=lambda guess: -guess.probability)
