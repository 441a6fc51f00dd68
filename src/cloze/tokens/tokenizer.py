"""WordPiece, byte-level BPE, Unigram: text <-> token ids, saved so that Hugging Face's `AutoTokenizer` reads the same.

The algorithms are those of the `tokenizers` library. WordPiece: Schuster and Nakajima 2012, as in BERT (section 3);
byte-level BPE: Radford et al. 2019, as in RoBERTa (section 4.4); Unigram: Kudo 2018 (arXiv:1804.10959), as in ALBERT
(section 4.1). Normalisation travels inside tokenizer.json and ends with NFC, after lowercasing and accent stripping
too, so that 한국어 stays three syllables.

A *word*, for whole-word masking: in WordPiece what BERT's pre-tokeniser makes, a run between white space with every
punctuation mark on its own. In byte-level BPE a word begins at a space or at a punctuation mark or symbol and ends
before the next: entries carry no mark of a split between a bracket and the letters after it, so `(영화` is the words
`(영화`, not `(` and `영화`; and `2020년`, which its pre-tokeniser cuts after the digits, is one word. In Unigram a word
is what stands between white space, marks and all.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, pre_tokenizers

from cloze.errors import ClozeError, DamagedError
from cloze.files import hash_json, write_json, write_text
from cloze.tokens.extend import extend
from cloze.tokens.special import CONFIG_FILE, Kind, find_roles, hugging_face_config, read_roles
from cloze.tokens.training import PREFIX, SPACE, train

if TYPE_CHECKING:
    from cloze.corpus.corpus import Corpus
    from cloze.progress import Progress
    from cloze.recipe import TokenizerSettings

__all__ = ["Kind", "Tokenizer", "train_tokenizer"]

_FILE = "tokenizer.json"
_CONVERTERS = {
    "vocab.txt": ("BertTokenizerFast", "`do_lower_case=False` if the vocabulary is cased, as Korean ones are"),
    "spiece.model": (
        "AlbertTokenizerFast",
        "`do_lower_case=False, keep_accents=True` for Korean, whose syllables it would take apart otherwise",
    ),
    "sentencepiece.bpe.model": ("XLMRobertaTokenizerFast", "nothing; it needs the package sentencepiece"),
    "vocab.json": ("RobertaTokenizerFast", "`add_prefix_space=True` if the first word of a text had a space before it"),
}
"""Files of transformers' older tokenizers: the class that reads each one, and what to add to its `from_pretrained`."""


