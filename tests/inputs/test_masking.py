"""Masks: the right number of targets of the right kind, whatever rows they are computed beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cloze.inputs.hashing import hash_u64, integers
from cloze.inputs.masking import mask
from cloze.inputs.spans import boundaries, runs
from cloze.recipe import MaskingSettings

if TYPE_CHECKING:
    from tests.inputs.conftest import FakeTokenizer

Int64 = NDArray[np.int64]
CLS, SEP, MASK = 2, 3, 4

CONTENTS = st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=60), min_size=1, max_size=6)
"""The ids between [CLS] and [SEP] of some rows; some of them special."""


def flat(contents: list[list[int]]) -> tuple[Int64, Int64]:
    """ids [T] and offsets [R + 1] of [CLS] content [SEP] rows."""
    rows = [[CLS, *content, SEP] for content in contents]
    return np.array([id for row in rows for id in row]), np.cumsum([0, *map(len, rows)])


def words(rows: int, length: int) -> list[list[int]]:
    """Rows of ordinary ids."""
    ids: list[list[int]] = (5 + integers(995, 1, "words", np.arange(rows)[:, None], np.arange(length))).tolist()
    return ids


def apply(
    tokenizer: FakeTokenizer,
    contents: list[list[int]],
    rows: Int64 | None = None,
    copy: int = 0,
    seed: int = 1,
    settings: MaskingSettings | None = None,
) -> tuple[Int64, Int64, Int64, Int64]:
    """Corrupted ids, positions, labels, and the offsets they belong to."""
    ids, offsets = flat(contents)
    before = ids.copy()
    special = np.zeros(tokenizer.vocabulary_size, dtype=bool)
    special[tokenizer.special_ids] = True
    result = mask(
        ids,
        offsets,
        np.arange(len(contents)) if rows is None else rows,
        settings=settings or MaskingSettings(),
        special=special,
        word_starts=tokenizer.word_starts,
        ordinary_ids=tokenizer.ordinary_ids,
        mask_id=tokenizer.mask_id,
        seed=seed,
        copy=copy,
    )
    assert np.array_equal(ids, before), "the given ids are left alone"
    return *result, offsets


@pytest.mark.parametrize("unit", ["token", "word", "span", "ngram"])
@given(contents=CONTENTS, share=st.floats(0.01, 0.9))
def test_targets_are_ordinary_tokens_within_the_budget(
    tokenizer: FakeTokenizer, unit: str, contents: list[list[int]], share: float
) -> None:
    settings = MaskingSettings.model_validate({"unit": unit, "target_frac": share})
    corrupted, positions, labels, offsets = apply(tokenizer, contents, settings=settings)
    ids, _ = flat(contents)
    assert corrupted.dtype == positions.dtype == labels.dtype == np.int64
    assert np.all(np.diff(positions) > 0)
    assert np.array_equal(labels, ids[positions]) and np.all(labels >= 5)
    untouched = np.ones(ids.size, dtype=bool)
    untouched[positions] = False
    assert np.array_equal(corrupted[untouched], ids[untouched])
    assert np.isin(corrupted[positions], [MASK, *tokenizer.ordinary_ids]).all()
    per_row = np.histogram(positions, bins=offsets)[0]
    for content, chosen in zip(contents, per_row, strict=True):
        ordinary = sum(id >= 5 for id in content)
        budget = max(1, round(share * ordinary))
        if unit == "token" or ordinary == 0:
            assert chosen == (budget if ordinary else 0)
        else:
            assert 1 <= chosen <= max(budget, longest_word(content, tokenizer))


def spell(content: list[int], tokenizer: FakeTokenizer) -> list[list[int]]:
    """Places of each word of [CLS] content [SEP], BERT's cand_indexes; but a special token ends a word."""
    found: list[list[int]] = []
    previous_special = True
    for place, id in enumerate(content, start=1):
        if id >= 5 and not previous_special and not tokenizer.word_starts[id]:
            found[-1].append(place)
        elif id >= 5:
            found.append([place])
        previous_special = id < 5
    return found


