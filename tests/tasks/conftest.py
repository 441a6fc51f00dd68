"""A tiny encoder with random weights and a labelled file that a classifier can learn."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.interop.huggingface import save_model
from cloze.models import build
from cloze.progress import Silent
from cloze.recipe import CorpusSettings, ModelSettings, TokenizerSettings
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

GOOD, BAD = ["재밌다", "좋았다", "최고"], ["지루하다", "싫다", "최악"]
FILLER = ["영화", "배우", "정말", "그냥", "연기", "음악", "결말이", "다시", "봤는데", "너무"]


def write_reviews(path: Path, count: int, seed: int) -> None:
    """Reviews of one to five words; one of them gives the label away. Every tenth is empty and labelled 0."""
    random = Random(seed)
    lines = ["id\tdocument\tlabel"]
    for i in range(count):
        label = int(i % 3 == 0 and i % 10 > 0)
        words = [*random.sample(FILLER, random.randrange(5)), random.choice((BAD, GOOD)[label])]
        random.shuffle(words)
        lines.append(f"{i}\t{' '.join(words) if i % 10 else ''}\t{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train.txt (200 examples), test.txt (60) and model/ (a tokenizer, an encoder of random weights)."""
    folder = tmp_path_factory.mktemp("task")
    write_reviews(folder / "train.txt", 200, 1)
    write_reviews(folder / "test.txt", 60, 2)
    sentences = [" ".join([*FILLER, word]) for word in GOOD + BAD]
    (folder / "corpus.txt").write_text("\n\n".join(sentences * 3) + "\n", encoding="utf-8")
    for name in ("corpus", "tokenizer", "model"):
        (folder / name).mkdir()
    sources = CorpusSettings(sources=[Path("corpus.txt")], kind="text")
    build_corpus(sources, folder, folder / "corpus", Silent())
    settings = TokenizerSettings(vocabulary_size=64, min_frequency=1)
    train_tokenizer(Corpus(folder / "corpus"), settings, folder / "tokenizer", Silent())
    tokenizer = Tokenizer.load(folder / "tokenizer")
    model = build(
        ModelSettings(layers=1, heads=2, width=32, initialisation_std=0.1),
        vocabulary_size=tokenizer.vocabulary_size,
        length=16,
        pad_id=tokenizer.pad_id,
        pairs=False,
        seed=7,
    )
    save_model(folder / "model", model, tokenizer)
    return folder
