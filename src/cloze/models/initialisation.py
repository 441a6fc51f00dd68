"""Start from what counting already knows: output bias from unigrams, token embeddings from co-occurrence.

A masked-language model spends its first thousands of steps learning how frequent each token is and which tokens keep
company. Both are known from one pass over the corpus: the output bias is set to the log of the smoothed unigram shares,
and the token table, which is also the output matrix, to a truncated factorisation of the positive pointwise mutual
information (PPMI) of tokens within a window. Levy and Goldberg 2014 (NIPS) show that word2vec factorises a shifted PPMI
matrix; Halko et al. 2011 (arXiv:0909.4061) give the randomised factorisation. What each part contributes is measured in
docs/experiments.md.

Axes: V vocabulary, E width of the token table, K = E + OVERSAMPLING columns of the range finder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cloze.inputs.hashing import permutation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scipy.sparse import csr_array

    from cloze.models import PretrainingModel
    from cloze.progress import Progress
    from cloze.recipe import ModelSettings
    from cloze.tokens.tokenizer import Tokenizer

WINDOW = 5
"""Tokens on either side, within a sentence, that keep company with a token (Levy and Goldberg 2014 try 2, 5 and 10)."""
SAMPLE_TOKENS = 20_000_000
"""Tokens counted at most; sentences of a larger corpus are drawn by a hash."""
CHUNK_TOKENS = 1_000_000
"""Tokens counted at once: bounds the memory of one step of the count to about 0.2 GB."""
MAX_PAIRS = 30_000_000
"""Distinct pairs kept while counting; beyond, the rarest are forgotten (lossy counting), 12 bytes each."""
OVERSAMPLING = 16
POWER_ITERATIONS = 2
"""Halko et al. 2011, section 4.5. PPMI's spectrum is flat, so the factors are rough: on movie reviews they hold 60% of
the sum of squared eigenvalues that the best of their width hold (256 of 6,000). Factors that held 97% (block Krylov)
cost 1.5 times as much and brought nothing in the one comparison that was made, of 300 steps."""


class Sentences(Protocol):
    """A token store, as far as counting needs it."""

    @property
    def sentence_offsets(self) -> NDArray[np.int64]: ...

    def take(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]: ...


def initialise(
    model: PretrainingModel,
    settings: ModelSettings,
    store: Sentences,
    tokenizer: Tokenizer,
    seed: int,
    progress: Progress,
) -> dict[str, int]:
    """Fill the token table and output bias of `model` from the counts of `store`, if `settings` asks for ppmi.

    A function of (store, seed). Every column is scaled alike so that the table keeps the root mean square it had from
    the truncated normal; special tokens and tokens that the sample never shows keep their normal start. Returns counts
    for the manifest; nothing was touched if they are empty.
    """
    import torch

    if settings.initialisation == "normal":
        return {}

    table = model.encoder.embeddings.token.weight
    vocabulary, width = table.shape
    unigrams = np.zeros(vocabulary, dtype=np.int64)
    with progress.stage("initialisation", None, "tokens") as bar:
        pairs, forgotten = count_pairs(store, vocabulary, seed, unigrams, bar.advance)
        bar.note("factorising")
        matrix = ppmi(pairs)
        vectors = factorise(matrix, width, seed)
    # Tokens without company: read off the matrix, because their rows of `vectors` are 1e-15 rather than 0.
    known = np.setdiff1d(np.flatnonzero(np.diff(matrix.indptr)), tokenizer.special_ids)
    with torch.no_grad():
        if known.size:
            scale = table.square().mean().sqrt().item() / np.sqrt(np.mean(vectors[known] ** 2))
            table[torch.from_numpy(known), : vectors.shape[1]] = torch.from_numpy(vectors[known] * np.float32(scale))
        bias = model.masked_tokens.bias
        bias.copy_(torch.from_numpy(np.log((unigrams + 1.0) / (unigrams.sum() + vocabulary)).astype(np.float32)))
    return {
        "counted_tokens": int(unigrams.sum()),
        "distinct_pairs": int(pairs.nnz),
        "forgotten_pairs": forgotten,
        "embeddings_from_counts": int(known.size),
    }


def count_pairs(
    store: Sentences, vocabulary: int, seed: int, unigrams: NDArray[np.int64], advance: Callable[[float], None]
) -> tuple[csr_array, int]:
    """Symmetric counts [V, V] of tokens at most WINDOW apart in a sentence, and how many rare pairs were forgotten.

    `unigrams` int64 [V] is filled on the way. Memory stays bounded by CHUNK_TOKENS and MAX_PAIRS.
    """
    from scipy.sparse import coo_array, csr_array

    total = csr_array((vocabulary, vocabulary), dtype=np.float32)
    forgotten, smallest = 0, 1.0
    for ids, sentence in _chunks(store, seed):
        unigrams += np.bincount(ids, minlength=vocabulary)
        for distance in range(1, WINDOW + 1):
            near = sentence[distance:] == sentence[:-distance]
            left, right = ids[:-distance][near], ids[distance:][near]
            total = (
                total
                + coo_array(
                    (np.ones(left.size, dtype=np.float32), (left, right)), shape=(vocabulary, vocabulary)
                ).tocsr()
            )
        while total.nnz > MAX_PAIRS:
            smallest += 1.0
            before = total.nnz
            total.data[total.data < smallest] = 0.0
            total.eliminate_zeros()
            forgotten += before - total.nnz
        advance(ids.size)
    return csr_array(total + total.T), forgotten


def _chunks(store: Sentences, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(ids, number of the sentence) of about CHUNK_TOKENS at a time, SAMPLE_TOKENS in all."""
    offsets = store.sentence_offsets
    starts, lengths = offsets[:-1], np.diff(offsets)
    if offsets[-1] > SAMPLE_TOKENS:
        order = permutation(starts.size, seed, "initialisation/sample")
        chosen = np.sort(order[: np.searchsorted(np.cumsum(lengths[order]), SAMPLE_TOKENS)])
        starts, lengths = starts[chosen], lengths[chosen]
    ends = np.cumsum(lengths)
    first = 0
    while first < starts.size:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] - lengths[first] + CHUNK_TOKENS, side="right")))
        part = slice(first, last)
        yield store.take(starts[part], lengths[part]), np.repeat(np.arange(first, last), lengths[part])
        first = last


