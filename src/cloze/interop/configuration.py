"""config.json: from EncoderConfig to transformers' entries and back, by the tables of a family's carrier."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloze.errors import ClozeError, DamagedError

if TYPE_CHECKING:
    from cloze.models.encoder import EncoderConfig
    from cloze.models.family import Carrier, Family
    from cloze.tokens.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "elu": "elu"}
_ALIASES = {"gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh"} | {theirs: ours for ours, theirs in ACTIVATIONS.items()}


def describe(family: str, config: EncoderConfig, carrier: Carrier, head: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """The entries of config.json for a model whose class in transformers ends with `head`."""
    plain = {theirs: getattr(config, ours) for theirs, ours in {**carrier.counts, **carrier.numbers}.items()}
    return {
        "architectures": [carrier.class_name + head],
        "model_type": carrier.model_type,
        carrier.activation: ACTIVATIONS[config.activation],
        **{theirs: getattr(tokenizer, ours) for theirs, ours in carrier.tokens.items()},
        "tie_word_embeddings": True,
        "dtype": "float32",
        "cloze_family": family,
        **plain,
        **carrier.write(config),
    }


def read_config(folder: Path) -> tuple[dict[str, Any], EncoderConfig, Family]:
    """config.json with transformers' defaults filled in, our sizes, and the family. One error lists all that is wrong.

    Raises ClozeError for a folder that is no model or one beyond cloze, DamagedError for a file that is no JSON.
    """
    from cloze.models import families
    from cloze.models.encoder import EncoderConfig

    path = Path(folder) / CONFIG_FILE
    found = _read_json(path)
    readers = {carrier.model_type: (family, carrier) for family in families() for carrier in family.carriers}
    model_type = found.get("model_type")
    if not isinstance(model_type, str) or model_type not in readers:
        raise ClozeError(f"{path} says model_type {model_type!r}; cloze reads {', '.join(readers)}.")
    family, carrier = readers[model_type]
    found = {**carrier.defaults, **found}
    if wrong := _misfits(found, carrier):
        raise ClozeError(f"{path} is no configuration that cloze can use: {'; '.join(wrong)}.")
    fields = {ours: found[theirs] for theirs, ours in {**carrier.counts, **carrier.numbers}.items()}
    fields |= {"activation": _ALIASES[found[carrier.activation]]} | carrier.read(found)
    config = EncoderConfig(**fields)
    named = [other for other in families() if other.name == found.get("cloze_family")]
    if named and named[0].carrier(config) is carrier:
        family = named[0]
    return found, config, family


def _read_json(path: Path) -> dict[str, Any]:
    folder = path.parent
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        there = "it is a file" if folder.exists() else "there is no such folder"
        what = f"it has no {CONFIG_FILE}" if folder.is_dir() else there
        found = ", ".join(map(str, models_inside(folder)))
        advice = f"It holds some; pass one of: {found}." if found else "Pass a folder that cloze saved."
        raise ClozeError(f"{folder} is not a model: {what}. {advice}") from None
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} can't be read as JSON: {error}. Save the model again.") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{path} holds {type(found).__name__}, expected a JSON object. Save the model again.")
    return found


def models_inside(folder: Path) -> list[Path]:
    """Folders of models where a run keeps them."""
    inside = [folder / "model", folder / "pretraining" / "model", *sorted(folder.glob("tasks/*/model"))]
    return [path for path in inside if (path / CONFIG_FILE).is_file()]


def _misfits(found: Mapping[str, Any], carrier: Carrier) -> list[str]:
    """What of a configuration in transformers' names is absent, of the wrong type, or beyond cloze."""
    wrong = []
    for kinds, least, expected, names in (
        ((int,), 1, "a whole number above 0", carrier.counts),
        ((int,), 0, "a whole number", carrier.amounts),
        ((int, float), 0, "a number", carrier.numbers),
    ):
        for name in names:
            value: Any = found.get(name)
            if type(value) not in kinds or not least <= value < math.inf:
                wrong.append(f"{name} is {value!r}, expected {expected}" if name in found else f"it lacks {name}")
    for name in (theirs for theirs, ours in carrier.numbers.items() if ours.endswith("dropout")):
        if not wrong and found[name] >= 1:
            wrong.append(f"{name} is {found[name]!r}, expected a share below 1")
    if not wrong and found["hidden_size"] % found["num_attention_heads"]:
        wrong.append(f"num_attention_heads {found['num_attention_heads']} doesn't divide {found['hidden_size']}")
    if str(found[carrier.activation]) not in _ALIASES:
        expected = ", ".join(_ALIASES)
        wrong.append(f"{carrier.activation} is {found[carrier.activation]!r}, expected one of {expected}")
    for name, only in carrier.only.items():
        if found.get(name) not in (None, only):
            wrong.append(f"{name} is {found[name]!r}, and cloze has only {only!r}")
    return wrong or carrier.problems(found)
