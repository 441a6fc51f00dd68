"""Formats whose rows are pairs, [CLS] A [SEP] B [SEP], with a label to predict from the first token.

| format | A and B | label |
|---|---|---|
| segment-pair | several sentences each: BERT, create_pretraining_data.py of google-research/bert | FOLLOWS or RANDOM |
| sentence-pair | one sentence each: RoBERTa (arXiv:1907.11692), section 4.2 | FOLLOWS or RANDOM |
| sentence-order | two consecutive parts of one document: ALBERT (arXiv:1909.11942), section 3.1 | IN_ORDER or SWAPPED |

Axes: R rows; arrays [R, 2] hold A in column 0 and B in column 1. The rest as in `planning`.
"""

from __future__ import annotations

import numpy as np

from cloze.errors import ClozeError
from cloze.inputs.hashing import hash_u64, integers, uniform
from cloze.inputs.planning import Bool, Int64, Plan, Spans, coin, fill, offsets_of, ranges, walk
from cloze.recipe import InputSettings

FOLLOWS, RANDOM = 0, 1
"""Next-sentence labels, as in BERT's and Hugging Face's heads: B follows A; B is from another document."""
IN_ORDER, SWAPPED = 0, 1
"""Sentence-order labels, as in ALBERT's and Hugging Face's heads: B follows A; A follows B."""

LABEL_NAMES = {
    "segment-pair": ("B follows A", "B is random"),
    "sentence-pair": ("B follows A", "B is random"),
    "sentence-order": ("in order", "swapped"),
}
"""What labels 0 and 1 of a format mean, for people."""


