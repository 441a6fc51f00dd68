"""A run folder as the pipeline leaves it, made up, with every part that the report shows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from cloze.report.plots import Plot, Series

CREATED = "2026-11-22T18:00:00+00:00"
SENTENCE = "이 영화 정말 [MASK]"
GUESSES = {"재밌": 0.41, "좋": 0.22, "최고": 0.13, "감동": 0.06, "별로": 0.03}
FIRST_GUESSES = {".": 0.021, "이": 0.014, "영화": 0.012, "##다": 0.011, "좋": 0.009}


ROWS = {"train": {"rows": 31_112, "truncated_tokens": 1_204}, "validation": {"rows": 311, "truncated_tokens": 17}}
"""Of pretraining's manifest."""


def write_run(folder: Path, *, pairs: bool = True, log_lines: int = 200, seeds: int = 3, random: bool = True) -> Path:
    """Write the folder of a finished run: `log_lines` training lines of 20 steps each, and 20 validations."""
    steps = log_lines * 20
    _write(folder / "recipe.yaml", _recipe(steps, pairs))
    _write(
        folder / "run.json",
        {
            "notes": [],
            "versions": {"cloze": "0.1.0", "python": "3.11.2", "torch": "2.13.0"},
            "machine": {"processor": "2 cores", "memory_gb": 8},
        },
    )
    for stage, counts in _counts(steps).items():
        manifest: dict[str, Any] = {
            "stage": stage,
            "counts": counts,
            "elapsed_s": 12.5,
            "created": "2026-11-22T18:00:00+00:00",
        }
        manifest |= {"quality": _quality()} if stage == "tokenizer" else {}
        manifest |= {"rows": ROWS} if stage == "pretraining" else {}
        _write(folder / stage / "manifest.json", manifest)
    _write(folder / "pretraining" / "metrics.jsonl", _metrics(log_lines, pairs))
    _write(folder / "pretraining" / "guesses.jsonl", _guesses(steps))
    _write(folder / "tasks" / "영화평" / "results.json", _results(seeds, random))
    _write(folder / "tasks" / "영화평" / "metrics.jsonl", _curves(seeds, random))
    _write(folder / "tasks" / "영화평" / "manifest.json", {"elapsed_s": 301.0, "created": CREATED})
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`write_run` into a fresh folder."""
    return lambda **options: write_run(tmp_path / "nsmc-small", **options)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots are asked for as ever, but nothing is drawn: for tests of words."""

    def draw(title: str, unit: str, series: Sequence[Series], **_: object) -> Plot:
        return Plot(title, unit, Markup("<svg></svg>"))

    monkeypatch.setattr("cloze.report.plots.draw", draw)


def _write(path: Path, value: Any) -> None:
    """A list as JSON lines, text as it is, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, list):
        value = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in value)
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _recipe(steps: int, pairs: bool) -> str:
    return f"""# resolved by cloze
name: nsmc-small
description: A small Korean encoder, pretrained on film reviews and fine-tuned to tell good ones from bad ones.
seed: 1
inputs:
  format: {"segment-pair" if pairs else "full-sentences"}
  length: 128
model:
  family: bert
  layers: 4
  heads: 4
  width: 256
training:
  steps: {steps}
tasks:
- name: 영화평
  train: nsmc/ratings_train.txt
  test: nsmc/ratings_test.txt
"""


def _counts(steps: int) -> dict[str, dict[str, Any]]:
    """The counts of each stage's manifest."""
    return {
        "corpus": {
            "files": 2,
            "kept": tally(181_204, 402_113, 61_204_113),
            "train": tally(179_391, 398_090, 60_592_070),
            "validation": tally(1_813, 4_023, 612_043),
            "dropped": {
                "redirect": tally(310, 0, 9_120, "넘겨주기 문서"),
                "shorter than min_characters": tally(1_204, 0, 2_113, "굿", "ㅋㅋ"),
                "markup and white space": tally(0, 0, 8_301_224),
            },
            "changed": {"recomposed to NFC": tally(0, 0, 91, "한국어")},
            "bytes_read": 171_000_321,
        },
        "tokenizer": {
            "kind": "wordpiece",
            "vocabulary_size": 16_000,
            "fingerprint": "4fd1" * 16,
            "sample": {"documents": 20_000, "characters": 6_700_112},
            "distinct_words": 402_113,
        },
        "store": {"documents": 181_204, "sentences": 402_113, "tokens": 31_204_113},
        "pretraining": {
            "steps": steps,
            "epochs": 6.2,
            "tokens": steps * 4096,
            "elapsed_s": steps * 0.31,
            "peak_gflops": 319.0,
            "parameters": 7_412_352,
            "peak_memory_mb": 1432.0,
        },
    }


