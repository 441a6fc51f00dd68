"""The tiny run of `tiny.py`, in this process or in one that may be killed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("tiny.py")


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Any]:
    """`tiny.tiny`: a recipe of these settings with its rows and model."""
    spec = importlib.util.spec_from_file_location("tiny", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = sys.modules["tiny"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tiny  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def run_processes() -> Callable[..., tuple[list[int], str]]:
    """Run scenarios of `tiny.py`, each a process; returns their exit codes and what they wrote to standard error."""

    def run(scenarios: list[dict[str, Any]], *launcher: str) -> tuple[list[int], str]:
        source = Path(__file__).parents[2] / "src"
        # Restarting the rendezvous over a shared store hangs now and then on CPU.
        settings = {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        command = [sys.executable, *launcher, str(SCRIPT), json.dumps(scenarios, default=str)]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        codes: list[int] = json.loads(done.stdout.splitlines()[-1])
        return codes, done.stderr

    return run
