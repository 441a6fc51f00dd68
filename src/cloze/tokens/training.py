"""Training a tokenizer on word counts: equal text gives an equal tokenizer.json, on any number of threads.

Here are what all kinds share, and the merging of pairs that makes WordPiece and byte-level BPE; `unigram` has the third
kind. The `tokenizers` library numbers single characters, and breaks ties between pairs by these numbers, in the order
of a hash table that is seeded anew in every process. So the characters are chosen and numbered here (by count, then by
code point), and the library only merges.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from cloze.errors import ClozeError
from cloze.recipe import MIN_VOCABULARY
from cloze.tokens.sample import choose_sample, count_chunks, sampled_documents
from cloze.tokens.special import SPECIAL_TOKENS, Kind
from cloze.tokens.unigram import fit_pieces

if TYPE_CHECKING:
    from cloze.corpus.corpus import Corpus
    from cloze.progress import Progress
    from cloze.recipe import TokenizerSettings

LONGEST_WORD = 100
"""WordPiece: a longer word is [UNK], as in Hugging Face's BERT (BERT's tokenization.py: 200). Unit: characters."""

PREFIX = "##"
"""WordPiece: stands before an entry that continues a word."""

SPACE = "▁"
"""Unigram: stands for the space before a word."""


def train(corpus: Corpus, settings: TokenizerSettings, progress: Progress) -> tuple[str, dict[str, Any]]:
    """The text of a tokenizer.json, trained on a sample of the training split, and counts for the manifest.

    Raises ClozeError if the text can't fill the vocabulary, or the vocabulary can't hold the text's characters.
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
        if settings.kind == "unigram":
            meter.note("fitting pieces")
            model = _unigram(words, singles, settings)
        else:
            meter.note("merging pairs")
            model = _merged(settings.kind, *_merge(words, singles, settings))
    text_of_file = _assemble(settings.kind, model, normalizer, pre_tokenizer)
    counts = {
        "sample": sample.counts(),
        "distinct_words": distinct_words,
        "single_character_entries": len(singles),
        **left_out,
    }
    return text_of_file, counts


def _count_words(text: Counter[str], normalizer: Any, pre_tokenizer: Any) -> Counter[str]:
    """Words as the pre-tokeniser makes them, each distinct piece of text being split once. `text` is emptied."""
    words: Counter[str] = Counter()
    while text:
        chunk, count = text.popitem()
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(chunk)) if chunk else ():
            words[word] += count
    return words


def _choose_singles(words: Counter[str], settings: TokenizerSettings) -> tuple[list[str], dict[str, int]]:
    """Entries of one character in the order of their ids, and counts of what the alphabet leaves out.

    The alphabet is the commonest `alphabet_limit` characters. WordPiece: then their ## forms where one continues a
    word. A word with another character, or a too long one, will be [UNK] as a whole, so it is removed from `words`.
    Unigram: another character will be <unk> by itself, so words are cut there.
    """
    if settings.kind == "byte-bpe":
        return sorted(pre_tokenizers.ByteLevel.alphabet()), {}
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    del counts["\0"]  # Unigram's trainer has it between words
    kept = set(sorted(counts, key=lambda character: (-counts[character], character))[: settings.alphabet_limit])
    wordpiece = settings.kind == "wordpiece"
    left_out = [word for word in words if not kept.issuperset(word) or (wordpiece and len(word) > LONGEST_WORD)]
    found = {"alphabet": len(kept), "of_alphabet": len(counts), "left_out_distinct_words": len(left_out)}
    removed = {word: words.pop(word) for word in left_out}
    found["left_out_words"] = sum(removed.values())
    if not wordpiece:
        for word, count in removed.items():
            for part in "".join(character if character in kept else " " for character in word).split():
                words[part] += count
        return sorted(kept), found
    continuing = {character for word in words for character in word[1:]}
    return [*sorted(kept), *(PREFIX + character for character in sorted(continuing))], found


