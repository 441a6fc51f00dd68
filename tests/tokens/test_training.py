"""Training: the same files again, exact sizes, what is left out, normalisation, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from cloze.corpus.corpus import Corpus
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import TokenizerSettings
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer
from cloze.tokens.training import _merge, _unigram

from .conftest import korean_documents, write_corpus

TRAIN_AGAIN = """
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from cloze.corpus.corpus import Corpus
from cloze.progress import Silent
from cloze.recipe import TokenizerSettings
from cloze.tokens.tokenizer import train_tokenizer
corpus, folder, kind, size = sys.argv[1:]
train_tokenizer(Corpus(Path(corpus)), TokenizerSettings(kind=kind, vocabulary_size=int(size)), Path(folder), Silent())
assert "torch" not in sys.modules
"""


def train(corpus: Corpus, folder: Path, **settings: Any) -> Tokenizer:
    train_tokenizer(corpus, TokenizerSettings(**settings), folder, Silent())
    return Tokenizer.load(folder)


def test_another_process_and_another_number_of_threads_train_the_same_files(
    korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], tmp_path: Path
) -> None:
    # The library's hash tables are seeded by process, so a repetition in this one would prove little.
    for kind, trained in tokenizer_folders.items():
        size = str(Tokenizer.load(trained).vocabulary_size)
        for threads, seed in (("1", "7"), ("2", "0"))[: 2 if kind == "unigram" else 1]:
            folder = tmp_path / f"{kind}-{threads}"
            environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": seed}
            command = [sys.executable, "-c", TRAIN_AGAIN, str(korean_corpus.folder), str(folder), kind, size]
            subprocess.run(command, check=True, env=environment)
            for name in ("tokenizer.json", "tokenizer_config.json"):
                assert (folder / name).read_bytes() == (trained / name).read_bytes(), name


def test_byte_level_training_is_the_librarys_own(korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path]) -> None:
    trained = Tokenizer.load(tokenizer_folders["byte-bpe"])
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        min_frequency=5,
        show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    library.train_from_iterator(korean_corpus.sentences("train"), trainer)
    theirs = json.loads(library.to_str())["model"]
    ours = json.loads(trained.text)["model"]
    assert (ours["vocab"], ours["merges"]) == (theirs["vocab"], theirs["merges"])


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe", "unigram"])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [False, True])
def test_normalisation_keeps_hangul_whole(kind: Kind, lowercase: bool, strip_accents: bool, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": [*korean_documents(200), ["한국어 café cafe Café"] * 20]})
    size = {"wordpiece": 120, "byte-bpe": 300, "unigram": 75}[kind]
    switches = {"lowercase": lowercase, "strip_accents": strip_accents}
    tokenizer = train(corpus, tmp_path / "tokenizer", kind=kind, vocabulary_size=size, **switches)
    whole, jamo = tokenizer.encode(["한국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165"])
    assert whole == jamo
    assert tokenizer.decode(whole).strip() == "한국어"
    accent, none, capital, combining = tokenizer.encode(["café", "cafe", "Café", "cafe\u0301"])
    assert accent == combining
    assert (accent == none) == strip_accents
    assert (accent == capital) == lowercase


def test_wordpiece_leaves_out_rare_characters_and_counts_the_words(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": [*korean_documents(300), ["뷁뷁 뷁영화 영화"]]})
    settings = TokenizerSettings(vocabulary_size=80, alphabet_limit=45)
    counts = train_tokenizer(corpus, settings, tmp_path, Silent())
    tokenizer = Tokenizer.load(tmp_path)
    assert counts["alphabet"] == 45 < counts["of_alphabet"]
    assert counts["left_out_words"] >= 2
    assert tokenizer.encode(["뷁영화 영화"])[0][0] == tokenizer.unknown_id
    assert tokenizer.unknown_id not in tokenizer.encode(["영화"])[0]
    json.dumps(counts)


def test_the_sample_is_stated(korean_corpus: Corpus, tmp_path: Path) -> None:
    settings = TokenizerSettings(vocabulary_size=120, sample_characters=9_000)
    sample = train_tokenizer(korean_corpus, settings, tmp_path, Silent())["sample"]
    assert 8_800 < sample["characters"] <= 9_000 < sample["of_characters"]
    assert sample["documents"] < sample["of_documents"] == 2_500


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_vocabulary_larger_than_the_text_allows(kind: Kind, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": korean_documents(100)})
    with pytest.raises(ClozeError, match=r"vocabulary_size is 16,000, but the text gives (\d+) entries") as error:
        train(corpus, tmp_path / "tokenizer", kind=kind)
    assert not (tmp_path / "tokenizer").exists()
    allowed = int(str(error.value).split(" gives ")[1].split()[0])
    tokenizer = train(corpus, tmp_path / "tokenizer", kind=kind, vocabulary_size=allowed)
    assert tokenizer.vocabulary_size == allowed


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe"])
def test_a_vocabulary_too_small_for_the_characters(kind: Kind, korean_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"vocabulary_size is 64, but .* alone are \d+ entries"):
        train(korean_corpus, tmp_path, kind=kind, vocabulary_size=64)


def test_more_text_than_the_library_can_count() -> None:
    with pytest.raises(ClozeError, match="32-bit counts"):
        _merge(Counter({"영화": 1 << 30}), ["영", "##화"], TokenizerSettings())
    with pytest.raises(ClozeError, match="32-bit counts"):
        _unigram(Counter({"영화": 1 << 30}), ["영", "화"], TokenizerSettings(kind="unigram"))


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_no_text(kind: Kind, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {})
    with pytest.raises(ClozeError, match="the text gives 5 entries"):
        train(corpus, tmp_path / "tokenizer", kind=kind)


def unigram_pieces(tokenizer: Tokenizer) -> dict[str, float]:
    return dict(json.loads(tokenizer.text)["model"]["vocab"][5:])


def test_unigram_pieces_are_the_librarys_own(korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path]) -> None:
    library = tokenizers.Tokenizer(models.Unigram())
    library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=75, show_progress=False)
    library.train_from_iterator(korean_corpus.sentences("train"), trainer)
    theirs = dict(json.loads(library.to_str())["model"]["vocab"])
    ours = unigram_pieces(Tokenizer.load(tokenizer_folders["unigram"]))
    assert ours.keys() == theirs.keys()
    rare = 53 * 1e-4  # characters that the fit has dropped are spread over as many steps
    assert all(abs(ours[piece] - score) <= (rare if len(piece) == 1 else 5.1e-5) for piece, score in theirs.items())


def test_unigram_entries_are_in_order(tokenizer_folders: dict[Kind, Path]) -> None:
    pieces = unigram_pieces(Tokenizer.load(tokenizer_folders["unigram"]))
    assert list(pieces.items()) == sorted(pieces.items(), key=lambda piece: (-piece[1], piece[0]))
    assert all(score == round(score, 4) < 0 for score in pieces.values())


def test_unigram_leaves_out_rare_characters_alone(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": [*korean_documents(300), ["뷁뷁 뷁영화 영화 a\0b"]]})
    settings = TokenizerSettings(kind="unigram", vocabulary_size=68, alphabet_limit=50)
    counts = train_tokenizer(corpus, settings, tmp_path, Silent())
    tokenizer = Tokenizer.load(tmp_path)
    assert counts["single_character_entries"] == counts["alphabet"] == 50 < counts["of_alphabet"]
    assert counts["left_out_words"] >= 2
    ids, whole = tokenizer.encode(["뷁뷁영화 영화", "영화"])
    assert [tokenizer.token(number) for number in ids[:2]] == [" ", "<unk>"]
    assert ids[-len(whole) :] == whole
    assert ids.count(tokenizer.unknown_id) == 1
    json.dumps(counts)


def test_every_unigram_character_is_an_entry(tmp_path: Path) -> None:
    syllables = [chr(code) for code in range(ord("가"), ord("가") + 40)]
    corpus = write_corpus(tmp_path / "corpus", {"train": [*korean_documents(300), [" ".join(syllables)]]})
    with pytest.raises(ClozeError, match=r"vocabulary_size is 64, .* alone are \d+ entries.*or lower .*alphabet_limit"):
        train(corpus, tmp_path / "tokenizer", kind="unigram", vocabulary_size=64)
    tokenizer = train(corpus, tmp_path / "tokenizer", kind="unigram", vocabulary_size=110)
    assert tokenizer.unknown_id not in tokenizer.encode(["".join(syllables)])[0]


def test_compatibility_jamo_stay_as_they_are(tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["unigram"])
    assert tokenizer.decode(tokenizer.encode(["재미 ㅋㅋㅋ ㅠㅠ"])[0]) == "재미 ㅋㅋㅋ ㅠㅠ"  # NFKC: another code point
