"""The encoder and its pretraining."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cloze.recipe.base import Amount, Count, Decay, Frac, Positive, Settings, Share, refuse

FAMILIES_WITHOUT_PAIRS = ("roberta", "electra", "spanbert", "modernbert")
"""Families whose pretraining has no objective on pairs of segments."""
FAMILY_SETTINGS = {
    "embedding_width": ("albert", "electra"),
    "generator_frac": ("electra",),
    "layer_groups": ("albert",),
    "norm": ("bert", "roberta"),
    "local_window": ("modernbert",),
    "global_every": ("modernbert",),
    "rotary_theta": ("modernbert",),
    "local_rotary_theta": ("modernbert",),
}
"""Settings of the model that only these families have."""
NORM_POSITIONS = {"albert": "post", "electra": "post", "spanbert": "post", "modernbert": "pre"}
"""Families whose norms stand in one place."""


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
    norm: Literal["layer", "rms", "batch", "none"] = "layer"
    """bert, roberta: the encoder's norm; heads have LayerNorm. layer: a token by its mean and variance; rms: a token by
    its root mean square; batch: a feature by its mean and variance over the tokens of a micro-batch, outside of
    training by running averages of them, and in one process alone; none: none. Unit: name. Source: arXiv:1607.06450
    (layer); arXiv:1910.07467 (rms); arXiv:1502.03167 (batch)."""
    norm_position: Literal["post", "pre"] = "post"
    """Where norms stand. post: after each residual sum; pre: before each block. Unit: name. Source: BERT 3 (post);
    arXiv:2002.04745 (pre)."""
    norm_eps: Positive | None = None
    """Added to the variance in norms (rms: to the mean square); null: 1e-12 (roberta and modernbert 1e-5). Unit:
    dimensionless. Source: BERT modeling.py; config.json of RoBERTa and ModernBERT."""
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
    """After warm-up: linear decay, to 0 after the last step, or no decay. Unit: name. Source: BERT A.2."""
    weight_decay: Decay = 0.01
    """Decoupled decay; not on norms and biases. Unit: per step, times the learning rate. Source: BERT A.2."""
    beta1: Share = 0.9
    """Decay of the gradient mean. Unit: dimensionless. Source: BERT A.2."""
    beta2: Share = 0.999
    """Decay of the squared-gradient mean. Unit: dimensionless. Source: BERT A.2 (RoBERTa 0.98)."""
    adam_eps: Positive = 1e-6
    """Added to the root of the squared-gradient mean. Unit: dimensionless. Source: BERT optimization.py."""
    average_decay: Share = 0.0
    """Validate and save a running average of the weights, in which a step's weights count this much less with every
    step after it; 0: the last weights. Unit: factor a step. Source: arXiv:1512.00567 8."""
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
