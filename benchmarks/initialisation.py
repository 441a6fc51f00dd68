"""What leaves the plateau: validation loss by step for several starts, positions, mask shares, shapes and corpora.

    python benchmarks/initialisation.py --data ../shared/data --write

The runs of a case have the same rows, masks and learning rates; only the start differs. `normal`: truncated normal
everywhere; `bias`: the output bias from unigram shares; `embeddings`: the token table from the factorised PPMI; `both`;
`shuffled`: both, but the table's rows in random order, which keeps its scale and spectrum and loses its meaning;
`quiet`: both, and a position table of zeros, so that positions don't drown what the tokens say. All are validated on
rows with 15% masks.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from common import SHARED_DATA, Table, command, write_result

from cloze.inputs.rows import Rows
from cloze.models import PretrainingModel, build
from cloze.models.initialisation import initialise
from cloze.pipeline import Prepared, make_store, open_rows
from cloze.progress import Silent
from cloze.recipe import MaskingSettings, Recipe
from cloze.stages import plan_stages
from cloze.training.cpu import prepare_cpu
from cloze.training.loop import pretrain

ENGLISH = "sst2/train.tsv"
"""Labelled sentences: the text column becomes one document of one sentence a line."""
STARTS = ("normal", "bias", "embeddings", "both", "shuffled", "quiet")
ROTARY = {"family": "modernbert"}
CASES: dict[str, tuple[Mapping[str, object], tuple[str, ...]]] = {
    "reviews, 4 x 128, pre-norm": ({}, STARTS),
    "the same, 30% masks": ({"target_frac": 0.3}, ("both",)),
    "reviews, 4 x 128, rotary (ModernBERT)": (ROTARY, ("normal", "bias", "both")),
    "the same, 30% masks ": (ROTARY | {"target_frac": 0.3}, ("both",)),
    "reviews, 4 x 256, pre-norm": ({"width": 256}, ("normal", "both")),
    "reviews, 4 x 128, post-norm": ({"norm_position": "post"}, ("normal", "both")),
    "manuals, 4 x 128, pre-norm": ({"source": "corpus/techdocs.txt.gz"}, ("normal", "both")),
    "English reviews, 4 x 128, pre-norm": ({"source": ENGLISH, "vocabulary_size": 4_000}, ("normal", "both")),
}
NOT_OF_THE_MODEL = ("source", "vocabulary_size", "target_frac")


def make_recipe(changes: Mapping[str, object], arguments: argparse.Namespace) -> Recipe:
    """Rows of 64 tokens, 32 a step, no dropout, constant rate after warm-up, so that curves can be read at any step."""
    source = changes.get("source", "corpus/reviews.txt.gz")
    model = {key: value for key, value in changes.items() if key not in NOT_OF_THE_MODEL}
    described = {
        "name": "initialisation",
        "data": arguments.data,
        "output": arguments.output,
        "corpus": {"sources": [_english(arguments) if source == ENGLISH else source], "kind": "text"},
        "tokenizer": {"vocabulary_size": changes.get("vocabulary_size", 16_000)},
        "inputs": {"length": 64},
        "masking": {"target_frac": changes.get("target_frac", 0.15)},
        "model": {"family": "roberta", "layers": 4, "heads": 4, "width": 128, "norm_position": "pre"}
        | {"dropout": 0.0, "attention_dropout": 0.0, "initialisation": "ppmi"}
        | model,
        "training": {"steps": arguments.steps, "batch_rows": 32, "peak_learning_rate": 1e-3, "warmup_steps": 200}
        | {"schedule": "constant", "beta2": 0.98, "checkpoint_every_steps": 10**9, "device": "cpu"}
        | {"validate_every_steps": arguments.every, "log_every_steps": arguments.every}
        | {"precision": arguments.precision},
    }
    return Recipe.model_validate(described)


def _english(arguments: argparse.Namespace) -> Path:
    """The sentences of ENGLISH in a file of their own, ten to a document."""
    lines = (arguments.data / ENGLISH).read_text(encoding="utf-8").splitlines()
    texts = [line.split("\t")[0] for line in lines]
    path: Path = arguments.output.resolve() / "english.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    documents = ["\n".join(texts[i : i + 10]) for i in range(0, len(texts), 10)]
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return path


def start(model: PretrainingModel, name: str, recipe: Recipe, prepared: Prepared) -> float:
    """Give `model` the start called `name`; return the seconds it took."""
    table, bias = model.encoder.embeddings.token.weight, model.masked_tokens.bias
    normal, started_at = table.detach().clone(), time.perf_counter()
    if name != "normal":
        initialise(model, recipe.model, prepared.train.store, prepared.tokenizer, recipe.seed, Silent())
    with torch.no_grad():
        if name == "bias":
            table.copy_(normal)
        elif name == "embeddings":
            bias.zero_()
        elif name == "shuffled":
            table.copy_(table[torch.randperm(len(table), generator=torch.Generator().manual_seed(1))])
        elif name == "quiet":
            assert model.encoder.embeddings.position is not None, "rotary positions have no table"
            model.encoder.embeddings.position.weight.zero_()
    return time.perf_counter() - started_at


def losses(recipe: Recipe, prepared: Prepared, validation: Rows | None, name: str) -> tuple[dict[int, float], float]:
    """Validation loss by step, and the seconds of the start."""
    model = build(
        recipe.model,
        vocabulary_size=prepared.tokenizer.vocabulary_size,
        length=recipe.inputs.length,
        pad_id=prepared.tokenizer.pad_id,
        pairs=False,
        seed=recipe.seed,
    )
    elapsed_s = start(model, name, recipe, prepared)
    with tempfile.TemporaryDirectory() as folder:
        pretrain(recipe, model, prepared.train, validation, Path(folder), Silent())
        text = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return {x["step"]: x["masked_tokens/loss"] for x in lines if x["kind"] == "validation"}, elapsed_s


def draw(table: Table, path: Path) -> None:
    """Curves of the first case's starts, as SVG."""
    from matplotlib.figure import Figure

    steps = [int(column.removeprefix("step ").replace(",", "")) for column in table.header[3:]]
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for case, name, _, *found in table.rows:
        if case == table.rows[0][0]:
            axes.plot(steps, [float(loss) for loss in found], marker="o", markersize=3, label=name)
    axes.set(xlabel="steps", ylabel="validation loss, nats", title=table.rows[0][0])
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, format="svg", metadata=dict.fromkeys(("Date", "Creator")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where stage folders are kept")
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cases", type=int, nargs="*", default=list(range(len(CASES))), help="numbers from 0")
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    prepare_cpu()
    steps = range(arguments.every, arguments.steps + 1, arguments.every)
    table = Table(["case", "start", "start took", *(f"step {step:,}" for step in steps)])
    for case in (list(CASES)[i] for i in arguments.cases):
        changes, starts = CASES[case]
        recipe = make_recipe(changes, arguments)
        stages = plan_stages(recipe)
        make_store(recipe, stages, Silent())
        prepared = open_rows(recipe, stages)
        validation = open_rows(recipe.model_copy(update={"masking": MaskingSettings()}), stages).validation
        for name in starts:
            found, elapsed_s = losses(recipe, prepared, validation, name)
            row = [case, name, f"{elapsed_s:.0f} s", *(f"{found[step]:.3f}" for step in steps)]
            table.rows.append(row)
            print(row, flush=True)
    print(table)
    if arguments.write:
        notes = (
            "Masked-token loss on the validation split (15% masks), nats; 32 rows of at most 64 tokens a step, rate "
            f"1e-3, {arguments.precision}. One run each: rows and masks are the same, so starts are compared pairwise."
        )
        path = write_result("initialisation", table, command(), notes=notes)
        draw(table, path.with_suffix(".svg"))
        print(path)


if __name__ == "__main__":
    main()
