"""Training, special tokens, normalisation, word starts, the folder that Hugging Face reads, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from cloze.corpus.corpus import Corpus
from cloze.errors import ClozeError, DamagedError
from cloze.progress import Silent
from cloze.recipe import TokenizerSettings
from cloze.tokens.tokenizer import Kind, Tokenizer, _merge, train_tokenizer

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
        folder, size = tmp_path / kind, str(Tokenizer.load(trained).vocabulary_size)
        environment = os.environ | {"RAYON_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
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


def test_special_tokens_have_the_papers_ids(tokenizer_folders: dict[Kind, Path]) -> None:
    wordpiece = Tokenizer.load(tokenizer_folders["wordpiece"])
    ids = (wordpiece.pad_id, wordpiece.unknown_id, wordpiece.cls_id, wordpiece.sep_id, wordpiece.mask_id)
    assert ids == (0, 1, 2, 3, 4)
    byte_bpe = Tokenizer.load(tokenizer_folders["byte-bpe"])
    assert (byte_bpe.cls_id, byte_bpe.pad_id, byte_bpe.sep_id, byte_bpe.unknown_id, byte_bpe.mask_id) == (0, 1, 2, 3, 4)


def test_tables_over_the_vocabulary(tokenizer: Tokenizer) -> None:
    assert tokenizer.special_ids == [0, 1, 2, 3, 4]
    assert tokenizer.ordinary_ids.dtype == np.int64
    assert tokenizer.ordinary_ids.tolist() == list(range(5, tokenizer.vocabulary_size))
    assert tokenizer.word_starts.dtype == np.bool_
    assert tokenizer.word_starts.shape == (tokenizer.vocabulary_size,)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("wordpiece", "영화는 [MASK] 배우!!", ["영화는", "[MASK]", "배우", "!", "!"]),
        ("wordpiece", "(최고)이다. 中国", ["(", "최고", ")", "이다", ".", "中", "国"]),
        ("byte-bpe", "영화는 <mask> 배우!!", [" 영화는", "<mask>", " 배우", "!!"]),
        ("byte-bpe", "영화(최고)이다. 2020년 中国", [" 영화", "(최고", ")이다", ".", " 2020년", " 中国"]),
    ],
)
def test_words(kind: Kind, text: str, words: list[str], tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders[kind])
    ids = np.array(tokenizer.encode([text])[0])
    starts = np.flatnonzero(tokenizer.word_starts[ids])
    assert starts[0] == 0
    found = [tokenizer.decode(part) for part in np.split(ids, starts[1:])]
    assert [word.replace(" ", "") for word in found] == [word.replace(" ", "") for word in words]


def test_a_word_of_bytes_is_one_wherever_it_stands(tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["byte-bpe"])
    first, second = tokenizer.encode(["영화", "감독 영화"])
    assert second[-len(first) :] == first


def test_a_mask_typed_by_a_user_is_the_mask_token(tokenizer: Tokenizer) -> None:
    mask = tokenizer.token(tokenizer.mask_id)
    ids = tokenizer.encode([f"이 영화 정말 {mask}", f"{mask}다"])
    assert [row.count(tokenizer.mask_id) for row in ids] == [1, 1]
    assert tokenizer.mask_id not in tokenizer.encode(["MASK mask"])[0]


def test_decode_gives_bytes_back_exactly(tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["byte-bpe"])
    text = " 뷁 Café 🎬 2020년 ㅋㅋ"
    ids = tokenizer.encode([text])[0]
    assert tokenizer.decode(ids) == text
    assert tokenizer.unknown_id not in ids


def test_decode_joins_pieces(tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["wordpiece"])
    assert tokenizer.decode(tokenizer.encode(["한국어는 재미 ㅋㅋㅋ"])[0]) == "한국어는 재미 ㅋㅋㅋ"


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe"])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [False, True])
def test_normalisation_keeps_hangul_whole(kind: Kind, lowercase: bool, strip_accents: bool, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": [*korean_documents(200), ["한국어 café cafe Café"] * 20]})
    size = 120 if kind == "wordpiece" else 300
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


def test_a_vocabulary_larger_than_the_text_allows(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": korean_documents(100)})
    with pytest.raises(ClozeError, match=r"vocabulary_size is 16,000, but the text gives (\d+) entries") as error:
        train(corpus, tmp_path / "tokenizer")
    assert not (tmp_path / "tokenizer").exists()
    allowed = int(str(error.value).split(" gives ")[1].split()[0])
    assert train(corpus, tmp_path / "tokenizer", vocabulary_size=allowed).vocabulary_size == allowed


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe"])
def test_a_vocabulary_too_small_for_the_characters(kind: Kind, korean_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"vocabulary_size is 64, but .* alone are \d+ entries"):
        train(korean_corpus, tmp_path, kind=kind, vocabulary_size=64)


def test_more_text_than_the_library_can_count() -> None:
    with pytest.raises(ClozeError, match="32-bit counts"):
        _merge(Counter({"영화": 1 << 30}), ["영", "##화"], TokenizerSettings())


def test_no_text(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {})
    with pytest.raises(ClozeError, match="the text gives 5 entries"):
        train(corpus, tmp_path / "tokenizer")


def test_save_and_load_are_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert (tmp_path / "tokenizer.json").read_text(encoding="utf-8") == tokenizer.text
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encode(["영화는 재미!!"]) == tokenizer.encode(["영화는 재미!!"])


def test_fingerprint_tells_what_changes_ids(tokenizer: Tokenizer) -> None:
    description = json.loads(tokenizer.text)
    description["decoder"] = None
    assert Tokenizer(json.dumps(description)).fingerprint == tokenizer.fingerprint
    description["normalizer"] = None
    assert Tokenizer(json.dumps(description)).fingerprint != tokenizer.fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "can't be used"),
        (b'{"model": ', "can't be used"),
        (b"[]", "describes no model"),
        (b'{"model": {"type": "Unigram"}}', "its model is Unigram"),
        (b'{"model": {"type": "WordPiece", "continuing_subword_prefix": "##"}}', "can't read it"),
    ],
)
def test_a_damaged_file_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(DamagedError, match=message) as error:
        Tokenizer.load(tmp_path)
    assert str(tmp_path / "tokenizer.json") in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"nowhere.tokenizer\.json does not exist"):
        Tokenizer.load(tmp_path / "nowhere")


def test_special_tokens_must_be_there(tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    text = (tokenizer_folders["wordpiece"] / "tokenizer.json").read_text(encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(text.replace("[MASK]", "[GAP]"), encoding="utf-8")
    with pytest.raises(DamagedError, match=r"no entry \[MASK\]"):
        Tokenizer.load(tmp_path)


def test_hugging_face_gives_the_same_ids(tokenizer_folders: dict[Kind, Path]) -> None:
    from transformers import AutoTokenizer

    texts = ["영화는 한국어로 재미!!", "이 [MASK] 정말 <mask> 뷁", "Café 中国"]
    for kind, folder in tokenizer_folders.items():
        ours, theirs = Tokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
        for text, ids in zip(texts, ours.encode(texts), strict=True):
            assert theirs(text)["input_ids"] == [ours.cls_id, *ids, ours.sep_id], (kind, text)
            assert theirs.decode(ids) == ours.decode(ids)
        names = {"pad", "cls", "sep", "mask"}
        assert {getattr(theirs, f"{name}_token_id") for name in names} == {
            getattr(ours, f"{name}_id") for name in names
        }
        assert theirs.unk_token_id == ours.unknown_id
        assert ("token_type_ids" in theirs(texts[0])) == (kind == "wordpiece")
        assert len(theirs) == ours.vocabulary_size
