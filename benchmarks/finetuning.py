"""Fine-tuning examples a second on four tasks: cloze against transformers' Trainer, on a CPU.

    python benchmarks/finetuning.py --write

Reviews (NSMC), pairs of sentences (KorSTS), questions on a text (KorQuAD) and named entities (Naver). Both sides start
from the same exported folder and train one epoch on the same examples, with the same batch size, longest row, AdamW,
schedule, clipping and dropout, in float32; cloze once more in the precision that it chooses by itself. Trainer runs as
transformers' example scripts pad (run_glue.py and run_qa.py to the longest row allowed, run_ner.py to the longest of
the batch), to the longest of the batch, and so with train_sampling_strategy="group_by_length". Each run is a process
of its own; rounds alternate, and the table gives the median. Loading and tokenising are not counted on either side. The
losses show that both learn alike, as far as heads that start at random allow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import SHARED_DATA, Table, command, write_result

METHODS = {
    "cloze": "cloze",
    "cloze-auto": "cloze, precision: auto",
    "script": "Trainer, as the example script pads",
    "dynamic": "Trainer, padded to the batch's longest",
    "grouped": "Trainer, the same, group_by_length",
}
SAME_AS_DYNAMIC = {"naver-ner"}
"""Tasks whose example script pads to the longest row of a batch."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What both sides are told of a task."""

    settings: dict[str, Any]
    """As in a recipe's task."""
    files: str
    """In the folder of data."""
    examples: int
    cut: Callable[[str, int], str]
    """(a file's text, examples) -> the text of a file with that many."""