def longest_word(content: list[int], tokenizer: FakeTokenizer) -> int:
    return max(map(len, spell(content, tokenizer)))


@given(contents=CONTENTS, share=st.sampled_from([0.05, 0.15, 0.5]), copy=st.integers(0, 9))
def test_whole_words_equal_bert_line_by_line(
    tokenizer: FakeTokenizer, contents: list[list[int]], share: float, copy: int
) -> None:
    """create_masked_lm_predictions, shuffled by our hash; a row where nothing fits takes its first word."""
    rows = np.arange(len(contents)) + 70
    settings = MaskingSettings(unit="word", target_frac=share)
    _, positions, _, offsets = apply(tokenizer, contents, rows=rows, copy=copy, settings=settings)
    for row, content, start, end in zip(rows.tolist(), contents, offsets[:-1], offsets[1:], strict=True):
        cand_indexes = spell(content, tokenizer)
        cand_indexes.sort(key=lambda index_set: int(hash_u64(1, "masking/order", copy, row, index_set[0])))
        num_to_predict = max(1, round(share * sum(id >= 5 for id in content)))
        masked: list[int] = []
        for index_set in cand_indexes:
            if len(masked) >= num_to_predict:
                break
            if len(masked) + len(index_set) > num_to_predict:
                continue
            masked += index_set
        masked = masked or cand_indexes[0] if cand_indexes else []
        assert (positions[(positions >= start) & (positions < end)] - start).tolist() == sorted(masked)


@pytest.mark.parametrize("unit", ["token", "word", "span", "ngram"])
@given(contents=CONTENTS, data=st.data())
def test_a_row_is_masked_the_same_in_any_company(
    tokenizer: FakeTokenizer, unit: str, contents: list[list[int]], data: st.DataObject
) -> None:
    settings = MaskingSettings.model_validate({"unit": unit})
    numbers = np.arange(len(contents)) * 1_000_003
    together = apply(tokenizer, contents, rows=numbers, copy=2, settings=settings)
    order = data.draw(st.permutations(range(len(contents))))
    shuffled = apply(tokenizer, [contents[i] for i in order], rows=numbers[order], copy=2, settings=settings)
    for place, i in enumerate(order):
        alone = apply(tokenizer, [contents[i]], rows=numbers[i : i + 1], copy=2, settings=settings)
        assert cut(together, i) == cut(shuffled, place) == cut(alone, 0)


def cut(result: tuple[Int64, Int64, Int64, Int64], row: int) -> tuple[list[int], list[int], list[int]]:
    """One row's ids, positions within it, and labels."""
    corrupted, positions, labels, offsets = result
    inside = (positions >= offsets[row]) & (positions < offsets[row + 1])
    return (
        corrupted[offsets[row] : offsets[row + 1]].tolist(),
        (positions[inside] - offsets[row]).tolist(),
        labels[inside].tolist(),
    )


def test_copies_seeds_and_rows_have_different_masks(tokenizer: FakeTokenizer) -> None:
    content = words(1, 100)
    first, *others = (
        apply(tokenizer, content, rows=np.array([row]), copy=copy, seed=seed)[1].tolist()
        for seed, copy, row in ((1, 0, 0), (1, 1, 0), (2, 0, 0), (1, 0, 1))
    )
    assert all(first != other for other in others)


def test_eight_tenths_masked_one_random_one_kept(tokenizer: FakeTokenizer) -> None:
    contents = words(400, 200)
    corrupted, positions, labels, _ = apply(tokenizer, contents)
    assert positions.size == 400 * 30
    now = corrupted[positions]
    lucky = 0.1 / 995  # a random replacement may be the original
    for count, share in (
        ((now == MASK).sum(), 0.8),
        (((now != MASK) & (now != labels)).sum(), 0.1 - lucky),
        ((now == labels).sum(), 0.1 + lucky),
    ):
        assert stats.binomtest(int(count), positions.size, share).pvalue > 1e-3


