"""The sample: whole documents, by content, the same in any order."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.corpus.corpus import Corpus
from cloze.tokens.sample import choose_sample, sampled_documents

from .conftest import korean_documents, write_corpus


def chosen(corpus: Corpus, max_characters: int) -> list[list[str]]:
    sample = choose_sample(corpus, "train", max_characters)
    documents = [document.sentences for document in sampled_documents(corpus, "train", sample)]
    assert len(documents) == sample.documents
    assert sum(len(sentence) for document in documents for sentence in document) == sample.characters
    return documents


@settings(max_examples=8, deadline=None)
@given(max_characters=st.integers(1, 150_000))
def test_counts_are_those_of_the_documents(max_characters: int, korean_corpus: Corpus) -> None:
    documents = chosen(korean_corpus, max_characters)
    assert documents
    assert len(documents) == 1 or sum(len(text) for document in documents for text in document) <= max_characters


def test_the_order_of_the_corpus_does_not_matter(tmp_path: Path) -> None:
    documents = korean_documents(200)
    forward = write_corpus(tmp_path / "forward", {"train": documents})
    backward = write_corpus(tmp_path / "backward", {"train": documents[::-1]})
    assert chosen(forward, 2_000) == chosen(backward, 2_000)[::-1]
    assert 0 < len(chosen(forward, 2_000)) < 200


def test_documents_are_chosen_by_a_hash_of_their_sentences(tmp_path: Path) -> None:
    documents = [["한", "둘 셋"], ["한둘 셋"], [], ["네"], [f"문장 {number}" for number in range(30)]]
    corpus = write_corpus(tmp_path / "corpus", {"train": documents})

    def place(sentences: list[str]) -> int:
        key = b"cloze tokenizer sample"
        return int.from_bytes(blake2b("\n".join(sentences).encode(), digest_size=8, key=key).digest(), "little")

    for most in range(1, 200, 7):
        taken, characters = list[list[str]](), 0
        for sentences in sorted(documents, key=place):
            characters += sum(map(len, sentences))
            if taken and characters > most:
                break
            taken.append(sentences)
        assert chosen(corpus, most) == [sentences for sentences in documents if sentences in taken]


def test_everything_fits(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": korean_documents(50)})
    assert len(chosen(corpus, 10**9)) == 50
    assert choose_sample(corpus, "validation", 10).counts() == {
        "documents": 0,
        "of_documents": 0,
        "characters": 0,
        "of_characters": 0,
    }
