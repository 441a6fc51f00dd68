"""Folders that `transformers` loads: config.json, model.safetensors, tokenizer files; and back.

All finished weights of cloze are kept in this layout. What a family's model is called there is said in the family's own
file; config.json is read and written in `configuration.py`, tensors in `weights.py`. Parity: tests/parity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    warn_of_untied,
    write_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cloze.models import PretrainingModel
    from cloze.models.classifier import Classifier, TokenClassifier
    from cloze.models.encoder import EncoderConfig
    from cloze.models.family import Family, Names, Part, Pooling
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

PROBLEM_TYPES = {
    "classification": "single_label_classification",
    "regression": "regression",
    "multi_label": "multi_label_classification",
}
"""Objective over rows -> what transformers calls it; it also takes a model with one label for a regression."""
TASK_ENTRY = "cloze_task"
"""Entry of config.json with what a kind of task keeps with a model; transformers ignores it."""
_LENGTHS = ("length", "stride", "longest_question", "longest_answer")
"""What of it is a number of tokens or characters."""
_OUTPUTS = {"ForQuestionAnswering": ("start", "end"), "ForMultipleChoice": ("option",)}
"""Outputs of the heads that have no classes."""
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
        tokenizer.save(place, segments=part.config.segment_types, max_length=part.config.max_length)
        write_json(place / CONFIG_FILE, describe(model.family, part.config, part.carrier, part.head, tokenizer))


def save_classifier(folder: Path, classifier: Classifier | TokenClassifier, tokenizer: Tokenizer) -> None:
    """Write a fine-tuned model, its classes as id2label, into the existing `folder`."""
    from cloze.models import family_of
    from cloze.models.family import HEADS

    config, head = classifier.encoder.config, HEADS[classifier.objective]
    carrier = family_of(classifier.family).carrier(config)
    entries: dict[str, Any] = {carrier.classifier_dropout: classifier.head.dropout.share}
    if head not in _OUTPUTS:
        entries["id2label"] = {str(i): name for i, name in enumerate(classifier.classes)}
        entries["label2id"] = {name: i for i, name in enumerate(classifier.classes)}
    if classifier.objective in PROBLEM_TYPES:
        entries["problem_type"] = PROBLEM_TYPES[classifier.objective]
    if classifier.pooling != "first":
        entries["classifier_pooling"] = classifier.pooling
    if classifier.settings:
        entries[TASK_ENTRY] = classifier.settings
    write_tensors(folder, classifier.state_dict(), names_of(classifier.family, config, head=head))
    length = classifier.settings.get("length") or config.max_length  # as it was fine-tuned
    tokenizer.save(folder, segments=config.segment_types, max_length=min(length, config.max_length))
    write_json(folder / CONFIG_FILE, describe(classifier.family, config, carrier, head, tokenizer) | entries)


def load_model(folder: Path, *, headless: bool = False) -> tuple[PretrainingModel, Tokenizer]:
    """A pretrained model in float32, on the CPU, in evaluation mode, and its tokenizer.

    `headless`: an encoder that was saved alone (BertModel) will do, and its heads of pretraining are random: for
    fine-tuning, which puts others in their place. Raises ClozeError for a folder that is no model of a known family,
    DamagedError for missing, misshapen or non-finite tensors and for a truncated file. Nothing is loaded half.
    """
    from cloze.models import from_config

    folder = Path(folder)
    config, family, alone = read_pretrained_config(folder, headless=headless)
    tensors, names = read_tensors(folder), names_of(family.name, config)
    if alone:
        return _with_new_heads(folder, family, config, tensors), _read_tokenizer(folder, config)
    model = from_config(family.name, config, pairs=_holds_pairs(names, tensors))
    fill(cast("nn.Module", model), _state_of_parts(folder, model, family.parts(model), tensors))
    return model, _read_tokenizer(folder, config)


def read_pretrained_config(folder: Path, *, headless: bool = False) -> tuple[EncoderConfig, Family, bool]:
    """Sizes (a generator's among them) and family of a pretrained folder, and whether it is an encoder saved alone.

    Reads no weights. Raises ClozeError for a fine-tuned folder, and for an encoder alone unless `headless`.
    """
    described, config, family = read_config(folder)
    if _head(described) is not None:
        raise ClozeError(
            f"{folder} holds a fine-tuned classifier, without a head for masked tokens. Pass the pretrained folder."
        )
    if family.generator_folder is not None and (folder / family.generator_folder).is_dir():
        config = replace(config, generator=read_config(folder / family.generator_folder)[1])
    alone = _alone(described, family)
    if alone and not headless:
        whole = family.carrier(config).class_name + _pretraining_head(family)
        raise ClozeError(
            f"{folder} was saved as {alone}, without the head that {family.name} is pretrained with. It can be "
            f"fine-tuned (cloze finetune); to train or to fill gaps take one that has the head, such as {whole}."
        )
    return config, family, alone is not None


def load_classifier(folder: Path) -> tuple[Classifier | TokenClassifier, Tokenizer]:
    """A fine-tuned model and its tokenizer; classes in the order of id2label. Raises like `load_model`."""
    from cloze.models import from_config
    from cloze.models.classifier import classifier_of

    folder = Path(folder)
    described, config, family = read_config(folder)
    head = _head(described)
    if head is None:
        raise ClozeError(
            f"{folder} holds {described.get('architectures')}, not a classifier. Pass a fine-tuned folder."
        )
    labels = described.get("id2label") or _UNNAMED_CLASSES
    try:
        named = [str(labels[i]) for i in sorted(labels, key=int)]
    except (TypeError, ValueError):
        raise ClozeError(f"{folder / CONFIG_FILE} has id2label {labels!r}; expected a name for each number.") from None
    if len(set(named)) < len(named):
        raise ClozeError(f"{folder / CONFIG_FILE} has id2label {labels!r}, in which a name stands twice. Rename one.")
    classes = _OUTPUTS.get(head, named)
    entry = family.carrier(config).classifier_dropout
    share = config.dropout if described.get(entry) is None else described[entry]
    if type(share) not in (int, float) or not 0 <= share < 1:
        raise ClozeError(f"{folder / CONFIG_FILE} has {entry} {share!r}, expected a share from 0 to below 1.")
    pooling: Pooling = "mean" if described.get("classifier_pooling") == "mean" else "first"
    classifier = classifier_of(
        _objective(head, described, classes),
        from_config(family.name, config, pairs=False),
        classes,
        share,
        pooling=pooling,
        settings=_task_settings(folder, described),
    )
    names = names_of(family.name, config, head=head)
    tensors, base = read_tensors(folder), family.carrier(config).base
    fill(classifier, collect(folder, classifier.state_dict(), names, tensors, base=base))
    return classifier, _read_tokenizer(folder, config)


def is_classifier(folder: Path) -> bool:
    """True if the folder's config.json names a fine-tuned model."""
    return _head(read_config(folder)[0]) is not None


def _head(described: Mapping[str, Any]) -> str | None:
    """End of the name of the fine-tuned class that config.json names; None for a pretrained one."""
    from cloze.models.family import HEADS

    return next((head for head in HEADS.values() if head in str(described.get("architectures"))), None)


def _task_settings(folder: Path, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a kind of task keeps with a model. Raises ClozeError for lengths that are none."""
    settings = described.get(TASK_ENTRY)
    if not isinstance(settings, dict):
        return None
    for name in _LENGTHS:
        value = settings.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise ClozeError(
                f"{folder / CONFIG_FILE} has {TASK_ENTRY}.{name} {value!r}, expected a whole number above 0. Correct "
                "it, or take the entry out."
            )
    return settings


def _with_new_heads(
    folder: Path, family: Family, config: EncoderConfig, tensors: Mapping[str, Tensor]
) -> PretrainingModel:
    """The model around an encoder that was saved alone, with the pooler that lies beside it."""
    from cloze.models import from_config
    from cloze.models.encoder import initialise_normal

    base, names = family.carrier(config).base, names_of(family.name, config)
    if not any(name.startswith(base) for name in tensors):
        tensors = {base + name: tensor for name, tensor in tensors.items()}
    pooler = names.get("pooler.dense.weight", ("",))[0] in tensors
    model = from_config(family.name, config, pairs=pooler)
    module = cast("nn.Module", model)
    initialise_normal(module, config.initialisation_std, seed=0)
    own = ("encoder.", "pooler.") if pooler else ("encoder.",)
    wanted = {name: tensor for name, tensor in module.state_dict().items() if name.startswith(own)}
    fill(module, module.state_dict() | collect(folder, wanted, names, tensors, base=base))
    return model


def _alone(described: Mapping[str, Any], family: Family) -> str | None:
    """The class that config.json names, if it is an encoder alone: BertModel, or ELECTRA's generator."""
    names = described.get("architectures")
    last = names[0] if isinstance(names, list) and names else None
    endings = ("Model",) if _pretraining_head(family) == "ForMaskedLM" else ("Model", "ForMaskedLM")
    return last if isinstance(last, str) and last.endswith(endings) else None


def _pretraining_head(family: Family) -> str:
    """End of the name of the class in transformers that has the head of pretraining and can stand for the family."""
    return "ForMaskedLM" if family.generator_folder is None else "ForPreTraining"


def _objective(head: str, described: Mapping[str, Any], classes: Sequence[str]) -> str:
    from cloze.models.family import HEADS

    if head != HEADS["classification"]:
        return next(objective for objective, found in HEADS.items() if found == head)
    if described.get("problem_type") == PROBLEM_TYPES["multi_label"]:
        return "multi_label"
    regression = described.get("problem_type") == PROBLEM_TYPES["regression"] or len(classes) == 1
    return "regression" if regression else "classification"


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
        warn_of_untied(place / part.file, part.names, read)
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
