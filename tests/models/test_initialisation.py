"""Counting against a double loop, PPMI against its formula, factors against numpy's, and the start as promised."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cloze.inputs.hashing import integers, uniform
from cloze.models import PretrainingModel, build
from cloze.models import initialisation as module
from cloze.models.initialisation import WINDOW, count_pairs, factorise, initialise, ppmi
from cloze.progress import Silent
from cloze.recipe import ModelSettings
from cloze.tokens.tokenizer import Tokenizer

Int64 = NDArray[np.int64]
SPECIAL = [0, 1, 2, 3, 4]


class Sentences:
    """A store of sentences of ids."""

    def __init__(self, sentences: list[list[int]]) -> None:
        self.ids = np.array([number for sentence in sentences for number in sentence], dtype=np.int64)
        self.sentence_offsets: Int64 = np.cumsum([0, *map(len, sentences)], dtype=np.int64)

    def take(self, starts: Int64, lengths: Int64) -> Int64:
        return np.concatenate([self.ids[a : a + n] for a, n in zip(starts, lengths, strict=True)])


class Vocabulary:
    """Of a tokenizer, what the start needs."""

    special_ids = SPECIAL


def counted(sentences: list[list[int]], vocabulary: int, seed: int = 1) -> tuple[NDArray[np.float32], Int64, int]:
    """Pairs [V, V], unigrams [V], how many pairs were forgotten."""
    unigrams = np.zeros(vocabulary, dtype=np.int64)
    pairs, forgotten = count_pairs(Sentences(sentences), vocabulary, seed, unigrams, lambda tokens: None)
    return pairs.toarray(), unigrams, forgotten


def by_hand(sentences: list[list[int]], vocabulary: int) -> NDArray[np.float32]:
    """Every token looks at its neighbours, WINDOW to the left and to the right."""
    pairs = np.zeros((vocabulary, vocabulary), dtype=np.float32)
    for sentence in sentences:
        for i, token in enumerate(sentence):
            for neighbour in sentence[max(0, i - WINDOW) : i] + sentence[i + 1 : i + 1 + WINDOW]:
                pairs[token, neighbour] += 1
    return pairs


def test_counts_of_a_tiny_corpus() -> None:
    pairs, unigrams, forgotten = counted([[5, 6, 5, 7], [6, 7], [8]], 9)
    assert {(int(a), int(b)): int(pairs[a, b]) for a, b in np.argwhere(pairs)} == {
        **{(5, 5): 2, (5, 6): 2, (6, 5): 2, (5, 7): 2, (7, 5): 2},  # the two 5s see each other
        **{(6, 7): 2, (7, 6): 2},  # one in each sentence
    }
    assert unigrams.tolist() == [0] * 5 + [2, 2, 2, 1]
    assert forgotten == 0


def test_company_ends_with_the_window_and_the_sentence() -> None:
    pairs, _, _ = counted([[5, *[6] * (WINDOW - 1), 7, 8], [9]], 10)
    assert pairs[5, 7] == 1 and pairs[5, 8] == 0 and pairs[8, 9] == 0


@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=15), min_size=1, max_size=12), st.integers(1, 40))
def test_counts_equal_a_double_loop_however_chunked(sentences: list[list[int]], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_TOKENS", chunk)
        pairs, unigrams, _ = counted(sentences, 12)
    np.testing.assert_array_equal(pairs, by_hand(sentences, 12))
    np.testing.assert_array_equal(unigrams, np.bincount(np.concatenate(sentences), minlength=12))


def test_memory_of_pairs_is_bounded_and_rare_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = (integers(200, 1, "test/noise", np.arange(6_000)) + 7).reshape(-1, 6).tolist()
    sentences = [sentence for row in noise for sentence in (row, [5, 6])]
    exact = by_hand(sentences, 207)
    monkeypatch.setattr(module, "CHUNK_TOKENS", 200)
    monkeypatch.setattr(module, "MAX_PAIRS", 500)
    pairs, unigrams, forgotten = counted(sentences, 207)
    assert np.count_nonzero(pairs) <= 2 * 500  # both orders of a pair
    assert forgotten > 1_000
    assert pairs[5, 6] == pairs[6, 5] == exact[5, 6] == 1_000  # frequent pairs are exact
    assert (pairs <= exact).all()
    assert unigrams.sum() == 8_000


def test_a_large_corpus_is_sampled_by_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [[5 + i] * (1 + i % 7) for i in range(300)]
    monkeypatch.setattr(module, "SAMPLE_TOKENS", 400)
    monkeypatch.setattr(module, "CHUNK_TOKENS", 50)
    _, unigrams, _ = counted(sentences, 305, seed=1)
    assert 400 - 7 <= unigrams.sum() <= 400
    chosen = np.flatnonzero(unigrams) - 5
    assert all(unigrams[5 + i] == len(sentences[i]) for i in chosen)  # whole sentences
    assert chosen[:50].max() > 60 and chosen.max() > 250  # from everywhere
    np.testing.assert_array_equal(unigrams, counted(sentences, 305, seed=1)[1])
    assert not np.array_equal(unigrams, counted(sentences, 305, seed=2)[1])


def test_ppmi_is_its_formula() -> None:
    counts = integers(4, 1, "test/counts", np.arange(400)).reshape(20, 20)
    counts = counts + counts.T
    counts[3] = counts[:, 3] = 0
    found = ppmi(csr_array(counts.astype(np.float32))).toarray()
    share = counts / counts.sum()
    apart = share.sum(1)[:, None] * share.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        truth = np.nan_to_num(np.maximum(0, np.log(share / apart)), nan=0.0, neginf=0.0)
    assert 20 < np.count_nonzero(truth) < np.count_nonzero(counts)
    np.testing.assert_allclose(found, truth, atol=1e-6)


def sparse_symmetric(size: int, groups: int) -> csr_array:
    """Random entries in one place of fifty, and in nearly all places within each of `groups` groups."""
    row, column = np.divmod(np.arange(size * size), size)
    group = row % (groups + 1)
    alike = (group == column % (groups + 1)) & (group < groups)
    values = uniform(1, "test/values", row, column) * np.where(alike, 1 - 0.7 * group / max(groups, 1), 1.0)
    there = uniform(1, "test/places", row, column) < np.where(alike, 0.9, 0.01)
    matrix = (values * there).reshape(size, size)
    return csr_array((matrix + matrix.T).astype(np.float32))


def test_factors_are_close_to_the_best_of_their_rank() -> None:
    matrix = sparse_symmetric(600, groups=6)
    dense = matrix.toarray().astype(np.float64)
    assert np.count_nonzero(dense) < 0.15 * dense.size
    values, vectors = np.linalg.eigh(dense)
    best = np.argsort(-np.abs(values))[:6]
    product = (vectors[:, best] * np.abs(values[best])) @ vectors[:, best].T
    factors = factorise(matrix, 6, seed=1).astype(np.float64)
    assert np.linalg.norm(factors @ factors.T - product) < 0.03 * np.linalg.norm(product)
    lengths = np.square(factors).sum(0)
    assert (np.diff(lengths) < 0).all()
    np.testing.assert_allclose(lengths, np.abs(values[best]), rtol=0.01)


def test_factors_of_a_flat_spectrum_hold_most_of_what_the_best_hold() -> None:
    matrix, width = sparse_symmetric(300, groups=0), 20
    lengths = np.square(factorise(matrix, width, seed=1).astype(np.float64)).sum(0)
    values = np.sort(np.abs(np.linalg.eigvalsh(matrix.toarray().astype(np.float64))))[::-1][:width]
    assert 0.6 < np.square(lengths).sum() / np.square(values).sum() < 1 + 1e-6


def test_factors_of_a_low_rank_matrix_are_exact() -> None:
    counter = np.arange(120 * 4)
    parts = (uniform(2, "test/parts", counter) - 0.5).reshape(120, 4)
    factors = factorise(csr_array((parts @ parts.T).astype(np.float32)), 8, seed=1)
    np.testing.assert_allclose(factors @ factors.T, parts @ parts.T, atol=1e-4)
    assert np.abs(factors[:, 4:]).max() < 1e-2


def test_factors_are_a_function_of_the_matrix_and_the_seed() -> None:
    matrix = sparse_symmetric(600, groups=6)
    first = factorise(matrix, 6, seed=1)
    np.testing.assert_array_equal(factorise(matrix, 6, seed=1), first)
    assert (first[np.abs(first).argmax(axis=0), np.arange(6)] > 0).all()  # what decides a column's sign
    other = factorise(matrix, 6, seed=2)
    assert not np.array_equal(other, first)
    np.testing.assert_allclose(other, first, atol=0.05 * np.abs(first).max())


# The whole start, on sentences that each keep to one of four topics.

VOCABULARY, TOPICS, UNSEEN = 96, 4, [7, 90]


def topical(sentences: int = 1_500) -> Sentences:
    """Sentence i has eight tokens of topic i mod 4, or unknown ones; tokens take turns in topics, two never appear."""
    topic = np.repeat(np.arange(sentences) % TOPICS, 8)
    ids = 5 + topic + TOPICS * integers((VOCABULARY - 5) // TOPICS, 1, "test/topics", np.arange(topic.size))
    ids = np.where(np.isin(ids, UNSEEN), ids + TOPICS, ids)
    ids[::50] = 1
    return Sentences(ids.reshape(-1, 8).tolist())


def fresh(**changes: Any) -> tuple[PretrainingModel, ModelSettings]:
    sizes: dict[str, Any] = {"layers": 1, "heads": 2, "width": 16, "initialisation": "ppmi"}
    settings = ModelSettings(**sizes | changes)
    return build(settings, vocabulary_size=VOCABULARY, length=8, pad_id=0, pairs=False, seed=1), settings


def start(store: Sentences, seed: int = 1, **changes: Any) -> tuple[PretrainingModel, dict[str, int]]:
    model, settings = fresh(**changes)
    return model, initialise(model, settings, store, cast("Tokenizer", Vocabulary()), seed, Silent())


def table_of(model: PretrainingModel) -> torch.Tensor:
    return model.encoder.embeddings.token.weight.detach()


def likeness(table: torch.Tensor) -> tuple[float, float]:
    """Mean cosine of two ordinary tokens of the same topic, and of different ones."""
    seen = [token for token in range(5, VOCABULARY - 3) if token not in UNSEEN]
    unit = torch.nn.functional.normalize(table[seen], dim=1)
    cosine = unit @ unit.T
    topic = torch.tensor([(token - 5) % TOPICS for token in seen])
    same = (topic[:, None] == topic) & ~torch.eye(len(seen), dtype=torch.bool)
    return cosine[same].mean().item(), cosine[topic[:, None] != topic].mean().item()


@pytest.mark.parametrize("width", [16, 128])  # fewer and more columns than there are tokens
def test_tokens_that_keep_company_begin_close(width: int) -> None:
    before, after = table_of(fresh(width=width)[0]), table_of(start(topical(), width=width)[0])
    assert after.isfinite().all()
    assert max(map(abs, likeness(before))) < 0.1
    same, different = likeness(after)
    assert same > different + (0.5 if width == 16 else 0.1)


def test_a_table_narrower_than_the_encoder_begins_from_counts_too() -> None:
    model, counts = start(topical(), family="albert", embedding_width=12, width=32)
    assert table_of(model).shape[1] == 12
    assert counts["embeddings_from_counts"] > 80
    same, different = likeness(table_of(model))
    assert same > different + 0.5


def test_the_table_keeps_its_scale_and_what_counts_say_nothing_of() -> None:
    before, (model, counts) = table_of(fresh()[0]), start(topical())
    after = table_of(model)
    kept = [row for row in range(VOCABULARY) if torch.equal(before[row], after[row])]
    assert set(SPECIAL + UNSEEN) <= set(kept)
    changed = [row for row in range(VOCABULARY) if row not in kept]
    assert len(changed) == counts["embeddings_from_counts"] > 80
    rms = after[changed].square().mean().sqrt() / before.square().mean().sqrt()
    assert abs(rms.item() - 1) < 1e-3


def test_the_bias_is_the_smoothed_log_of_unigram_shares() -> None:
    store = topical()
    model, counts = start(store)
    unigrams = np.bincount(store.ids, minlength=VOCABULARY)
    truth = np.log((unigrams + 1) / (len(store.ids) + VOCABULARY))
    np.testing.assert_allclose(model.masked_tokens.bias.detach().numpy(), truth, rtol=1e-5)
    assert np.exp(truth).sum() == pytest.approx(1.0)
    assert counts["counted_tokens"] == len(store.ids)
    assert counts["forgotten_pairs"] == 0
    assert counts["distinct_pairs"] == np.count_nonzero(by_hand(store.ids.reshape(-1, 8).tolist(), VOCABULARY))


FAMILIES: list[dict[str, Any]] = [
    {},
    {"family": "albert", "embedding_width": 12, "width": 32},
    {"family": "modernbert", "norm_position": "pre"},
]


@pytest.mark.parametrize("changes", FAMILIES)
def test_nothing_but_the_table_and_the_bias_is_touched_and_it_is_repeatable(changes: dict[str, Any]) -> None:
    models = (fresh(**changes)[0], start(topical(), **changes)[0], start(topical(), **changes)[0])
    before, first, again = (model.state_dict() for model in models)
    changed = {name for name in before if not torch.equal(before[name], first[name])}
    assert changed == {"encoder.embeddings.token.weight", "masked_tokens.bias"}
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.filterwarnings("error")
def test_a_corpus_without_company_gives_the_bias_alone() -> None:
    before, (model, counts) = table_of(fresh()[0]), start(Sentences([[5], [6], [5]]))
    assert torch.equal(table_of(model), before)
    assert counts["distinct_pairs"] == counts["embeddings_from_counts"] == 0
    assert model.masked_tokens.bias[5] > model.masked_tokens.bias[6] > model.masked_tokens.bias[7]


def test_the_normal_start_reads_nothing_and_touches_nothing() -> None:
    model, settings = fresh(initialisation="normal")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    unread = cast("Any", None)
    assert initialise(model, settings, unread, unread, 1, unread) == {}
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
