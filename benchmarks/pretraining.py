"""Pretraining tokens a second: cloze's own loop against transformers' Trainer, on the same rows, in one run.

Shared by pretraining_cpu.py and pretraining_gpu.py. Rows are full-sentences rows of a generated corpus whose tokens
follow Zipf's law, so nothing is downloaded. Trainer gets the same rows without masks and makes its own with
DataCollatorForLanguageModeling, as its users do. Every measurement is a process of its own; rounds alternate, the table
gives medians. Counted are real tokens, special ones included, padding not; the first steps of a process are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import Table, command, write_result
from numpy.typing import NDArray

from cloze.inputs.hashing import uniform
from cloze.inputs.rows import Rows
from cloze.recipe import InputSettings, MaskingSettings, ModelSettings, Recipe, TrainingSettings

if TYPE_CHECKING:
    from cloze.models import PretrainingModel

VOCABULARY = 16_000
WARMUP_STEPS = 3
"""Steps at the start of a process that are not counted: allocation, compilation, caches."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is trained, and how long."""

    layers: int
    heads: int
    width: int
    length: int
    batch_rows: int
    steps: int
    dropout: float = 0.1

    def __str__(self) -> str:
        return f"{self.layers} x {self.width}, {self.batch_rows} rows of {self.length}, dropout {self.dropout:g}"


class ZipfStore:
    """Documents of 3 to 40 sentences of 4 to 40 tokens, drawn by Zipf's law; what `Rows` needs of a token store."""

    def __init__(self, sentences: int) -> None:
        numbers = np.arange(sentences)
        lengths = 4 + (uniform(1, "benchmark/sentence", numbers) * 37).astype(np.int64)
        self.sentence_offsets = np.append(0, np.cumsum(lengths))
        ends = np.flatnonzero(uniform(1, "benchmark/document", numbers) < 0.05) + 1
        self.document_offsets = np.unique(np.concatenate([[0], ends, [sentences]]))
        share = np.cumsum(1 / np.arange(1, VOCABULARY - 4))
        draw = uniform(1, "benchmark/token", np.arange(self.sentence_offsets[-1]))
        self._tokens = 5 + np.searchsorted(share / share[-1], draw).clip(0, VOCABULARY - 6)

    def take(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of spans, end to end."""
        return np.concatenate([self._tokens[s : s + n] for s, n in zip(starts, lengths, strict=True)])


class Vocabulary:
    """What `Rows` needs of a tokenizer: every entry a word of its own."""

    vocabulary_size = VOCABULARY
    pad_id, unknown_id, cls_id, sep_id, mask_id = range(5)

    def __init__(self) -> None:
        self.special_ids = list(range(5))
        self.ordinary_ids = np.arange(5, VOCABULARY)
        self.word_starts = np.ones(VOCABULARY, dtype=np.bool_)
        self.characters = np.ones(VOCABULARY, dtype=np.int64)


def make_rows(shape: Shape) -> Rows:
    """Training rows of a corpus large enough for all steps."""
    needed = shape.batch_rows * shape.length * (shape.steps + WARMUP_STEPS + 1)
    inputs = InputSettings(format="full-sentences", length=shape.length)
    return Rows(ZipfStore(max(2_000, needed // 20)), Vocabulary(), inputs, MaskingSettings(), 1, shuffle=True)


def make_recipe(shape: Shape, precision: str, device: str, folder: Path) -> Recipe:
    """BERT's encoder and optimiser, masked tokens only."""
    return Recipe(
        name="benchmark",
        output=folder,
        inputs=InputSettings(format="full-sentences", length=shape.length),
        model=ModelSettings(
            family="bert",
            layers=shape.layers,
            heads=shape.heads,
            width=shape.width,
            dropout=shape.dropout,
            attention_dropout=shape.dropout,
        ),
        training=TrainingSettings.model_validate(
            {
                "steps": shape.steps + WARMUP_STEPS,
                "batch_rows": shape.batch_rows,
                "peak_learning_rate": 1e-4,
                "precision": precision,
                "device": device,
                "log_every_steps": 1,
                "validate_every_steps": 10**9,
                "checkpoint_every_steps": 10**9,
            }
        ),
    )


def make_model(recipe: Recipe) -> PretrainingModel:
    """The same initial weights for both sides."""
    from cloze.models import build

    return build(
        recipe.model, vocabulary_size=VOCABULARY, length=recipe.inputs.length, pad_id=0, pairs=False, seed=recipe.seed
    )


def to_transformers(model: PretrainingModel, length: int) -> Any:
    """BertForMaskedLM with the weights of `model`."""
    import transformers

    from cloze.interop.huggingface import names_of, to_huggingface

    config = model.encoder.config
    described = transformers.BertConfig(
        vocab_size=config.vocabulary_size,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.feed_forward_width,
        max_position_embeddings=length,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.attention_dropout,
    )
    theirs = transformers.BertForMaskedLM(described)
    missing = theirs.load_state_dict(to_huggingface(model.state_dict(), names_of("bert", config)), strict=False)
    assert all("decoder" in name for name in missing.missing_keys), missing
    theirs.tie_weights()
    return theirs


def run_cloze(shape: Shape, precision: str, device: str) -> dict[str, float]:
    """Through `pretrain`, the loop that users run, with its logging, after what `cloze run` does first."""
    from cloze.training.cpu import prepare_cpu

    prepare_cpu()
    recipe = make_recipe(shape, precision, device, Path())
    return time_cloze(recipe, make_model(recipe), make_rows(shape))


def time_cloze(recipe: Recipe, model: PretrainingModel, rows: Rows) -> dict[str, float]:
    """Tokens a second of the steps after the first ones, share of peak and last losses."""
    from cloze.progress import Silent
    from cloze.training.loop import pretrain

    with tempfile.TemporaryDirectory() as name:
        history = pretrain(recipe, model, rows, None, Path(name), Silent())
        lines = [json.loads(line) for line in (Path(name) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    train = [line for line in lines if line["kind"] == "train"]
    first, last = train[WARMUP_STEPS - 1], train[-1]
    speed = (last["tokens"] - first["tokens"]) / (last["elapsed_s"] - first["elapsed_s"])
    frac = statistics.median(line["peak_frac"] for line in train[WARMUP_STEPS:])
    loss = sum(value for key, value in last.items() if key.endswith("/loss"))
    return {"tokens_per_s": speed, "peak_frac": frac, "loss": loss} | {
        "peak_gflops": float(history.counts()["peak_gflops"])
    }


def run_trainer(shape: Shape, precision: str, device: str) -> dict[str, float]:
    """Trainer on BertForMaskedLM with the same weights, rows, batch, rate and dropout."""
    rows, count = make_rows(shape), (shape.steps + WARMUP_STEPS) * shape.batch_rows
    model = to_transformers(make_model(make_recipe(shape, precision, device, Path())), shape.length)
    return time_trainer(model, plain_rows(rows, count), masking_collator(), shape, precision, device)


def masking_collator() -> Any:
    """DataCollatorForLanguageModeling as its users make it, over a tokenizer with our vocabulary."""
    import transformers
    from tokenizers import Tokenizer, models

    vocabulary = dict(zip(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], range(5), strict=True))
    vocabulary |= {f"token{i}": i for i in range(5, VOCABULARY)}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]")),
        **{f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")},
    )
    return transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)