def test_kinds_are_drawn_per_token_of_a_word(tokenizer: FakeTokenizer) -> None:
    word = [5, 6, 9, 12]  # one word: 6, 9 and 12 are pieces
    corrupted, positions, _, _ = apply(tokenizer, [word] * 500, settings=MaskingSettings(unit="word"))
    assert positions.size == 2_000
    masked = (corrupted.reshape(500, 6)[:, 1:5] == MASK).sum(axis=1)
    found = [(masked <= 2).sum(), (masked == 3).sum(), (masked == 4).sum()]
    expected = [stats.binom.cdf(2, 4, 0.8), stats.binom.pmf(3, 4, 0.8), stats.binom.pmf(4, 4, 0.8)]
    assert stats.chisquare(found, 500 * np.array(expected)).pvalue > 1e-4


def test_every_place_is_chosen_equally_often_and_replacements_are_even(tokenizer: FakeTokenizer) -> None:
    settings = MaskingSettings(mask_frac=0.0, random_frac=1.0)
    corrupted, positions, _, offsets = apply(tokenizer, words(3_000, 40), settings=settings)
    places = np.bincount(positions % offsets[1], minlength=42)
    assert places[0] == places[41] == 0
    assert stats.chisquare(places[1:41]).pvalue > 1e-4
    assert stats.chisquare(np.bincount(corrupted[positions], minlength=1_000)[5:]).pvalue > 1e-4


@pytest.mark.parametrize(("mask_frac", "random_frac"), [(1.0, 0.0), (0.0, 0.0)])
def test_extreme_shares(tokenizer: FakeTokenizer, mask_frac: float, random_frac: float) -> None:
    settings = MaskingSettings(mask_frac=mask_frac, random_frac=random_frac)
    corrupted, positions, labels, _ = apply(tokenizer, words(20, 100), settings=settings)
    assert np.array_equal(corrupted[positions], np.full(labels.size, MASK) if mask_frac else labels)


def test_a_piece_after_a_special_token_is_a_word_of_its_own(tokenizer: FakeTokenizer) -> None:
    """A segment truncated at its front begins with a ## piece, which must not join the word before the [SEP]."""
    settings = MaskingSettings(unit="word", target_frac=0.4)
    chosen = {
        tuple(apply(tokenizer, [[5, 6, SEP, 9, 12]], copy=copy, settings=settings)[1].tolist()) for copy in range(50)
    }
    assert chosen == {(1, 2), (4, 5)}


def test_any_word_table_will_do(tokenizer: FakeTokenizer) -> None:
    """Words come from the table alone: with every token a word start, word means token."""
    contents = words(5, 50)
    every = type(tokenizer)()
    every.word_starts[:] = True
    assert np.array_equal(
        apply(every, contents, settings=MaskingSettings(unit="word"))[1], apply(tokenizer, contents)[1]
    )


def test_a_row_of_special_tokens_has_no_target(tokenizer: FakeTokenizer) -> None:
    for unit in ("token", "word", "span", "ngram"):
        settings = MaskingSettings.model_validate({"unit": unit})
        assert apply(tokenizer, [[1, 1]], settings=settings)[1].size == 0
        _, positions, _, offsets = apply(tokenizer, [[1, 1], [7], [1]], settings=settings)
        assert positions.tolist() == [offsets[1] + 1]


