"""The recipe: every setting of cloze, once, with its type, unit, default and source.

A recipe is a YAML file with these sections. Reading, overriding, printing and the error messages are in `recipe_file`.
Checks that need only the settings stand here, beside the settings they check; a check that needs data stands in the
stage that reads the data. Sources: BERT = Devlin et al. 2019 (arXiv:1810.04805); RoBERTa = Liu et al. 2019
(arXiv:1907.11692); study = Chuck2Win/BERT, the Korean BERT this project began from; cloze = our own choice, measured
in docs/experiments.md or a plain convenience.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Frac = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0.0)]

SEGMENT_FORMATS = ("segment-pair",)
"""Formats whose rows carry two segments and a next-sentence label."""


class Settings(BaseModel):
    """A section of the recipe. An unknown key is an error; the docstring under a field is its help text."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class CorpusSettings(Settings):
    """Where raw text comes from and which documents are kept."""

    sources: list[Path] = []
    """Files or folders of raw text, relative to `data`. Unit: paths. Source: cloze."""
    kind: Literal["auto", "text", "namuwiki"] = "auto"
    """How a file is read. auto: by its content; text: one sentence a line, a blank line between documents; namuwiki: the
    JSON array of a dump. Unit: name. Source: cloze."""
    max_documents: Count | None = None
    """Stop after this many kept documents. Unit: documents; null: all. Source: study (20,000)."""
    min_characters: Amount = 1
    """Shorter documents are dropped and counted. Unit: characters. Source: cloze."""
    validation_frac: Frac = 0.01
    """Share of documents kept for validation, chosen by a hash of their content. Unit: share. Source: cloze."""


class TokenizerSettings(Settings):
    """How text becomes integers."""

    kind: Literal["wordpiece", "byte-bpe"] = "wordpiece"
    """wordpiece: BERT; byte-bpe: byte-level BPE as in RoBERTa. Unit: name. Source: BERT 3; RoBERTa 4.4."""
    vocabulary_size: Annotated[int, Field(ge=64, le=1_000_000)] = 16_000
    """Entries, special tokens included. Unit: tokens. Source: study (16,000; BERT 30,000; RoBERTa 50,000)."""
    alphabet_limit: Count = 6_000
    """WordPiece only: distinct characters kept; Korean needs thousands. Unit: characters. Source: study."""
    min_frequency: Count = 5
    """Rarer pieces are not added. Unit: occurrences. Source: study."""
    lowercase: bool = False
    """Lowercase before splitting. Unit: yes/no. Source: study."""
    strip_accents: bool = False
    """Drop accents; Hangul is composed again afterwards (NFC). Unit: yes/no. Source: study."""
    sample_characters: Count = 200_000_000
    """Train on at most this many characters, chosen by a hash of each document. Unit: characters. Source: cloze."""


class StoreSettings(Settings):
    """The token store on disk."""

    shard_documents: Count = 20_000
    """Documents in one record batch; the unit of parallel work. Unit: documents. Source: cloze."""
    processes: Amount = 0
    """Worker processes; 0: one for each core. The result does not depend on it. Unit: processes. Source: cloze."""


