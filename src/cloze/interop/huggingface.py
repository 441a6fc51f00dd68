"""Folders that `transformers` loads: config.json, model.safetensors, tokenizer files; and back.

All finished weights of cloze are kept in this layout. What a family's model is called there is said in the family's own
file; config.json is read and written in `configuration.py`, tensors in `weights.py`. Parity: tests/parity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cloze.errors import ClozeError
from cloze.files import os_errors, write_json
from cloze.interop.configuration import CONFIG_FILE, describe, read_config
from cloze.interop.weights import (
    WEIGHTS_FILE,
    collect,
    fill,
    names_of,
    read_tensors,
    refuse_damaged,
    to_huggingface,
    write_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cloze.models import PretrainingModel
    from cloze.models.classifier import Classifier
    from cloze.models.encoder import EncoderConfig
    from cloze.models.family import Names, Part, Pooling
    from cloze.tokens.tokenizer import Tokenizer

__all__ = [
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "is_classifier",
    "load_classifier",
    "load_model",
    "names_of",
    "save_classifier",
    "save_model",
    "to_huggingface",
]

PROBLEM_TYPES = {"classification": "single_label_classification", "regression": "regression"}
"""Objective -> what transformers calls it; it also takes a model with one label for a regression."""
_UNNAMED_CLASSES = {"0": "LABEL_0", "1": "LABEL_1"}
"""transformers leaves these out of config.json."""


def save_model(folder: Path, model: PretrainingModel, tokenizer: Tokenizer) -> None:
    """Write a pretrained model into the existing `folder`. Raises ClozeError where the disk refuses."""
    from cloze.models import family_of

    state, parts = model.state_dict(), family_of(model.family).parts(model)
    homeless = [name for name in state if not any(name in part.names for part in parts)]
    assert not homeless, f"{model.family} has no transformers name for {homeless}"
    for part in parts:
        place = folder / part.folder
        with os_errors(place):
            place.mkdir(exist_ok=True)
        here = {name: tensor for name, tensor in state.items() if name in part.names}
        write_tensors(place, here, part.names, part.file)
        if part.head is None:
            continue
        tokenizer.save(place, segments=part.config.segment_types)
        write_json(place / CONFIG_FILE, describe(model.family, part.config, part.carrier, part.head, tokenizer))


def save_classifier(folder: Path, classifier: Classifier, tokenizer: Tokenizer) -> None:
    """Write a fine-tuned classifier, its classes as id2label, into the existing `folder`."""
    from cloze.models import family_of

    config = classifier.encoder.config
    carrier = family_of(classifier.family).carrier(config)
    labels = {
        "id2label": {str(i): name for i, name in enumerate(classifier.classes)},
        "label2id": {name: i for i, name in enumerate(classifier.classes)},
        "problem_type": PROBLEM_TYPES[classifier.objective],
        carrier.classifier_dropout: classifier.head.dropout.share,
    }
    if classifier.pooling != "first":
        labels["classifier_pooling"] = classifier.pooling
    write_tensors(folder, classifier.state_dict(), names_of(classifier.family, config, classifier=True))
    tokenizer.save(folder, segments=config.segment_types)
    described = describe(classifier.family, config, carrier, "ForSequenceClassification", tokenizer)
    write_json(folder / CONFIG_FILE, described | labels)


def load_model(folder: Path) -> tuple[PretrainingModel, Tokenizer]:
    """A pretrained model in float32, on the CPU, in evaluation mode, and its tokenizer.

    Raises ClozeError for a folder that is no model of a known family, DamagedError for missing, misshapen or
    non-finite tensors and for a truncated file. Nothing is loaded half.
    """
    from cloze.models import from_config

    folder = Path(folder)
    described, config, family = read_config(folder)
    if _classifies(described):
        raise ClozeError(
            f"{folder} holds a fine-tuned classifier, without a head for masked tokens. Pass the pretrained folder."
        )
    if family.generator_folder is not None and (folder / family.generator_folder).is_dir():
        config = replace(config, generator=read_config(folder / family.generator_folder)[1])
    tensors = read_tensors(folder)
    model = from_config(family.name, config, pairs=_holds_pairs(names_of(family.name, config), tensors))
    fill(cast("nn.Module", model), _state_of_parts(folder, model, family.parts(model), tensors))
    return model, _read_tokenizer(folder, config)


def load_classifier(folder: Path) -> tuple[Classifier, Tokenizer]:
    """A fine-tuned classifier and its tokenizer; classes in the order of id2label. Raises like `load_model`."""
    from cloze.models import from_config
    from cloze.models.classifier import Classifier

    folder = Path(folder)
    described, config, family = read_config(folder)
    if not _classifies(described):
        raise ClozeError(
            f"{folder} holds {described.get('architectures')}, not a classifier. Pass a fine-tuned folder."
        )
    labels = described.get("id2label") or _UNNAMED_CLASSES
    try:
        classes = [str(labels[i]) for i in sorted(labels, key=int)]
    except (TypeError, ValueError):
        raise ClozeError(f"{folder / CONFIG_FILE} has id2label {labels!r}; expected a name for each number.") from None
    dropout = described.get(family.carrier(config).classifier_dropout)
    share = config.dropout if dropout is None else float(dropout)
    pooling: Pooling = "mean" if described.get("classifier_pooling") == "mean" else "first"
    regression = described.get("problem_type") == "regression" or len(classes) == 1
    objective = "regression" if regression else "classification"
    model = from_config(family.name, config, pairs=False)
    classifier = Classifier(model, classes, share, objective=objective, pooling=pooling)
    names = names_of(family.name, config, classifier=True)
    tensors, base = read_tensors(folder), family.carrier(config).base
    fill(classifier, collect(folder, classifier.state_dict(), names, tensors, base=base))
    return classifier, _read_tokenizer(folder, config)


def is_classifier(folder: Path) -> bool:
    """True if the folder's config.json names a sequence classifier."""
    return _classifies(read_config(folder)[0])


def _classifies(described: Mapping[str, Any]) -> bool:
    return "SequenceClassification" in str(described.get("architectures"))


def _holds_pairs(names: Names, tensors: Mapping[str, Tensor]) -> bool:
    """Whether any tensor of the head that judges pairs is there."""
    theirs = [name for ours, parts in names.items() if ours.startswith("sentence_pair.") for name in parts]
    return any(name in tensors for name in theirs)


def _state_of_parts(
    folder: Path, model: PretrainingModel, parts: tuple[Part, ...], tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The model's whole state out of its folders; `tensors` are those of the first one, already read."""
    wanted = model.state_dict()
    state: dict[str, Tensor] = {}
    for part in parts:
        place = folder / part.folder
        here = {name: like for name, like in wanted.items() if name in part.names}
        read = tensors if part is parts[0] else read_tensors(place, part.file)
        found = collect(place, here, part.names, read, base=part.carrier.base)
        shared = [name for name in found if name in state and not state[name].equal(found[name])]
        refuse_damaged(
            place,
            [
                f"{' + '.join(part.names[name])} differs from the one in {folder}, which is tied to it"
                for name in shared
            ],
        )
        state |= found
    return state


def _read_tokenizer(folder: Path, config: EncoderConfig) -> Tokenizer:
    from cloze.tokens.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary_size > config.vocabulary_size:
        raise ClozeError(
            f"the tokenizer in {folder} has {tokenizer.vocabulary_size:,} entries, but the model's table has "
            f"{config.vocabulary_size:,} rows: it is another model's. Restore the tokenizer that was saved with it."
        )
    return tokenizer
