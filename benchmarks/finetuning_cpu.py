"""Fine-tuning examples a second: cloze against transformers' Trainer with dynamic padding, on a CPU.

    python benchmarks/finetuning_cpu.py --write

Both start from the same exported folder and train on the same reviews for one epoch, with the same batch size, row
length, AdamW, schedule, clipping and dropout. Trainer runs twice: as it comes (random order, DataCollatorWithPadding)
and with train_sampling_strategy="group_by_length". Each run is a process of its own; rounds alternate, and the table
gives the median. Loading and tokenising are not counted on either side. The losses show that both learn alike.
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
from pathlib import Path
from typing import Any

from common import SHARED_DATA, Table, command, write_result

from cloze.recipe import ModelSettings, Recipe, TaskSettings, TokenizerSettings, TrainingSettings

METHODS = {
    "cloze": "cloze",
    "trainer": "Trainer, dynamic padding",
    "trainer-grouped": "Trainer, dynamic padding, group_by_length",
}
BATCH_ROWS, LENGTH, RATE, WARMUP_FRAC, WEIGHT_DECAY = 32, 128, 2e-4, 0.1, 0.01


def main() -> None:
    arguments = _arguments()
    if arguments.worker:
        print(json.dumps(_cloze(arguments.folder) if arguments.worker == "cloze" else _trainer(arguments)))
        return
    table = Table(["shape", "method", "examples/s", "ratio", "range", "train loss", "peak memory, MB"])
    for layers, heads, width in arguments.shapes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _prepare(folder, arguments.reviews, arguments.examples, layers, heads, width)
            runs: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
            for _ in range(arguments.rounds):
                for method in METHODS:
                    runs[method].append(_worker(method, folder, arguments.threads))
        slowest = statistics.median(run["examples_per_s"] for run in runs["trainer"])
        for method, label in METHODS.items():
            speeds = sorted(run["examples_per_s"] for run in runs[method])
            speed, last = statistics.median(speeds), runs[method][-1]
            table.rows.append(
                [
                    f"{layers} x {width}",
                    label,
                    f"{speed:,.0f}",
                    f"{speed / slowest:.1f}",
                    f"{speeds[0]:,.0f} - {speeds[-1]:,.0f}",
                    f"{last['train_loss']:.3f}",
                    f"{last['peak_memory_mb']:,.0f}",
                ]
            )
            print(table.rows[-1], file=sys.stderr)
    print(table)
    if arguments.write:
        notes = (
            f"One epoch over {arguments.examples:,} reviews of {arguments.reviews.name}, batches of {BATCH_ROWS} rows "
            f"of at most {LENGTH} tokens, {arguments.threads} threads, median of {arguments.rounds} alternating "
            "rounds, each run a process of its own. Same initial weights (random), optimiser, schedule and dropout; "
            "loading and tokenising are not counted."
        )
        packages = ("torch", "transformers", "accelerate", "numpy")
        print(write_result("finetuning_cpu", table, command(), packages=packages, notes=notes))


def _recipe(folder: Path) -> tuple[Recipe, TaskSettings]:
    """What both sides train."""
    task = TaskSettings(
        name="reviews",
        train=Path("train.txt"),
        test=Path("test.txt"),
        epochs=1,
        batch_rows=BATCH_ROWS,
        length=LENGTH,
        peak_learning_rate=RATE,
        warmup_frac=WARMUP_FRAC,
        weight_decay=WEIGHT_DECAY,
        seeds=[1],
    )
    training = TrainingSettings(device="cpu", precision="float32", log_every_steps=100_000)
    return Recipe(name="benchmark", data=folder, training=training, tasks=[task]), task


def _prepare(folder: Path, reviews: Path, examples: int, layers: int, heads: int, width: int) -> None:
    """Write train.txt, test.txt and model/: a tokenizer trained on the reviews and an encoder with random weights."""
    from cloze.corpus.build import build_corpus
    from cloze.corpus.corpus import Corpus
    from cloze.interop.huggingface import save_model
    from cloze.models import build
    from cloze.progress import Silent
    from cloze.recipe import CorpusSettings
    from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

    lines = reviews.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    (folder / "train.txt").write_text("\n".join(lines[: examples + 1]) + "\n", encoding="utf-8")
    (folder / "test.txt").write_text("\n".join(lines[:65]) + "\n", encoding="utf-8")
    texts = "\n\n".join(line.split("\t")[1] for line in lines[1:])
    (folder / "texts.txt").write_text(texts + "\n", encoding="utf-8")
    for name in ("corpus", "tokenizer", "model"):
        (folder / name).mkdir()
    build_corpus(CorpusSettings(sources=[Path("texts.txt")], kind="text"), folder, folder / "corpus", Silent())
    corpus, settings = Corpus(folder / "corpus"), TokenizerSettings(min_frequency=2)
    train_tokenizer(corpus, settings, folder / "tokenizer", Silent())
    tokenizer = Tokenizer.load(folder / "tokenizer")
    model = build(
        ModelSettings(layers=layers, heads=heads, width=width),
        vocabulary_size=tokenizer.vocabulary_size,
        length=LENGTH,
        pad_id=tokenizer.pad_id,
        pairs=False,
        seed=1,
    )
    save_model(folder / "model", model, tokenizer)


def _worker(method: str, folder: Path, threads: int) -> dict[str, float]:
    """Run one method in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error"}
    arguments = [sys.executable, __file__, "--worker", method, "--folder", str(folder)]
    done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _cloze(folder: Path) -> dict[str, float]:
    from cloze.progress import Silent
    from cloze.tasks.finetuning import finetune

    recipe, task = _recipe(folder)
    with tempfile.TemporaryDirectory() as output:
        results = finetune(recipe, task, folder / "model", Path(output), Silent())
    train = results["pretrained"]["seeds"][0]["train"]
    return {"examples_per_s": results["examples_per_s"], "train_loss": train["loss"]} | _memory()


