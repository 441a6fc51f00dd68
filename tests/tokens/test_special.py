"""Tokenizers that others wrote: the roles of their special tokens, and folders without tokenizer.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors

from cloze.errors import ClozeError, DamagedError
from cloze.tokens.encoder import CorpusEncoder
from cloze.tokens.tokenizer import Tokenizer

BERT_NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
TEXT = "영화는 Ab 12!"


def roles(tokenizer: Tokenizer) -> dict[str, str]:
    names = ("pad", "unknown", "cls", "sep", "mask")
    return {name: tokenizer.token(getattr(tokenizer, f"{name}_id")) for name in names}


def wordpiece(names: list[str]) -> tokenizers.Tokenizer:
    entries = [*names, "영화", "##는", "Ab", "12", "!", "[unused0]"]
    model = models.WordPiece({entry: i for i, entry in enumerate(entries)}, unk_token=names[BERT_NAMES.index("[UNK]")])
    library = tokenizers.Tokenizer(model)
    library.normalizer = normalizers.BertNormalizer(lowercase=False)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.add_special_tokens(names)
    return library


def byte_bpe(first: list[str], added: list[AddedToken], *, prefix: bool) -> tokenizers.Tokenizer:
    """A vocabulary of `first` and all bytes; `added` come after it, as in ModernBERT."""
    library = tokenizers.Tokenizer(models.BPE({entry: i for i, entry in enumerate([*first, *BYTES])}, []))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    library.add_tokens([token for token in added if not token.special])
    library.add_special_tokens([token for token in added if token.special] or first)
    return library


def write(folder: Path, library: tokenizers.Tokenizer, **files: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    library.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def check_encoder(tokenizer: Tokenizer, text: str = TEXT) -> None:
    assert CorpusEncoder(tokenizer).encode([text])[0].tolist() == tokenizer.encode([text])[0]


def test_bert_electra_and_korean_roberta_have_their_numbers_anywhere(tmp_path: Path) -> None:
    order = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    entries = {entry: i for i, entry in enumerate([*order, "영화", "##는"])}
    library = tokenizers.Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = Tokenizer.load(write(tmp_path, library))
    assert (tokenizer.cls_id, tokenizer.pad_id, tokenizer.sep_id, tokenizer.unknown_id, tokenizer.mask_id) == (
        0, 1, 2, 3, 4,
    )  # fmt: skip
    check_encoder(tokenizer, "영화는 뷁")


def test_modernbert_has_berts_names_after_its_bytes(tmp_path: Path) -> None:
    added = [AddedToken("  ", normalized=True), *(AddedToken(name, special=True) for name in BERT_NAMES)]
    added += [AddedToken("<|endoftext|>", special=True), AddedToken("[unused0]")]
    library = byte_bpe(["<|padding|>"], added, prefix=False)
    tokenizer = Tokenizer.load(write(tmp_path, library))
    assert tokenizer.kind == "byte-bpe"
    assert list(roles(tokenizer).values()) == BERT_NAMES
    assert tokenizer.vocabulary_size == 1 + 256 + len(added)
    specials = [tokenizer.token(number) for number in tokenizer.special_ids]
    assert specials == [*BERT_NAMES, "<|endoftext|>"]
    assert len(tokenizer.ordinary_ids) == tokenizer.vocabulary_size - 6
    for text in ("영화  Ab", "a[unused0]b", "  "):
        check_encoder(tokenizer, text)
    ids, _ = CorpusEncoder(tokenizer).encode(["a [MASK] <|endoftext|>"])
    assert not set(ids.tolist()) & set(tokenizer.special_ids)


def test_byte_level_bpe_with_robertas_names(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(write(tmp_path, byte_bpe(ROBERTA_NAMES, [], prefix=False)))
    assert [roles(tokenizer)[role] for role in ("cls", "pad", "sep", "unknown", "mask")] == ROBERTA_NAMES
    check_encoder(tokenizer)


@pytest.mark.parametrize("file", ["tokenizer_config", "special_tokens_map"])
def test_names_of_ones_own(file: str, tmp_path: Path) -> None:
    names = ["<nichts>", "<fremd>", "<anfang>", "<ende>", "<luecke>"]
    keys = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
    content: dict[str, Any] = dict(zip(keys, names, strict=True)) | {"mask_token": {"content": "<luecke>"}}
    library = wordpiece(names)
    with pytest.raises(DamagedError, match=r"no special token for pad \(\[PAD\]\), cls \(\[CLS\]\)"):
        Tokenizer.load(write(tmp_path, library))
    tokenizer = Tokenizer.load(write(tmp_path, library, **{file: content}))
    assert list(roles(tokenizer).values()) == names
    tokenizer.save(tmp_path / "copy")
    again = Tokenizer.load(tmp_path / "copy")
    assert roles(again) == roles(tokenizer)
    assert again.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize(
    "processor",
    [
        processors.BertProcessing(("<ende>", 3), ("<anfang>", 2)),
        processors.RobertaProcessing(("<ende>", 3), ("<anfang>", 2)),
        processors.Sequence(
            [
                processors.ByteLevel(),
                processors.TemplateProcessing(
                    "<anfang> $A <ende>", "<anfang> $A <ende> $B <ende>", [("<anfang>", 2), ("<ende>", 3)]
                ),
            ]
        ),
    ],
)
def test_what_stands_around_a_text_is_cls_and_sep(processor: Any, tmp_path: Path) -> None:
    library = wordpiece(["[PAD]", "[UNK]", "<anfang>", "<ende>", "[MASK]"])
    library.post_processor = processor
    tokenizer = Tokenizer.load(write(tmp_path, library, tokenizer_config={"cls_token": None, "sep_token": "gone"}))
    assert (tokenizer.cls_id, tokenizer.sep_id) == (2, 3)


def test_a_template_around_nothing(tmp_path: Path) -> None:
    library = wordpiece(BERT_NAMES)
    library.post_processor = processors.TemplateProcessing("$A", "$A $B", [])
    assert list(roles(Tokenizer.load(write(tmp_path, library))).values()) == BERT_NAMES


@pytest.mark.parametrize(("content", "message"), [("{", "can't be read as JSON"), ("[]", "holds list")])
def test_a_damaged_configuration_is_named(content: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, wordpiece(BERT_NAMES))
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(DamagedError, match=message) as error:
        Tokenizer.load(tmp_path)
    assert str(tmp_path / "tokenizer_config.json") in str(error.value)


def test_what_transformers_saves(tmp_path: Path) -> None:
    from transformers import AlbertTokenizerFast, AutoTokenizer, BertTokenizerFast, PreTrainedTokenizerFast

    (tmp_path / "vocab.txt").write_text("\n".join([*BERT_NAMES, "영화", "##는", "Ab", "12", "!"]), encoding="utf-8")
    pieces = [("▁영화", -2.0), ("는", -2.5), ("▁", -3.0), ("A", -3.0), ("b", -3.5), ("1", -4.0), ("2", -4.0)]
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    names = {"pad_token": "@p", "unk_token": "@u", "cls_token": "@c", "sep_token": "@s", "mask_token": "@m"}
    theirs = {
        "bert": BertTokenizerFast(str(tmp_path / "vocab.txt"), do_lower_case=False),
        "albert": AlbertTokenizerFast(
            vocab=[*((name, 0.0) for name in special), *pieces], do_lower_case=False, keep_accents=True
        ),
        "byte-bpe": PreTrainedTokenizerFast(tokenizer_object=byte_bpe(list(names.values()), [], prefix=True), **names),
    }
    for name, tokenizer in theirs.items():
        tokenizer.save_pretrained(tmp_path / name)
        ours = Tokenizer.load(tmp_path / name)
        expected = [tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token, tokenizer.sep_token]
        assert list(roles(ours).values()) == [*expected, tokenizer.mask_token]
        texts = [TEXT, f"영화 {tokenizer.mask_token} Ab", "뷁"]
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        assert ours.encode(texts) == ids
        check_encoder(ours)
        ours.save(tmp_path / f"{name}-copy")
        copy = AutoTokenizer.from_pretrained(tmp_path / f"{name}-copy")
        assert [copy(text, add_special_tokens=False)["input_ids"] for text in texts] == ids
        assert copy.mask_token_id == ours.mask_id


def test_albert_takes_text_that_spells_a_special_token_as_text(tmp_path: Path) -> None:
    from transformers import AlbertTokenizerFast

    AlbertTokenizerFast().save_pretrained(tmp_path)  # its five special tokens alone
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.kind == "unigram"
    ids, tokens = CorpusEncoder(tokenizer).encode(["[MASK][CLS] <pad>"])
    assert set(ids.tolist()) == {tokenizer.unknown_id}
    assert tokens.tolist() == [len(ids)]


@pytest.mark.parametrize(
    ("file", "reader"),
    [
        ("vocab.txt", "BertTokenizerFast"),
        ("spiece.model", "AlbertTokenizerFast"),
        ("sentencepiece.bpe.model", "XLMRobertaTokenizerFast"),
        ("vocab.json", "RobertaTokenizerFast"),
    ],
)
def test_an_older_file_alone_is_told_how_to_convert(file: str, reader: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(ClozeError, match=f"only {re.escape(file)}") as error:
        Tokenizer.load(tmp_path)
    assert f"from transformers import {reader}" in str(error.value)


@pytest.mark.parametrize("file", ["vocab.txt", "vocab.json"])
def test_the_conversion_in_the_message_works(file: str, tmp_path: Path) -> None:
    if file == "vocab.txt":
        (tmp_path / file).write_text("\n".join([*BERT_NAMES, "영화", "##는", "ab"]), encoding="utf-8")
    else:
        entries = {entry: i for i, entry in enumerate([*ROBERTA_NAMES, *BYTES])}
        (tmp_path / file).write_text(json.dumps(entries), encoding="utf-8")
        (tmp_path / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    with pytest.raises(ClozeError) as error:
        Tokenizer.load(tmp_path)
    found = re.search(r'python -c "(.+?)"\.', str(error.value))
    assert found
    exec(found.group(1), {})
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.unknown_id not in tokenizer.encode(["영화는" if file == "vocab.json" else "ab"])[0]
