"""Fine-tuning, and the page at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cloze.recipe.base import Amount, Count, Decay, Frac, Name, Positive, Settings, Share, refuse


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
