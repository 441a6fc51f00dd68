"""A tiny pretraining run for the tests of this folder; as a script, a process that a test may kill.

    python tiny.py '[{"folder": "/tmp/run", "kill": "fsync", "at": 7}, {"folder": "/tmp/run"}]'

runs these one after the other, each in a process of its own, and prints a list of their exit codes. torch is imported
once, before the first process is forked and without any work in it, so a run costs tenths of a second.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import cloze.training.checkpoint
import cloze.training.loop
from cloze.inputs.hashing import integers
from cloze.inputs.rows import Rows
from cloze.models import PretrainingModel, build
from cloze.progress import Silent
from cloze.recipe import Recipe
from cloze.training.cursor import History
from cloze.training.loop import pretrain
from cloze.training.signals import Stopped

VOCABULARY = 40
SPECIAL = 5


class TinyStore:
    """Sentences of 2 to 6 tokens, 3 to 6 to a document. Every third token follows from the two before it."""

    def __init__(self, documents: int, seed: int) -> None:
        sentences = integers(4, seed, "test/sentences", np.arange(documents)) + 3
        lengths = integers(5, seed, "test/lengths", np.arange(sentences.sum())) + 2
        self.document_offsets = np.append(0, sentences.cumsum())
        self.sentence_offsets = np.append(0, lengths.cumsum())
        ids = integers(VOCABULARY - SPECIAL, seed, "test/ids", np.arange(lengths.sum()))
        ids[2::3] = (ids[: len(ids[2::3]) * 3 : 3] + ids[1 : len(ids[2::3]) * 3 : 3]) % (VOCABULARY - SPECIAL)
        self.ids = ids + SPECIAL

    def take(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids of these spans, end to end."""
        return np.concatenate([self.ids[a : a + n] for a, n in zip(starts, lengths, strict=True)])


@dataclass
class TinyVocabulary:
    """Five special tokens, then ordinary ones of 1 to 3 characters; every second begins a word."""

    vocabulary_size: int = VOCABULARY
    pad_id: int = 0
    unknown_id: int = 1
    cls_id: int = 2
    sep_id: int = 3
    mask_id: int = 4
    special_ids: list[int] = field(default_factory=lambda: list(range(SPECIAL)))
    ordinary_ids: NDArray[np.int64] = field(default_factory=lambda: np.arange(SPECIAL, VOCABULARY))
    word_starts: NDArray[np.bool_] = field(default_factory=lambda: np.arange(VOCABULARY) % 2 == 0)
    characters: NDArray[np.int64] = field(
        default_factory=lambda: np.where(np.arange(VOCABULARY) < SPECIAL, 0, 1 + np.arange(VOCABULARY) % 3)
    )


@dataclass
class Tiny:
    """A recipe and what its earlier stages would have made."""

    recipe: Recipe
    model: PretrainingModel
    train_rows: Rows
    validation_rows: Rows

    def train(self, folder: Path, **options: Any) -> History:
        """`pretrain` in `folder`."""
        return pretrain(self.recipe, self.model, self.train_rows, self.validation_rows, folder, Silent(), **options)


MASKING: dict[str, dict[str, Any]] = {
    "electra": {"mask_frac": 0.85, "random_frac": 0.0},
    "spanbert": {"unit": "span", "boundaries": True},
}
"""How a family's rows are masked, where it isn't as BERT's."""


def tiny(
    *,
    documents: int = 40,
    dropout: float = 0.1,
    family: str = "bert",
    format: str | None = None,
    width: int = 16,
    norm: str = "layer",
    norm_position: str = "post",
    first_weights: int = 0,
    local_window: int = 128,
    **training: Any,
) -> Tiny:
    """A model of 2 layers; about 5 steps an epoch. `training` overrides settings of that section.

    `first_weights`: the model begins with others than the recipe's for any number but 0.
    """
    format = format or ("segment-pair" if family == "bert" else "full-sentences")
    settings = {"steps": 24, "batch_rows": 8, "peak_learning_rate": 3e-3, "log_every_steps": 3, "device": "cpu"}
    settings |= {"precision": "float32"}  # so that numbers are the same on every kind of CPU
    settings |= {"validate_every_steps": 6, "checkpoint_every_steps": 5}
    sizes: dict[str, Any] = {"family": family, "layers": 2, "heads": 2, "width": width}
    sizes |= {"dropout": dropout, "attention_dropout": dropout, "norm": norm, "norm_position": norm_position}
    sizes |= {"local_window": local_window, "global_every": 2} if family == "modernbert" else {}
    sections = {"model": sizes, "inputs": {"length": 24, "format": format}, "masking": MASKING.get(family, {})}
    recipe = Recipe.model_validate({"name": "tiny", **sections, "training": settings | training})
    pairs = format == "segment-pair"
    words = TinyVocabulary()
    model = build(
        recipe.model, vocabulary_size=VOCABULARY, length=24, pad_id=0, pairs=pairs, seed=recipe.seed + first_weights
    )
    rows = [
        Rows(TinyStore(n, seed), words, recipe.inputs, recipe.masking, recipe.seed, shuffle=shuffle)
        for n, seed, shuffle in ((documents, 1, True), (10, 2, False))
    ]
    return Tiny(recipe, model, *rows)


def kill_self(*_: object) -> None:
    """Die as by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def die(kill: str, at: float) -> None:
    """Arrange this process's end, `at` seconds from now or at the `at`-th call.

    moment: any time; fsync: before it is done; tensors: with the file half written; sigterm: asked politely in a step.
    """
    calls = 0

    def fatal_call(function: Any, before: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                before(*arguments)
            return function(*arguments, **named)

        return call

    def half_written(tensors: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"half a file")
        kill_self()

    if kill == "moment":
        timer = threading.Timer(at, kill_self)
        timer.daemon = True
        timer.start()
    elif kill == "fsync":
        os.fsync = fatal_call(os.fsync, kill_self)
    elif kill == "tensors":
        module = vars(cloze.training.checkpoint)
        module["save_file"] = fatal_call(module["save_file"], half_written)
    else:
        assert kill == "sigterm"
        module = vars(cloze.training.loop)
        module["train_step"] = fatal_call(module["train_step"], lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def run(scenario: dict[str, Any]) -> int:
    """One process; the exit code is what a shell would see. `{rank}` in the folder is this rank's number.

    own_weights: ranks beside the first begin with other weights; kill_rank: only this rank is killed.
    """
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    code = 1
    try:
        rank = int(os.environ.get("RANK", "0"))
        if "kill" in scenario and scenario.get("kill_rank", rank) == rank:
            die(scenario["kill"], scenario["at"])
        settings = {"first_weights": rank if scenario.get("own_weights") else 0, **scenario.get("tiny", {})}
        folder = Path(str(scenario["folder"]).format(rank=rank))
        tiny(**settings).train(folder, **scenario.get("train", {}))
        code = 0
    except Stopped as error:
        code = error.exit_code
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    # What torch imports late is imported here, once.
    import torch._dynamo
    import torch.utils.tensorboard

    vars(cloze.training.loop)["measure_peak"] = lambda *_: 100.0
    codes = json.dumps([run(scenario) for scenario in json.loads(sys.argv[1])])
    # In one piece: torchrun's ranks write unbuffered into one pipe, and `print` writes the end of the line apart.
    sys.stdout.write(codes + "\n")
