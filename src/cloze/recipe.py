"""The recipe: every setting of cloze, once, with its type, unit, default and source.

A recipe is a YAML file with these sections. Reading, overriding, printing and the error messages are in `recipe_file`.
Checks that need only the settings stand here, beside the settings they check; a check that needs data stands in the
stage that reads the data. Sources: BERT = Devlin et al. 2019 (arXiv:1810.04805); RoBERTa = Liu et al. 2019
(arXiv:1907.11692); SpanBERT = Joshi et al. 2019 (arXiv:1907.10529); ALBERT = Lan et al. 2019 (arXiv:1909.11942);
ELECTRA = Clark et al. 2020 (arXiv:2003.10555); ModernBERT = Warner et al. 2024 (arXiv:2412.13663); study =
Chuck2Win/BERT, the Korean BERT this project began from; cloze = our own choice, measured in docs/experiments.md or a
plain convenience.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

# Numbers are strict: YAML gives numbers as numbers, and without it `steps: true` would train for one step.
Frac = Annotated[float, Field(ge=0.0, le=1.0, strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, lt=1.0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Amount = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(gt=0.0, strict=True, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0.0, strict=True, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

MIN_VOCABULARY = 64
"""Entries that a tokenizer must have at least."""
SEGMENT_FORMATS = ("segment-pair", "sentence-pair", "sentence-order")
"""Formats whose rows carry two segments and a label: does B follow A?"""

FAMILIES_WITHOUT_SEGMENTS = ("roberta", "spanbert", "modernbert")
FAMILY_SETTINGS = {
    "embedding_width": ("albert", "electra"),
    "generator_frac": ("electra",),
    "layer_groups": ("albert",),
    "local_window": ("modernbert",),
    "global_every": ("modernbert",),
    "rotary_theta": ("modernbert",),
    "local_rotary_theta": ("modernbert",),
}
"""Settings of the model that only these families have."""
NORM_POSITIONS = {"albert": "post", "electra": "post", "spanbert": "post", "modernbert": "pre"}
"""Families whose norms stand in one place."""


class Settings(BaseModel):
    """A section of the recipe. An unknown key is an error; the docstring under a field is its help text.

    A docstring ends with the value's unit and where its default comes from; `recipe_file` prints both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


def refuse(problems: list[tuple[str, str]]) -> None:
    """Raise one error if settings do not fit together.

    `problems`: (keys, message) for each; the keys are dotted from the section that checks and separated by spaces, and
    the first one is where the user is sent. `recipe_file` reads them from the error's context.
    """
    if problems:
        text = "; ".join(message for _, message in problems)
        raise PydanticCustomError("unfit", "{text}", {"text": text, "problems": problems})


class CorpusSettings(Settings):
    """Where raw text comes from and which documents are kept."""

    sources: list[Path] = []
    """Files or folders of raw text, relative to `data`. Unit: paths. Source: cloze."""
    kind: Literal["auto", "text", "namuwiki", "jsonl", "csv", "tsv", "parquet", "arrow", "squad"] = "auto"
    """How a file is read. auto: by its content; text: one sentence a line, a blank line between documents; namuwiki:
    the JSON array of a dump; jsonl, csv, tsv, parquet, arrow: a document a row; squad: the contexts of questions. Unit:
    name. Source: cloze."""
    text_column: str = "text"
    """jsonl, csv, tsv, parquet, arrow: column with the text. Unit: column name. Source: cloze."""
    title_column: str | None = None
    """The same: column with the title, which is not part of the text; null: none. Unit: column name. Source: cloze."""
    max_documents: Count | None = None
    """Stop after this many kept documents; null: all. Unit: documents. Source: study (20,000)."""
    min_characters: Amount = 1
    """Shorter documents are dropped and counted. Unit: characters. Source: cloze."""
    validation_frac: Frac = 0.01
    """Share of documents kept for validation, chosen by a hash of their content. Unit: share. Source: cloze."""


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


