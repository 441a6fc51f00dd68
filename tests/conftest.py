"""Fixtures that many tests share, and one thread for each test process: xdist already keeps the cores busy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Read by torch, numpy and tokenizers when they are first imported; processes that tests start inherit them.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Processes started by tests import this checkout, installed or not.
SOURCE = str(Path(__file__).resolve().parents[1] / "src")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))
# A slow machine is no failure: examples have no deadline, and are the same in every run.
settings.register_profile("cloze", deadline=None, derandomize=True)
settings.load_profile("cloze")


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Training has its process flush subnormal numbers to zero; the next test finds them as they were."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real Korean data, never part of the repository: CLOZE_SHARED_DATA, or ../shared/data beside it."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CLOZE_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}; set CLOZE_SHARED_DATA to a folder with nsmc/ and corpus/ to run this test"
        )
    return folder
