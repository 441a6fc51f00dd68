"""A stored loss curve: whatever changes the numbers of training, meant or not, shows here.

When a change is meant, write the new curve and say why in the commit: `python tests/golden/test_loss_curve.py`.
"""

from __future__ import annotations

import json
import runpy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

STORED = Path(__file__).with_name("loss_curve.json")
FORMATS = ("segment-pair", "full-sentences")


def curve(format: str, folder: Path) -> dict[str, list[float]]:
    """20 steps over three epochs and the validation at their end; no dropout, so that its numbers may be drawn anew."""
    tiny: Any = runpy.run_path(str(Path(__file__).parents[1] / "training" / "tiny.py"))["tiny"]
    history = tiny(dropout=0.0, format=format, steps=20, log_every_steps=1, validate_every_steps=20).train(folder)
    names = sorted(name for name in history.lines[0] if "/" in name or name == "gradient_norm")
    train = [line for line in history.lines if line["kind"] == "train"]
    last = {f"validation {name}": [history.lines[-1][name]] for name in names if "/" in name}
    return {name: [line[name] for line in train] for name in names} | last


@pytest.mark.parametrize("format", FORMATS)
def test_the_curve_is_the_stored_one(format: str, tmp_path: Path) -> None:
    kept = json.loads(STORED.read_text())
    if (version := torch.__version__.partition("+")[0]) != kept["torch"]:
        pytest.skip(f"torch {version} draws other first weights than {kept['torch']}, with which the curve was stored")
    stored = kept[format]
    found = curve(format, tmp_path)
    assert found.keys() == stored.keys()
    for name, values in stored.items():
        assert found[name] == pytest.approx(values, abs=1e-4), name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        curves = {format: curve(format, Path(folder) / format) for format in FORMATS}
    rounded = {f: {k: [round(x, 6) for x in values] for k, values in c.items()} for f, c in curves.items()}
    STORED.write_text(json.dumps({"torch": torch.__version__.partition("+")[0], **rounded}, indent=1) + "\n")
