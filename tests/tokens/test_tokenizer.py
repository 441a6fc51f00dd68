"""Special tokens, tables over the vocabulary, words, decoding, the folder that Hugging Face reads, damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.errors import ClozeError, DamagedError
from cloze.tasks.features import featurise
from cloze.tokens.special import Kind
from cloze.tokens.tokenizer import Tokenizer
from cloze.tokens.training import SPACE

from .conftest import ENDINGS, STEMS


def test_special_tokens_have_the_papers_ids(tokenizer_folders: dict[Kind, Path]) -> None:
    wordpiece = Tokenizer.load(tokenizer_folders["wordpiece"])
    ids = (wordpiece.pad_id, wordpiece.unknown_id, wordpiece.cls_id, wordpiece.sep_id, wordpiece.mask_id)
    assert ids == (0, 1, 2, 3, 4)
    byte_bpe = Tokenizer.load(tokenizer_folders["byte-bpe"])
    assert (byte_bpe.cls_id, byte_bpe.pad_id, byte_bpe.sep_id, byte_bpe.unknown_id, byte_bpe.mask_id) == (0, 1, 2, 3, 4)
    unigram = Tokenizer.load(tokenizer_folders["unigram"])
    ids = (unigram.pad_id, unigram.unknown_id, unigram.cls_id, unigram.sep_id, unigram.mask_id)
    assert ids == (0, 1, 2, 3, 4)
    assert [unigram.token(number) for number in ids] == ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]


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
        ("unigram", "영화는 [MASK] 배우!!", ["영화는", "[MASK]", "배우!!"]),
        ("unigram", "영화(최고)이다.  2020년\t中国", ["영화(최고)이다.", "2020년", "中国"]),
    ],
)
def test_words(kind: Kind, text: str, words: list[str], tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders[kind])
    ids = np.array(tokenizer.encode([text])[0])
    starts = np.flatnonzero(tokenizer.word_starts[ids])
    assert starts[0] == 0
    found = [tokenizer.decode(part) for part in np.split(ids, starts[1:])]
    assert [word.replace(" ", "") for word in found] == [word.replace(" ", "") for word in words]


@pytest.mark.parametrize("kind", ["byte-bpe", "unigram"])
def test_a_word_with_its_space_is_one_wherever_it_stands(kind: Kind, tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders[kind])
    first, second = tokenizer.encode(["영화", "감독 영화"])
    assert second[-len(first) :] == first


def test_a_mask_typed_by_a_user_is_the_mask_token(tokenizer: Tokenizer) -> None:
    mask = tokenizer.token(tokenizer.mask_id)
    ids = tokenizer.encode([f"이 영화 정말 {mask}", f"{mask}다"])
    assert [row.count(tokenizer.mask_id) for row in ids] == [1, 1]
    assert tokenizer.mask_id not in tokenizer.encode(["MASK mask"])[0]


@pytest.mark.parametrize("kind", ["byte-bpe", "unigram"])
def test_what_follows_a_gap_goes_on_with_its_word(kind: Kind, tokenizer_folders: dict[Kind, Path]) -> None:
    """Pretraining never sees a space between a masked word and its particle."""
    tokenizer = Tokenizer.load(tokenizer_folders[kind])
    ids = tokenizer.encode_gaps(["감독", "이다.", "."])
    assert ids[: ids.index(tokenizer.mask_id)] == tokenizer.encode(["감독"])[0]
    pieces = [tokenizer.token(number) for number in ids]
    assert "".join(pieces).replace(tokenizer.token(tokenizer.mask_id), "_") == " 감독_이다._."
    spaced, apart = tokenizer.encode_gaps(["감독", " 이다"]), tokenizer.encode(["감독", "이다"])
    assert spaced == [*apart[0], tokenizer.mask_id, *apart[1]]
    assert tokenizer.encode_gaps(["", "", ""]) == [tokenizer.mask_id] * 2


def test_a_mark_of_a_space_alone_is_of_no_character(tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer, text = Tokenizer.load(tokenizer_folders["unigram"]), "뷁 감독 뷁뷁"
    ((ids, spans),) = tokenizer.encode_with_spans([text])
    alone = [span for number, span in zip(ids, spans, strict=True) if tokenizer._entries[number] == SPACE]
    assert alone and all(start == end for start, end in alone)
    assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")


def test_decode_gives_bytes_back_exactly(tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["byte-bpe"])
    text = " 뷁 Café 🎬 2020년 ㅋㅋ"
    ids = tokenizer.encode([text])[0]
    assert tokenizer.decode(ids) == text
    assert tokenizer.unknown_id not in ids


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_decode_joins_pieces(kind: Kind, tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders[kind])
    assert tokenizer.decode(tokenizer.encode(["한국어는 재미 ㅋㅋㅋ"])[0]) == "한국어는 재미 ㅋㅋㅋ"


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
        (
            b'{"model": {"type": "WordPiece", "vocab": {}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", '
            b'"max_input_chars_per_word": 100}}',
            "its vocabulary is empty",
        ),
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
    with pytest.raises(DamagedError, match=r"no special token for mask \(\[MASK\]\)"):
        Tokenizer.load(tmp_path)


KNOWN = sorted(set("".join(STEMS + [ending for ending in ENDINGS if ending])))


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.text(st.sampled_from(KNOWN), min_size=1, max_size=12), max_size=6))
def test_unigram_gives_text_of_known_characters_back(words: list[str], tokenizer_folders: dict[Kind, Path]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["unigram"])
    ids = tokenizer.encode([" ".join(words)])[0]
    assert tokenizer.unknown_id not in ids
    assert tokenizer.decode(ids) == " ".join(words)
    assert int(tokenizer.word_starts[ids].sum()) == len(words)


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
        assert ("token_type_ids" in theirs(texts[0])) == (kind != "byte-bpe")
        assert len(theirs) == ours.vocabulary_size


def test_hugging_face_lays_pairs_out_the_same_way(tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    pairs = [("영화는 한국어로", "재미!!"), ("", "감독"), ("이 영화", "")]
    for kind, folder in tokenizer_folders.items():
        ours, theirs = Tokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
        first, second = map(list, zip(*pairs, strict=True))
        features = featurise(first, ours, 64, second=second)
        wanted = theirs(first, second)
        assert features.ids.tolist() == [number for row in wanted["input_ids"] for number in row], kind
        if kind != "byte-bpe":
            assert features.segments is not None
            assert features.segments.tolist() == [number for row in wanted["token_type_ids"] for number in row], kind
        ours.save(tmp_path, segments=1)
        assert "token_type_ids" not in AutoTokenizer.from_pretrained(tmp_path)("영화", "재미")
