"""Numbers as people read them. Every function takes None, for what a run has not measured, and then gives a dash."""

from __future__ import annotations

MISSING = "–"
"""What stands in a cell whose number does not exist."""
OBJECTIVES = {
    "masked_tokens": ("MLM", "masked tokens"),
    "sentence_pair": ("NSP", "pairs"),
    "replaced_tokens": ("RTD", "tokens"),
    "span_boundary": ("SBO", "tokens of masked spans"),
}
"""Objectives of pretraining by their name in metrics.jsonl: what papers call them, and what their means are over."""
MEASURES = {
    "accuracy": "Accuracy",
    "spearman": "Spearman's rho",
    "pearson": "Pearson's r",
    "entity_f1": "Entity F1",
    "entity_macro_f1": "Entity macro F1",
    "tag_f1": "Tag macro F1",
    "exact_match": "Exact match",
    "f1": "F1",
    "micro_f1": "Micro F1",
    "macro_f1": "Macro F1",
    "matthews": "Matthews' correlation",
    "auprc": "AUPRC",
    "rouge_w": "ROUGE-W",
    "loss": "Loss",
}
"""Measures of fine-tuning by their name in results.json. All but the loss are shown in per cent."""
LOSSES = {
    "classification": "nats, mean over texts",
    "multi_label": "nats, mean over labels",
    "regression": "squared error, mean over texts",
    "tagging": "nats, mean over tokens with a tag",
    "question_answering": "nats, mean over starts and ends",
    "multiple_choice": "nats, mean over questions",
}
"""What the loss of a kind of task is."""
FIGURES = {
    "replaced_tokens/fake_frac": ("Replaced tokens", "all tokens"),
    "replaced_tokens/precision": ("RTD precision", "the tokens called replaced"),
    "replaced_tokens/recall": ("RTD recall", "the replaced tokens"),
}
"""Health figures by their name in metrics.jsonl: their name on the page, and what they are a share of."""


def whole(value: float | None) -> str:
    """1234567 -> 1,234,567."""
    return MISSING if value is None else f"{value:,.0f}"


def compact(value: float | None) -> str:
    """Three significant digits and a letter: 8473600 -> 8.47 M, 950 -> 950."""
    if value is None:
        return MISSING
    for limit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit * 0.9995:
            scaled = value / limit
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f} {letter}"
    return f"{value:.0f}"


def scientific(value: float | None) -> str:
    """Three significant digits: 4.21e13."""
    return MISSING if value is None else f"{value:.2e}".replace("e+", "e")


def decimal(value: float | None, places: int = 3) -> str:
    """2.71828 -> 2.718."""
    return MISSING if value is None else f"{value:,.{places}f}"


def percent(share: float | None, places: int = 2) -> str:
    """A share of 1 in per cent, without the sign: 0.8831 -> 88.31."""
    return decimal(None if share is None else share * 100, places)


def with_spread(mean: str, spread: str) -> str:
    """`mean ± spread`; the mean alone if there is no spread."""
    return mean if MISSING in (mean, spread) else f"{mean} ± {spread}"


def with_unit(text: str, unit: str, between: str = " ") -> str:
    """12 and MiB -> 12 MiB."""
    return text if text == MISSING else f"{text}{between}{unit}"


def duration(elapsed_s: float | None) -> str:
    """0.42 -> 0.4 s; 75 -> 1.2 min; 5520 -> 1 h 32 min."""
    if elapsed_s is None:
        return MISSING
    if elapsed_s < 59.95:
        return f"{elapsed_s:.1f} s"
    if elapsed_s < 3570:
        return f"{elapsed_s / 60:.1f} min"
    hours, minutes = divmod(round(elapsed_s / 60), 60)
    return f"{hours:,} h {minutes} min"


def shortened(text: str, characters: int = 160) -> str:
    """The text in one line, cut with an ellipsis after `characters` characters."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def humanised(name: str) -> str:
    """A key of a JSON file as words: tokens_per_word -> Tokens per word."""
    words = name.replace("_", " ").replace("/", ": ").strip()
    return words[:1].upper() + words[1:]
