"""The numbers of the quality report, counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloze.corpus.corpus import Corpus
from cloze.tokens.quality import quality
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer

from .conftest import write_corpus


def test_numbers_by_hand(tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["wordpiece"])
    corpus = write_corpus(tmp_path / "corpus", {"train": [["영화 영화 뷁", "배우"], ["뷁 영화!!!"]]})
    measured = quality(tokenizer, corpus)["train"]
    tokens = [len(ids) for ids in tokenizer.encode(["영화", "배우", "!"])]
    total = 3 * tokens[0] + tokens[1] + 3 * tokens[2] + 2
    assert measured["sample"] == {"documents": 2, "of_documents": 2, "characters": 16, "of_characters": 16}
    assert (measured["sentences"], measured["words"], measured["tokens"]) == (3, 6, total)
    assert measured["unknown_tokens"] == 2
    assert measured["unknown_share"] == pytest.approx(2 / total)
    assert measured["unknown_word_share"] == pytest.approx(2 / 6)
    assert measured["tokens_per_word"] == pytest.approx(total / 6)
    assert measured["tokens_per_character"] == pytest.approx(total / 16)
    assert measured["unknown_words"] == ["뷁 (2)"]
    assert measured["longest_words"][0] == "영화!!!"


def test_the_most_split_word_costs_the_most_continuing_tokens(
    tokenizer_folders: dict[Kind, Path], tmp_path: Path
) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["wordpiece"])
    rare, common, once = "에서의는", "의가", "가의는도에서의는"
    corpus = write_corpus(tmp_path / "corpus", {"train": [[once, f"영화!!!!!!!! {rare} {rare}", f"{common} " * 9]]})
    pieces = [" ".join(map(tokenizer.token, ids)) for ids in tokenizer.encode([common, rare])]
    assert [text.count("##") for text in pieces] == [1, 3]
    measured = quality(tokenizer, corpus)["train"]["most_split_words"]
    assert measured == [f"{common} (9): {pieces[0]}", f"{rare} (2): {pieces[1]}"]


def test_both_splits_are_json(tokenizer: Tokenizer, korean_corpus: Corpus) -> None:
    measured = quality(tokenizer, korean_corpus, sample_characters=5_000, examples=3)
    assert set(json.loads(json.dumps(measured))) == {"train", "validation"}
    assert measured["train"]["sample"]["characters"] <= 5_000 < measured["train"]["sample"]["of_characters"]
    assert len(measured["train"]["most_split_words"]) == 3
    assert 0 < measured["validation"]["vocabulary_used_share"] <= 1


def test_an_empty_split_has_no_shares(tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": [["영화"]]})
    measured = quality(tokenizer, corpus)["validation"]
    assert measured["tokens_per_word"] is None
    assert measured["longest_words"] == []
