"""Characters of a token: those of a text's tokens add up to the text, white space aside, in every kind alike."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.progress import Silent
from cloze.recipe import TokenizerSettings
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

from .conftest import write_corpus

KINDS: tuple[Kind, ...] = ("wordpiece", "byte-bpe", "unigram")
REVIEWS = 4_000


def visible(text: str) -> int:
    """Characters that are no white space."""
    return sum(not character.isspace() for character in text)


def characters(tokenizer: Tokenizer, ids: list[int]) -> int:
    return int(tokenizer.characters[ids].sum())


@pytest.mark.parametrize(
    ("kind", "token", "count"),
    [
        ("wordpiece", "##는", 1),
        ("wordpiece", "영화", 2),
        ("unigram", "▁영화", 2),
        ("unigram", "▁", 0),
        ("byte-bpe", " 영화", 2),
        ("byte-bpe", " ", 0),
    ],
)
def test_marks_and_spaces_are_no_characters(
    kind: Kind, token: str, count: int, tokenizer_folders: dict[Kind, Path]
) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders[kind])
    shown = [tokenizer.token(number) for number in range(tokenizer.vocabulary_size)]
    number = shown.index(token.replace("▁", " "))
    assert tokenizer.characters[number] == count


def test_special_tokens_have_none(tokenizer: Tokenizer) -> None:
    assert tokenizer.characters.dtype == np.int64 and tokenizer.characters.shape == (tokenizer.vocabulary_size,)
    assert not tokenizer.characters[tokenizer.special_ids].any()
    assert tokenizer.characters[tokenizer.ordinary_ids].any()


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_of_a_character_count_it_once(text: str, tokenizer_folders: dict[Kind, Path]) -> None:
    """White space beyond ASCII aside, which is cut into bytes here."""
    tokenizer = Tokenizer.load(tokenizer_folders["byte-bpe"])
    text = "".join(" " if character.isspace() and not character.isascii() else character for character in text)
    ids = [number for number in tokenizer.encode([text])[0] if number not in tokenizer.special_ids]
    assert characters(tokenizer, ids) == visible(tokenizer.decode(ids))


def test_what_the_table_cannot_know(tokenizer_folders: dict[Kind, Path]) -> None:
    """The differences between kinds that `Tokenizer.characters` names."""
    wordpiece, byte_bpe, unigram = (Tokenizer.load(tokenizer_folders[kind]) for kind in KINDS)
    assert characters(byte_bpe, byte_bpe.encode(["\u3000"])[0]) == 1, "white space that was cut into three bytes"
    assert characters(unigram, unigram.encode(["영화▁"])[0]) == 2, "a mark that the text had"
    assert [characters(one, one.encode(["\u200b"])[0]) for one in (wordpiece, byte_bpe)] == [0, 1], (
        "a control character"
    )


@pytest.fixture(scope="module")
def reviews(shared_data: Path) -> list[str]:
    """Real film reviews, white space beyond ASCII replaced."""
    with gzip.open(shared_data / "corpus" / "reviews.txt.gz", "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in islice(file, REVIEWS) if line.strip()]
    return [" ".join(line.split()) for line in lines]


@pytest.fixture(scope="module")
def real_tokenizers(reviews: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Tokenizer]:
    """One of each kind, trained on the first half of the reviews."""
    folder = tmp_path_factory.mktemp("real")
    corpus = write_corpus(folder / "corpus", {"train": [reviews[: REVIEWS // 2]]})
    for kind in KINDS:
        (folder / kind).mkdir()
        settings = TokenizerSettings(kind=kind, vocabulary_size=3_000, min_frequency=2)
        train_tokenizer(corpus, settings, folder / kind, Silent())
    return [Tokenizer.load(folder / kind) for kind in KINDS]


@given(data=st.data())
def test_tokens_of_real_texts_add_up_to_what_is_decoded(
    data: st.DataObject, reviews: list[str], real_tokenizers: list[Tokenizer]
) -> None:
    """Any piece of any review; [UNK], whose text is lost, left out. Without it all kinds count the same."""
    review = data.draw(st.sampled_from(reviews))
    start = data.draw(st.integers(0, len(review) - 1))
    text = review[start : data.draw(st.integers(start, len(review)))]
    counts = set()
    for tokenizer in real_tokenizers:
        ids = tokenizer.encode([text])[0]
        known = [number for number in ids if number != tokenizer.unknown_id]
        assert characters(tokenizer, ids) == visible(tokenizer.decode(known)), (tokenizer.kind, text)
        if len(known) == len(ids):
            counts.add(characters(tokenizer, ids))
    assert counts == {visible(text)}
