"""Sentences to ids, every distinct piece of text once: the fast way from a corpus to the store.

Both tokenizers split at a space whatever stands around it, so the ids of a sentence are those of the *chunks* between
its spaces, end to end. Words repeat, and looking a chunk up costs a tenth of tokenising it. Most new chunks are plain
words of letters, on which normaliser and pre-tokeniser do nothing: the model alone encodes them at twice the speed.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, pre_tokenizers

from cloze.tokens.sample import chunks
from cloze.tokens.tokenizer import Tokenizer

Ids = NDArray[np.unsignedinteger[Any]]
IdType = type[np.uint16] | type[np.uint32]

_END = "\n"
_CHUNKS_A_TEXT = 500


def id_dtype(vocabulary_size: int) -> IdType:
    """The smallest type for ids and one number more, the encoder's end mark: uint16 up to 65,535 entries."""
    return np.uint16 if vocabulary_size <= 0xFFFF else np.uint32


class CorpusEncoder:
    """Encodes a corpus. Unlike `Tokenizer.encode` it takes text as text: `[MASK]` in an article is not a mask token.

    `max_chunks` bounds the memory: when more are known, all are forgotten (half a million take about 85 MB).
    """

    def __init__(self, tokenizer: Tokenizer, *, max_chunks: int = 500_000) -> None:
        description = json.loads(tokenizer.text) | {
            "added_tokens": [],
            "post_processor": None,
            "truncation": None,
            "padding": None,
        }
        self._whole = tokenizers.Tokenizer.from_str(json.dumps(description))
        self._whole.add_tokens([AddedToken(_END, normalized=False)])
        self._end_id = self._whole.token_to_id(_END)
        self._model_alone = tokenizers.Tokenizer.from_str(json.dumps(description | {"normalizer": None}))
        space = pre_tokenizers.WhitespaceSplit()
        as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)
        by_bytes = tokenizer.kind == "byte-bpe"
        self._model_alone.pre_tokenizer = pre_tokenizers.Sequence([space, as_bytes]) if by_bytes else space
        self._starts = tokenizer.word_starts
        self._double_space_counts = by_bytes
        self._dtype = id_dtype(tokenizer.vocabulary_size)
        self._max_chunks = max_chunks
        self._characters: set[str] = set()
        self._letters: set[str] = set()
        self._known: dict[str, bytes] = {}
        self._forget()

    def encode(self, sentences: Iterable[str]) -> tuple[Ids, NDArray[np.int64]]:
        """All ids end to end (uint16 or uint32 [T]), tokens of each sentence (int64 [S]). A line end is a space."""
        parts: list[str] = []
        for sentence in sentences:
            parts += self._split(sentence)
            parts.append(_END)
        self._learn(parts)
        ids = np.frombuffer(b"".join(map(self._known.__getitem__, parts)), dtype=self._dtype)
        ends = np.flatnonzero(ids == self._end_id)
        return ids[ids != self._end_id], np.diff(ends, prepend=-1) - 1

    def _split(self, sentence: str) -> Sequence[str]:
        sentence = sentence.replace(_END, " ")
        parts = chunks(sentence)
        # Byte-level BPE has an entry for a space beside a space: such a sentence stays whole.
        return [sentence] if self._double_space_counts and "" in parts else parts

    def _learn(self, parts: Sequence[str]) -> None:
        if len(self._known) > self._max_chunks:
            self._forget()
        unknown = list(dict.fromkeys(parts).keys() - self._known.keys())
        self._find_letters(set("".join(unknown)) - self._characters)
        plain: list[str] = []
        other: list[str] = []
        for part in unknown:
            is_plain = self._letters.issuperset(part) and unicodedata.is_normalized("NFC", part)
            (plain if is_plain else other).append(part)
        for group, ids in _encode_joined(self._model_alone, plain, " ", self._dtype):
            starts = np.flatnonzero(self._starts[ids])
            self._remember(group, ids, starts, np.append(starts[1:], len(ids)))
        for group, ids in _encode_joined(self._whole, other, _END, self._dtype):
            marks = np.flatnonzero(ids == self._end_id)
            self._remember(group, ids, np.append(0, marks + 1), np.append(marks, len(ids)))

    def _remember(self, group: list[str], ids: Ids, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        data, size = ids.tobytes(), ids.itemsize
        for part, start, end in zip(group, (starts * size).tolist(), (ends * size).tolist(), strict=True):
            self._known[part] = data[start:end]

    def _find_letters(self, characters: set[str]) -> None:
        """Among characters not met before, those that normaliser and pre-tokeniser leave alone inside a word."""
        self._characters |= characters
        normalizer, pre_tokenizer = self._whole.normalizer, self._whole.pre_tokenizer
        for character in characters:
            word = f"a{character}a"
            if (
                character.isalpha()
                and (normalizer is None or normalizer.normalize_str(word) == word)
                and len(pre_tokenizer.pre_tokenize_str(word)) == 1
            ):
                self._letters.add(character)

    def _forget(self) -> None:
        self._known = {"": b"", _END: np.array(self._end_id, dtype=self._dtype).tobytes()}


def _encode_joined(
    library: tokenizers.Tokenizer, parts: list[str], separator: str, dtype: IdType
) -> Iterator[tuple[list[str], Ids]]:
    """Groups of parts with the ids of each group's text: a call for each part would take longer than the encoding."""
    groups = [parts[start : start + _CHUNKS_A_TEXT] for start in range(0, len(parts), _CHUNKS_A_TEXT)]
    texts = [separator.join(group) for group in groups]
    for group, encoding in zip(groups, library.encode_batch_fast(texts, add_special_tokens=False), strict=True):
        yield group, np.array(encoding.ids, dtype=dtype)