class ModelSettings(Settings):
    """The encoder."""

    family: Literal["bert", "roberta"] = "bert"
    """bert: segments, pooler, MLM (+ NSP for segment pairs); roberta: MLM alone. Unit: name. Source: BERT; RoBERTa."""
    layers: Count = 12
    """Transformer layers. Unit: layers. Source: BERT 3 (base: 12)."""
    heads: Count = 12
    """Attention heads; must divide width. Unit: heads. Source: BERT 3 (base: 12)."""
    width: Count = 768
    """Width of hidden states and embeddings. Unit: numbers. Source: BERT 3 (base: 768)."""
    feed_forward_width: Count | None = None
    """Inner width of the feed-forward block; null: 4 x width. Unit: numbers. Source: BERT 3 (base: 3,072)."""
    max_length: Count | None = None
    """Rows of the position table; null: `inputs.length`. Unit: tokens. Source: BERT (512)."""
    activation: Literal["gelu", "gelu_tanh", "relu", "elu"] = "gelu"
    """gelu: exact (erf); gelu_tanh: the approximation with 0.044715. Unit: name. Source: BERT 3; arXiv:1606.08415."""
    norm_position: Literal["post", "pre"] = "post"
    """Where LayerNorm stands: after each residual sum, or before each block. Unit: name. Source: BERT; arXiv:2002.04745."""
    norm_eps: Positive = 1e-12
    """Added to the variance in LayerNorm. Unit: dimensionless. Source: BERT (1e-12; RoBERTa 1e-5)."""
    dropout: Frac = 0.1
    """Share of hidden values zeroed, after embeddings and both blocks. Unit: share. Source: BERT A.2."""
    attention_dropout: Frac = 0.1
    """Share of attention weights zeroed. Unit: share. Source: BERT A.2."""
    initialisation: Literal["normal", "ppmi"] = "normal"
    """normal: truncated normal; ppmi: token embeddings from an SVD of the corpus's positive pointwise mutual information
    and output bias from unigram counts. Unit: name. Source: BERT (normal); cloze (ppmi, docs/experiments.md)."""
    initialisation_std: Positive = 0.02
    """Standard deviation of the truncated normal. Unit: dimensionless. Source: BERT (0.02)."""
    attention: Literal["auto", "explicit", "padded", "varlen"] = "auto"
    """Attention backend; all mean the same. auto: varlen on CUDA where torch has it, else padded. Unit: name. Source: cloze."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelSettings:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}: every head needs the same width")
        return self


class InputSettings(Settings):
    """How documents become rows."""

    format: Literal["segment-pair", "full-sentences"] = "full-sentences"
    """segment-pair: BERT's pairs with next-sentence labels; full-sentences: rows filled with whole sentences, crossing
    documents. Unit: name. Source: BERT A.2; RoBERTa 4.2."""
    length: Annotated[int, Field(ge=8)] = 128
    """Longest row, special tokens included. Unit: tokens. Source: BERT A.2 (128, then 512)."""
    short_row_frac: Frac = 0.1
    """segment-pair: share of chunks with a random shorter target. Unit: share. Source: BERT A.2."""


class MaskingSettings(Settings):
    """Which tokens become targets. Shares count ordinary tokens, never special ones."""

    unit: Literal["token", "word"] = "token"
    """Smallest piece that is masked as a whole. Unit: name. Source: BERT 3.1; whole-word update of google-research/bert."""
    target_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    """Share of tokens predicted in each row, rounded, at least one. Unit: share. Source: BERT 3.1."""
    mask_frac: Frac = 0.8
    """Share of targets replaced by [MASK]. Unit: share of targets. Source: BERT 3.1."""
    random_frac: Frac = 0.1
    """Share of targets replaced by a random ordinary token; the rest is kept. Unit: share of targets. Source: BERT 3.1."""
    copies: Count | None = None
    """Different masks (and plans) of the corpus: 1 is BERT's fixed masking, 10 RoBERTa's ten copies, null is dynamic.
    Unit: copies. Source: RoBERTa 4.1."""

    @model_validator(mode="after")
    def _shares_fit(self) -> MaskingSettings:
        if self.mask_frac + self.random_frac > 1.0:
            raise ValueError(
                f"mask_frac {self.mask_frac} and random_frac {self.random_frac} add up to more than 1: they share the targets"
            )
        return self


class TrainingSettings(Settings):
    """Pretraining. The first limit that is reached ends it; schedules count optimiser steps."""

    steps: Amount | None = 1_000
    """Optimiser steps. Unit: steps; null: no limit. Source: BERT A.2 (1,000,000)."""
    epochs: Positive | None = None
    """Passes over the corpus. Unit: epochs; null: no limit. Source: study (50)."""
    minutes: Positive | None = None
    """Time spent in training steps, summed over resumes. Unit: minutes; null: no limit. Source: cloze."""
    batch_rows: Count = 32
    """Rows of one optimiser step, over all micro-batches and ranks. Unit: rows. Source: study (32; BERT 256; RoBERTa 8,192)."""
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
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """Decoupled decay; not on LayerNorm and biases. Unit: per step, times the learning rate. Source: BERT A.2."""
    beta1: Frac = 0.9
    """Decay of the gradient mean. Unit: dimensionless. Source: BERT A.2."""
    beta2: Frac = 0.999
    """Decay of the squared-gradient mean. Unit: dimensionless. Source: BERT A.2 (RoBERTa 0.98)."""
    adam_eps: Positive = 1e-6
    """Added to the root of the squared-gradient mean. Unit: dimensionless. Source: BERT optimization.py."""
    clip_norm: Positive | None = 1.0
    """Largest global gradient norm, after reduction over ranks; null: no clipping. Unit: norm. Source: BERT optimization.py."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 on CUDA, float32 elsewhere. Unit: dtype. Source: cloze."""
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
        if self.steps is None and self.epochs is None and self.minutes is None:
            raise ValueError("steps, epochs and minutes are all null: training would never end; set one of them")
        if self.schedule == "linear" and self.steps is None and self.epochs is None:
            raise ValueError("a linear schedule needs steps or epochs to know its end; set one, or schedule: constant")
        if self.micro_batch_rows is not None and self.batch_rows % self.micro_batch_rows:
            raise ValueError(f"batch_rows {self.batch_rows} is not a multiple of micro_batch_rows {self.micro_batch_rows}")
        return self


