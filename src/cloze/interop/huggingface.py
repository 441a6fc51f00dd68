"""Folders that `transformers` loads: config.json, model.safetensors, tokenizer files; and back.

All weights of cloze are kept in this layout from the first checkpoint on. A family's table of names is in its own file;
here are the configuration's names, the splitting of q, k and v, and the checks. Parity: tests/parity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cloze.errors import ClozeError, DamagedError
from cloze.files import write_bytes, write_json

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cloze.models import PretrainingModel
    from cloze.models.classifier import Classifier
    from cloze.models.encoder import EncoderConfig
    from cloze.tokens.tokenizer import Tokenizer

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

_COUNTS = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "feed_forward_width",
    "type_vocab_size": "segment_types",
}
_NUMBERS = {
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initialisation_std",
}
_DEFAULTS: dict[str, Any] = {"initializer_range": 0.02, "hidden_act": "gelu", "pad_token_id": 1}
_ONLY = {"position_embedding_type": "absolute", "tie_word_embeddings": True, "is_decoder": False}
"""Switches of transformers that cloze has in one position; another one would load and be silently wrong."""
_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "elu": "elu"}
_ALIASES = {"gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh"} | {theirs: ours for ours, theirs in _ACTIVATIONS.items()}
_MODEL_TYPES = ("bert", "roberta", "roberta-prelayernorm")
_CLASS_NAMES = {"bert": "Bert", "roberta": "Roberta", "roberta-prelayernorm": "RobertaPreLayerNorm"}
_UNNAMED_CLASSES = {"0": "LABEL_0", "1": "LABEL_1"}
"""transformers leaves these out of config.json."""


def save_model(folder: Path, model: PretrainingModel, tokenizer: Tokenizer) -> None:
    """Write a pretrained model into the existing `folder`. Raises ClozeError where the disk refuses."""
    head = (
        "PreTraining" if _has_pairs(model) and _model_type(model.family, model.encoder.config) == "bert" else "MaskedLM"
    )
    _save(folder, cast("nn.Module", model), model.family, model.encoder.config, tokenizer, head, {})


def save_classifier(folder: Path, classifier: Classifier, tokenizer: Tokenizer) -> None:
    """Write a fine-tuned classifier, its classes as id2label, into the existing `folder`."""
    labels = {
        "id2label": {str(i): name for i, name in enumerate(classifier.classes)},
        "label2id": {name: i for i, name in enumerate(classifier.classes)},
        "problem_type": "single_label_classification",
        "classifier_dropout": classifier.head.dropout.share,
    }
    config = classifier.encoder.config
    _save(folder, classifier, classifier.family, config, tokenizer, "SequenceClassification", labels)


def load_model(folder: Path) -> tuple[PretrainingModel, Tokenizer]:
    """A pretrained model in float32, on the CPU, in evaluation mode, and its tokenizer.

    Raises ClozeError for a folder that is no model of a known family, DamagedError for missing, misshapen or
    non-finite tensors and for a truncated file. Nothing is loaded half.
    """
    from cloze.models import from_config

    described, config, family = _read_config(folder)
    if _classifies(described):
        raise ClozeError(
            f"{folder} holds a fine-tuned classifier, without a head for masked tokens. Pass the pretrained folder."
        )
    tensors = _read_tensors(folder)
    pairs = family == "bert" and any(name.startswith("cls.seq_relationship.") for name in tensors)
    model = from_config(family, config, pairs=pairs)
    _fill(folder, cast("nn.Module", model), family, config, tensors)
    return model, _read_tokenizer(folder, config)


def load_classifier(folder: Path) -> tuple[Classifier, Tokenizer]:
    """A fine-tuned classifier and its tokenizer; classes in the order of id2label. Raises like `load_model`."""
    from cloze.models import from_config
    from cloze.models.classifier import Classifier

    described, config, family = _read_config(folder)
    if not _classifies(described):
        raise ClozeError(
            f"{folder} holds {described.get('architectures')}, not a classifier. Pass a fine-tuned folder."
        )
    labels = described.get("id2label") or _UNNAMED_CLASSES
    try:
        classes = [str(labels[i]) for i in sorted(labels, key=int)]
    except (TypeError, ValueError):
        raise ClozeError(f"{folder / CONFIG_FILE} has id2label {labels!r}; expected a name for each number.") from None
    dropout = described.get("classifier_dropout")
    share = config.dropout if dropout is None else float(dropout)
    classifier = Classifier(from_config(family, config, pairs=False), classes, share)
    _fill(folder, classifier, family, config, _read_tensors(folder))
    return classifier, _read_tokenizer(folder, config)


def is_classifier(folder: Path) -> bool:
    """True if the folder's config.json names a sequence classifier."""
    described, _, _ = _read_config(folder)
    return _classifies(described)


