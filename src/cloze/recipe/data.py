"""Raw text to batches: corpus, tokenizer, store, inputs, masking."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from cloze.recipe.base import Amount, Count, Frac, Settings, check_encoding, refuse
from cloze.recipe.cleaning import CleaningSettings

MIN_VOCABULARY = 64
"""Entries that a tokenizer must have at least."""
SEGMENT_FORMATS = ("segment-pair", "sentence-pair", "sentence-order")
"""Formats whose rows carry two segments and a label: does B follow A?"""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise PydanticCustomError("pattern", "no regular expression: {error}", {"error": str(error)}) from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]


class MarkupSettings(Settings):
    """What of an article's markup is kept as text; for every reader of a wiki's markup."""

    headings: Literal["drop", "keep"] = "drop"
    """Titles of sections. keep: each is a line, and so a sentence, of its own. Unit: name. Source: cloze."""
    tables: Literal["text", "drop"] = "text"
    """text: a table's cells in reading order, a row on a line; drop: nothing of it. Unit: name. Source: cloze."""
    strike_through: Literal["drop", "keep"] = "drop"
    """Struck-through text, which on Namuwiki is mostly a joke, not a correction. Unit: name. Source: cloze."""


class CorpusSettings(Settings):
    """Where raw text comes from and which documents are kept."""

    sources: list[Path] = []
    """Files or folders of raw text, relative to `data`, and data sets of the Hugging Face Hub by name, as in
    hub:wikimedia/wikipedia/20231101.ko (the extra `hub`). Unit: paths. Source: cloze."""
    kind: Literal[
        "auto", "text", "namuwiki", "wikipedia", "html", "markdown", "jsonl", "csv", "tsv", "parquet", "arrow", "squad"
    ] = "auto"
    """How a file is read. auto: by its content; text: one sentence a line, a blank line between documents; namuwiki:
    the JSON array of a dump; wikipedia: the XML of a dump of MediaWiki; html, markdown: a document a file; jsonl, csv,
    tsv, parquet, arrow: a document a row; squad: the contexts of questions. Unit: name. Source: cloze."""
    text_column: str = "text"
    """jsonl, csv, tsv, parquet, arrow: column with the text. Unit: column name. Source: cloze."""
    title_column: str | None = None
    """The same: column with the title, which is not part of the text; null: none. Unit: column name. Source: cloze."""
    encoding: Annotated[str, AfterValidator(check_encoding)] = "auto"
    """Encoding of sources that are not Parquet or Arrow. auto: UTF-8, UTF-16 by its mark, and CP949 where that is
    certain, document by document. Unit: name of an encoding. Source: cloze."""
    tolerate: Literal["nothing", "records", "cut files"] = "records"
    """What is let pass and counted. nothing: any mistake ends the run; records: bad records are left out; cut files:
    also the missing rest of a source that is cut off or damaged. Unit: name. Source: cloze."""
    text_markup: Literal["none", "namumark", "mediawiki", "html", "markdown"] = "none"
    """jsonl, csv, tsv, parquet, arrow and `hub:` sources: what markup the column's text has. Unit: name. Source:
    cloze."""
    namespaces: list[str] = ["0"]
    """namuwiki, wikipedia: namespaces whose pages are documents, by number or name as the dump has them; 0: articles.
    Unit: numbers or names. Source: cloze."""
    titles: Pattern | None = None
    """Keep only documents in whose title this is found; null: all. Unit: regular expression. Source: cloze."""
    exclude_titles: Pattern | None = None
    """Drop documents in whose title this is found; null: none. Unit: regular expression. Source: cloze."""
    languages: list[Language] = []
    """Keep only documents that are mostly in one of these languages; empty: all. ko is told by its letters, the others
    by py3langid (the extra `languages`). Unit: ISO 639-1 codes. Source: cloze."""
    lines: Literal["sentences", "prose"] = "sentences"
    """text: what a line is. sentences: a sentence; prose: a paragraph, to be split. Unit: name. Source: BERT's
    create_pretraining_data.py (sentences)."""
    sentences: Literal["rules", "kiwi"] = "rules"
    """How prose is split. rules: cloze's own, for Korean and English; kiwi: the analyser kiwipiepy, for Korean, which
    needs `pip install 'cloze[korean]'` and some 150 times as long. Unit: name. Source: benchmarks/sentences.py."""
    max_documents: Count | None = None
    """Stop after this many kept documents; null: all. Unit: documents. Source: study (20,000)."""
    markup: MarkupSettings = MarkupSettings()
    """What is kept of a wiki's markup. Unit: section. Source: cloze."""
    min_characters: Amount = 1
    """Shorter documents are dropped and counted. Unit: characters. Source: cloze."""
    max_characters: Count | None = None
    """Longer documents are dropped and counted; null: none. Unit: characters. Source: cloze."""
    cleaning: CleaningSettings = CleaningSettings()
    """What else is dropped, repaired or masked. Unit: section. Source: cloze."""
    validation_frac: Frac = 0.01
    """Share of documents kept for validation, chosen by a hash of their content. Unit: share. Source: cloze."""
    processes: Amount = 0
    """Worker processes; 0: one for each core; 1: none beside the first. The result does not depend on it. Unit:
    processes. Source: cloze."""
    engine: Literal["processes", "ray"] = "processes"
    """Where workers are. processes: on this machine; ray: on all machines of the Ray cluster that this one belongs to
    (docs/corpus.md). The result does not depend on it. Unit: name. Source: cloze."""