class TaskSettings(Settings):
    """One fine-tuning task."""

    name: str
    """Name in tables and folders. Unit: text. Source: cloze."""
    kind: Literal["classification"] = "classification"
    """What is predicted. Unit: name. Source: BERT 4.1."""
    train: Path
    """Training file (tab-separated with a header), relative to `data`. Unit: path. Source: cloze."""
    test: Path
    """Test file, same columns. Unit: path. Source: cloze."""
    text_column: str = "document"
    """Column with the text; an empty text is kept and counted. Unit: column name. Source: NSMC."""
    label_column: str = "label"
    """Column with the class. Unit: column name. Source: NSMC."""
    epochs: Positive = 3.0
    """Passes over the training file. Unit: epochs. Source: BERT A.3 (2-4; study 5)."""
    batch_rows: Count = 32
    """Rows of one optimiser step. Unit: rows. Source: BERT A.3 (16 or 32)."""
    peak_learning_rate: Positive = 5e-5
    """Learning rate at the end of warm-up. Unit: dimensionless. Source: BERT A.3 (2e-5 to 5e-5)."""
    warmup_frac: Frac = 0.1
    """Share of steps spent in warm-up. Unit: share. Source: BERT run_classifier.py."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """Decoupled decay; not on LayerNorm and biases. Unit: per step, times the learning rate. Source: BERT A.3."""
    dropout: Frac | None = None
    """Dropout while fine-tuning, on hidden states, attention weights and before the classifier; null: as in pretraining
    for the encoder and 0.1 before the classifier. Unit: share. Source: BERT A.3 (0.1)."""
    length: Annotated[int, Field(ge=4)] | None = None
    """Longest row, special tokens included; longer texts are cut and counted; null: `inputs.length`. Unit: tokens. Source:
    BERT A.3."""
    seeds: Annotated[list[int], Field(min_length=1)] = [1, 2, 3]
    """One training run for each. Unit: seeds. Source: RoBERTa 4.1 (5 seeds)."""
    from_random_weights: bool = False
    """Also train the same classifier from random weights, to show what pretraining gives. Unit: yes/no. Source: cloze."""


class ReportSettings(Settings):
    """The page at the end."""

    fill_sentences: list[str] = []
    """Sentences with [MASK]; the top guesses are recorded at every validation. Unit: texts. Source: study."""
    fill_top: Count = 5
    """Guesses kept for each mask. Unit: tokens. Source: cloze."""


class Recipe(Settings):
    """A whole road: corpus, tokenizer, store, pretraining, fine-tuning, report."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the run and of its folder. Unit: letters, digits, dot, dash, underscore. Source: cloze."""
    description: str = ""
    """What the recipe is for, shown in the report. Unit: text. Source: cloze."""
    data: Path = Path("data")
    """Folder that relative paths of corpus and tasks start from. Unit: path. Source: cloze."""
    output: Path = Path("runs")
    """Folder for stage folders and runs. Unit: path. Source: cloze."""
    seed: Amount = 1
    """Everything random is a function of it. Unit: whole number. Source: cloze."""
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
        wrong: list[str] = []
        longest = max([self.inputs.length, *(task.length or 0 for task in self.tasks)])
        if self.model.max_length is not None and self.model.max_length < longest:
            wrong.append(f"model.max_length {self.model.max_length} is shorter than the longest row of {longest} tokens")
        if self.model.family == "roberta" and self.inputs.format in SEGMENT_FORMATS:
            wrong.append(f"model.family roberta has no segments, but inputs.format {self.inputs.format} makes pairs; use bert")
        names = [task.name for task in self.tasks]
        wrong += [f"tasks: the name {name!r} is used twice" for name in sorted({n for n in names if names.count(n) > 1})]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