def time_trainer(
    model: Any, ids: list[list[int]], collator: Any, shape: Shape, precision: str, device: str
) -> dict[str, float]:
    """Trainer with its defaults over rows of `ids`; bfloat16 by its own flag, compiled on CUDA."""
    import torch
    import transformers

    marks: list[float] = []

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        """Notes when each step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as name:
        arguments = transformers.TrainingArguments(
            output_dir=name,
            per_device_train_batch_size=shape.batch_rows,
            max_steps=shape.steps + WARMUP_STEPS,
            learning_rate=1e-4,
            use_cpu=device == "cpu",
            bf16=precision == "bfloat16",
            torch_compile=device == "cuda",
            report_to=[],
            save_strategy="no",
            logging_steps=shape.steps + WARMUP_STEPS,
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=[{"input_ids": row} for row in ids],
            data_collator=collator,
            callbacks=[Clock()],
        )
        loss = trainer.train().training_loss
    # Trainer draws the order of rows itself, so its tokens are counted at the mean row.
    tokens = sum(map(len, ids)) / len(ids) * shape.batch_rows * (len(marks) - WARMUP_STEPS)
    return {"tokens_per_s": tokens / (marks[-1] - marks[WARMUP_STEPS - 1]), "loss": loss}


def plain_rows(rows: Rows, count: int) -> list[list[int]]:
    """The first `count` rows of epoch 0 without masks, as lists."""
    from cloze.inputs.batch import make_rows as assemble

    epoch = rows.epoch(0)
    chosen = epoch.order[:count]
    ids, _, _, offsets = assemble(rows.store, epoch.plan, chosen, Vocabulary.cls_id, Vocabulary.sep_id)
    return [part.tolist() for part in np.split(ids, offsets[1:-1])]


def loss_difference(shape: Shape, steps: int = 20) -> float:
    """Largest difference of the step losses of both models over `steps` steps of AdamW from the same weights.

    Same rows, masks, optimiser and clipping, float32, no dropout. Each model computes its loss its own way: ours on the
    targets alone, theirs over all padded positions.
    """
    import torch

    rows = make_rows(shape)
    recipe = make_recipe(shape, "float32", "cpu", Path())
    ours = make_model(recipe)
    theirs = to_transformers(ours, shape.length)
    module: Any = ours
    optimizers = [torch.optim.AdamW(m.parameters(), lr=1e-3, eps=1e-6) for m in (module, theirs)]
    module.train(), theirs.train()
    largest = 0.0
    for step in range(steps):
        batch = rows.batch(0, np.arange(step * shape.batch_rows, (step + 1) * shape.batch_rows))
        bounds = batch.offsets.tolist()
        real = torch.arange(batch.longest) < (batch.offsets[1:] - batch.offsets[:-1])[:, None]
        ids, labels = torch.zeros(len(bounds) - 1, batch.longest, dtype=torch.long), torch.full(batch.ids.shape, -100)
        labels[batch.targets["masked_tokens"].positions] = batch.targets["masked_tokens"].labels
        padded_labels = torch.full_like(ids, -100)
        ids[real], padded_labels[real] = batch.ids, labels
        sums = ours.losses(batch)["masked_tokens"]
        found = theirs(input_ids=ids, attention_mask=real.long(), labels=padded_labels).loss
        losses = (sums.loss / sums.count, found)
        largest = max(largest, abs(losses[0].item() - losses[1].item()))
        for model, optimizer, loss in zip((module, theirs), optimizers, losses, strict=True):
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return largest


METHODS = {"cloze": run_cloze, "Trainer": run_trainer}


def main(name: str, shapes: list[Shape], device: str, precisions: list[str], peer_packages: tuple[str, ...]) -> None:
    """Measure every shape with every method, print the table, keep it with --write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--shapes", type=int, nargs="*", default=list(range(len(shapes))), help="numbers from 0")
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        import torch

        torch.set_num_threads(arguments.threads)
        job = json.loads(arguments.worker)
        found = METHODS[job["method"]](Shape(**job["shape"]), job["precision"], device)
        found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    table = Table(["shape", "method", "dtype", "tokens/s", "times Trainer", "range", "share of peak", "memory, MB"])
    for shape in (shapes[i] for i in arguments.shapes):
        runs: dict[tuple[str, str], list[dict[str, float]]] = {}
        for _ in range(arguments.rounds):
            for precision in precisions:
                for method in METHODS:
                    runs.setdefault((method, precision), []).append(
                        _worker(shape, method, precision, arguments.threads)
                    )
        peer = {p: statistics.median(r["tokens_per_s"] for r in runs["Trainer", p]) for p in precisions}
        for (method, precision), measured in runs.items():
            speeds = sorted(r["tokens_per_s"] for r in measured)
            speed = statistics.median(speeds)
            frac = statistics.median(r.get("peak_frac", float("nan")) for r in measured)
            peak = statistics.median(r.get("peak_gflops", float("nan")) for r in measured)
            table.rows.append(
                [
                    str(shape),
                    method,
                    precision,
                    f"{speed:,.0f}",
                    f"{speed / peer[precision]:.1f}",
                    f"{speeds[0]:,.0f} - {speeds[-1]:,.0f}",
                    f"{frac:.0%} of {peak:,.0f} GFLOP/s" if method == "cloze" else "",
                    f"{statistics.median(r['peak_memory_mb'] for r in measured):,.0f}",
                ]
            )
            print(table.rows[-1], file=sys.stderr, flush=True)
    small = Shape(layers=4, heads=4, width=64, length=128, batch_rows=8, steps=20, dropout=0.0)
    notes = (
        f"Median of {arguments.rounds} alternating rounds, each measurement a process of its own, {arguments.threads} "
        f"threads, vocabulary {VOCABULARY:,}. Memory is the process's largest resident size. Largest difference of the "
        f"losses of both models over 20 steps from the same weights, rows and masks ({small}, float32): "
        f"{loss_difference(small):.1e} nats."
    )
    print(table)
    print(notes)
    if arguments.write:
        print(write_result(name, table, command(), packages=("torch", "numpy", *peer_packages), notes=notes))


def _worker(shape: Shape, method: str, precision: str, threads: int) -> dict[str, float]:
    job = json.dumps({"shape": asdict(shape), "method": method, "precision": precision})
    done = subprocess.run(
        [sys.executable, sys.argv[0], "--worker", job, "--threads", str(threads)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    if done.returncode:
        raise SystemExit(f"{method} on {shape} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