def segment_pair(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """BERT's pairs: chunks of sentences up to a target length, split in two; half of the second parts are random.

    As in create_pretraining_data.py: the short target is drawn once per document and copy, 2 to the longest pair
    inclusive; a chunk of one sentence always gets a random B (so random pairs exceed half); the sentences that a random
    B displaces are put back; the longer segment is truncated, front or back at even odds. Unlike it: a random B never
    comes from A's own document, all documents are candidates, not one shard's.
    """
    offsets, document_offsets = store.sentence_offsets, store.document_offsets
    _refuse_one_document(store, "segment-pair")
    target = _targets(store, settings, seed, copy)

    # Every chunk that could begin, by its first sentence; then those that do.
    document, last = _documents_of_sentences(store)
    first = np.arange(document.size)
    end = fill(offsets, first, target[document], last)
    middle = _middle(first, end, seed, "segment-pair", copy)
    random = (end - first == 1) | coin(seed, "segment-pair/random", copy, first)
    chunks = walk(np.where(random, middle, end))
    document, end, middle, random = document[chunks], end[chunks], middle[chunks], random[chunks]

    a_length = offsets[middle] - offsets[chunks]
    other = integers(document_offsets.size - 2, seed, "segment-pair/other", copy, chunks)
    other += other >= document  # skips A's own document
    first_b = document_offsets[other] + integers(
        np.diff(document_offsets)[other], seed, "segment-pair/first", copy, chunks
    )
    end_b = fill(offsets, first_b, np.maximum(target[document] - a_length, 1), document_offsets[other + 1])
    firsts = np.stack([chunks, np.where(random, first_b, middle)], axis=1)
    ends = np.stack([middle, np.where(random, end_b, end)], axis=1)
    starts, lengths, cut = _truncate(offsets, firsts, ends, chunks, settings, seed, copy)
    return _pairs(starts, lengths, np.where(random, RANDOM, FOLLOWS), _cut_next_sentence(cut, random))


def sentence_pair(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """Pairs of single sentences: two neighbours, or a sentence and one of another document, in equal numbers.

    A document of n sentences gives n/3 pairs of neighbours (rounded up or down at random, right on average) and n/3
    sentences alone, at random places: so each of its sentences is used once as its own, and both labels are as
    frequent. A walk with a coin at every sentence would give more random pairs, as a last sentence has no neighbour. A
    document of one sentence can only be the A of a random pair. The random B is any sentence of the other documents:
    were it drawn by document, sentences of short documents would give its label away.
    """
    _refuse_one_document(store, "sentence-pair")
    documents = np.arange(store.document_offsets.size - 1)
    sentences_of = np.diff(store.document_offsets)
    neighbours = (sentences_of + integers(3, seed, "sentence-pair/neighbours", copy, documents)) // 3
    neighbours = np.minimum(neighbours, sentences_of // 2)  # none in a document of one sentence

    # The rows of a document in the order of a hash: its first ones take two sentences.
    rows_of = sentences_of - neighbours
    document = np.repeat(documents, rows_of)
    place = ranges(0, rows_of)
    order = np.lexsort((hash_u64(seed, "sentence-pair/order", copy, document, place), document))
    follows = np.empty(document.size, dtype=bool)
    follows[order] = place < neighbours[document]
    first = offsets_of(1 + follows)[:-1]

    before, own = store.document_offsets[document], sentences_of[document]
    other = integers(store.document_offsets[-1] - own, seed, "sentence-pair/other", copy, first)
    other += np.where(other >= before, own, 0)  # skips A's own document
    firsts = np.stack([first, np.where(follows, first + 1, other)], axis=1)
    starts, lengths, cut = _truncate(store.sentence_offsets, firsts, firsts + 1, first, settings, seed, copy)
    return _pairs(starts, lengths, np.where(follows, FOLLOWS, RANDOM), _cut_next_sentence(cut, ~follows))


def sentence_order(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """ALBERT's pairs: chunks of sentences up to a target length, split in two at a sentence; half stand swapped.

    Chunks, targets and truncation are BERT's. Unlike google-research/albert, no chunk gets a random document: a chunk
    has two sentences at least, and the last sentence of a document is never left alone, as the chunk before it gives it
    one of its own, or takes it in if that would leave it with one. Documents of one sentence are dropped and counted.
    """
    offsets = store.sentence_offsets
    document, last = _documents_of_sentences(store)
    first = np.arange(document.size)
    end = fill(offsets, first, _targets(store, settings, seed, copy)[document], last)
    end = np.maximum(end, np.minimum(first + 2, last))
    end += np.where(last - end == 1, np.where(end - first > 2, -1, 1), 0)
    chunks = walk(end)
    alone = end[chunks] - chunks == 1
    unpaired = int((offsets[chunks + 1] - offsets[chunks])[alone].sum())
    if alone.all():
        raise ClozeError(
            f"inputs.format sentence-order needs a document of at least 2 sentences in a split, but all {chunks.size} "
            "have 1: there is no order to tell. Separate documents by a blank line and put each sentence on a line of "
            "its own, add sources, use full-sentences, or change corpus.validation_frac if it is the validation split."
        )
    chunks = chunks[~alone]

    middle, end = _middle(chunks, end[chunks], seed, "sentence-order", copy), end[chunks]
    swapped = coin(seed, "sentence-order/swapped", copy, chunks)
    firsts, ends = np.stack([chunks, middle], axis=1), np.stack([middle, end], axis=1)
    firsts[swapped], ends[swapped] = firsts[swapped, ::-1], ends[swapped, ::-1]
    starts, lengths, cut = _truncate(offsets, firsts, ends, chunks, settings, seed, copy)
    dropped = {"truncated_tokens": int(cut.sum()), "unpaired_tokens": unpaired}
    return _pairs(starts, lengths, np.where(swapped, SWAPPED, IN_ORDER), dropped)


def _refuse_one_document(store: Spans, format: str) -> None:
    if store.document_offsets.size == 2:
        raise ClozeError(
            f"inputs.format {format} needs at least 2 documents in a split, found 1 (of "
            f"{store.sentence_offsets.size - 1} sentences): a random second segment must come from another document. "
            "Separate documents by a blank line, add sources, use full-sentences, or change corpus.validation_frac if "
            "it is the validation split."
        )


def _documents_of_sentences(store: Spans) -> tuple[Int64, Int64]:
    """Int64 [S] twice: each sentence's document, and the sentence after the last one of that document."""
    sentences_of = np.diff(store.document_offsets)
    return np.repeat(np.arange(sentences_of.size), sentences_of), np.repeat(store.document_offsets[1:], sentences_of)


def _targets(store: Spans, settings: InputSettings, seed: int, copy: int) -> Int64:
    """Int64 [D]: tokens that the chunks of each document are filled to; mostly the longest pair."""
    documents, longest = np.arange(store.document_offsets.size - 1), settings.length - 3
    short = uniform(seed, f"{settings.format}/short", copy, documents) < settings.short_row_frac
    short_target = 2 + integers(longest - 1, seed, f"{settings.format}/target", copy, documents)
    return np.where(short, short_target, longest)


def _middle(first: Int64, end: Int64, seed: int, format: str, copy: int) -> Int64:
    """The sentence where the second part of each chunk begins; `end` for a chunk of one."""
    return first + 1 + integers(np.maximum(end - first - 1, 1), seed, f"{format}/split", copy, first)


def _truncate(
    offsets: Int64, firsts: Int64, ends: Int64, keys: Int64, settings: InputSettings, seed: int, copy: int
) -> tuple[Int64, Int64, Int64]:
    """Sentences firsts to ends [R, 2] as token starts, lengths and how much was cut off, [R, 2] each.

    BERT takes one token at a time from the longer segment, from B when they are equal: this is where that ends. Each
    leaves at the front or back by a coin, hashed from the row's key.
    """
    longest, starts, lengths = settings.length - 3, offsets[firsts], offsets[ends] - offsets[firsts]
    a_length, b_length = lengths[:, 0], lengths[:, 1]
    cut = np.empty_like(lengths)
    cut[:, 0] = a_length - np.minimum(a_length, np.maximum(longest - b_length, longest - longest // 2))
    cut[:, 1] = b_length - np.minimum(b_length, np.maximum(longest - a_length, longest // 2))
    for column, name in enumerate("ab"):
        row = np.repeat(np.arange(keys.size), cut[:, column])
        front = coin(seed, f"{settings.format}/front-{name}", copy, keys[row], ranges(0, cut[:, column]))
        starts[:, column] += np.bincount(row[front], minlength=keys.size)
    return starts, lengths - cut, cut


def _cut_next_sentence(cut: Int64, random: Bool) -> dict[str, int]:
    """Truncated tokens [R, 2], those of random second segments apart: they are extra, the corpus does not lose them."""
    extra = int(cut[random, 1].sum())
    return {"truncated_tokens": int(cut.sum()) - extra, "truncated_random_tokens": extra}


def _pairs(starts: Int64, lengths: Int64, labels: Int64, dropped: dict[str, int]) -> Plan:
    """The plan of these segments [R, 2]."""
    return Plan(
        piece_starts=starts.ravel(),
        piece_lengths=lengths.ravel(),
        piece_segments=np.tile(np.array([0, 1], dtype=np.uint8), labels.size),
        row_offsets=2 * np.arange(labels.size + 1),
        labels=labels.astype(np.int8),
        dropped=dropped,
    )