def _merge(
    words: Counter[str], singles: list[str], settings: TokenizerSettings
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Entries with their ids, and the merges that made them (Sennrich et al. 2016; today's WordPiece training too)."""
    _refuse_unfit(words, singles, settings)
    size = settings.vocabulary_size
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=settings.min_frequency,
        special_tokens=[*SPECIAL_TOKENS[settings.kind].values(), *singles],  # the library numbers these as they come
        continuing_subword_prefix=PREFIX if settings.kind == "wordpiece" else "",
        show_progress=False,
    )
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    library.train_from_iterator(_lines(words), trainer)
    trained = json.loads(library.to_str())["model"]
    least = settings.min_frequency
    if len(trained["vocab"]) < size:
        raise ClozeError(
            f"tokenizer.vocabulary_size is {size:,}, but the text gives {len(trained['vocab']):,} entries: "
            + (
                f"pairs seen fewer than {least} times are not merged. "
                if least > 1
                else "more would not be used in it. "
            )
            + _remedies(len(trained["vocab"]), *(["lower min_frequency"] if least > 1 else []))
        )
    return trained["vocab"], [(left, right) for left, right in trained["merges"]]


def _unigram(words: Counter[str], singles: list[str], settings: TokenizerSettings) -> Any:
    """The model: special tokens with score 0 as in ALBERT's, then pieces from the likeliest to the least likely."""
    _refuse_unfit(words, singles, settings)
    names = list(SPECIAL_TOKENS["unigram"].values())
    size = settings.vocabulary_size
    pieces = fit_pieces(_lines(words), singles, size - len(names)) if words else []
    if len(names) + len(pieces) < size:
        found = len(names) + len(pieces)
        raise ClozeError(
            f"tokenizer.vocabulary_size is {size:,}, but the text gives {found:,} entries: more pieces would not be "
            f"used in it. {_remedies(found)}"
        )
    vocabulary = [*((name, 0.0) for name in names), *pieces]
    return models.Unigram(vocab=vocabulary, unk_id=names.index(SPECIAL_TOKENS["unigram"]["unknown"]))


def _remedies(entries: int, *others: str) -> str:
    """What to do about a text that gives only `entries`; a recipe can't ask for fewer than MIN_VOCABULARY."""
    ways = [f"set vocabulary_size to {entries:,} or less"] if entries >= MIN_VOCABULARY else []
    sentence = ", or ".join(filter(None, (", ".join([*ways, *others]), "add text"))) + "."
    return sentence[0].upper() + sentence[1:]


def _refuse_unfit(words: Counter[str], singles: list[str], settings: TokenizerSettings) -> None:
    """Raise ClozeError for more characters than entries, or more text than the library's 32-bit counts can hold."""
    least = len(SPECIAL_TOKENS[settings.kind]) + len(singles)
    if least > settings.vocabulary_size:
        raise ClozeError(
            f"tokenizer.vocabulary_size is {settings.vocabulary_size:,}, but the special tokens and the text's "
            f"characters alone are {least:,} entries. Set it higher"
            + ("." if settings.kind == "byte-bpe" else ", or lower tokenizer.alphabet_limit.")
        )
    if sum(len(word) * count for word, count in words.items()) >= 1 << 31:
        raise ClozeError(
            f"tokenizer.sample_characters is {settings.sample_characters:,}: so much text could overflow the library's "
            "32-bit counts of pairs. Set it to 500,000,000 or less."
        )


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


def _merged(kind: Kind, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    if kind == "byte-bpe":
        return models.BPE(vocab=vocabulary, merges=merges)
    return models.WordPiece(
        vocab=vocabulary,
        unk_token=SPECIAL_TOKENS[kind]["unknown"],
        continuing_subword_prefix=PREFIX,
        max_input_chars_per_word=LONGEST_WORD,
    )


def _assemble(kind: Kind, model: Any, normalizer: Any, pre_tokenizer: Any) -> str:
    """Model, normaliser, pre-tokeniser, special tokens and post-processor in one tokenizer.json."""
    names = SPECIAL_TOKENS[kind]
    library = tokenizers.Tokenizer(model)
    cls, sep = ((names[role], list(names).index(role)) for role in ("cls", "sep"))
    if kind == "byte-bpe":
        library.decoder = decoders.ByteLevel()
        library.post_processor = processors.RobertaProcessing(sep, cls, add_prefix_space=True)
    else:
        library.decoder = decoders.WordPiece(prefix=PREFIX) if kind == "wordpiece" else decoders.Metaspace(SPACE)
        library.post_processor = processors.BertProcessing(sep, cls)
    library.normalizer = normalizer
    library.pre_tokenizer = pre_tokenizer
    # As RoBERTa's and ALBERT's, the mask takes the space before it, which would be an entry of its own otherwise.
    masks = set() if kind == "wordpiece" else {names["mask"]}
    library.add_special_tokens(
        [AddedToken(name, lstrip=name in masks, normalized=False, special=True) for name in names.values()]
    )
    return str(library.to_str(pretty=True))


def _normalizer(settings: TokenizerSettings) -> Any:
    """Clean and fold as asked, then compose (NFC): accent stripping takes Hangul apart into jamo.

    Not NFKC, SentencePiece's own: it makes another code point of ㅋ.
    """
    steps: list[Any]
    if settings.kind == "wordpiece":
        steps = [normalizers.BertNormalizer(strip_accents=settings.strip_accents, lowercase=settings.lowercase)]
    else:
        steps = [normalizers.NFD(), normalizers.StripAccents()] if settings.strip_accents else []
        steps += [normalizers.Lowercase()] if settings.lowercase else []
    return normalizers.Sequence([*steps, normalizers.NFC()])


def _pre_tokenizer(kind: Kind) -> Any:
    """BERT's: white space and punctuation. GPT-2's: letters, digits or the rest, each with the space before it.

    ALBERT's: white space only, and every word begins with ▁. Byte-level BPE has the first word of a text begin with a
    space, too (`add_prefix_space`), so a word has one entry wherever it stands.
    """
    if kind == "wordpiece":
        return pre_tokenizers.BertPreTokenizer()
    if kind == "byte-bpe":
        return pre_tokenizers.ByteLevel(add_prefix_space=True)
    return pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(SPACE, prepend_scheme="always")]
    )