def _lines(text: str, examples: int) -> str:
    """Lines spread over the whole file: KorSTS, for one, has its short texts first."""
    lines = text.rstrip("\n").split("\n")
    count = min(examples, len(lines))
    return "".join(lines[place * len(lines) // count] + "\n" for place in range(count))


def _rows(text: str, examples: int) -> str:
    header, rest = text.split("\n", 1)
    return f"{header}\n{_lines(rest, examples)}"


def _questions(text: str, examples: int) -> str:
    """The first questions, each with its whole context."""
    whole, articles, left = json.loads(text), [], examples
    for article in whole["data"]:
        paragraphs = []
        for paragraph in article["paragraphs"]:
            asked = paragraph["qas"][:left]
            left -= len(asked)
            paragraphs += [paragraph | {"qas": asked}] if asked else []
        articles += [article | {"paragraphs": paragraphs}] if paragraphs else []
    return json.dumps({"version": whole["version"], "data": articles}, ensure_ascii=False)


_PAIR = {"text_column": "sentence1", "second_text_column": "sentence2", "label_column": "score"}
TASKS = {
    "nsmc": Shared({"length": 128}, "nsmc/ratings_train.txt", 4_000, _rows),
    "korsts": Shared({"kind": "regression", "length": 128, **_PAIR}, "korsts/sts-train.tsv", 3_000, _rows),
    "korquad": Shared(
        {"kind": "question_answering", "answer_rules": "korquad", "length": 384, "stride": 128, "longest_question": 64},
        "korquad/KorQuAD_v1.0_dev.json",
        400,
        _questions,
    ),
    "naver-ner": Shared({"kind": "tagging", "length": 128}, "naver-ner/test.tsv", 3_000, _lines),
}
"""Lengths are those that the example scripts have by themselves."""
LONGEST = max(task.settings["length"] for task in TASKS.values())
TRAINING: dict[str, Any] = {"batch_rows": 32, "peak_learning_rate": 2e-4, "warmup_frac": 0.1, "weight_decay": 0.01}


def main() -> None:
    arguments = _arguments()
    if arguments.worker:
        folder, task = arguments.folder, arguments.tasks[0]
        if arguments.worker.startswith("cloze"):
            print(json.dumps(_cloze(folder, task, "auto" if arguments.worker == "cloze-auto" else "float32")))
        else:
            from finetuning_trainer import run

            print(json.dumps(run(folder, task, arguments.worker, TASKS[task].settings, TRAINING)))
        return
    table = Table(["model", "task", "method", "examples/s", "ratio", "range", "train loss", "peak memory, MB"])
    for layers, heads, width in arguments.shapes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_model(folder, arguments.data, layers, heads, width)
            for task in arguments.tasks:
                _write_task(folder, arguments.data, task, arguments.share)
                for row in _compare(folder, task, arguments.rounds, arguments.threads):
                    table.rows.append([f"{layers} x {width}", task, *row])
                    print(table.rows[-1], file=sys.stderr)
    print(table)
    if arguments.write:
        sizes = ", ".join(f"{round(arguments.share * TASKS[task].examples):,} ({task})" for task in arguments.tasks)
        notes = (
            f"One epoch over {sizes} examples of shared data, batches of {TRAINING['batch_rows']} rows, "
            f"{arguments.threads} threads, median of {arguments.rounds} alternating rounds, each run a process of its "
            "own. Same initial weights (random), optimiser, schedule and dropout; loading and tokenising are not "
            "counted. Ratios are to Trainer, padded to the batch's longest. Float32, except precision: auto, which on "
            "a CPU that multiplies bfloat16 itself is bfloat16. Lines are spread over each file. "
            "An example of korquad is a question, read in one or "
            "more windows. run_ner.py pads to the batch's longest. Heads begin with random weights of each side's own, "
            "which the loss of so short a run still shows."
        )
        packages = ("torch", "transformers", "accelerate", "numpy")
        print(write_result("finetuning", table, command(), packages=packages, notes=notes))


def _compare(folder: Path, task: str, rounds: int, threads: int) -> list[list[str]]:
    """A row of the table for each method."""
    methods = [method for method in METHODS if method != "script" or task not in SAME_AS_DYNAMIC]
    runs: dict[str, list[dict[str, float]]] = {method: [] for method in methods}
    for _ in range(rounds):
        for method in methods:
            runs[method].append(_worker(method, folder, task, threads))
    base = statistics.median(run["examples_per_s"] for run in runs["dynamic"])
    rows = []
    for method, found in runs.items():
        speeds, last = sorted(run["examples_per_s"] for run in found), found[-1]
        speed = statistics.median(speeds)
        rows.append(
            [
                METHODS[method],
                f"{speed:,.0f}",
                f"{speed / base:.1f}",
                f"{speeds[0]:,.0f} - {speeds[-1]:,.0f}",
                f"{last['train_loss']:.3f}",
                f"{last['peak_memory_mb']:,.0f}",
            ]
        )
    return rows


def _write_model(folder: Path, data: Path, layers: int, heads: int, width: int) -> None:
    """Write model/: a tokenizer trained on reviews, and an encoder with random weights."""
    from cloze.corpus.build import build_corpus
    from cloze.corpus.corpus import Corpus
    from cloze.interop.huggingface import save_model
    from cloze.models import build
    from cloze.progress import Silent
    from cloze.recipe import CorpusSettings, ModelSettings, TokenizerSettings
    from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

    lines = _rows((data / TASKS["nsmc"].files).read_text(encoding="utf-8"), 50_000).split("\n")
    texts = "\n\n".join(line.split("\t")[1] for line in lines[1:-1])
    (folder / "texts.txt").write_text(texts + "\n", encoding="utf-8")
    for name in ("corpus", "tokenizer", "model"):
        (folder / name).mkdir()
    build_corpus(CorpusSettings(sources=[Path("texts.txt")], kind="text"), folder, folder / "corpus", Silent())
    train_tokenizer(Corpus(folder / "corpus"), TokenizerSettings(min_frequency=2), folder / "tokenizer", Silent())
    tokenizer = Tokenizer.load(folder / "tokenizer")
    model = build(
        ModelSettings(layers=layers, heads=heads, width=width),
        vocabulary_size=tokenizer.vocabulary_size,
        length=LONGEST,
        pad_id=tokenizer.pad_id,
        pairs=False,
        seed=1,
    )
    save_model(folder / "model", model, tokenizer)


def _write_task(folder: Path, data: Path, name: str, share: float) -> None:
    """Write what is trained on as <name>/train, and a little as <name>/test, which is scored but not timed."""
    task = TASKS[name]
    text = (data / task.files).read_text(encoding="utf-8")
    (folder / name).mkdir()
    (folder / name / f"train{Path(task.files).suffix}").write_text(
        task.cut(text, round(share * task.examples)), encoding="utf-8"
    )
    (folder / name / f"test{Path(task.files).suffix}").write_text(task.cut(text, 64), encoding="utf-8")


def _worker(method: str, folder: Path, task: str, threads: int) -> dict[str, float]:
    """Run one method in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error"}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONWARNINGS": "ignore"}
    arguments = [sys.executable, __file__, "--worker", method, "--folder", str(folder), "--tasks", task]
    done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _cloze(folder: Path, name: str, precision: str) -> dict[str, float]:
    from finetuning_trainer import memory

    from cloze.progress import Silent
    from cloze.recipe import InputSettings, Recipe, TaskSettings, TrainingSettings
    from cloze.tasks.finetuning import finetune
    from cloze.tasks.selection import read_splits

    files = {part: next((folder / name).glob(f"{part}.*")).relative_to(folder) for part in ("train", "test")}
    task = TaskSettings.model_validate(
        {"name": name, "epochs": 1, "seeds": [1], **files, **TASKS[name].settings, **TRAINING}
    )
    training = TrainingSettings.model_validate({"device": "cpu", "precision": precision, "log_every_steps": 100_000})
    recipe = Recipe(
        name="benchmark", data=folder, inputs=InputSettings(length=LONGEST), training=training, tasks=[task]
    )
    with tempfile.TemporaryDirectory() as output:
        results = finetune(recipe, task, folder / "model", Path(output), Silent())
    run = results["pretrained"]["seeds"][0]
    examples = read_splits(folder, task).train.counts["examples"]
    return {"examples_per_s": examples / run["elapsed_s"], "train_loss": run["train"]["loss"], **memory()}


def _arguments() -> argparse.Namespace:
    def shape(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("x"))

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of nsmc/, korsts/, korquad/, naver-ner/")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--share", type=float, default=1.0, help="of each task's examples")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    shapes = [(4, 4, 64), (4, 4, 256)]
    parser.add_argument("--shapes", type=shape, nargs="+", default=shapes, help="layers x heads x width: 4x4x64")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results")
    parser.add_argument("--worker", choices=list(METHODS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
