"""Pieces of a Unigram model (Kudo 2018, arXiv:1804.10959), fitted by the `tokenizers` library and made repeatable.

The library begins with all frequent substrings, fits their probabilities by expectation maximisation and drops those
whose loss hurts least, until few enough are left. It adds floating-point numbers up in the order of a hash table that
is seeded anew in every process, and gives characters that the fit has dropped scores in such an order too. So scores
differ from process to process: by some 1e-14, and by up to 1e-4 times the number of characters.

Here scores are rounded to 1e-4 nats, dropped characters share one score, and entries are numbered by score, then by
code point. What remains: two pieces whose losses are equal but for the last bits could change places at the border
of the vocabulary. Trained again and again, on 4 real texts and a generated one, none did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

_DECIMALS = 4
_STEP = 1e-4
"""Between the scores that the library gives to characters that the fit has dropped. Unit: nats."""


def fit_pieces(lines: Iterable[str], singles: list[str], size: int) -> list[tuple[str, float]]:
    """At most `size` pieces with their scores (log probabilities, in nats), from the likeliest to the least likely.

    lines: the words, between spaces, each as often as it occurs. singles: all characters of the words; each one is a
    piece, so that every word can be written.
    """
    trainer = trainers.UnigramTrainer(vocab_size=size, initial_alphabet=singles, show_progress=False)
    library = tokenizers.Tokenizer(models.Unigram())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    library.train_from_iterator(lines, trainer)
    scores: dict[str, float] = dict(json.loads(library.to_str())["model"]["vocab"])
    least = min(scores.values())
    # Characters that the fit has dropped have this score and the next ones above it, in the order of a hash table.
    border = least + (len(singles) + 0.5) * _STEP
    pieces = [
        (piece, round(least if len(piece) == 1 and score < border else score, _DECIMALS))
        for piece, score in scores.items()
    ]
    return sorted(pieces, key=lambda piece: (-piece[1], piece[0]))
