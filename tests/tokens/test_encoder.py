"""The fast encoder gives what the tokenizer gives, whatever the text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.tokens.encoder import CorpusEncoder, id_dtype
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer

PIECES = st.sampled_from(
    [
        "영화",
        "한국어는",
        "뷁",
        "中",
        "Ab",
        "é",
        "e\u0301",
        "\u1112\u1161\u11ab",
        "하\u11ab",
        "12",
        "년",
        "!",
        "...",
        "'s",
        "ㅋㅋ",
        "ㅠ",
        "🎬",
        "👨‍👩‍👧",
        "▁",
        "[MAS",
        "ς",
        "Σ",
    ]
)
SPACES = st.sampled_from(["", " ", "  ", "\t", "\u3000", "\u00a0", "\u200b", " \t ", "\x00", "\u0301"])
BUILT = st.lists(st.one_of(PIECES, SPACES)).map("".join)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SENTENCES = st.lists(st.one_of(BUILT, ANY), max_size=8)


@pytest.fixture(scope="module")
def pairs(tokenizer_folders: dict[Kind, Path]) -> list[tuple[Tokenizer, CorpusEncoder]]:
    """Every kind, each with an encoder."""
    tokenizers = map(Tokenizer.load, tokenizer_folders.values())
    return [(tokenizer, CorpusEncoder(tokenizer)) for tokenizer in tokenizers]


@settings(max_examples=100, deadline=None)
@given(sentences=SENTENCES)
def test_equals_the_tokenizer(sentences: list[str], pairs: list[tuple[Tokenizer, CorpusEncoder]]) -> None:
    for tokenizer, encoder in pairs:
        expected = tokenizer.encode(sentences)
        ids, tokens = encoder.encode(sentences)
        assert ids.dtype == np.uint16
        assert ids.tolist() == [number for sentence in expected for number in sentence]
        assert tokens.tolist() == [len(sentence) for sentence in expected]


def test_text_is_text(tokenizer: Tokenizer) -> None:
    special = [tokenizer.token(number) for number in tokenizer.special_ids if number != tokenizer.unknown_id]
    ids, tokens = CorpusEncoder(tokenizer).encode([f"영화 {name} 배우{name}" for name in special])
    assert not set(ids.tolist()) & (set(tokenizer.special_ids) - {tokenizer.unknown_id})
    assert len(tokens) == 4


def test_a_tokenizer_of_others_goes_the_librarys_way(tokenizer_folders: dict[Kind, Path]) -> None:
    description = json.loads(Tokenizer.load(tokenizer_folders["wordpiece"]).text)
    for normalizer in (None, {"type": "NFC"}, {"type": "Prepend", "prepend": "배우"}):
        tokenizer = Tokenizer(json.dumps(description | {"normalizer": normalizer}))
        ids, _ = CorpusEncoder(tokenizer).encode(["영화는 재미!!"])
        assert ids.tolist() == tokenizer.encode(["영화는 재미!!"])[0]


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe", "unigram"])
def test_tokens_added_behind_the_vocabulary_keep_their_ids(kind: Kind, tokenizer_folders: dict[Kind, Path]) -> None:
    library = tokenizers.Tokenizer.from_str(Tokenizer.load(tokenizer_folders[kind]).text)
    library.add_special_tokens(["[E1]"])
    library.add_tokens(["zz"])
    tokenizer = Tokenizer(library.to_str())
    ids, _ = CorpusEncoder(tokenizer).encode(["영화 zz 음악"])
    assert ids.tolist() == tokenizer.encode(["영화 zz 음악"])[0]
    assert tokenizer.vocabulary_size - 1 in ids, "zz"
    text, _ = CorpusEncoder(tokenizer).encode(["영화 [E1] 음악"])
    assert tokenizer.vocabulary_size - 2 not in text, "a special token in a text is text"


def test_two_bytes_up_to_65535_entries() -> None:
    assert id_dtype(65_535) is np.uint16
    assert id_dtype(65_536) is np.uint32
