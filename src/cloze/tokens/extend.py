"""New words for a tokenizer that exists: each becomes one entry behind the old ones, which keep their ids.

The word is put where the algorithm itself will find it, not into the list of added tokens: an added token cuts a text
before words are split, and what stands behind it, a Korean particle say, would begin a word of its own. So

- WordPiece gets the word in its vocabulary, where longest-match-first takes it and goes on with ##은;
- Unigram gets it with the mean score of its pieces, which beats their sum;
- byte-level BPE gets the merges that join its pieces, from left to right, behind all others. Each join is an entry.

A word that the tokenizer would split at a space or punctuation mark can't be an entry and is refused.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from cloze.errors import ClozeError
from cloze.files import os_errors
from cloze.tokens.special import Kind


@dataclass(frozen=True, slots=True)
class Extension:
    """A tokenizer with new entries."""

    text: str
    """Its tokenizer.json."""
    pieces: Mapping[int, tuple[int, ...]]
    """New id -> the ids that stood for it before, in order, which may be the unknown token's; its embedding begins as
    their mean."""
    known: int
    """Words that were entries already."""


def read_words(path: Path) -> list[str]:
    """The words of a file, one a line, in NFC, each once; empty lines are skipped. Raises ClozeError."""
    with os_errors(path):
        data = path.read_bytes()
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ClozeError(f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8.") from None
    words = dict.fromkeys(unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip())
    if not words:
        raise ClozeError(f"{path} holds no word; expected one a line.")
    return list(words)


def extend(text: str, kind: Kind, words: Sequence[str]) -> Extension:
    """Add `words` to the tokenizer whose tokenizer.json is `text`. Raises ClozeError for a word that can't be one."""
    description = json.loads(text)
    pieces: dict[int, tuple[int, ...]] = {}
    old = tokenizers.Tokenizer.from_str(text)
    ids, known = old.get_vocab(with_added_tokens=True), 0
    unknown = _unknown(description["model"], ids)
    _keep_added(description, kind)
    lowest = min((score for _, score in description["model"]["vocab"]), default=0.0) if kind == "unigram" else 0.0
    merges = _Merges(description["model"]) if kind == "byte-bpe" else None
    for word in words:
        entry, parts = _entry(old, kind, word)
        if entry in ids or (len(parts) == 1 and parts[0] != unknown):
            known += 1
            continue
        for name, of in _chain(kind, entry, parts, old):
            if name not in ids:
                ids[name] = len(ids)
                pieces[ids[name]] = of
                _add(description["model"], kind, name, ids[name], of, lowest)
        if merges is not None:
            merges.join([str(old.id_to_token(part)) for part in parts])
    made = json.dumps(description, ensure_ascii=False, indent=2)
    if tokenizers.Tokenizer.from_str(made).get_vocab(with_added_tokens=True) != ids:
        raise ClozeError("this tokenizer's entries would change their ids with new words: it can't be extended.")
    return Extension(made, pieces, known)


def _keep_added(description: dict[str, Any], kind: Kind) -> None:
    """Give added tokens that the model lacks their entries in it: the library numbers them behind the model's others,
    so with new words among those they would move."""
    vocabulary = description["model"]["vocab"]
    for token in sorted(description.get("added_tokens") or (), key=lambda token: int(token["id"])):
        if kind != "unigram":
            vocabulary.setdefault(token["content"], token["id"])
        elif token["id"] == len(vocabulary):
            vocabulary.append([token["content"], min(score for _, score in vocabulary)])


def _unknown(model: Mapping[str, Any], ids: Mapping[str, int]) -> int | None:
    """The id of text that has no entry; None where there is no such text."""
    named: int | None = model.get("unk_id")
    return ids.get(model.get("unk_token") or "") if named is None else named


def _entry(old: tokenizers.Tokenizer, kind: Kind, word: str) -> tuple[str, tuple[int, ...]]:
    """How a word is spelled as an entry, and the ids that stand for it now."""
    normal = word if old.normalizer is None else old.normalizer.normalize_str(word)
    # Byte-level BPE knows a word by the space before it, which a published tokenizer may not put at a text's start.
    shown = f" {normal.strip()}" if kind == "byte-bpe" else normal
    split = old.pre_tokenizer.pre_tokenize_str(shown)
    if len(split) != 1:
        found = ", ".join(repr(part) for part, _ in split)
        raise ClozeError(
            f"the new word {word!r} can't be one entry: this tokenizer splits it into {found}. Take it out of "
            "tokenizer.new_words, or add its parts."
        )
    return split[0][0], tuple(old.encode(shown, add_special_tokens=False).ids)


def _chain(
    kind: Kind, entry: str, parts: tuple[int, ...], old: tokenizers.Tokenizer
) -> list[tuple[str, tuple[int, ...]]]:
    """The entries that a word needs, each with the old ids it stands for: itself, and in BPE every join before it."""
    if kind != "byte-bpe":
        return [(entry, parts)]
    names = [str(old.id_to_token(part)) for part in parts]
    return [("".join(names[:end]), parts[:end]) for end in range(2, len(names) + 1)]


def _add(model: dict[str, Any], kind: Kind, name: str, number: int, of: tuple[int, ...], lowest: float) -> None:
    if kind == "unigram":
        scores = [lowest if part == model["unk_id"] else model["vocab"][part][1] for part in of]
        model["vocab"].append([name, sum(scores) / len(scores)])
    else:
        model["vocab"][name] = number


class _Merges:
    """The merges of a byte-level BPE, in the spelling that its file has."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._listed: list[Any] = model["merges"]
        self._spaced = bool(self._listed) and isinstance(self._listed[0], str)
        self._known = {tuple(merge.split(" ")) if self._spaced else tuple(merge) for merge in self._listed}

    def join(self, names: Sequence[str]) -> None:
        """Join these pieces from left to right, behind all other merges."""
        for end in range(1, len(names)):
            pair = ("".join(names[:end]), names[end])
            if pair not in self._known:
                self._known.add(pair)
                self._listed.append(" ".join(pair) if self._spaced else list(pair))
