"""New words become entries: old texts keep their ids, new ones are found with a particle behind them too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.errors import ClozeError
from cloze.tokens.extend import read_words
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer

from .conftest import ENDINGS, STEMS

WORDS = ["영화음악", "감독재미", "연기결말도"]
KINDS: tuple[Kind, ...] = ("wordpiece", "byte-bpe", "unigram")


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_becomes_one_token_and_keeps_its_particle(kind: Kind, tokenizer_folders: dict[Kind, Path]) -> None:
    old = Tokenizer.load(tokenizer_folders[kind])
    new, pieces = old.extended(WORDS)
    before = old.encode(WORDS)
    for word, ids, was in zip(WORDS, new.encode(WORDS), before, strict=True):
        assert len(ids) == 1 and ids[0] >= old.vocabulary_size
        assert pieces[ids[0]] == tuple(was)
        assert new.word_starts[ids[0]]
        alone, with_particle = ids, new.encode([f"{word}에서"])[0]
        assert with_particle[0] == alone[0], "the particle does not begin a word of its own"
        assert not new.word_starts[with_particle[1:]].any()
        assert new.decode(with_particle).strip() == f"{word}에서"
    assert sorted(pieces) == list(range(old.vocabulary_size, new.vocabulary_size))
    assert (len(pieces) == len(WORDS)) or kind == "byte-bpe", "only BPE needs entries for the joins before"
    assert (new.pad_id, new.mask_id, new.special_ids) == (old.pad_id, old.mask_id, old.special_ids)
    assert new.fingerprint != old.fingerprint


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.builds(str.__add__, st.sampled_from(STEMS), st.sampled_from(ENDINGS)), max_size=6))
def test_texts_without_new_words_keep_their_ids(words: list[str], tokenizer_folders: dict[Kind, Path]) -> None:
    for kind in KINDS:
        old = Tokenizer.load(tokenizer_folders[kind])
        new, _ = old.extended(WORDS)
        assert new.encode([" ".join(words)]) == old.encode([" ".join(words)])


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_were_added_to_the_vocabulary_keep_their_ids(
    kind: Kind, tokenizer_folders: dict[Kind, Path]
) -> None:
    """The library numbers them behind the model's entries, so that new words among these would move them."""
    library = tokenizers.Tokenizer.from_str(Tokenizer.load(tokenizer_folders[kind]).text)
    library.add_special_tokens(["[E1]"])
    library.add_tokens(["zz"])
    old = Tokenizer(library.to_str())
    before = old.encode(["영화 zz 음악", *WORDS])
    new, pieces = old.extended(WORDS)
    names = [old.token(number) for number in range(old.vocabulary_size)]
    assert [new.token(number) for number in range(old.vocabulary_size)] == names
    assert new.encode(["영화 zz 음악"])[0] == before[0]
    for ids, was in zip(new.encode(WORDS), before[1:], strict=True):
        assert len(ids) == 1 and pieces[ids[0]] == tuple(was)


@pytest.mark.parametrize("kind", KINDS)
def test_known_words_add_nothing(kind: Kind, tokenizer_folders: dict[Kind, Path]) -> None:
    old = Tokenizer.load(tokenizer_folders[kind])
    once, pieces = old.extended(WORDS)
    twice, again = once.extended([*WORDS, WORDS[0]])
    assert pieces and not again
    assert twice.vocabulary_size == once.vocabulary_size
    assert twice.encode(WORDS) == once.encode(WORDS)


@pytest.mark.parametrize("kind", KINDS)
def test_hugging_face_reads_the_extended_one(kind: Kind, tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    new, _ = Tokenizer.load(tokenizer_folders[kind]).extended(WORDS)
    new.save(tmp_path)
    assert Tokenizer.load(tmp_path).fingerprint == new.fingerprint
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    text = "감독재미는 영화음악에서"
    assert theirs(text)["input_ids"][1:-1] == new.encode([text])[0]


def test_merges_written_as_text_stay_text(tokenizer_folders: dict[Kind, Path]) -> None:
    """As files of tokenizers before 0.20 have them."""
    description = json.loads((tokenizer_folders["byte-bpe"] / "tokenizer.json").read_text(encoding="utf-8"))
    description["model"]["merges"] = [" ".join(merge) for merge in description["model"]["merges"]]
    new, _ = Tokenizer(json.dumps(description)).extended(WORDS)
    assert [len(ids) for ids in new.encode(WORDS)] == [1, 1, 1]


@pytest.mark.parametrize(("kind", "word"), [("wordpiece", "C++"), ("unigram", "두 낱말"), ("byte-bpe", "2020년")])
def test_what_is_split_is_refused(kind: Kind, word: str, tokenizer_folders: dict[Kind, Path]) -> None:
    old = Tokenizer.load(tokenizer_folders[kind])
    with pytest.raises(ClozeError, match="can't be one entry: this tokenizer splits it into"):
        old.extended([word])


def test_a_file_of_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff영화음악 \n\n\u1112\u1161\u11ab국\n영화음악\n", encoding="utf-8")
    assert read_words(path) == ["영화음악", "한국"]
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(ClozeError, match=r"words\.txt holds no word"):
        read_words(path)
    path.write_bytes("하나\n".encode() + b"\xb0\xa1")
    with pytest.raises(ClozeError, match=r"words\.txt, line 2: byte 0xb0"):
        read_words(path)
