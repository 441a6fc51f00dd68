"""The real command line, in a folder that looks like a checkout with data beside it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloze.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]

TINY = {
    "corpus.max_documents": "120",
    "tokenizer.vocabulary_size": "1500",
    "tokenizer.min_frequency": "2",
    "store.processes": "1",
    "inputs.length": "32",
    "model.layers": "1",
    "model.heads": "2",
    "model.width": "16",
    "model.feed_forward_width": "32",
    "training.steps": "6",
    "training.batch_rows": "8",
    "training.micro_batch_rows": "4",
    "training.log_every_steps": "2",
    "training.validate_every_steps": "3",
    "training.checkpoint_every_steps": "3",
    "training.device": "cpu",
    "tasks.0.epochs": "0.02",
    "tasks.0.length": "32",
    "tasks.0.seeds": "[1]",
}
"""Settings that make any recipe of the repository end in seconds."""


@dataclass(frozen=True)
class Workplace:
    """A folder that looks like a checkout with data beside it."""

    folder: Path

    def bash(self, line: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one line of bash in which `cloze` is this checkout's command."""
        script = f'cloze() {{ "{sys.executable}" -m cloze "$@"; }}\n{line}'
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "120"},
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
        )

    def cloze(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command in this process: importing torch takes seconds."""
        out, error = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(error), pytest.raises(SystemExit) as caught:
            main(arguments)
        assert isinstance(caught.value.code, int)
        return subprocess.CompletedProcess(arguments, caught.value.code, out.getvalue(), error.getvalue())

    def run(self, recipe: str = "recipes/quickstart.yaml", **changes: str) -> subprocess.CompletedProcess[str]:
        """`cloze run` with the tiny settings; changes are dotted with `__`."""
        return self.cloze("run", recipe, *flags(**changes))


def flags(**changes: str) -> list[str]:
    """The tiny settings as flags."""
    settings = {**TINY, **{key.replace("__", "."): value for key, value in changes.items()}}
    return [word for key, value in settings.items() for word in (f"--{key}", value)]