def _trainer(arguments: argparse.Namespace) -> dict[str, float]:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from cloze.tasks.classification import class_indices, class_names
    from cloze.tasks.datasets import read_table

    recipe, task = _recipe(arguments.folder)
    tokenizer = AutoTokenizer.from_pretrained(arguments.folder / "model")
    examples = read_table(recipe.data / task.train, task.text_column, task.label_column)
    encoded = tokenizer(examples.texts, truncation=True, max_length=LENGTH)["input_ids"]
    labels = class_indices(examples.labels, class_names(examples, examples))
    rows: list[dict[str, Any]] = [
        {"input_ids": ids, "label": label, "length": len(ids)} for ids, label in zip(encoded, labels, strict=True)
    ]
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as output:
        settings = TrainingArguments(
            output_dir=output,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH_ROWS,
            train_sampling_strategy="group_by_length" if arguments.worker == "trainer-grouped" else "random",
            learning_rate=RATE,
            warmup_steps=WARMUP_FRAC,
            weight_decay=WEIGHT_DECAY,
            adam_epsilon=recipe.training.adam_eps,
            max_grad_norm=recipe.training.clip_norm or 0.0,
            optim="adamw_torch_fused",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=1,
        )
        trainer = Trainer(
            model=AutoModelForSequenceClassification.from_pretrained(arguments.folder / "model", num_labels=2),
            args=settings,
            train_dataset=rows,
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        metrics = trainer.train().metrics
    return {"examples_per_s": metrics["train_samples_per_second"], "train_loss": metrics["train_loss"]} | _memory()


def _memory() -> dict[str, float]:
    return {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _arguments() -> argparse.Namespace:
    def shape(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("x"))

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--reviews", type=Path, default=SHARED_DATA / "nsmc" / "ratings_train.txt", help="NSMC's format"
    )
    parser.add_argument("--examples", type=int, default=20_000, help="reviews in the epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    shapes = [(4, 4, 64), (4, 4, 256), (12, 12, 768)]
    parser.add_argument("--shapes", type=shape, nargs="+", default=shapes, help="layers x heads x width: 4x4x64")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results")
    parser.add_argument("--worker", choices=list(METHODS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
