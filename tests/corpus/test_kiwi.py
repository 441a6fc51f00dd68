"""The splitter by Kiwi: nothing of the text changes, and without the package one is told what to install."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.corpus import kiwi
from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.prepare import prepare
from cloze.corpus.sentences import sentence_splitter, split_sentences
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

KIWI = CorpusSettings(sentences="kiwi")


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    pytest.importorskip("kiwipiepy", reason="kiwipiepy is not installed (the extra `korean`)")


@settings(max_examples=60)
@given(st.text() | st.text(alphabet="가다요A1.!?… \n\"'“”(ㅋㅠ^~)😀라고", max_size=60))
def test_joined_sentences_are_the_text(text: str) -> None:
    sentences = sentence_splitter(KIWI)(text)
    assert "".join(sentences) == text
    assert all(sentences)


def test_the_recipe_chooses() -> None:
    raw = RawDocument("a:1", "", "먹고 있어 배는 안 고파 나중에 갈게요", "prose")
    assert prepare(raw, KIWI, Counts()).document.sentences == ["먹고 있어", "배는 안 고파", "나중에 갈게요"]
    assert len(split_sentences(raw.text)) == 1, "the rules leave together what both closes and connects"
    assert sentence_splitter(CorpusSettings()) is split_sentences


def test_long_texts_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kiwi, "PIECE_CHARACTERS", 12)
    text = "저도 같은 문제를 겪었어요 드라이버를 지웠다. " * 20 + "가" * 50
    sentences = sentence_splitter(KIWI)(text)
    assert "".join(sentences) == text
    assert max(map(len, sentences)) <= 12


def test_no_word_is_cut() -> None:
    """Kiwi 0.24 ends a sentence inside of 겪었어요."""
    text = "저도 같은 문제를 겪었어요 드라이버를 지우고 다시 까니까 되더군요 혹시 그래도 안 되면 로그를 올려 주세요"
    assert all(sentence.endswith(" ") for sentence in sentence_splitter(KIWI)(text)[:-1])


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    kiwi.kiwi_splitter.cache_clear()
    with pytest.raises(ClozeError, match=r"cloze\[korean\]"):
        sentence_splitter(KIWI)
    kiwi.kiwi_splitter.cache_clear()