class Tokenizer:
    """A trained tokenizer. Made by `train_tokenizer` and `Tokenizer.load`.

    kind: wordpiece, byte-bpe or unigram. vocabulary_size: entries, special tokens included; ids are 0 to this minus 1.
    pad_id, unknown_id, cls_id, sep_id, mask_id: the special tokens. special_ids: ids of these five, and of others that
    the file calls special, ascending. fingerprint: SHA-256, in hex, of everything that decides which ids a text gets.
    text: tokenizer.json as it was read, so that a saved copy is the same file.
    """

    def __init__(self, text: str, named: Sequence[Mapping[str, str]] = ()) -> None:
        """From the text of a tokenizer.json, and what other files name as special tokens (`special.read_roles`).

        Raises ValueError if it isn't one that cloze can use.
        """
        description = json.loads(text)
        self.text = text
        self.kind: Kind = _kind(description)
        try:
            self._library = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises no narrower class
            raise ValueError(f"the tokenizers library {tokenizers.__version__} can't read it: {error}") from None
        self._library.no_truncation()
        self._library.no_padding()
        ids = self._library.get_vocab(with_added_tokens=True)
        if not ids:
            raise ValueError("its vocabulary is empty")
        self.vocabulary_size = len(ids)
        self._entries = sorted(ids, key=ids.__getitem__)
        if ids[self._entries[-1]] != len(ids) - 1:
            raise ValueError(f"its {len(ids):,} entries have ids up to {ids[self._entries[-1]]:,}")
        self._roles = find_roles(self.kind, description, ids, named)
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = (
            ids[self._roles[role]] for role in ("pad", "unknown", "cls", "sep", "mask")
        )
        added = {token["id"] for token in description.get("added_tokens") or () if token.get("special")}
        self.special_ids = sorted({ids[name] for name in self._roles.values()} | added)
        parts = ("normalizer", "pre_tokenizer", "model", "added_tokens")
        self.fingerprint = hash_json([description.get(part) for part in parts])

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read tokenizer.json of a folder, one that cloze wrote or a published model's.

        Raises ClozeError if it is absent (and says how to make it of an older file that is there), DamagedError if it
        is damaged or of another kind.
        """
        path = Path(folder) / _FILE
        try:
            return cls(path.read_text(encoding="utf-8"), read_roles(Path(folder)))
        except (FileNotFoundError, NotADirectoryError):
            raise ClozeError(_how_to_make(Path(folder))) from None
        except ValueError as error:  # broken UTF-8 and JSON are ValueErrors too
            raise DamagedError(
                f"{path} can't be used: {error}. Expected a WordPiece, byte-level BPE or Unigram tokenizer with the "
                "special tokens of BERT, RoBERTa or ALBERT, or with others that tokenizer_config.json names."
            ) from None

    def save(self, folder: Path, *, segments: int = 2, max_length: int | None = None) -> None:
        """Write tokenizer.json and tokenizer_config.json, as `AutoTokenizer` reads them. Raises ClozeError.

        `segments`: how many the model beside it knows; `max_length`: the longest row that it is to be given.
        """
        several = segments > 1 and any(segment for _, segment in self.pair_layout)
        write_text(Path(folder) / _FILE, self.text)
        described = hugging_face_config(self.kind, self._roles, segments=several, max_length=max_length)
        write_json(Path(folder) / CONFIG_FILE, described)

    def extended(self, words: Sequence[str]) -> tuple[Tokenizer, Mapping[int, tuple[int, ...]]]:
        """This tokenizer with `words` as entries behind its own; new id -> the ids that stood for it before.

        Raises ClozeError for a word that can't be one entry (`extend`).
        """
        made = extend(self.text, self.kind, words)
        return Tokenizer(made.text, [self._roles]), made.pieces

    @cached_property
    def ordinary_ids(self) -> NDArray[np.int64]:
        """int64 [vocabulary_size - len(special_ids)], ascending: all ids but the special ones."""
        return np.setdiff1d(np.arange(self.vocabulary_size), self.special_ids)

    @cached_property
    def word_starts(self) -> NDArray[np.bool_]:
        """bool [vocabulary_size]: True where an entry begins a word, as this module's text defines it."""
        table = np.array([_begins_word(self.kind, entry) for entry in self._entries], dtype=np.bool_)
        table[self.special_ids] = True
        return table

    @cached_property
    def characters(self) -> NDArray[np.int64]:
        """int64 [vocabulary_size]: characters of text that each entry stands for; white space is none in any kind.

        So the entries of a text add up to its characters between white space, whatever the kind: ## and ▁ only say
        where a word begins, and a character that byte-level BPE cuts into bytes counts where it begins. Special tokens
        are 0, the unknown one too, as the text that it stands for isn't known.

        Inexact where the kinds keep other text: what a normaliser drops (WordPiece's, control characters) counts in
        the others; a ▁ of the text itself is lost in Unigram; white space beyond ASCII (U+3000) counts as a character
        where byte-level BPE cuts it into bytes.
        """
        table = np.array([_characters(self.kind, entry) for entry in self._entries], dtype=np.int64)
        table[self.special_ids] = 0
        return table

    @cached_property
    def pair_layout(self) -> tuple[tuple[int | None, int], ...]:
        """How a row of two texts is built: (id, segment) of each special token, (None, segment) where a text stands.

        BERT: [CLS] text [SEP] text [SEP], with segments 0 0 0 1 1; RoBERTa: two separators between, one segment.
        """
        one = self._library.encode(self._roles["mask"], add_special_tokens=False)  # a text of one token
        row = self._library.post_process(one, one)
        places = zip(row.ids, row.sequence_ids, row.type_ids, strict=True)
        layout = tuple((number if text is None else None, segment) for number, text, segment in places)
        if sum(number is None for number, _ in layout) != 2 or len(layout) < 5:
            sep = (self.sep_id, 0)  # without a post-processor of its own a row is BERT's
            return ((self.cls_id, 0), (None, 0), sep, (None, 1), (self.sep_id, 1))
        return layout

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without [CLS] and [SEP]. A special token's name in a text is that token: [MASK]."""
        return [encoding.ids for encoding in self._library.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_gaps(self, parts: Sequence[str]) -> list[int]:
        """Ids of a text with a mask between each two of its `parts`, without [CLS] and [SEP].

        A part that begins without white space goes on with the gap's word. Byte-level BPE and Unigram would have it
        begin a word, with a space that the text does not have; WordPiece does, as it does in transformers.
        """
        ids: list[int] = []
        for place, part in enumerate(parts):
            inside = place > 0 and part != "" and not part[0].isspace()
            library = self._continuing if inside else self._library
            spelled = part + (self._roles["mask"] if place < len(parts) - 1 else "")
            ids += library.encode(spelled, add_special_tokens=False).ids
        return ids

    @cached_property
    def _continuing(self) -> tokenizers.Tokenizer:
        """The same without the space that it puts before a text."""
        description = json.loads(self.text)
        for step in _pre_tokenizers(description.get("pre_tokenizer")):
            if step.get("type") == "ByteLevel":
                step["add_prefix_space"] = False
            elif step.get("type") == "Metaspace":
                step["prepend_scheme"] = "never"
        made = tokenizers.Tokenizer.from_str(json.dumps(description))
        made.no_truncation()
        made.no_padding()
        return made

    def encode_with_spans(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Ids of each text as `encode` gives them, and which characters each token is of: start and end.

        White space at either end of a token is left out, so a token of nothing else has an empty span, as Unigram's
        lone ▁ has, which stands before a word. Several tokens may be of one character (bytes of byte-level BPE). Texts
        must be NFC, since the spans count their characters.
        """
        found = self._library.encode_batch(list(texts), add_special_tokens=False)
        alone = self._library.token_to_id(SPACE) if self.kind == "unigram" else None
        return [
            (
                encoding.ids,
                [
                    _trimmed(text, start, start if number == alone else end)
                    for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
                ],
            )
            for text, encoding in zip(texts, found, strict=True)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, special tokens included."""
        return str(self._library.decode([int(number) for number in ids], skip_special_tokens=False))

    def token(self, number: int) -> str:
        """An entry as people read it: WordPiece's with its ##; bytes and ▁ as text, with the space before a word."""
        entry = self._entries[number]
        if self.kind == "wordpiece" or number in self.special_ids:
            return entry
        return entry.replace(SPACE, " ") if self.kind == "unigram" else _bytes_to_text(entry)


def train_tokenizer(corpus: Corpus, settings: TokenizerSettings, folder: Path, progress: Progress) -> dict[str, Any]:
    """Train on a sample of the training split, save into `folder`, return counts. Equal input gives equal files.

    Raises ClozeError if the text can't fill the vocabulary, or the vocabulary can't hold the text's characters.
    """
    text, counts = train(corpus, settings, progress)
    tokenizer = Tokenizer(text)
    tokenizer.save(folder)
    return {
        "kind": settings.kind,
        "vocabulary_size": tokenizer.vocabulary_size,
        "fingerprint": tokenizer.fingerprint,
        **counts,
    }


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _kind(description: Any) -> Kind:
    model = description.get("model") if isinstance(description, dict) else None
    if not isinstance(model, dict):
        raise ValueError("it describes no model")
    name = model.get("type")
    if name == "WordPiece" and model.get("continuing_subword_prefix") == PREFIX:
        return "wordpiece"
    if name == "Unigram" and SPACE in json.dumps([description.get("pre_tokenizer")], ensure_ascii=False):
        return "unigram"
    if name == "BPE" and "ByteLevel" in json.dumps(description.get("pre_tokenizer")):
        return "byte-bpe"
    raise ValueError(f"its model is {name}")


def _pre_tokenizers(step: Any) -> Iterator[dict[str, Any]]:
    """A pre-tokeniser of tokenizer.json, or those of a sequence."""
    if isinstance(step, dict):
        yield step
        for inner in step.get("pretokenizers", ()):
            yield from _pre_tokenizers(inner)


def _how_to_make(folder: Path) -> str:
    """What to do in a folder without tokenizer.json."""
    path = folder / _FILE
    older = next((name for name in _CONVERTERS if (folder / name).is_file()), None)
    if older is None:
        return f"{path} does not exist; expected a tokenizer's or a model's folder."
    reader, extra = _CONVERTERS[older]
    line = (
        f"from transformers import {reader} as T; T.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
    )
    return (
        f"{path} does not exist, only {older}, which cloze doesn't read. Convert it once: "
        f'python -c "{line}". Add to from_pretrained: {extra}.'
    )


def _begins_word(kind: Kind, entry: str) -> bool:
    if kind == "wordpiece":
        return not entry.startswith(PREFIX)
    if kind == "unigram":
        return entry.startswith(SPACE)
    first = _bytes_to_text(entry)[:1]
    # Part of a character decodes to U+FFFD, a symbol; the part is taken to continue the word.
    return first != "\ufffd" and (unicodedata.category(first)[0] in "PSZ" or first.isspace())


def _characters(kind: Kind, entry: str) -> int:
    if kind == "wordpiece":
        return len(entry.removeprefix(PREFIX))
    if kind == "unigram":
        return len(entry.replace(SPACE, ""))
    letters = _letters_of_bytes()
    # An added token that isn't special stands in the vocabulary as text.
    data = bytes(letters[letter] for letter in entry) if letters.keys() >= set(entry) else entry.encode()
    begun = sum(byte & 0xC0 != 0x80 for byte in data)  # in UTF-8 the other bytes of a character are 10xxxxxx
    return begun - sum(character.isspace() for character in data.decode(errors="ignore"))


@cache
def _letters_of_bytes() -> dict[str, int]:
    """The byte of each letter of byte-level BPE: itself if it can be printed, the others in order from U+0100 on."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    printed = [ord(letter) for letter in letters if letter < "\u0100"]
    return dict(zip(letters, [*printed, *sorted(set(range(256)) - set(printed))], strict=True))


def _bytes_to_text(entry: str) -> str:
    return str(decoders.ByteLevel().decode([entry]))
