"""Small corpora: Korean sentences made of a few stems, endings and marks, drawn by arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cloze.corpus.corpus import Corpus, CorpusWriter
from cloze.corpus.document import Document
from cloze.progress import Silent
from cloze.recipe import TokenizerSettings
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

STEMS = [
    "영화",
    "배우",
    "감독",
    "음악",
    "결말",
    "한국어",
    "연기",
    "주인공",
    "드라마",
    "Avatar",
    "中国",
    "2020년",
    "재미",
    "감동",
]
ENDINGS = ["", "는", "가", "를", "의", "에서", "도", "!!", "...", "ㅋㅋㅋ", "ㅠㅠ", "(최고)", "이다.", "였다"]


def write_corpus(folder: Path, splits: Mapping[str, Sequence[Sequence[str]]]) -> Corpus:
    """A corpus folder from lists of documents, each a list of sentences."""
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        with CorpusWriter(folder, split) as writer:
            for number, sentences in enumerate(splits.get(split, [])):
                writer.write(Document(f"{split}:{number}", "", list(sentences)))
    return Corpus(folder)


def korean_documents(count: int, first: int = 0) -> list[list[str]]:
    """Documents of 1 to 5 sentences of 2 to 7 words; every number gives another one."""
    documents = []
    for number in range(first, first + count):
        state = number * 2_654_435_761 + 12_345
        sentences = []
        for _ in range(1 + state % 5):
            words = []
            for _ in range(2 + state // 7 % 6):
                state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 64)
                words.append(STEMS[(state >> 33) % len(STEMS)] + ENDINGS[(state >> 45) % len(ENDINGS)])
            sentences.append(" ".join(words))
        documents.append(sentences)
    return documents


@pytest.fixture(scope="session")
def korean_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """2,500 training documents (3 record batches) and 100 for validation."""
    splits = {"train": korean_documents(2_500), "validation": korean_documents(100, first=10_000)}
    return write_corpus(tmp_path_factory.mktemp("corpus") / "korean", splits)


@pytest.fixture(scope="session")
def tokenizer_folders(korean_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    """A trained tokenizer of each kind."""
    kinds: dict[Kind, int] = {"wordpiece": 160, "byte-bpe": 400, "unigram": 80}
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in kinds}
    for kind, size in kinds.items():
        train_tokenizer(korean_corpus, TokenizerSettings(kind=kind, vocabulary_size=size), folders[kind], Silent())
    return folders


@pytest.fixture(params=["wordpiece", "byte-bpe", "unigram"])
def tokenizer(request: pytest.FixtureRequest, tokenizer_folders: dict[Kind, Path]) -> Tokenizer:
    """Every kind in turn."""
    return Tokenizer.load(tokenizer_folders[request.param])