@pytest.mark.parametrize("unit", ["word", "span", "ngram"])
@pytest.mark.parametrize(
    "tokens",
    [
        ["영화", "##가", "정말", "재미", "##있", "##다", "!"],
        ["Ġ영화", "가", "Ġ정말", "Ġ재미", "있", "다", "Ġ!"],
        ["▁영화", "가", "▁정말", "▁", "재미", "있다", "▁!"],
    ],
    ids=["wordpiece", "byte-bpe", "unigram"],
)
def test_words_of_every_tokenizer_are_whole(tokenizer: FakeTokenizer, unit: str, tokens: list[str]) -> None:
    """One table says where words begin, whatever mark the vocabulary has for it."""
    some = type(tokenizer)()
    some.word_starts[5:12] = [not t.startswith("##") if "##가" in tokens else t[0] in "Ġ▁" for t in tokens]
    settings = MaskingSettings.model_validate({"unit": unit, "target_frac": 0.5})
    words: list[set[int]] = [{1, 2}, {3}, {4, 5, 6}, {7}]
    seen: set[int] = set()
    for copy in range(40):
        chosen = set(apply(some, [list(range(5, 12))], copy=copy, settings=settings)[1].tolist())
        assert all(word <= chosen or not word & chosen for word in words)
        seen |= chosen
    assert seen == {1, 2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize("unit", ["span", "ngram"])
@given(contents=CONTENTS, share=st.floats(0.01, 0.9), copy=st.integers(0, 5))
def test_the_tokens_beside_a_span_are_of_its_row_and_no_targets(
    tokenizer: FakeTokenizer, unit: str, contents: list[list[int]], share: float, copy: int
) -> None:
    settings = MaskingSettings.model_validate({"unit": unit, "target_frac": share})
    _, positions, _, offsets = apply(tokenizer, contents, copy=copy, settings=settings)
    left, right, places = boundaries(positions)
    assert not np.isin(left, positions).any() and not np.isin(right, positions).any()
    row = np.searchsorted(offsets, positions, side="right")
    for beside in (left, right):
        assert np.array_equal(np.searchsorted(offsets, beside, side="right"), row)
    assert np.array_equal(left + places, positions) and (positions < right).all()


def test_all_tokens_of_a_span_have_one_kind(tokenizer: FakeTokenizer) -> None:
    settings = MaskingSettings(unit="span", mask_frac=0.6, random_frac=0.3)
    corrupted, positions, labels, _ = apply(tokenizer, words(300, 200), settings=settings)
    first, _, span = runs(positions)
    now, tokens = corrupted[positions], np.bincount(span)
    masked, kept = np.bincount(span, now == MASK), np.bincount(span, now == labels)
    assert ((masked == 0) | (masked == tokens)).all()
    for count, share in (((masked == tokens).sum(), 0.6), ((kept == tokens).sum(), 0.1)):
        assert stats.binomtest(int(count), first.size, share).pvalue > 1e-3
    lucky = (kept > 0) & (kept < tokens)  # a random replacement may be the original
    assert lucky.sum() <= 0.02 * first.size
    replaced = now[np.isin(span, np.flatnonzero((masked == 0) & (kept == 0)))]
    assert np.unique(replaced).size > 600, "each token of a span has its own replacement"


def test_tokens_of_an_ngram_have_their_own_kinds(tokenizer: FakeTokenizer) -> None:
    settings = MaskingSettings(unit="ngram", mask_frac=0.5, random_frac=0.0)
    corrupted, positions, _, _ = apply(tokenizer, words(100, 200), settings=settings)
    _, _, span = runs(positions)
    masked, tokens = np.bincount(span, corrupted[positions] == MASK), np.bincount(span)
    assert stats.binomtest(int((masked[tokens == 2] == 1).sum()), int((tokens == 2).sum()), 0.5).pvalue > 1e-3


def test_spans_end_at_special_tokens(tokenizer: FakeTokenizer) -> None:
    settings = MaskingSettings(unit="span", target_frac=0.6, span_p=0.01)
    allowed = {(1, 1), (2, 2), (1, 2), (4, 4), (5, 5), (4, 5), (7, 7)}
    for copy in range(50):
        positions = apply(tokenizer, [[5, 7, 1, 8, 10, SEP, 11]], copy=copy, settings=settings)[1]
        first, last, _ = runs(positions)
        assert set(zip(first.tolist(), last.tolist(), strict=True)) <= allowed


def test_electras_and_modernberts_shares(tokenizer: FakeTokenizer) -> None:
    electra = MaskingSettings(mask_frac=0.85, random_frac=0.0)
    corrupted, positions, labels, _ = apply(tokenizer, words(200, 200), settings=electra)
    masked = corrupted[positions] == MASK
    assert np.array_equal(corrupted[positions][~masked], labels[~masked])
    assert stats.binomtest(int(masked.sum()), positions.size, 0.85).pvalue > 1e-3
    assert apply(tokenizer, words(10, 200), settings=MaskingSettings(target_frac=0.3))[1].size == 10 * 60