class TokenizerSettings(Settings):
    """How text becomes integers."""

    kind: Literal["wordpiece", "byte-bpe", "unigram"] = "wordpiece"
    """wordpiece: BERT; byte-bpe: byte-level BPE as in RoBERTa; unigram: SentencePiece's, as in ALBERT. Unit: name.
    Source: BERT 3; RoBERTa 4.4; ALBERT 4.1."""
    vocabulary_size: Annotated[int, Field(ge=MIN_VOCABULARY, le=1_000_000, strict=True)] = 16_000
    """Entries, special tokens included. Unit: tokens. Source: study (16,000; BERT 30,000; RoBERTa 50,000)."""
    alphabet_limit: Count = 6_000
    """wordpiece and unigram: distinct characters kept; Korean needs thousands. Unit: characters. Source: study."""
    min_frequency: Count = 5
    """wordpiece and byte-bpe: rarer pieces are not added. Unit: occurrences. Source: study."""
    lowercase: bool = False
    """Lowercase before splitting. Unit: yes/no. Source: study."""
    strip_accents: bool = False
    """Drop accents; Hangul is composed again afterwards (NFC). Unit: yes/no. Source: study."""
    new_words: Path | None = None
    """With `start_from`: file of words, one a line, that become entries of its tokenizer; their embeddings begin as the
    mean of the pieces they had. Relative to `data`. Unit: path. Source: cloze."""
    sample_characters: Count = 50_000_000
    """Train on at most this many characters, chosen by a hash of each document; the default needs about 4 GB of memory.
    Unit: characters. Source: cloze."""


class StoreSettings(Settings):
    """The token store on disk."""

    shard_documents: Count = 20_000
    """Documents in one record batch; the unit of parallel work. Unit: documents. Source: cloze."""
    processes: Amount = 0
    """Worker processes; 0: one for each core. The result does not depend on it. Unit: processes. Source: cloze."""


class InputSettings(Settings):
    """How documents become rows."""

    format: Literal["segment-pair", "sentence-pair", "full-sentences", "doc-sentences", "sentence-order"] = (
        "full-sentences"
    )
    """segment-pair: BERT's pairs with next-sentence labels; sentence-pair: the same of single sentences;
    full-sentences: rows filled with whole sentences, crossing documents; doc-sentences: never crossing them;
    sentence-order: two parts of one document, in order or swapped. Unit: name. Source: BERT A.2; RoBERTa 4.2; ALBERT
    3.1 (sentence-order)."""
    length: Annotated[int, Field(ge=8, strict=True)] = 128
    """Longest row, special tokens included. Unit: tokens. Source: BERT A.2 (128, then 512)."""
    short_row_frac: Frac = 0.1
    """segment-pair, sentence-order: share of documents whose chunks have a random shorter target. Unit: share. Source:
    BERT A.2; ALBERT 4.1."""
    cross_document_attention: bool = True
    """full-sentences: whether tokens of a row see those of its other documents; if not, each document's part is a row
    of its own for attention, with its own [CLS] and positions from 0. Unit: yes/no. Source: RoBERTa 4.2 (yes)."""
    batch_unit: Literal["auto", "rows", "tokens"] = "auto"
    """What `training.batch_rows` counts. rows: rows; tokens: rows of the full length, so that a format with short rows
    takes more of them a step; auto: tokens for sentence-pair and doc-sentences. Unit: name. Source: RoBERTa 4.2."""


class MaskingSettings(Settings):
    """Which tokens become targets. Shares count ordinary tokens, never special ones."""

    unit: Literal["token", "word", "span", "ngram"] = "token"
    """What is masked as a whole. token; word: a whole word; span: several words, their number geometric; ngram: up to
    three words. Unit: name. Source: BERT 3.1 (token); google-research/bert, README of 31 May 2019 (word); SpanBERT 3.1
    (span); ALBERT 4.1 (ngram)."""
    target_frac: Annotated[float, Field(gt=0.0, lt=1.0, strict=True, allow_inf_nan=False)] = 0.15
    """Share of tokens predicted in each row, rounded, at least one. Unit: share. Source: BERT 3.1."""
    mask_frac: Frac = 0.8
    """Share of targets replaced by [MASK]. Unit: share of targets. Source: BERT 3.1."""
    random_frac: Frac = 0.1
    """Share of targets replaced by a random ordinary token; the rest is kept. Unit: share of targets. Source: BERT
    3.1."""
    span_p: Annotated[float, Field(gt=0.0, lt=1.0, strict=True, allow_inf_nan=False)] = 0.2
    """span: p of the geometric distribution of a span's length, cut at `longest_span` and renormalised. Unit:
    probability. Source: SpanBERT 3.1."""
    longest_span: Count = 10
    """span: longest span. Unit: words. Source: SpanBERT 3.1."""
    longest_ngram: Count = 3
    """ngram: longest n-gram; length n has a probability proportional to 1/n. Unit: words. Source: ALBERT 4.1."""
    boundaries: bool = False
    """span: each target also carries the tokens on both sides of its span, for the span-boundary objective. Unit:
    yes/no. Source: SpanBERT 3.2."""
    copies: Count | None = None
    """Different masks (and plans) of the corpus: 1 is BERT's fixed masking, 10 RoBERTa's ten copies, null is dynamic.
    Unit: copies. Source: RoBERTa 4.1."""

    @model_validator(mode="after")
    def _settings_fit(self) -> MaskingSettings:
        wrong: list[tuple[str, str]] = []
        if self.mask_frac + self.random_frac > 1.0:
            message = f"mask_frac {self.mask_frac} and random_frac {self.random_frac} add up to more than 1"
            wrong.append(("mask_frac random_frac", message))
        if self.boundaries and self.unit != "span":
            wrong.append(("boundaries unit", f"boundaries are those of spans, but unit is {self.unit}"))
        refuse(wrong)
        return self
