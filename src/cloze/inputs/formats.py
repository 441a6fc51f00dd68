"""Formats: documents of sentences to rows, as a `Plan` of spans into the token store; no token is read.

A row is [CLS] piece [SEP] piece [SEP] ..., so it is 1 + sum(piece length + 1) tokens long. The formats of pairs are in
`pairs`; those whose rows are filled with whole sentences are here: full-sentences and doc-sentences, RoBERTa
(arXiv:1907.11692), section 4.2.

All formats are computed alike. What a row does when it begins at sentence i (where it ends, how it is split) depends
on i alone, so it is computed for all i at once; then one walk from row to row picks the i where rows do begin. Every
random draw is a hash of (seed, copy, document or first sentence). Axes: see `planning`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cloze.errors import ClozeError
from cloze.inputs.hashing import permutation
from cloze.inputs.pairs import FOLLOWS, RANDOM, segment_pair, sentence_order, sentence_pair
from cloze.inputs.planning import Bool, Int64, Plan, Spans, offsets_of, ranges, walk
from cloze.recipe import InputSettings

__all__ = ["FOLLOWS", "RANDOM", "Plan", "Spans", "plan", "ranges", "rows_of_tokens"]


def plan(store: Spans, format: InputSettings, seed: int, copy: int) -> Plan:
    """Plan the rows of one copy: a function of (store, format, seed, copy) alone.

    A corpus smaller than a row gives one short row. ClozeError: there is no token, a single document where a random
    second segment needs another one, or no document of two sentences where they are to be put in order.
    """
    if store.sentence_offsets[-1] == 0:
        raise ClozeError(
            f"the token store holds {store.document_offsets.size - 1} documents, {store.sentence_offsets.size - 1} "
            "sentences and 0 tokens, so there is no row to train on. The corpus stage's counts say what was dropped: "
            "keep more of it or add sources."
        )
    return _PLANNERS[format.format](store, format, seed, copy)


def rows_of_tokens(plan: Plan, tokens: int) -> int:
    """Rows of this plan, of mean length, that hold about `tokens` tokens; at least one."""
    return max(1, round(tokens * plan.rows / int(plan.row_lengths().sum())))


def _full_sentences(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """Rows filled with whole sentences across documents, documents in hashed order; one piece per document and row.

    A sentence longer than a row is cut into units that each fill a row; its rest goes on like any sentence.

    Without `cross_document_attention` every piece pays for a [CLS], too, and becomes a row of its own for attention.
    Offsets already say where attention ends, so no layer has to know of it, no mask inside a row is needed, positions
    begin anew, and a short document is read as in fine-tuning: from a [CLS] at position 0 to its [SEP].
    """
    documents = permutation(store.document_offsets.size - 1, seed, "full-sentences/documents", copy)
    sentences_of = np.diff(store.document_offsets)[documents]
    sentences = ranges(store.document_offsets[documents], sentences_of)
    starts, lengths, parts = _units(store, sentences, settings.length - 2)
    opens_document = np.zeros(starts.size, dtype=bool)
    opens_document[offsets_of(parts)[offsets_of(sentences_of)[:-1]]] = True

    # A document's first unit pays for its special tokens; a row that begins inside a document must pay for more.
    cut = not settings.cross_document_attention
    per_row, per_piece = (0, 2) if cut else (1, 1)
    cost = offsets_of(lengths + per_piece * opens_document)
    capacity = settings.length - per_row - per_piece * ~opens_document
    row_starts = walk(np.searchsorted(cost, cost[:-1] + capacity, side="right") - 1)
    return _whole_sentences(starts, lengths, opens_document, row_starts, int(np.count_nonzero(parts > 1)), cut)


def _doc_sentences(store: Spans, settings: InputSettings, seed: int, copy: int) -> Plan:
    """Rows filled with whole sentences of one document; the last row of each document is as short as what is left.

    Nothing is random: every copy has the same rows, and its masks differ. A long sentence is cut as in full-sentences.
    """
    starts, lengths, parts = _units(store, np.arange(store.document_offsets[-1]), settings.length - 2)
    documents = offsets_of(parts)[store.document_offsets]  # the first unit of each
    opens_document = np.zeros(starts.size, dtype=bool)
    opens_document[documents[:-1]] = True

    cost = offsets_of(lengths)
    full = np.searchsorted(cost, cost[:-1] + settings.length - 2, side="right") - 1
    row_starts = walk(np.minimum(full, np.repeat(documents[1:], np.diff(documents))))
    return _whole_sentences(starts, lengths, opens_document, row_starts, int(np.count_nonzero(parts > 1)), cut=False)


def _units(store: Spans, sentences: Int64, longest: int) -> tuple[Int64, Int64, Int64]:
    """Sentences in this order, cut to at most `longest` tokens: starts [U], lengths [U], and how many of each [S]."""
    sentence_lengths = np.diff(store.sentence_offsets)[sentences]
    parts = -(-sentence_lengths // longest)
    done = ranges(0, parts) * longest  # tokens of the same sentence in earlier units
    starts = np.repeat(store.sentence_offsets[sentences], parts) + done
    lengths = np.minimum(longest, np.repeat(sentence_lengths, parts) - done)
    return starts, lengths, parts


def _whole_sentences(
    starts: Int64, lengths: Int64, opens_document: Bool, row_starts: Int64, split_sentences: int, cut: bool
) -> Plan:
    """The plan of units [U] whose rows begin at the units `row_starts` [R]; pieces begin there and with documents."""
    opens_piece = opens_document.copy()
    opens_piece[row_starts] = True
    pieces = np.flatnonzero(opens_piece)
    return Plan(
        piece_starts=starts[pieces],
        piece_lengths=np.diff(offsets_of(lengths)[np.append(pieces, starts.size)]),
        piece_segments=np.zeros(pieces.size, dtype=np.uint8),
        row_offsets=np.searchsorted(pieces, np.append(row_starts, starts.size)),
        labels=np.full(row_starts.size, -1, dtype=np.int8),
        dropped={"split_sentences": split_sentences},
        cut=cut,
    )


_PLANNERS: dict[str, Callable[[Spans, InputSettings, int, int], Plan]] = {
    "segment-pair": segment_pair,
    "sentence-pair": sentence_pair,
    "sentence-order": sentence_order,
    "full-sentences": _full_sentences,
    "doc-sentences": _doc_sentences,
}