def to_huggingface(state: Mapping[str, Tensor], names: Mapping[str, tuple[str, ...]]) -> dict[str, Tensor]:
    """Our tensors under transformers' names; q, k and v are cut apart along axis 0."""
    tensors: dict[str, Tensor] = {}
    for ours, tensor in state.items():
        parts = tensor.detach().chunk(len(names[ours]), dim=0)
        tensors |= {name: part.cpu().contiguous() for name, part in zip(names[ours], parts, strict=True)}
    return tensors


def names_of(family: str, config: EncoderConfig, *, classifier: bool = False) -> dict[str, tuple[str, ...]]:
    """The family's table, with the classifier's head where there is one."""
    from cloze.models import bert, roberta

    model_type = _model_type(family, config)
    if model_type == "bert":
        table = bert.huggingface_names(config.layers)
        head = {"head.linear": ("classifier",)}
    else:
        table = roberta.huggingface_names(config.layers, pre_norm=config.norm_position == "pre")
        head = {"pooler.dense": ("classifier.dense",), "head.linear": ("classifier.out_proj",)}
    if classifier:
        table |= {
            f"{o}.{kind}": tuple(f"{n}.{kind}" for n in t) for o, t in head.items() for kind in ("weight", "bias")
        }
    return table


def _model_type(family: str, config: EncoderConfig) -> str:
    """transformers has pre-norm only as roberta-prelayernorm, so a pre-norm BERT travels under that name."""
    return "roberta-prelayernorm" if config.norm_position == "pre" else family


def _classifies(described: Mapping[str, Any]) -> bool:
    return "SequenceClassification" in str(described.get("architectures"))


def _has_pairs(model: PretrainingModel) -> bool:
    return getattr(model, "sentence_pair", None) is not None


def _save(
    folder: Path,
    model: nn.Module,
    family: str,
    config: EncoderConfig,
    tokenizer: Tokenizer,
    head: str,
    more: Mapping[str, Any],
) -> None:
    from safetensors.torch import save

    model_type = _model_type(family, config)
    description = {
        "architectures": [f"{_CLASS_NAMES[model_type]}For{head}"],
        "model_type": model_type,
        "hidden_act": _ACTIVATIONS[config.activation],
        "max_position_embeddings": config.max_length + config.position_offset,
        "pad_token_id": tokenizer.pad_id,
        "bos_token_id": tokenizer.cls_id,
        "eos_token_id": tokenizer.sep_id,
        "tie_word_embeddings": True,
        "dtype": "float32",
        "cloze_family": family,
        **{theirs: getattr(config, ours) for theirs, ours in (_COUNTS | _NUMBERS).items()},
        **more,
    }
    names = names_of(family, config, classifier=head == "SequenceClassification")
    write_bytes(folder / WEIGHTS_FILE, save(to_huggingface(model.state_dict(), names), metadata={"format": "pt"}))
    tokenizer.save(folder)
    write_json(folder / CONFIG_FILE, description)


