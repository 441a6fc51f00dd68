"""Exact match and F1 of answers, by the rules of the official scripts.

squad: lower case, no ASCII punctuation, no English articles, one space between words; F1 over words (Rajpurkar et al.
2016, arXiv:1606.05250, section 6.1; evaluate-v1.1). Where a file has questions without an answer, evaluate-v2.0's:
their right answer is the empty one, and two empty answers agree.

korquad: brackets and quotation marks become spaces, then lower case and no ASCII punctuation; F1 over characters, white
space aside (Lim et al. 2019, arXiv:1909.07005; evaluate-v1.0), because 세종대왕이 holds the whole of 세종대왕.

klue: lower case and no ASCII punctuation, so brackets of other kinds stay; F1 over characters, and ROUGE-W, which here
is the F1 of the longest run of characters that both have in common, spaces too (Park et al. 2021, arXiv:2105.09680,
KLUE-MRC; KLUE-baseline, metrics/utils.py).

A question with several right answers counts by the one that agrees best.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

import numpy as np

Rules = Literal["squad", "korquad", "klue"]
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARKS = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))


def normalised(text: str, rules: Rules) -> str:
    """What two answers must have in common to be an exact match."""
    if rules == "korquad":
        text = text.translate(_MARKS)
    text = text.lower().translate(_PUNCTUATION)
    if rules == "squad":
        text = _ARTICLES.sub(" ", text)
    return " ".join(text.split())


def f1(given: str, wanted: str, rules: Rules, *, empty_agrees: bool = False) -> float:
    """Harmonic mean of precision and recall of words or characters, repeated ones counted.

    `empty_agrees`: an answer without any is right about another one such, as evaluate-v2.0 has it; else it is wrong.
    """
    sides = [normalised(text, rules) for text in (given, wanted)]
    pieces = [text.split() if rules == "squad" else list(text.replace(" ", "")) for text in sides]
    if empty_agrees and not all(pieces):
        return float(pieces[0] == pieces[1])
    common = (Counter(pieces[0]) & Counter(pieces[1])).total()
    return harmonic_mean(common / len(pieces[0]), common / len(pieces[1])) if common else 0.0


def harmonic_mean(precision: float, recall: float) -> float:
    """As the scripts have it: 2 x common / (given + wanted) would differ from theirs in the last bit."""
    return 2 * precision * recall / (precision + recall)


def rouge_w(given: str, wanted: str) -> float:
    """Harmonic mean of the shares of both answers that their longest common run of characters is."""
    given, wanted = normalised(given, "klue"), normalised(wanted, "klue")
    if not given or not wanted:
        return float(given == wanted)
    # The matcher as KLUE's script calls it: from 200 characters on, it ignores those that are frequent.
    common = SequenceMatcher(None, given, wanted).find_longest_match().size
    return harmonic_mean(common / len(given), common / len(wanted)) if common else 0.0


def answer_scores(given: Sequence[str], wanted: Sequence[Sequence[str]], rules: Rules) -> dict[str, Any]:
    """Mean exact match and F1 over questions; `wanted` has all right answers of each, none for one without an answer.

    `per_example`: F1 of each question. `parts`: the means for questions with and without an answer, if there are any of
    the latter. By the rules of KLUE there is `rouge_w`, too.
    """
    impossible = np.array([not answers for answers in wanted], dtype=np.bool_)
    with_empty = bool(impossible.any())
    names = ("exact_match", "f1", "rouge_w") if rules == "klue" else ("exact_match", "f1")
    scores = np.zeros((len(given), len(names)))
    for place, (answer, answers) in enumerate(zip(given, wanted, strict=True)):
        known = [text for text in answers if normalised(text, rules)] or [""] if with_empty else answers
        exact = max(normalised(answer, rules) == normalised(text, rules) for text in known)
        scores[place, :2] = exact, max(f1(answer, text, rules, empty_agrees=with_empty) for text in known)
        if rules == "klue":
            scores[place, 2] = max(rouge_w(answer, text) for text in known)
    parts = {"with an answer": ~impossible, "without an answer": impossible} if with_empty else {}
    return {
        **_means(scores, names),
        "per_example": scores[:, 1],
        "parts": {
            name: {**_means(scores[of], names), "count": int(of.sum())} for name, of in parts.items() if of.any()
        },
    }


def _means(scores: Any, names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, scores.mean(axis=0).tolist(), strict=True))