def _quality() -> dict[str, Any]:
    part = {"sentences": 9_812, "unknown_share": 0.0021, "tokens_per_word": 1.934, "characters_per_token": 1.71}
    return {
        "train": part | {"longest_words": ["어벤져스인피니티워", "대한민국영화"]},
        "validation": part | {"unknown_share": 0.0034, "longest_words": ["스파이더맨노웨이홈"]},
    }


def tally(documents: int, sentences: int, characters: int, *examples: str) -> dict[str, Any]:
    """An entry of the corpus's counts."""
    sums: dict[str, Any] = {"documents": documents, "sentences": sentences, "characters": characters}
    return sums | ({"examples": list(examples)} if examples else {})


def _noise(i: int, scale: float) -> float:
    """Something that looks random and is not."""
    return scale * math.sin(i * 12.9898) * math.cos(i * 78.233)


def _metrics(log_lines: int, pairs: bool) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for i in range(1, log_lines + 1):
        done, step = i / log_lines, i * 20
        loss = 4.4 + 5.2 * math.exp(-3 * done)
        values = {"masked_tokens/loss": loss, "masked_tokens/accuracy": 0.32 * (1 - math.exp(-3 * done))}
        if pairs:
            values |= {"sentence_pair/loss": 0.42 + 0.28 * math.exp(-4 * done)}
            values |= {"sentence_pair/accuracy": 0.81 - 0.3 * math.exp(-4 * done)}
        rate = 1e-3 * min(done / 0.06, (1 - done) / 0.94)
        speed = {"learning_rate": rate, "gradient_norm": 1.1 + _noise(i, 0.4), "tokens_per_s": 13_200 + _noise(i, 900)}
        train = {name: value * (1 + _noise(i, 0.04)) for name, value in values.items()}
        place = {"step": step, "epoch": 6.2 * done, "elapsed_s": step * 0.31, "tokens": step * 4096}
        lines.append({"kind": "train", **place, **speed, "peak_frac": 0.302 + _noise(i, 0.02), **train})
        if i % (max(1, log_lines // 20)) == 0:
            lines.append({"kind": "validation", **place, **values})
    return lines


def _guesses(steps: int) -> list[dict[str, Any]]:
    lines = []
    for i in range(21):
        done = i / 20
        words = GUESSES if done > 0.3 else FIRST_GUESSES
        guesses = [
            {"token": word, "probability": FIRST_GUESSES.get(word, 0.01) * (1 - done) + top * done}
            for word, top in words.items()
        ]
        lines.append({"step": steps * i // 20, "sentence": SENTENCE, "guesses": [guesses]})
        two = "배우들의 [MASK]가 [MASK] 좋았다"
        lines.append({"step": steps * i // 20, "sentence": two, "guesses": [guesses, guesses[::-1]]})
    return lines


def _results(seeds: int, random: bool) -> dict[str, Any]:
    def summary(accuracy: float) -> dict[str, Any]:
        scores = {"train": {"accuracy": accuracy + 0.03, "loss": 0.21}, "test": {"accuracy": accuracy, "loss": 0.287}}
        confusion = {"confusion": [[22_000, 2_827], [3_001, 22_172]]}
        runs = [
            {"seed": seed, "train": scores["train"], "test": scores["test"] | confusion, "elapsed_s": 101.2}
            for seed in range(1, seeds + 1)
        ]
        std = {split: {"accuracy": 0.0012, "loss": 0.0031} for split in scores}
        none = {split: {"accuracy": None, "loss": None} for split in scores}
        return {"seeds": runs, "mean": scores, "std": std if seeds > 1 else none}

    return {
        "task": "영화평",
        "classes": ["부정", "긍정"],
        "pretrained": summary(0.8831),
        "random_weights": summary(0.8402) if random else None,
        "counts": {
            "train": {"examples": 150_000, "empty": 5, "truncated": 12},
            "test": {"examples": 50_000, "empty": 3, "truncated": 4},
        },
        "examples_per_s": 1_480.2,
        "meaning": {"test": "the final model on the whole test file, without dropout"},
    }


def _curves(seeds: int, random: bool) -> list[dict[str, Any]]:
    lines = []
    for start, floor in (("pretrained", 0.27), ("random", 0.36))[: 2 if random else 1]:
        for seed in range(1, seeds + 1):
            for i in range(1, 61):
                loss = floor + (0.69 - floor) * math.exp(-i / 12) + _noise(i * seed, 0.02)
                who = {"start": start, "seed": seed, "step": i * 40, "epoch": i / 20}
                lines.append(
                    {"kind": "train", **who, "classification/loss": loss, "classification/accuracy": 1 - loss / 2}
                )
                if i % 20 == 0:
                    scores = {"classification/loss": loss + 0.02, "classification/accuracy": 0.98 - loss / 2}
                    lines.append({"kind": "test", **who, **scores})
    return lines
