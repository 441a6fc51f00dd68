"""WordPiece and byte-level BPE: text <-> token ids, saved so that Hugging Face's `AutoTokenizer` reads the same ids.

The algorithms are those of the `tokenizers` library. WordPiece: Schuster and Nakajima 2012, as in BERT (section 3);
byte-level BPE: Radford et al. 2019, as in RoBERTa (section 4.4). Normalisation travels inside tokenizer.json and
ends with NFC, after lowercasing and accent stripping too, so that 한국어 stays three syllables.

A *word*, for whole-word masking: in WordPiece what BERT's pre-tokeniser makes, a run between white space with every
punctuation mark on its own. In byte-level BPE a word begins at a space or at a punctuation mark or symbol and ends
before the next: entries carry no mark of a split between a bracket and the letters after it, so `(영화` is the words
`(영화`, not `(` and `영화`; and `2020년`, which its pre-tokeniser cuts after the digits, is one word.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from cloze.errors import ClozeError, DamagedError
from cloze.files import hash_json, write_json, write_text
from cloze.tokens.sample import choose_sample, count_chunks, sampled_documents

if TYPE_CHECKING:
    from cloze.corpus.corpus import Corpus
    from cloze.progress import Progress
    from cloze.recipe import TokenizerSettings

Kind = Literal["wordpiece", "byte-bpe"]

SPECIAL_TOKENS: dict[Kind, dict[str, str]] = {
    "wordpiece": {"pad": "[PAD]", "unknown": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
    "byte-bpe": {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unknown": "<unk>", "mask": "<mask>"},
}
"""The special tokens by their role, in the order of their ids 0 to 4: BERT's and RoBERTa's."""

LONGEST_WORD = 100
"""WordPiece: a longer word is [UNK], as in Hugging Face's BERT (BERT's tokenization.py: 200). Unit: characters."""

_PREFIX = "##"
_FILE = "tokenizer.json"
_CONFIG_FILE = "tokenizer_config.json"


class Tokenizer:
    """A trained tokenizer. Made by `train_tokenizer` and `Tokenizer.load`.

    kind: wordpiece or byte-bpe. vocabulary_size: entries, special tokens included; ids are 0 to this minus 1.
    pad_id, unknown_id, cls_id, sep_id, mask_id: the special tokens. fingerprint: SHA-256, in hex, of everything that
    decides which ids a text gets. text: tokenizer.json as it was read, so that a saved copy is the same file.
    """

    def __init__(self, text: str) -> None:
        """From the text of a tokenizer.json. Raises ValueError if it isn't one that cloze can use."""
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
        self.vocabulary_size = len(ids)
        self._entries = sorted(ids, key=ids.__getitem__)
        if ids[self._entries[-1]] != len(ids) - 1:
            raise ValueError(f"its {len(ids):,} entries have ids up to {ids[self._entries[-1]]:,}")
        names = SPECIAL_TOKENS[self.kind]
        if missing := [name for name in names.values() if name not in ids]:
            raise ValueError(f"it has no entry {', '.join(missing)}")
        self.pad_id = ids[names["pad"]]
        self.unknown_id = ids[names["unknown"]]
        self.cls_id = ids[names["cls"]]
        self.sep_id = ids[names["sep"]]
        self.mask_id = ids[names["mask"]]
        parts = ("normalizer", "pre_tokenizer", "model", "added_tokens")
        self.fingerprint = hash_json([description.get(part) for part in parts])

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read tokenizer.json of a folder. Raises ClozeError if it is absent, damaged or of another kind."""
        path = Path(folder) / _FILE
        try:
            return cls(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ClozeError(f"{path} does not exist; expected a tokenizer's or a model's folder.") from None
        except ValueError as error:  # broken UTF-8 and JSON are ValueErrors too
            raise DamagedError(
                f"{path} can't be used: {error}. Expected a WordPiece tokenizer with BERT's special tokens or a "
                "byte-level BPE tokenizer with RoBERTa's, as cloze and Hugging Face write them."
            ) from None

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, as `AutoTokenizer` reads them. Raises ClozeError."""
        write_text(Path(folder) / _FILE, self.text)
        write_json(Path(folder) / _CONFIG_FILE, _hugging_face_config(self.kind))

    @property
    def special_ids(self) -> list[int]:
        """Ids of the five special tokens, ascending."""
        return sorted([self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id])

    @cached_property
    def ordinary_ids(self) -> NDArray[np.int64]:
        """int64 [vocabulary_size - 5], ascending: all ids but the special ones."""
        return np.setdiff1d(np.arange(self.vocabulary_size), self.special_ids)

    @cached_property
    def word_starts(self) -> NDArray[np.bool_]:
        """bool [vocabulary_size]: True where an entry begins a word, as this module's text defines it."""
        table = np.array([_begins_word(self.kind, entry) for entry in self._entries], dtype=np.bool_)
        table[self.special_ids] = True
        return table

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without [CLS] and [SEP]. A special token's name in a text is that token: [MASK]."""
        return [encoding.ids for encoding in self._library.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, special tokens included."""
        return str(self._library.decode([int(number) for number in ids], skip_special_tokens=False))

    def token(self, number: int) -> str:
        """An entry as people read it: WordPiece's with its ##; bytes as text, with the space before a word."""
        entry = self._entries[number]
        return entry if self.kind == "wordpiece" or number in self.special_ids else _bytes_to_text(entry)


def train_tokenizer(corpus: Corpus, settings: TokenizerSettings, folder: Path, progress: Progress) -> dict[str, Any]:
    """Train on a sample of the training split, save into `folder`, return counts. Equal input gives equal files.

    `tokenizers` numbers single characters, and breaks ties between pairs by these numbers, in the order of a hash table
    that is seeded anew in every process. So the characters are chosen and numbered here (by count, then by code point),
    and the library only merges. Raises ClozeError if the text can't fill the vocabulary, or the vocabulary can't hold
    the text's characters.
    """
    sample = choose_sample(corpus, "train", settings.sample_characters)
    with progress.stage("tokenizer", total=sample.characters, unit="characters") as meter:
        text: Counter[str] = Counter()
        for document in sampled_documents(corpus, "train", sample):
            count_chunks(document, text)
            meter.advance(document.characters)
        meter.note("splitting words")
        normalizer, pre_tokenizer = _normalizer(settings), _pre_tokenizer(settings.kind)
        words = _count_words(text, normalizer, pre_tokenizer)
        singles, left_out = _choose_singles(words, settings)
        distinct_words = len(words)
        meter.note("merging pairs")
        vocabulary, merges = _merge(words, singles, settings)
    tokenizer = _assemble(settings.kind, vocabulary, merges, normalizer, pre_tokenizer)
    tokenizer.save(folder)
    return {
        "kind": settings.kind,
        "vocabulary_size": tokenizer.vocabulary_size,
        "fingerprint": tokenizer.fingerprint,
        "sample": sample.counts(),
        "distinct_words": distinct_words,
        "single_character_entries": len(singles),
        **left_out,
    }


def _count_words(text: Counter[str], normalizer: Any, pre_tokenizer: Any) -> Counter[str]:
    """Words as the pre-tokeniser makes them, each distinct piece of text being split once. `text` is emptied."""
    words: Counter[str] = Counter()
    while text:
        chunk, count = text.popitem()
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(chunk)) if chunk else ():
            words[word] += count
    return words