class ModelSettings(Settings):
    """The encoder."""

    family: Literal["bert", "roberta", "albert", "electra", "spanbert", "modernbert"] = "bert"
    """bert: segments, pooler, MLM (+ NSP for segment pairs); roberta: MLM alone; albert: bert with a factorised
    embedding and shared layers; electra: a generator's replacements are detected; spanbert: MLM and span boundaries;
    modernbert: rotary positions, local attention, GeGLU, MLM alone. Unit: name. Source: BERT; RoBERTa; ALBERT; ELECTRA;
    SpanBERT; ModernBERT."""
    layers: Count = 12
    """Transformer layers. Unit: layers. Source: BERT 3 (base: 12)."""
    heads: Count = 12
    """Attention heads; must divide width. Unit: heads. Source: BERT 3 (base: 12)."""
    width: Count = 768
    """Width of hidden states and embeddings. Unit: numbers. Source: BERT 3 (base: 768)."""
    embedding_width: Count | None = None
    """albert, electra: width of the embedding tables, before a projection to `width`; null: 128 for albert, `width` for
    electra. Unit: numbers. Source: ALBERT 3.1; ELECTRA table 6."""
    generator_frac: Annotated[float, Field(gt=0.0, le=1.0, strict=True, allow_inf_nan=False)] = 0.25
    """electra: the generator's share of heads, width and feed-forward; it has all layers. Unit: share. Source: ELECTRA
    table 6 (small, large 1/4; base 1/3)."""
    layer_groups: Count | None = None
    """albert: layers with weights of their own, each used `layers` / `layer_groups` times in a row; null: 1. Unit:
    layers. Source: ALBERT 3.1."""
    feed_forward_width: Count | None = None
    """Inner width of the feed-forward block; null: 4 x width (modernbert 1.5 x width). Unit: numbers. Source: BERT 3
    (base: 3,072)."""
    max_length: Count | None = None
    """Rows of the position table (modernbert: longest row); null: `inputs.length`. Unit: tokens. Source: BERT (512)."""
    local_window: Count = 128
    """modernbert: tokens that a token sees in a local layer, half on each side. Unit: tokens. Source: ModernBERT
    2.1.2."""
    global_every: Count = 3
    """modernbert: of so many layers the first sees the whole row, the others are local. Unit: layers. Source:
    ModernBERT 2.1.2."""
    rotary_theta: Positive = 160_000.0
    """modernbert: base of the rotary wavelengths in layers that see the row. Unit: dimensionless. Source: ModernBERT
    2.1.2."""
    local_rotary_theta: Positive = 10_000.0
    """modernbert: the same in local layers. Unit: dimensionless. Source: ModernBERT 2.1.2."""
    activation: Literal["gelu", "gelu_tanh", "relu", "elu"] = "gelu"
    """gelu: exact (erf); gelu_tanh: the approximation with 0.044715. Unit: name. Source: BERT 3; arXiv:1606.08415."""
    norm_position: Literal["post", "pre"] = "post"
    """Where LayerNorm stands. post: after each residual sum; pre: before each block. Unit: name. Source: BERT 3 (post);
    arXiv:2002.04745 (pre)."""
    norm_eps: Positive | None = None
    """Added to the variance in LayerNorm; null: 1e-12 (roberta and modernbert 1e-5). Unit: dimensionless. Source: BERT
    modeling.py; config.json of RoBERTa and ModernBERT."""
    dropout: Share = 0.1
    """Share of hidden values zeroed, after embeddings and both blocks. Unit: share. Source: BERT A.2."""
    attention_dropout: Share = 0.1
    """Share of attention weights zeroed. Unit: share. Source: BERT A.2."""
    initialisation: Literal["normal", "ppmi"] = "ppmi"
    """normal: truncated normal; ppmi: token embeddings from an SVD of the corpus's positive pointwise mutual
    information, output bias from unigram counts. Unit: name. Source: cloze (ppmi,
    benchmarks/results/initialisation.md); BERT (normal)."""
    initialisation_std: Positive = 0.02
    """Standard deviation of the truncated normal. Unit: dimensionless. Source: BERT (0.02)."""
    attention: Literal["auto", "explicit", "padded", "varlen"] = "auto"
    """Attention backend; all mean the same. auto: varlen on CUDA where torch has it, else padded. Unit: name.
    Source: cloze."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> ModelSettings:
        wrong: list[tuple[str, str]] = []
        if self.width % self.heads:
            message = f"width {self.width} is not a multiple of heads {self.heads}: every head needs the same width"
            wrong.append(("heads width", message))
        elif self.family == "modernbert" and self.width // self.heads % 2:
            message = f"heads are {self.width // self.heads} wide, but rotary positions turn pairs: take an even width"
            wrong.append(("heads width", message))
        if self.layer_groups is not None and self.layers % self.layer_groups:
            message = f"layers {self.layers} is not a multiple of layer_groups {self.layer_groups}"
            wrong.append(("layer_groups layers", message))
        if (only := NORM_POSITIONS.get(self.family, self.norm_position)) != self.norm_position:
            message = f"norm_position is {self.norm_position}, but {self.family} has only {only}"
            wrong.append(("norm_position family", message))
        for name, families in FAMILY_SETTINGS.items():
            if self.family not in families and getattr(self, name) != type(self).model_fields[name].default:
                message = f"{name} is a setting of {' and '.join(families)}, but family is {self.family}"
                wrong.append((f"{name} family", message))
        refuse(wrong)
        return self


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


class TrainingSettings(Settings):
    """Pretraining. The first limit that is reached ends it; schedules count optimiser steps."""

    steps: Amount | None = 1_000
    """Optimiser steps; null: no limit. Unit: steps. Source: BERT A.2 (1,000,000)."""
    epochs: Positive | None = None
    """Passes over the corpus; null: no limit. Unit: epochs. Source: study (50)."""
    minutes: Positive | None = None
    """Time spent in training steps, summed over resumes; null: no limit. Unit: minutes. Source: cloze."""
    batch_rows: Count = 32
    """Rows of one optimiser step, over all micro-batches and ranks. Unit: rows. Source: study (32; BERT 256; RoBERTa
    8,192)."""
    micro_batch_rows: Count | None = None
    """Rows of one forward pass on one rank; null: all of them. Unit: rows. Source: cloze."""
    peak_learning_rate: Positive = 1e-4
    """Learning rate at the end of warm-up. Unit: dimensionless. Source: BERT A.2."""
    warmup_steps: Amount | None = None
    """Steps of linear warm-up; null: `warmup_frac` of all steps. Unit: steps. Source: BERT A.2 (10,000)."""
    warmup_frac: Frac = 0.06
    """Share of steps spent in warm-up when `warmup_steps` is null. Unit: share. Source: RoBERTa table 9."""
    schedule: Literal["linear", "constant"] = "linear"
    """After warm-up: linear decay to 0 at the last step, or no decay. Unit: name. Source: BERT A.2."""
    weight_decay: Decay = 0.01
    """Decoupled decay; not on LayerNorm and biases. Unit: per step, times the learning rate. Source: BERT A.2."""
    beta1: Share = 0.9
    """Decay of the gradient mean. Unit: dimensionless. Source: BERT A.2."""
    beta2: Share = 0.999
    """Decay of the squared-gradient mean. Unit: dimensionless. Source: BERT A.2 (RoBERTa 0.98)."""
    adam_eps: Positive = 1e-6
    """Added to the root of the squared-gradient mean. Unit: dimensionless. Source: BERT optimization.py."""
    clip_norm: Positive | None = 1.0
    """Largest global gradient norm, after reduction over ranks; null: no clipping. Unit: norm. Source: BERT
    optimization.py."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 on CUDA and on CPUs that multiply it (AVX-512 BF16, AMX), else float32. Unit:
    dtype. Source: cloze (benchmarks/results/pretraining_cpu.md)."""
    compile: Literal["auto", "yes", "no"] = "auto"
    """torch.compile; auto: on CUDA only. Unit: name. Source: cloze (docs/experiments.md)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: CUDA if there is one. Unit: name. Source: cloze."""
    log_every_steps: Count = 20
    """Training loss is averaged and written this often. Unit: steps. Source: cloze."""
    validate_every_steps: Count = 500
    """The whole validation split is scored this often, and at the end. Unit: steps. Source: cloze."""
    checkpoint_every_steps: Count = 500
    """A checkpoint is written this often, and at the end. Unit: steps. Source: cloze."""
    keep_checkpoints: Count = 2
    """Newest checkpoints kept. Unit: checkpoints. Source: cloze."""

    @model_validator(mode="after")
    def _limits_fit(self) -> TrainingSettings:
        wrong: list[tuple[str, str]] = []
        if self.steps is None and self.epochs is None and self.minutes is None:
            wrong.append(("steps epochs minutes", "steps, epochs and minutes are all null: training would never end"))
        elif self.schedule == "linear" and self.steps is None and self.epochs is None:
            wrong.append(("schedule steps epochs", "a linear schedule ends at steps or epochs, but both are null"))
        if self.micro_batch_rows is not None and self.batch_rows % self.micro_batch_rows:
            message = f"batch_rows {self.batch_rows} is not a multiple of micro_batch_rows {self.micro_batch_rows}"
            wrong.append(("micro_batch_rows batch_rows", message))
        refuse(wrong)
        return self


class TaskSettings(Settings):
    """One fine-tuning task."""

    name: Name
    """Name in tables and folders. Unit: letters, digits, dot, dash, underscore. Source: cloze."""
    kind: Literal["classification", "regression"] = "classification"
    """What is predicted of a text or a pair of texts. classification: one of several classes; regression: a number.
    Unit: name. Source: BERT 4.1."""
    train: Path
    """Training file (tab-separated with a header), relative to `data`. Unit: path. Source: cloze."""
    test: Path
    """Test file, same columns. Unit: path. Source: cloze."""
    text_column: str = "document"
    """Column with the text; an empty text is kept and counted. Unit: column name. Source: NSMC."""
    second_text_column: str | None = None
    """Column with the second text of a pair; null: one text. Unit: column name. Source: BERT 4.1."""
    label_column: str = "label"
    """Column with the class or the number. Unit: column name. Source: NSMC."""
    epochs: Positive = 3.0
    """Passes over the training file. Unit: epochs. Source: BERT A.3 (2-4; study 5)."""
    batch_rows: Count = 32
    """Rows of one optimiser step. Unit: rows. Source: BERT A.3 (16 or 32)."""
    peak_learning_rate: Positive = 5e-5
    """Learning rate at the end of warm-up. Unit: dimensionless. Source: BERT A.3 (2e-5 to 5e-5)."""
    warmup_frac: Frac = 0.1
    """Share of steps spent in warm-up. Unit: share. Source: BERT run_classifier.py."""
    weight_decay: Decay = 0.01
    """Decoupled decay; not on LayerNorm and biases. Unit: per step, times the learning rate. Source: BERT A.3."""
    dropout: Share | None = None
    """Dropout while fine-tuning, on hidden states, attention weights and before the classifier; null: as in pretraining
    for the encoder and 0.1 before the classifier. Unit: share. Source: BERT A.3 (0.1)."""
    length: Annotated[int, Field(ge=4, strict=True)] | None = None
    """Longest row, special tokens included; longer texts are cut and counted; null: `inputs.length`. Unit: tokens.
    Source: BERT A.3."""
    seeds: Annotated[list[Amount], Field(min_length=1)] = [1, 2, 3]
    """One training run for each. Unit: seeds. Source: RoBERTa 4.1 (5 seeds)."""
    from_random_weights: bool = False
    """Also train the same classifier from random weights, to show what pretraining gives. Unit: yes/no. Source:
    cloze."""

    @model_validator(mode="after")
    def _seeds_differ(self) -> TaskSettings:
        twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        message = f"seeds names {', '.join(map(str, twice))} twice: equal seeds give equal runs, which are no spread"
        refuse([("seeds", message)] if twice else [])
        return self


class ReportSettings(Settings):
    """The page at the end."""

    fill_sentences: list[str] = []
    """Sentences with [MASK]; the top guesses are recorded at every validation. Unit: texts. Source: study."""
    fill_top: Count = 5
    """Guesses kept for each mask. Unit: tokens. Source: cloze."""


class Recipe(Settings):
    """A whole road: corpus, tokenizer, store, pretraining, fine-tuning, report."""

    name: Name
    """Name of the run and of its folder. Unit: letters, digits, dot, dash, underscore. Source: cloze."""
    description: str = ""
    """What the recipe is for, shown in the report. Unit: text. Source: cloze."""
    data: Path = Path("data")
    """Folder that relative paths of corpus and tasks start from; a relative one starts where cloze is run. Unit: path.
    Source: cloze."""
    output: Path = Path("runs")
    """Folder for stage folders and runs. Unit: path. Source: cloze."""
    seed: Amount = 1
    """Everything random is a function of it. Unit: whole number. Source: cloze."""
    start_from: Path | None = None
    """Folder of a pretrained model to go on from (Hugging Face layout, safetensors); its sizes and its tokenizer
    replace those of `model` and `tokenizer`; null: from the start. Relative to where cloze is run; `--from` is short
    for `--start_from`. Unit: path. Source: arXiv:2004.10964."""
    corpus: CorpusSettings = CorpusSettings()
    """Raw text. Unit: section. Source: cloze."""
    tokenizer: TokenizerSettings = TokenizerSettings()
    """Text to integers. Unit: section. Source: cloze."""
    store: StoreSettings = StoreSettings()
    """Integers on disk. Unit: section. Source: cloze."""
    inputs: InputSettings = InputSettings()
    """Documents to rows. Unit: section. Source: cloze."""
    masking: MaskingSettings = MaskingSettings()
    """Rows to targets. Unit: section. Source: cloze."""
    model: ModelSettings = ModelSettings()
    """The encoder. Unit: section. Source: cloze."""
    training: TrainingSettings = TrainingSettings()
    """Pretraining. Unit: section. Source: cloze."""
    tasks: list[TaskSettings] = []
    """Fine-tuning. Unit: list of sections. Source: cloze."""
    report: ReportSettings = ReportSettings()
    """The page at the end. Unit: section. Source: cloze."""

    @model_validator(mode="after")
    def _sections_fit(self) -> Recipe:
        wrong: list[tuple[str, str]] = []
        wrong += [
            (f"report.fill_sentences.{place}", f"{sentence!r} has no [MASK]: there is nothing to fill")
            for place, sentence in enumerate(self.report.fill_sentences)
            if "[MASK]" not in sentence and "<mask>" not in sentence
        ]
        positions = self.model.max_length or self.inputs.length
        lengths = {"inputs.length": self.inputs.length}
        lengths |= {f"tasks.{place}.length": task.length or 0 for place, task in enumerate(self.tasks)}
        wrong += [
            (f"{key} model.max_length", f"the model has {positions} positions, fewer than {key} {length}")
            for key, length in lengths.items()
            if length > positions
        ]
        if self.model.family in FAMILIES_WITHOUT_SEGMENTS and self.inputs.format in SEGMENT_FORMATS:
            family, form = self.model.family, self.inputs.format
            message = f"model.family {family} has no segments, but inputs.format {form} makes pairs"
            wrong.append(("model.family inputs.format", f"{message}; take family bert or format full-sentences"))
        if self.masking.boundaries != (self.model.family == "spanbert"):
            has = "no" if self.masking.boundaries else "an"
            message = f"model.family {self.model.family} has {has} objective on masking.boundaries: set it to "
            message += "false" if self.masking.boundaries else "true, and masking.unit to span"
            wrong.append(("masking.boundaries model.family", message))
        if self.tokenizer.new_words is not None and self.start_from is None:
            message = "new_words extend the tokenizer of start_from, which is null; a tokenizer of its own learns words"
            wrong.append(("tokenizer.new_words start_from", message))
        if self.name == "stages":
            wrong.append(("name", "the folder `stages` is for the stages of all runs; choose another name"))
        names = [task.name for task in self.tasks]
        wrong += [
            (f"tasks.{place}.name", f"the name {name!r} is used by an earlier task")
            for place, name in enumerate(names)
            if name in names[:place]
        ]
        refuse(wrong)
        return self