def ppmi(pairs: csr_array) -> csr_array:
    """max(0, log(p(a, b) / (p(a) p(b)))) of symmetric counts [V, V], sparse."""
    from scipy.sparse import coo_array

    counts: coo_array = pairs.tocoo()
    margin = np.asarray(pairs.sum(axis=1), dtype=np.float64).ravel()
    row, column = counts.coords
    values = np.log(counts.data * margin.sum() / (margin[row] * margin[column]))
    keep = values > 0
    return coo_array((values[keep].astype(np.float32), (row[keep], column[keep])), shape=pairs.shape).tocsr()


def factorise(matrix: csr_array, width: int, seed: int) -> NDArray[np.float32]:
    """About U |S|^(1/2) [V, min(width, V)] of the symmetric `matrix`, by subspace iteration from hashed normal numbers.

    Halko et al. 2011, algorithms 4.4 and 5.3. Signs of the columns are fixed, so that runs agree.
    """
    from cloze.inputs.hashing import uniform

    size = min(width + OVERSAMPLING, matrix.shape[0])
    counter = np.arange(matrix.shape[0] * size)
    radius = np.sqrt(-2 * np.log1p(-uniform(seed, "initialisation/radius", counter)))
    angle = 2 * np.pi * uniform(seed, "initialisation/angle", counter)
    basis = (radius * np.cos(angle)).reshape(matrix.shape[0], size).astype(np.float32)
    for _ in range(POWER_ITERATIONS + 1):
        basis, _ = np.linalg.qr(matrix @ basis)
    values, vectors = np.linalg.eigh(basis.T @ (matrix @ basis))
    order = np.argsort(-np.abs(values), kind="stable")[:width]
    found = (basis @ vectors[:, order]) * np.sqrt(np.abs(values[order]))
    signs = np.sign(found[np.abs(found).argmax(axis=0), np.arange(order.size)])
    return np.asarray(found * np.where(signs == 0, 1, signs), dtype=np.float32)