def _read_config(folder: Path) -> tuple[dict[str, Any], EncoderConfig, str]:
    """config.json, our sizes, and the family. One error lists all that is wrong."""
    from cloze.models.encoder import EncoderConfig

    path = Path(folder) / CONFIG_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = f"it has no {CONFIG_FILE}" if Path(folder).is_dir() else "there is no such folder"
        raise ClozeError(f"{folder} is not a model: {what}. Pass a folder that cloze saved.") from None
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} can't be read as JSON: {error}. Save the model again.") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{path} holds {type(found).__name__}, expected a JSON object. Save the model again.")
    model_type = found.get("model_type")
    if model_type not in _MODEL_TYPES:
        raise ClozeError(f"{path} says model_type {model_type!r}; cloze reads {', '.join(_MODEL_TYPES)}.")
    found = {**_DEFAULTS, **found}
    if wrong := _misfits(found):
        raise ClozeError(f"{path} is no configuration that cloze can use: {'; '.join(wrong)}.")
    offset = 0 if model_type == "bert" else found["pad_token_id"] + 1
    config = EncoderConfig(
        **{ours: found[theirs] for theirs, ours in (_COUNTS | _NUMBERS).items()},
        max_length=found["max_position_embeddings"] - offset,
        position_offset=offset,
        activation=cast("Any", _ALIASES[found["hidden_act"]]),
        norm_position="pre" if model_type == "roberta-prelayernorm" else "post",
    )
    family = "bert" if found.get("cloze_family") == "bert" or model_type == "bert" else "roberta"
    return found, config, family


def _misfits(found: Mapping[str, Any]) -> list[str]:
    """What of a configuration in transformers' names is absent, of the wrong type, or beyond cloze."""
    wrong = []
    for kinds, least, expected, names in (
        ((int,), 1, "a whole number above 0", (*_COUNTS, "max_position_embeddings")),
        ((int,), 0, "a whole number", () if found["model_type"] == "bert" else ("pad_token_id",)),
        ((int, float), 0, "a number", tuple(_NUMBERS)),
    ):
        for name in names:
            value: Any = found.get(name)
            if type(value) not in kinds or value < least:
                wrong.append(f"{name} is {value!r}, expected {expected}" if name in found else f"it lacks {name}")
    if not wrong and found["hidden_size"] % found["num_attention_heads"]:
        wrong.append(f"num_attention_heads {found['num_attention_heads']} doesn't divide {found['hidden_size']}")
    if str(found["hidden_act"]) not in _ALIASES:
        wrong.append(f"hidden_act is {found['hidden_act']!r}, expected one of {', '.join(_ALIASES)}")
    for name, only in _ONLY.items():
        if found.get(name) not in (None, only):
            wrong.append(f"{name} is {found[name]!r}, and cloze has only {only!r}")
    return wrong


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder) / WEIGHTS_FILE
    if not path.is_file():
        raise ClozeError(f"{folder} has no {WEIGHTS_FILE}; cloze reads weights from safetensors only.")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedError(
            f"{path} cannot be read: {error}. It is truncated or damaged; copy or save it again."
        ) from None
    return {_modern(name): tensor for name, tensor in tensors.items()}


def _modern(name: str) -> str:
    """Google's own checkpoints, converted from TensorFlow, still say gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _read_tokenizer(folder: Path, config: EncoderConfig) -> Tokenizer:
    from cloze.tokens.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary_size > config.vocabulary_size:
        raise ClozeError(
            f"the tokenizer in {folder} has {tokenizer.vocabulary_size:,} entries, but the model's table has "
            f"{config.vocabulary_size:,} rows: it is another model's. Restore the tokenizer that was saved with it."
        )
    return tokenizer


def _fill(folder: Path, model: nn.Module, family: str, config: EncoderConfig, tensors: Mapping[str, Tensor]) -> None:
    """Put `tensors` into `model`, all or nothing, in evaluation mode. What the model has no place for is left out."""
    import torch

    from cloze.models.classifier import Classifier

    path = Path(folder) / WEIGHTS_FILE
    names = names_of(family, config, classifier=isinstance(model, Classifier))
    wrong, state = [], {}
    for ours, wanted in model.state_dict().items():
        if absent := [name for name in names[ours] if name not in tensors]:
            wrong.append(f"{', '.join(absent)} is missing")
            continue
        tensor = torch.cat([tensors[name].float() for name in names[ours]])
        if tensor.shape != wanted.shape:
            wrong.append(f"{' + '.join(names[ours])} has shape {list(tensor.shape)}, expected {list(wanted.shape)}")
        elif not tensor.isfinite().all():
            wrong.append(f"{' + '.join(names[ours])} has values that are NaN or infinite")
        state[ours] = tensor
    if wrong:
        raise DamagedError(f"{path} does not fit {CONFIG_FILE}: {'; '.join(wrong[:8])}. Save or copy the model again.")
    model.load_state_dict(state)
    model.eval()
