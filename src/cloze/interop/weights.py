"""Tensors: from our names to transformers' and back, and every check on the way.

q, k and v are one matrix here and three there; a table of names (`cloze.models.family.Names`) tells the parts.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.errors import ClozeError, DamagedError, some
from cloze.files import write_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cloze.models.encoder import EncoderConfig
    from cloze.models.family import Names

WEIGHTS_FILE = "model.safetensors"
_SHOWN = 8
"""Problems in one message."""
_BUFFERS = ("position_ids", "token_type_ids", "inv_freq")
"""Ends of names of tensors that older transformers saved though they follow from the sizes."""
_TABLE, _BIAS = "embeddings.token.weight", "masked_tokens.bias"
_HEADS = ("cls.predictions.decoder", "lm_head.decoder", "predictions.decoder")
_TIED = {
    **dict.fromkeys((*(f"{head}.weight" for head in _HEADS), "decoder.weight", "generator_lm_head.weight"), _TABLE),
    **dict.fromkeys((f"{head}.bias" for head in _HEADS), _BIAS),
}
"""Copies that transformers may save beside a tensor, and the end of our name for that."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def to_huggingface(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Our tensors under transformers' names; q, k and v are cut apart along axis 0."""
    tensors: dict[str, Tensor] = {}
    for ours, tensor in state.items():
        parts = tensor.detach().chunk(len(names[ours]), dim=0)
        tensors |= {name: part.cpu().contiguous() for name, part in zip(names[ours], parts, strict=True)}
    return tensors


def names_of(family: str, config: EncoderConfig, *, head: str | None = None) -> Names:
    """The table of the family's own folder; `head`: with that of this fine-tuned class (`family.HEADS`)."""
    from cloze.models import family_of

    carrier = family_of(family).carrier(config)
    table = carrier.names(config)
    if head is not None:
        modules = carrier.heads[head].items()
        table |= {f"{ours}.{kind}": (f"{theirs}.{kind}",) for ours, theirs in modules for kind in ("weight", "bias")}
    return table


def write_tensors(folder: Path, state: Mapping[str, Tensor], names: Names, file: str = WEIGHTS_FILE) -> None:
    """Write `state` into the existing `folder`. Raises ClozeError where the disk refuses."""
    from safetensors.torch import save

    write_bytes(folder / file, save(to_huggingface(state, names), metadata={"format": "pt"}))


def read_tensors(folder: Path, file: str = WEIGHTS_FILE) -> dict[str, Tensor]:
    """All tensors of the folder, as they are. Raises ClozeError if there are none, DamagedError for a damaged file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder) / file
    if not path.is_file():
        raise ClozeError(f"{folder} has no {file}; cloze reads weights from safetensors only{_instead(path.parent)}.")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedError(
            f"{path} cannot be read: {error}. It is truncated or damaged; copy or save it again."
        ) from None
    return {_modern(name): tensor for name, tensor in tensors.items()}


def _instead(folder: Path) -> str:
    """What the folder has in place of safetensors, and how to come by them."""
    if pieces := sorted(path.name for path in folder.glob("*.safetensors")):
        return f", and from one file. Here they are in pieces ({', '.join(pieces[:3])}): load and save them as one"
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if not pickles:
        return ""
    return (
        f". {pickles[0]} is a pickle, which may run anything when it is opened. If you trust who made it, convert it: "
        f"`python -c \"from transformers import AutoModelForPreTraining as M; M.from_pretrained('{folder}')"
        f".save_pretrained('{folder}')\"`"
    )


def _modern(name: str) -> str:
    """Google's own checkpoints, converted from TensorFlow, still say gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def collect(
    folder: Path, wanted: Mapping[str, Tensor], names: Names, tensors: Mapping[str, Tensor], *, base: str
) -> dict[str, Tensor]:
    """The tensors of `wanted` (our names, for their shapes) in float32, out of what `folder` holds.

    Raises DamagedError that names every tensor that is missing, misshapen or not finite, and those of the encoder
    (beginning with `base`) that `names` has no place for: another model's, or more layers. Other heads are left out.
    """
    import torch

    wrong, state = [], {}
    for ours, like in wanted.items():
        if absent := [name for name in names[ours] if name not in tensors]:
            wrong.append(f"{', '.join(absent)} is missing")
            continue
        tensor = torch.cat([tensors[name].float() for name in names[ours]])
        if tensor.shape != like.shape:
            wrong.append(f"{' + '.join(names[ours])} has shape {list(tensor.shape)}, expected {list(like.shape)}")
        elif not tensor.isfinite().all():
            wrong.append(f"{' + '.join(names[ours])} has values that are NaN or infinite")
        state[ours] = tensor
    known = {name for parts in names.values() for name in parts}
    pooler = f"{base}pooler."  # A head like others; some RoBERTas are saved with one that nothing has trained.
    extra = [
        name
        for name in tensors
        if name.startswith(base) and name not in known and not name.endswith(_BUFFERS) and not name.startswith(pooler)
    ]
    if extra:
        wrong.append(f"nothing is known of {some(sorted(extra), 3)}")
    refuse_damaged(folder, wrong)
    return state


def warn_of_untied(path: Path, names: Names, tensors: Mapping[str, Tensor]) -> None:
    """Say that a tensor over the vocabulary is left out where the file stores one that differs from its other copy.

    cloze has one of both, as config.json ties them; transformers 5 takes what is stored, older ones the same as cloze.
    """
    for stored, ours in _TIED.items():
        used = next((parts[0] for name, parts in names.items() if name.endswith(ours)), None)
        found, other = tensors.get(stored), None if used is None else tensors.get(used)
        if found is not None and other is not None and not (found.shape == other.shape and found.equal(other)):
            what = "the table of tokens" if ours == _TABLE else used
            warnings.warn(
                f"{path}: {stored} differs from {what}, to which config.json ties it; {what} is used, and {stored} is "
                "left out",
                stacklevel=4,
            )


def refuse_damaged(folder: Path, wrong: list[str]) -> None:
    """Raise DamagedError if something is wrong with the folder's tensors."""
    if wrong:
        raise DamagedError(
            f"{Path(folder) / WEIGHTS_FILE} does not fit config.json: {'; '.join(wrong[:_SHOWN])}. "
            "Save or copy the model again."
        )


def fill(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a whole state into `model`; then it is in evaluation mode."""
    model.load_state_dict(state)
    model.eval()
