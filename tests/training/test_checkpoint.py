from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cloze.errors import ClozeError, DamagedError
from cloze.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from cloze.training.optimizer import make_optimizer

SETTINGS = {"seed": 1, "training.batch_rows": 8}


class Trained:
    """A small model that has taken a few steps."""

    def __init__(self, width: int = 4) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.Linear(width, 3))
        self.seen = torch.zeros(2)
        self.model.register_buffer("seen", self.seen)
        self.optimizer = make_optimizer(self.model, weight_decay=0.1)

    def step(self) -> None:
        self.model(torch.ones(2, 3)).square().sum().backward()
        for group in self.optimizer.param_groups:
            group["lr"] = 0.01
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.seen += 1

    def save(self, folder: Path, step: int, keep: int = 2) -> Path:
        cursor = {"step": step, "row": 3}
        return save_checkpoint(folder, step, self.model, self.optimizer, cursor, settings=SETTINGS, keep=keep)


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


def test_a_loaded_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    first, second = Trained(), Trained()
    first.step()
    path = first.save(tmp_path, 1)
    assert load_checkpoint(path, second.model, second.optimizer, settings=SETTINGS) == {"step": 1, "row": 3}
    for run in (first, second):
        run.step()
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_a_checkpoint_before_the_first_step_has_no_moments(tmp_path: Path) -> None:
    run = Trained()
    load_checkpoint(run.save(tmp_path, 0), run.model, run.optimizer, settings=SETTINGS)
    assert not run.optimizer.state


def test_the_newest_are_kept(tmp_path: Path) -> None:
    run = Trained()
    for step in (5, 10, 100, 1000):
        run.save(tmp_path, step)
    assert steps(tmp_path) == [100, 1000]
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00001000"


def test_what_a_kill_left_behind_is_swept(tmp_path: Path) -> None:
    (tmp_path / "step-00000005.partial").mkdir()
    (tmp_path / "step-00000005.partial" / "model.safetensors").write_bytes(b"half")
    assert latest_checkpoint(tmp_path) is None
    Trained().save(tmp_path, 10)
    assert steps(tmp_path) == [10]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "cursor.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_one_is_named_and_the_one_before_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, damage: str
) -> None:
    run = Trained()
    run.step()
    good, bad = run.save(tmp_path, 10), run.save(tmp_path, 20)
    data = (bad / file).read_bytes()
    if damage == "gone":
        (bad / file).unlink()
    else:
        (bad / file).write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if damage == "flipped" else data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        assert latest_checkpoint(tmp_path) == good
    assert str(bad) in caplog.text and "before it is used" in caplog.text
    run.save(tmp_path, 15)
    assert steps(tmp_path) == [10, 15], "the damaged one is gone once a newer whole one stands"


def test_if_all_are_damaged_nothing_is_trained_again_silently(tmp_path: Path) -> None:
    run = Trained()
    for step in (10, 20):
        (run.save(tmp_path, step) / "model.safetensors").write_bytes(b"")
    with pytest.raises(DamagedError, match=r"step-00000020, step-00000010\. Delete that folder"):
        latest_checkpoint(tmp_path)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    run = Trained()
    path = run.save(tmp_path, 10)
    with pytest.raises(ClozeError, match=r"training\.batch_rows was 8, now 16"):
        load_checkpoint(path, run.model, run.optimizer, settings=SETTINGS | {"training.batch_rows": 16})


def test_another_model_is_refused(tmp_path: Path) -> None:
    path, other = Trained().save(tmp_path, 10), Trained(width=5)
    with pytest.raises(ClozeError, match=r"the shape of 0\.bias is \[4\] there, \[5\] in this run"):
        load_checkpoint(path, other.model, other.optimizer, settings=SETTINGS)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the same place."""
    run = Trained()
    run.step()
    good = run.save(tmp_path, 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(ClozeError, match="step-00000020 could not be written"):
            run.save(tmp_path, 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [good]
    assert latest_checkpoint(tmp_path) == good


def test_tied_weights_are_saved_once(tmp_path: Path, tiny: Callable[..., Any]) -> None:
    run = tiny()
    optimizer = make_optimizer(run.model, weight_decay=0.1)
    path = save_checkpoint(tmp_path, 1, run.model, optimizer, {}, settings=SETTINGS, keep=1)
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    assert sum(tensor.numel() for tensor in load_file(path / "model.safetensors").values()) == parameters
