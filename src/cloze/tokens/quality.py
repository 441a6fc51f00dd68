"""How well a tokenizer fits a corpus: what it can't write, how many tokens it needs, what it cuts up.

Per-token numbers of two tokenizers can't be compared; tokens per word and per character can.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloze.corpus.corpus import SPLITS
from cloze.tokens.sample import choose_sample, count_chunks, sampled_documents

if TYPE_CHECKING:
    from cloze.corpus.corpus import Corpus
    from cloze.tokens.tokenizer import Tokenizer

SAMPLE_CHARACTERS = 2_000_000
"""Measured in each split, at most. Unit: characters."""

_LONGEST_SHOWN = 40


def quality(
    tokenizer: Tokenizer, corpus: Corpus, *, sample_characters: int = SAMPLE_CHARACTERS, examples: int = 10
) -> dict[str, Any]:
    """Measure both splits, each on a sample chosen by hash. JSON-ready, by split.

    A word is what stands between spaces. Shares run from 0 to 1; tokens_per_character counts spaces as characters.
    Examples as text, worst first: most_split_words, of those seen again, by count times tokens that continue a word, as
    "word (count): tokens"; unknown_words, by count, as "word (count)"; longest_words, by characters, cut to 40 of them.
    """
    return {split: _quality_of_split(tokenizer, corpus, split, sample_characters, examples) for split in SPLITS}


def _quality_of_split(
    tokenizer: Tokenizer, corpus: Corpus, split: str, sample_characters: int, examples: int
) -> dict[str, Any]:
    sample = choose_sample(corpus, split, sample_characters)
    counted: Counter[str] = Counter()
    sentences = 0
    for document in sampled_documents(corpus, split, sample):
        count_chunks(document, counted)
        sentences += len(document.sentences)
    del counted[""]
    words = sorted(counted)
    counts = np.array([counted[word] for word in words], dtype=np.int64)
    pieces = tokenizer.encode(words)
    lengths = np.array([len(ids) for ids in pieces], dtype=np.int64)
    continuing = np.array([np.count_nonzero(~tokenizer.word_starts[ids]) for ids in pieces], dtype=np.int64)
    unknown = np.array([ids.count(tokenizer.unknown_id) for ids in pieces], dtype=np.int64)
    occurrences, tokens = int(counts.sum()), int(counts @ lengths)
    unknown_tokens, unknown_words = int(counts @ unknown), int(counts @ (unknown > 0))
    used = set().union(*pieces) - set(tokenizer.special_ids)

    def worst(cost: NDArray[np.int64]) -> list[int]:
        order = np.argsort(-cost, kind="stable")[:examples]
        return [int(number) for number in order if cost[number] > 0]

    return {
        "sample": sample.counts(),
        "sentences": sentences,
        "words": occurrences,
        "tokens": tokens,
        "unknown_tokens": unknown_tokens,
        "unknown_share": _share(unknown_tokens, tokens),
        "unknown_word_share": _share(unknown_words, occurrences),
        "tokens_per_word": _share(tokens, occurrences),
        "tokens_per_character": _share(tokens, sample.characters),
        "tokens_per_sentence": _share(tokens, sentences),
        "vocabulary_used_share": _share(len(used), len(tokenizer.ordinary_ids)),
        "most_split_words": [
            f"{_shown(words[i])} ({counts[i]:,}): {_shown(' '.join(map(tokenizer.token, pieces[i])))}"
            for i in worst(counts * continuing * (counts > 1))
        ],
        "unknown_words": [f"{_shown(words[i])} ({counts[i]:,})" for i in worst(counts * (unknown > 0))],
        "longest_words": [_shown(words[i]) for i in worst(np.array([len(word) for word in words], dtype=np.int64))],
    }


def _share(part: int, whole: int) -> float | None:
    """None where there is nothing to measure: an empty validation split."""
    return part / whole if whole else None


def _shown(word: str) -> str:
    return word if len(word) <= _LONGEST_SHOWN else word[: _LONGEST_SHOWN - 1] + "…"
