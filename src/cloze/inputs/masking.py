"""Masked tokens: choose targets, corrupt them (BERT, arXiv:1810.04805, section 3.1 and A.1). Spans: see `spans`.

Axes: T tokens of R rows end to end, W words, M targets, V vocabulary. Everything is a function of (seed, copy, row
number, place in the row) and of the row's own tokens: never of the rows beside it, the worker, the rank or the resume.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.hashing import hash_u64, integers, uniform
from cloze.inputs.planning import ranges
from cloze.inputs.spans import choose_spans, length_probabilities, runs
from cloze.recipe import MaskingSettings

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


def mask(
    ids: Int64,
    offsets: NDArray[np.int32] | Int64,
    rows: Int64,
    *,
    settings: MaskingSettings,
    special: Bool,
    word_starts: Bool,
    ordinary_ids: Int64,
    mask_id: int,
    seed: int,
    copy: int,
) -> tuple[Int64, Int64, Int64]:
    """Choose and corrupt targets: (corrupted ids [T], positions [M] ascending, labels [M]), all int64.

    ids [T]: rows end to end, each beginning with a special token; offsets [R + 1]: where they start; rows [R]: their
    numbers in the plan of `copy`. special [V]: never a target, and ends a word; word_starts [V]: begins a word (not
    read for unit token); ordinary_ids: the random replacements. Labels are the original ids. A row has
    round(target_frac x its ordinary tokens) targets, at least one, fewer where whole words do not add up to it; none if
    all are special.

    Whether a target is masked, replaced or kept is decided for each token; for unit span, for each span (SpanBERT,
    arXiv:1907.10529, section 3.1).
    """
    row_lengths = np.diff(offsets)
    row = np.repeat(np.arange(rows.size), row_lengths)
    ordinary = ~special[ids]
    candidates = np.flatnonzero(ordinary)
    per_row = np.bincount(row[candidates], minlength=rows.size)
    budget = np.maximum(1, np.rint(settings.target_frac * per_row)).astype(np.int64)

    opens = np.ones(candidates.size, dtype=bool)
    if settings.unit != "token":
        # A special token ends a word: a piece that follows one (after truncation) begins a word of its own.
        opens = word_starts[ids[candidates]] | (np.diff(candidates, prepend=-2) > 1)
    firsts = candidates[opens]
    word = np.cumsum(opens) - 1
    sizes = np.bincount(word, minlength=firsts.size)
    place = ranges(0, row_lengths)
    if settings.unit in ("span", "ngram"):
        stretch = np.cumsum(np.diff(candidates, prepend=-2) > 1, dtype=np.int64)[opens]
        chosen = choose_spans(sizes, row[firsts], stretch, budget, rows, length_probabilities(settings), seed, copy)
    else:
        keys = hash_u64(seed, "masking/order", copy, rows[row[firsts]], place[firsts])
        chosen = _choose(keys, sizes, row[firsts], budget)
    positions = candidates[chosen[word]]

    labels = ids[positions]
    corrupted = ids.copy()
    where = (copy, rows[row[positions]], place[positions])
    decides = positions
    if settings.unit == "span":
        first, _, span = runs(positions)
        decides = first[span]
    share = uniform(seed, "masking/kind", copy, rows[row[decides]], place[decides])
    replacements = ordinary_ids[integers(ordinary_ids.size, seed, "masking/replacement", *where)]
    kept_from = settings.mask_frac + settings.random_frac
    corrupted[positions] = np.select([share < settings.mask_frac, share < kept_from], [mask_id, replacements], labels)
    return corrupted, positions, labels


def _choose(keys: NDArray[np.uint64], sizes: Int64, row: Int64, budget: Int64) -> Bool:
    """Bool [W]: the words of each row in the order of their keys, skipping those that would exceed its budget.

    So does create_masked_lm_predictions in google-research/bert. Where no word of a row fits, its first is taken, so
    that every row has a target. The walk goes from rank to rank, all rows at once: keys, sizes, row [W] become tables
    [R, most words], filled up at the end with words of size 0.
    """
    words = np.bincount(row, minlength=budget.size)
    column = np.arange(row.size) - np.repeat(np.cumsum(words) - words, words)
    shape = (budget.size, int(words.max(initial=0)))
    key_table = np.full(shape, np.iinfo(np.uint64).max)
    key_table[row, column] = keys
    size_table = np.zeros(shape, dtype=np.int64)
    size_table[row, column] = sizes
    order = np.argsort(key_table, axis=1)
    ranked_sizes = np.take_along_axis(size_table, order, axis=1)

    taken = np.zeros(shape, dtype=bool)
    left = budget.copy()
    for rank in range(shape[1]):
        taken[:, rank] = ranked_sizes[:, rank] <= left
        left -= np.where(taken[:, rank], ranked_sizes[:, rank], 0)
        if not left.any():
            break
    taken[left == budget, :1] = True
    chosen = np.zeros(shape, dtype=bool)
    np.put_along_axis(chosen, order, taken, axis=1)
    return np.asarray(chosen[row, column])
