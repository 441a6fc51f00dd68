"""Sentences to ids, the fast way from a corpus to the store: the same ids as `Tokenizer` gives.

While it normalises and splits, the library keeps the place of every character, and the store needs none of them. BERT's
normaliser and pre-tokeniser treat characters one by one, whatever stands around them. So one table from characters to
text, asked of the library character by character, does the work of both, and the library's model gets words between
spaces. Only NFC looks at neighbours: sentences with a character that can join the one before it, and all sentences of
byte-level BPE and Unigram, go the library's own way.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import pre_tokenizers

from cloze.tokens.tokenizer import Tokenizer

Ids = NDArray[np.unsignedinteger[Any]]
IdType = type[np.uint16] | type[np.uint32]

_SENTENCES_A_CALL = 200
_END = ",,"
_JOINS = ",,,"
"""Words that no text has, because every punctuation mark is a word of its own: after a sentence, and in the place of a
character that may join the one before it."""


def id_dtype(vocabulary_size: int) -> IdType:
    """The smallest type for ids: uint16 for a vocabulary of up to 65,535 entries."""
    return np.uint16 if vocabulary_size <= 0xFFFF else np.uint32


class CorpusEncoder:
    """Encodes a corpus. Unlike `Tokenizer.encode` it takes text as text: `[MASK]` in an article is not a mask token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        without = dict.fromkeys(("post_processor", "truncation", "padding"))
        description = json.loads(tokenizer.text) | without
        every = description.get("added_tokens") or ()
        added = [token for token in every if not token.get("special")]
        if tokenizer.kind == "unigram":
            # Its model knows [MASK] as it knows any other piece. No word has a space, so this piece matches none.
            entries = description["model"]["vocab"]
            # What it does not know stays all, in order, for the library counts it through; special tokens are text.
            added = [token for token in every if not token.get("special") or token["id"] >= len(entries)]
            for number in tokenizer.special_ids:
                if number < len(entries):
                    entries[number][0] = f" {entries[number][0]}"
        if tokenizer.kind == "unigram" or not added:
            description["added_tokens"] = added
        self._dtype = id_dtype(tokenizer.vocabulary_size)
        self._library = tokenizers.Tokenizer.from_str(json.dumps(description))
        self._library.encode_special_tokens = True  # as text; added tokens that aren't special are found all the same
        steps = [step["type"] for step in (description["normalizer"] or {}).get("normalizers", [])]
        splits_as_bert = description["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        self._by_character = splits_as_bert and steps == ["BertNormalizer", "NFC"] and not added
        if self._by_character:
            self._end_id, self._joins_id = tokenizer.vocabulary_size, tokenizer.vocabulary_size + 1
            description["model"]["vocab"] |= {_END: self._end_id, _JOINS: self._joins_id}
            self._model = tokenizers.Tokenizer.from_str(json.dumps(description | {"normalizer": None}))
            self._model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            self._table = _CharacterTable(self._library)

    def encode(self, sentences: Iterable[str]) -> tuple[Ids, NDArray[np.int64]]:
        """All ids end to end (uint16 or uint32 [T]) and the tokens of each sentence (int64 [S])."""
        sentences = iter(sentences)
        parts: list[tuple[Ids, NDArray[np.int64]]] = [(np.zeros(0, self._dtype), np.zeros(0, np.int64))]
        while group := list(islice(sentences, _SENTENCES_A_CALL)):
            parts.append(self._encode_by_character(group) if self._by_character else self._encode_whole(group))
        ids, tokens = zip(*parts, strict=True)
        return np.concatenate(ids), np.concatenate(tokens)

    def _encode_by_character(self, sentences: list[str]) -> tuple[Ids, NDArray[np.int64]]:
        lines = [sentence.replace("\n", " ") + "\n" for sentence in sentences]
        text = "".join(lines).translate(self._table)
        ids = np.array(self._model.encode_batch_fast([text], add_special_tokens=False)[0].ids)
        if np.any(ids == self._joins_id):
            return self._encode_whole(sentences)
        is_end = ids == self._end_id
        kept: Ids = ids[~is_end].astype(self._dtype)
        return kept, np.diff(np.flatnonzero(is_end), prepend=-1) - 1

    def _encode_whole(self, sentences: list[str]) -> tuple[Ids, NDArray[np.int64]]:
        rows = [row.ids for row in self._library.encode_batch_fast(sentences, add_special_tokens=False)]
        ids: Ids = np.array([number for row in rows for number in row], dtype=self._dtype)
        return ids, np.array([len(row) for row in rows], dtype=np.int64)


class _CharacterTable(dict[int, str | int]):
    """For str.translate: what normaliser and pre-tokeniser make of a character, words between spaces. Filled as met."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__({ord("\n"): f" {_END} "})
        self._library = library

    def __missing__(self, code: int) -> str | int:
        # Only marks and Hangul's medial and final jamo are ever composed with what stands before them.
        if unicodedata.category(chr(code))[0] == "M" or 0x1160 <= code <= 0x11FF:
            found = f" {_JOINS} "
        else:
            text = self._library.normalizer.normalize_str(f"a{chr(code)}a")
            found = " ".join(word for word, _ in self._library.pre_tokenizer.pre_tokenize_str(text))[1:-1]
        self[code] = code if found == chr(code) else found
        return self[code]