def _choose_singles(words: Counter[str], settings: TokenizerSettings) -> tuple[list[str], dict[str, int]]:
    """Entries of one character in the order of their ids, and counts of what WordPiece's alphabet leaves out.

    WordPiece: the commonest `alphabet_limit` characters, then their ## forms where one continues a word. A word with
    another character, or a too long one, will be [UNK] as a whole, so it is removed from `words`.
    """
    if settings.kind == "byte-bpe":
        return sorted(pre_tokenizers.ByteLevel.alphabet()), {}
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    kept = set(sorted(counts, key=lambda character: (-counts[character], character))[: settings.alphabet_limit])
    unknown = [word for word in words if len(word) > LONGEST_WORD or not kept.issuperset(word)]
    left_out = {
        "alphabet": len(kept),
        "of_alphabet": len(counts),
        "left_out_distinct_words": len(unknown),
        "left_out_words": sum(words.pop(word) for word in unknown),
    }
    continuing = {character for word in words for character in word[1:]}
    return [*sorted(kept), *(_PREFIX + character for character in sorted(continuing))], left_out


def _merge(
    words: Counter[str], singles: list[str], settings: TokenizerSettings
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Entries with their ids, and the merges that made them (Sennrich et al. 2016; today's WordPiece training too)."""
    size = settings.vocabulary_size
    first = [*SPECIAL_TOKENS[settings.kind].values(), *singles]
    if len(first) > size:
        raise ClozeError(
            f"tokenizer.vocabulary_size is {size:,}, but the special tokens and the text's characters alone are "
            f"{len(first):,} entries. Set it higher"
            + (", or lower tokenizer.alphabet_limit." if settings.kind == "wordpiece" else ".")
        )
    if sum(len(word) * count for word, count in words.items()) >= 1 << 31:
        raise ClozeError(
            f"tokenizer.sample_characters is {settings.sample_characters:,}: so much text could overflow the library's "
            "32-bit counts of pairs. Set it to 500,000,000 or less."
        )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=settings.min_frequency,
        special_tokens=first,  # the library numbers these as they come
        continuing_subword_prefix=_PREFIX if settings.kind == "wordpiece" else "",
        show_progress=False,
    )
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    library.train_from_iterator(_lines(words), trainer)
    trained = json.loads(library.to_str())["model"]
    if len(trained["vocab"]) < size:
        raise ClozeError(
            f"tokenizer.vocabulary_size is {size:,}, but the text gives {len(trained['vocab']):,} entries: pairs seen "
            f"fewer than tokenizer.min_frequency {settings.min_frequency} times are not merged. Set vocabulary_size to "
            f"{len(trained['vocab']):,} or less, lower min_frequency, or add text."
        )
    return trained["vocab"], [(left, right) for left, right in trained["merges"]]


def _lines(words: Counter[str]) -> Iterator[str]:
    """Every word as often as it was counted: the library takes text, not counts.

    `words` is emptied on the way: when the library begins to merge, it needs the room.
    """
    names = sorted(words, reverse=True)

    def occurrences() -> Iterator[str]:
        while names:
            word = names.pop()
            yield from repeat(word, words.pop(word))

    stream = occurrences()
    while line := " ".join(islice(stream, 1_000)):
        yield line


def _assemble(
    kind: Kind, vocabulary: dict[str, int], merges: list[tuple[str, str]], normalizer: Any, pre_tokenizer: Any
) -> Tokenizer:
    """Model, normaliser, pre-tokeniser, special tokens and post-processor in one tokenizer.json."""
    names = SPECIAL_TOKENS[kind]
    cls, sep = ((names[role], vocabulary[names[role]]) for role in ("cls", "sep"))
    if kind == "wordpiece":
        model = models.WordPiece(
            vocab=vocabulary,
            unk_token=names["unknown"],
            continuing_subword_prefix=_PREFIX,
            max_input_chars_per_word=LONGEST_WORD,
        )
        library = tokenizers.Tokenizer(model)
        library.decoder = decoders.WordPiece(prefix=_PREFIX)
        library.post_processor = processors.BertProcessing(sep, cls)
    else:
        library = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        library.decoder = decoders.ByteLevel()
        library.post_processor = processors.RobertaProcessing(sep, cls, add_prefix_space=True)
    library.normalizer = normalizer
    library.pre_tokenizer = pre_tokenizer
    # As RoBERTa's, <mask> takes the space before it, which would be an entry of its own otherwise.
    library.add_special_tokens(
        [AddedToken(name, lstrip=name == "<mask>", normalized=False, special=True) for name in names.values()]
    )
    return Tokenizer(library.to_str(pretty=True))


def _normalizer(settings: TokenizerSettings) -> Any:
    """Clean and fold as asked, then compose (NFC): accent stripping takes Hangul apart into jamo."""
    steps: list[Any]
    if settings.kind == "wordpiece":
        steps = [normalizers.BertNormalizer(strip_accents=settings.strip_accents, lowercase=settings.lowercase)]
    else:
        steps = [normalizers.NFD(), normalizers.StripAccents()] if settings.strip_accents else []
        steps += [normalizers.Lowercase()] if settings.lowercase else []
    return normalizers.Sequence([*steps, normalizers.NFC()])


def _pre_tokenizer(kind: Kind) -> Any:
    """BERT's: white space and punctuation. GPT-2's: letters, digits or the rest, each with the space before it.

    A text begins with a space (`add_prefix_space`), so a word has one entry wherever it stands.
    """
    return pre_tokenizers.BertPreTokenizer() if kind == "wordpiece" else pre_tokenizers.ByteLevel(add_prefix_space=True)


def _kind(description: Any) -> Kind:
    model = description.get("model") if isinstance(description, dict) else None
    if not isinstance(model, dict):
        raise ValueError("it describes no model")
    name = model.get("type")
    if name == "WordPiece" and model.get("continuing_subword_prefix") == _PREFIX:
        return "wordpiece"
    if name == "BPE" and "ByteLevel" in json.dumps(description.get("pre_tokenizer")):
        return "byte-bpe"
    raise ValueError(f"its model is {name}")


def _hugging_face_config(kind: Kind) -> dict[str, Any]:
    """Without the class, `AutoTokenizer` builds its own BERT or RoBERTa tokenizer, which turns Korean into [UNK]."""
    names = SPECIAL_TOKENS[kind]
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "pad_token": names["pad"],
        "unk_token": names["unknown"],
        "cls_token": names["cls"],
        "sep_token": names["sep"],
        "mask_token": names["mask"],
    }
    if kind == "byte-bpe":
        config |= {
            "model_input_names": ["input_ids", "attention_mask"],
            "bos_token": names["cls"],
            "eos_token": names["sep"],
        }
    return config


def _begins_word(kind: Kind, entry: str) -> bool:
    if kind == "wordpiece":
        return not entry.startswith(_PREFIX)
    first = _bytes_to_text(entry)[:1]
    # Part of a character decodes to U+FFFD, a symbol; the part is taken to continue the word.
    return first != "\ufffd" and (unicodedata.category(first)[0] in "PSZ" or first.isspace())


def _bytes_to_text(entry: str) -> str:
    return str(decoders.ByteLevel().decode([entry]))
