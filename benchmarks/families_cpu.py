"""Pretraining tokens a second of every family, beside its counterpart in transformers' Trainer, on a CPU.

    python benchmarks/families_cpu.py --write

The same length, batch, encoder sizes and vocabulary on both sides; each measurement is a process of its own, and rounds
alternate. transformers cannot pretrain ELECTRA or SpanBERT: beside ELECTRA stands the sum of the times of its two
models, trained apart, and beside SpanBERT the masked-token model of its size. ALBERT's peer has no sentence order.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Table, command, write_result
from pretraining import (
    VOCABULARY,
    WARMUP_STEPS,
    Shape,
    Vocabulary,
    ZipfStore,
    make_recipe,
    masking_collator,
    plain_rows,
    time_cloze,
    time_trainer,
)

from cloze.inputs.rows import Rows
from cloze.recipe import SEGMENT_FORMATS, InputSettings, MaskingSettings, ModelSettings

SIZES: dict[str, Any] = {"layers": 4, "heads": 4, "width": 256}
FAMILIES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "bert": ({}, "segment-pair", {}),
    "roberta": ({"norm_eps": 1e-5}, "full-sentences", {}),
    "albert": ({"embedding_width": 128, "activation": "gelu_tanh"}, "sentence-order", {"unit": "ngram"}),
    "electra": (
        {"embedding_width": 128, "generator_frac": 0.25},
        "full-sentences",
        {"mask_frac": 0.85, "random_frac": 0.0},
    ),
    "spanbert": ({}, "full-sentences", {"unit": "span", "boundaries": True}),
    "modernbert": ({"norm_position": "pre", "norm_eps": 1e-5}, "full-sentences", {"target_frac": 0.3}),
}
"""Settings of the model, format of the rows, settings of the masks."""


def peers(family: str, shape: Shape) -> dict[str, Callable[[], tuple[Any, Any]]]:
    """Models of transformers by name, each with its collator; their times add up."""
    import transformers as hf

    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": 4 * shape.width,
        "max_position_embeddings": shape.length + 2,
    }
    electra = hf.ElectraConfig(**sizes, embedding_size=128)
    quarter = {key: sizes[key] // 4 for key in ("hidden_size", "num_attention_heads", "intermediate_size")}
    generator = hf.ElectraConfig(**{**sizes, **quarter}, embedding_size=128)
    flat = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    masked = masking_collator()
    made: dict[str, dict[str, Callable[[], tuple[Any, Any]]]] = {
        "bert": {"BertForMaskedLM": lambda: (hf.BertForMaskedLM(hf.BertConfig(**sizes)), masked)},
        "roberta": {"RobertaForMaskedLM": lambda: (hf.RobertaForMaskedLM(hf.RobertaConfig(**sizes)), masked)},
        "albert": {
            "AlbertForMaskedLM": lambda: (
                hf.AlbertForMaskedLM(hf.AlbertConfig(**sizes, **flat, embedding_size=128)),
                masked,
            )
        },
        "electra": {
            "ElectraForMaskedLM (a quarter)": lambda: (hf.ElectraForMaskedLM(generator), masked),
            "ElectraForPreTraining": lambda: (hf.ElectraForPreTraining(electra), _replaced),
        },
        "modernbert": {
            "ModernBertForMaskedLM": lambda: (
                hf.ModernBertForMaskedLM(
                    hf.ModernBertConfig(
                        **{**sizes, "intermediate_size": 3 * shape.width // 2},
                        pad_token_id=0,
                        bos_token_id=2,
                        eos_token_id=3,
                        cls_token_id=2,
                        sep_token_id=3,
                    )
                ),
                hf.DataCollatorForLanguageModeling(masked.tokenizer, mlm_probability=0.3),
            )
        },
    }
    made["spanbert"] = made["bert"]
    return made[family]


def _replaced(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Rows padded, every seventh token labelled as a fake: what the labels say does not change the time."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
    labels = (torch.arange(longest) % 7 == 0).long().expand_as(ids)
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}


def run_cloze(family: str, shape: Shape, precision: str) -> dict[str, float]:
    """The family through `pretrain`."""
    from cloze.models import build
    from cloze.training.cpu import prepare_cpu

    prepare_cpu()
    model, layout, masks = FAMILIES[family]
    recipe = make_recipe(shape, precision, "cpu", Path())
    dropout = {"dropout": shape.dropout, "attention_dropout": shape.dropout}
    recipe = recipe.model_copy(
        update={
            "inputs": InputSettings.model_validate({"format": layout, "length": shape.length}),
            "masking": MaskingSettings.model_validate(masks),
            "model": ModelSettings.model_validate({"family": family, **SIZES, **dropout, **model}),
        }
    )
    needed = shape.batch_rows * shape.length * (shape.steps + WARMUP_STEPS + 1)
    rows = Rows(ZipfStore(max(4_000, needed // 10)), Vocabulary(), recipe.inputs, recipe.masking, 1, shuffle=True)
    pairs = layout in SEGMENT_FORMATS
    built = build(recipe.model, vocabulary_size=VOCABULARY, length=shape.length, pad_id=0, pairs=pairs, seed=1)
    parameters = sum(parameter.numel() for parameter in built.parameters())
    return time_cloze(recipe, built, rows) | {"parameters": parameters}


def run_peer(family: str, shape: Shape, precision: str) -> dict[str, float]:
    """Its counterparts, one after the other: tokens over the sum of their times."""
    settings = InputSettings(format="full-sentences", length=shape.length)
    count = (shape.steps + WARMUP_STEPS) * shape.batch_rows
    store = ZipfStore(max(4_000, count * shape.length // 10))
    ids = plain_rows(Rows(store, Vocabulary(), settings, MaskingSettings(), 1, shuffle=True), count)
    seconds_a_token = 0.0
    for make in peers(family, shape).values():
        model, collator = make()
        seconds_a_token += 1 / time_trainer(model, ids, collator, shape, precision, "cpu")["tokens_per_s"]
    return {"tokens_per_s": 1 / seconds_a_token}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12, help="steps that count, after the first ones")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape = Shape(layers=4, heads=4, width=256, length=128, batch_rows=32, steps=arguments.steps)
    if arguments.worker:
        import torch

        torch.set_num_threads(arguments.threads)
        side, family = arguments.worker
        found = (run_cloze if side == "cloze" else run_peer)(family, shape, arguments.precision)
        print(json.dumps(found | {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    table = Table(["family", "parameters", "cloze, tokens/s", "range", "transformers", "tokens/s", "range", "ratio"])
    for family in arguments.families:
        runs: dict[str, list[dict[str, float]]] = {"cloze": [], "transformers": []}
        for _ in range(arguments.rounds):
            for side in runs:
                runs[side].append(_worker(side, family, arguments))
        row = [family, f"{runs['cloze'][0]['parameters']:,.0f}"]
        speeds = {side: sorted(run["tokens_per_s"] for run in found) for side, found in runs.items()}
        for side, measured in speeds.items():
            row += [" + ".join(peers(family, shape))] if side == "transformers" else []
            row += [f"{statistics.median(measured):,.0f}", f"{measured[0]:,.0f} - {measured[-1]:,.0f}"]
        row.append(f"{statistics.median(speeds['cloze']) / statistics.median(speeds['transformers']):.1f}")
        table.rows.append(row)
        print(row, file=sys.stderr, flush=True)
    notes = (
        f"{shape}, vocabulary {VOCABULARY:,}, {arguments.precision}, {arguments.threads} threads; median of "
        f"{arguments.rounds} alternating rounds."
    )
    print(table)
    if arguments.write:
        packages = ("torch", "numpy", "transformers", "accelerate")
        print(write_result("families_cpu", table, command(), packages=packages, notes=notes))


def _worker(side: str, family: str, arguments: argparse.Namespace) -> dict[str, float]:
    again = [sys.executable, __file__, "--worker", side, family, "--threads", str(arguments.threads)]
    again += ["--steps", str(arguments.steps), "--precision", arguments.precision]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side}, {family}:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
