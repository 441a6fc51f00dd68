"""Checkpoints: written aside, checksummed, finished by their manifest; an old one goes only when the new one is whole.

checkpoints/step-00000500/ holds model.safetensors (weights by name), optimizer.safetensors (`<parameter>/<moment>`),
average.safetensors (the averaged weights, if the run has any), cursor.json (where the data stands, and the running
sums of the next log line) and manifest.json (sizes and SHA-256).
Safetensors and JSON only: nothing is ever unpickled. torch.distributed.checkpoint is not used, because every rank
holds the whole model: one file is simpler, and any number of ranks can go on from it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from cloze.errors import ClozeError, DamagedError
from cloze.files import PARTIAL, check_files, os_errors, read_manifest, write_folder, write_json
from cloze.training.averaging import WeightAverage

FORMAT = 3
WEIGHTS, MOMENTS, AVERAGE = "model.safetensors", "optimizer.safetensors", "average.safetensors"
CURSOR = "cursor.json"

log = logging.getLogger(__name__)


def save_checkpoint(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    cursor: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    keep: int,
    average: WeightAverage | None = None,
) -> Path:
    """Write `folder`/step-<step>, then remove all but the newest `keep`. Raises ClozeError (a full disk, say).

    `cursor` is any JSON object; `settings` is kept in the manifest, and `load_checkpoint` refuses other ones.
    """
    final = checkpoint_folder(folder, step)
    with write_folder(final, manifest={"format": FORMAT, "step": step, "settings": dict(settings)}) as aside:
        _save_tensors(_weights(model), aside / WEIGHTS, final)
        _save_tensors(_moments(model, optimizer), aside / MOMENTS, final)
        if average is not None:
            _save_tensors(average.tensors, aside / AVERAGE, final)
        write_json(aside / CURSOR, dict(cursor))
    # A folder with a later step is damaged, or the run would have gone on from it.
    kept = [path for path in _checkpoints(folder) if path.name <= final.name][:keep]
    for path in [*_checkpoints(folder), *folder.glob(f"*{PARTIAL}")]:
        if path not in kept:
            _remove(path)
    return final


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` finished steps lies."""
    return folder / f"step-{step:08d}"


def any_checkpoint(folder: Path) -> bool:
    """Whether a checkpoint was finished in `folder`, be it damaged by now; one that was being written doesn't count."""
    return bool(_checkpoints(folder))


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; None if there is none at all. A damaged one is named in a warning and passed over.

    Every byte is compared with its checksum. Raises DamagedError if there are checkpoints and all are damaged.
    """
    damaged = []
    for path in _checkpoints(folder):
        try:
            check_files(path, full=True)
        except DamagedError as error:
            log.warning("%s The checkpoint before it is used.", error)
            damaged.append(path.name)
        else:
            return path
    if damaged:
        raise DamagedError(
            f"all checkpoints in {folder} are damaged: {', '.join(damaged)}. "
            "Delete that folder to train from the beginning."
        )
    return None


def settings_of(path: Path) -> dict[str, Any]:
    """The settings that a whole checkpoint was written under."""
    return dict((read_manifest(path) or {}).get("settings", {}))


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    settings: Mapping[str, Any],
    average: WeightAverage | None = None,
) -> dict[str, Any]:
    """Copy weights and moments into `model`, `optimizer` and `average`, on their device, and return the cursor.

    Raises ClozeError if the checkpoint was made with other settings or holds another model.
    """
    manifest = read_manifest(path)
    assert manifest is not None, "latest_checkpoint has read it"
    _refuse_other_settings(path, manifest, settings)
    weights = _weights(model)
    saved = load_file(path / WEIGHTS)
    found, expected = ({name: list(t.shape) for name, t in tensors.items()} for tensors in (saved, weights))
    if found != expected:
        name = min(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise ClozeError(
            f"{path / WEIGHTS} holds another model: the shape of {name} is {found.get(name, 'absent')} there, "
            f"{expected.get(name, 'absent')} in this run. Choose another output folder, or delete {path.parent}."
        )
    with torch.no_grad():
        for name, tensor in weights.items():
            # In place: memory that torch allocated, aligned as in the run that wrote it, so that sums round alike.
            tensor.copy_(saved[name])
        if average is not None:
            averaged = load_file(path / AVERAGE)
            for name, tensor in average.tensors.items():
                tensor.copy_(averaged[name])
    optimizer.state.clear()
    parameters = dict(model.named_parameters())
    for key, value in load_file(path / MOMENTS).items():
        name, _, moment = key.rpartition("/")
        parameter = parameters[name]
        optimizer.state[parameter][moment] = torch.empty_like(value, device=parameter.device).copy_(value)
    return dict(json.loads((path / CURSOR).read_bytes()))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters (a tied one once) and the buffers that belong to the state, by name."""
    state = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in state}
    return {name: parameter.detach() for name, parameter in model.named_parameters()} | buffers


def _moments(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}/{moment}": value
        for name, parameter in model.named_parameters()
        for moment, value in optimizer.state.get(parameter, {}).items()
    }


def _save_tensors(tensors: Mapping[str, Tensor], path: Path, final: Path) -> None:
    with os_errors(final):
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        except SafetensorError as error:
            # It hides the system's error in its text.
            raise ClozeError(f"{final} could not be written: {error}. Free some space and run again.") from error


def _refuse_other_settings(path: Path, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    if manifest.get("format") != FORMAT:
        raise ClozeError(
            f"{path} has checkpoint format {manifest.get('format')!r}, this cloze reads {FORMAT}. "
            f"Use the version that wrote it, or delete {path.parent} to train from the beginning."
        )
    before = manifest["settings"]
    changed = [
        f"{name} was {before.get(name)!r}, now {settings.get(name)!r}"
        for name in sorted(before.keys() | settings.keys())
        if before.get(name) != settings.get(name)
    ]
    if changed:
        raise ClozeError(
            f"{path} belongs to a run with other settings: {'; '.join(changed)}. A run can't change them on the way: "
            f"put them back, choose another output folder, or delete {path.parent} to train from the beginning."
        )


def _checkpoints(folder: Path) -> list[Path]:
    """Finished-looking checkpoints, newest first."""
    return sorted((p for p in folder.glob("step-*") if not p.name.endswith(PARTIAL)), reverse=True)


def _remove(path: Path) -> None:
    """Remove a folder so that a kill in the middle leaves nothing that looks like a checkpoint."""
    with os_errors(path):
        aside = path if path.name.endswith(PARTIAL) else path.rename(path.with_name(path.name + PARTIAL))
        shutil.rmtree(aside)
