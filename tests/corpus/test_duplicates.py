"""Near duplicates: found where they are alike, not found where they are not, the same everywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.duplicates import LETTERS, SeenBands, band_hashes, bands
from cloze.corpus.prepare import Selection, prepare
from cloze.corpus.shingles import letters
from cloze.recipe import CleaningSettings, CorpusSettings

SYLLABLES = [chr(code) for code in range(0xAC00, 0xAC00 + 2000, 7)]


def words(generator: random.Random, number: int) -> list[str]:
    return ["".join(generator.choices(SYLLABLES, k=generator.randint(1, 4))) for _ in range(number)]


def jaccard(one: list[str], other: list[str]) -> float:
    sets = []
    for sentences in (one, other):
        text = letters("".join(sentences))
        sets.append({text[place : place + LETTERS] for place in range(len(text) - LETTERS + 1)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def alike(one: list[str], other: list[str], threshold: float = 0.75) -> bool:
    seen = SeenBands()
    seen.add(band_hashes(one, threshold, 112))
    return seen.share_one(band_hashes(other, threshold, 112))


def pairs(number: int, low: float, high: float) -> Iterator[tuple[list[str], list[str]]]:
    """Texts and copies with replaced words, whose similarity lies in a range."""
    generator = random.Random(1)
    # A replaced word changes seven sequences of five letters, four of them with its neighbours.
    shares = [(1 - similarity) / 4 for similarity in (low, high)]
    while number:
        text = words(generator, 150)
        share = generator.uniform(*shares)
        copy = [word if generator.random() > share else words(generator, 1)[0] for word in text]
        if low <= jaccard([" ".join(text)], [" ".join(copy)]) < high:
            number -= 1
            yield [" ".join(text)], [" ".join(copy)]


@pytest.mark.parametrize(
    ("low", "high", "least", "most"),
    [(0.9, 1.0, 59, 60), (0.8, 0.9, 54, 60), (0.4, 0.5, 0, 5), (0.0, 0.3, 0, 0)],
)
def test_pairs_are_found_by_their_similarity(low: float, high: float, least: int, most: int) -> None:
    assert least <= sum(alike(one, other) for one, other in pairs(60, low, high)) <= most


@given(st.lists(st.text(max_size=30), max_size=5), st.sampled_from(["", " ", "\n", "…", "!"]))
def test_equal_letters_are_always_found(sentences: list[str], between: str) -> None:
    assert alike(sentences, [between.join(sentences)]) == bool(letters("".join(sentences)))


def test_laughter_of_any_length_is_the_same() -> None:
    assert alike(["정말 재밌어요 ㅋㅋㅋㅋㅋㅋ"], ["정말 재밌어요!! ㅋㅋ"])


def test_unlike_texts_are_not_found() -> None:
    generator, seen = random.Random(2), SeenBands()
    found = 0
    for _ in range(300):
        hashed = band_hashes([" ".join(words(generator, 60))], 0.75, 112)
        found += seen.share_one(hashed)
        seen.add(hashed)
    assert found == 0


@pytest.mark.parametrize(
    ("threshold", "permutations", "expected"),
    [(0.75, 112, (14, 8)), (0.8, 112, (11, 10)), (0.9, 112, (7, 16)), (0.5, 128, (32, 4)), (0.01, 8, (8, 1))],
)
def test_bands_follow_from_the_threshold(threshold: float, permutations: int, expected: tuple[int, int]) -> None:
    assert bands(threshold, permutations) == expected


def test_the_hashes_are_the_same_on_every_machine_and_in_every_version() -> None:
    hashed = band_hashes(["옛날 옛적에 호랑이가 담배를 피우던 시절, 한 나무꾼이 살았다."], 0.75, 112)
    assert len(hashed) == 14 * 8
    assert sha256(hashed).hexdigest()[:16] == "84652e1eb0bbe7f7"


def test_a_long_document_is_hashed_in_pieces() -> None:
    text = " ".join(words(random.Random(3), 20_000))
    assert alike([text], [text[: len(text) // 2], text[len(text) // 2 :]])


@hypothesis_settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 7))
def test_the_result_does_not_depend_on_batches(seed: int, size: int) -> None:
    """A document is prepared alone: who prepared it, and beside which others, changes nothing."""
    generator = random.Random(seed)
    settings = CorpusSettings(cleaning=CleaningSettings(near_duplicates=0.75))
    originals = [words(generator, 40) for _ in range(4)]
    copies = [[*text[:-1], "바뀐다"] for text in originals]
    texts = [" ".join(text) for text in originals + copies]
    generator.shuffle(texts)
    raws = [RawDocument(f"a:{place}", "", text, "lines") for place, text in enumerate(texts)]

    def kept(size: int) -> list[str]:
        selection, counts, found = Selection(), Counts(), []
        for start in range(0, len(raws), size):
            batch = [prepare(raw, settings, Counts()) for raw in raws[start : start + size]]
            found += [prepared.document.id for prepared in batch if selection.keeps(prepared, counts)]
        return found

    assert kept(size) == kept(len(raws))


def test_the_first_of_near_duplicates_is_kept_and_the_others_are_counted() -> None:
    settings, counts, selection = (
        CorpusSettings(cleaning=CleaningSettings(near_duplicates=0.75)),
        Counts(),
        Selection(),
    )
    text = " ".join(words(random.Random(4), 80))
    texts = [text, f"{text} 끝.", text, "전혀 다른 글이다."]
    raws = [RawDocument(f"a:{place}", "", text, "lines") for place, text in enumerate(texts)]
    assert [selection.keeps(prepare(raw, settings, counts), counts) for raw in raws] == [True, False, False, True]
    assert (counts.dropped["near duplicate"].documents, counts.dropped["duplicate"].documents) == (1, 1)
    assert counts.dropped["near duplicate"].sentences == 1
