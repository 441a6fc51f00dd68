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

_SIZES = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "feed_forward_width",
    "type_vocab_size": "segment_types",
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initialisation_std",
}
_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "elu": "elu"}
_ALIASES = {"gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh"} | {theirs: ours for ours, theirs in _ACTIVATIONS.items()}
_MODEL_TYPES = ("bert", "roberta", "roberta-prelayernorm")
_CLASS_NAMES = {"bert": "Bert", "roberta": "Roberta", "roberta-prelayernorm": "RobertaPreLayerNorm"}


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

    _, config, family = _read_config(folder)
    tensors = _read_tensors(folder)
    pairs = family == "bert" and "cls.seq_relationship.weight" in tensors
    model = from_config(family, config, pairs=pairs)
    _fill(folder, cast("nn.Module", model), family, config, tensors)
    return model, _read_tokenizer(folder, config)


def load_classifier(folder: Path) -> tuple[Classifier, Tokenizer]:
    """A fine-tuned classifier and its tokenizer; classes in the order of id2label. Raises like `load_model`."""
    from cloze.models import from_config
    from cloze.models.classifier import Classifier

    described, config, family = _read_config(folder)
    if not any("SequenceClassification" in name for name in described.get("architectures") or ()):
        raise ClozeError(
            f"{folder} holds {described.get('architectures')}, not a classifier. Pass a fine-tuned folder."
        )
    labels = {int(i): str(name) for i, name in described.get("id2label", {}).items()}
    classes = [labels[i] for i in sorted(labels)]
    dropout = described.get("classifier_dropout")
    share = config.dropout if dropout is None else float(dropout)
    classifier = Classifier(from_config(family, config, pairs=False), classes, share)
    _fill(folder, classifier, family, config, _read_tensors(folder))
    return classifier, _read_tokenizer(folder, config)


def is_classifier(folder: Path) -> bool:
    """True if the folder's config.json names a sequence classifier."""
    described, _, _ = _read_config(folder)
    return any("SequenceClassification" in name for name in described.get("architectures") or ())


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
        **{theirs: getattr(config, ours) for theirs, ours in _SIZES.items()},
        **more,
    }
    names = names_of(family, config, classifier=head == "SequenceClassification")
    write_bytes(folder / WEIGHTS_FILE, save(to_huggingface(model.state_dict(), names), metadata={"format": "pt"}))
    tokenizer.save(folder)
    write_json(folder / CONFIG_FILE, description)


def _read_config(folder: Path) -> tuple[dict[str, Any], EncoderConfig, str]:
    """config.json, our sizes, and the family."""
    from cloze.models.encoder import EncoderConfig

    path = Path(folder) / CONFIG_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ClozeError(f"{folder} is not a model: it has no {CONFIG_FILE}. Pass a folder that cloze saved.") from None
    except ValueError as error:
        raise DamagedError(f"{path} is not JSON: {error}. Save the model again.") from None
    model_type = found.get("model_type")
    if model_type not in _MODEL_TYPES:
        raise ClozeError(f"{path} says model_type {model_type!r}; cloze reads {', '.join(_MODEL_TYPES)}.")
    activation = _ALIASES.get(str(found.get("hidden_act", "gelu")))
    missing = sorted(name for name in _SIZES if name not in found and name != "initializer_range")
    if missing or activation is None or "max_position_embeddings" not in found:
        what = f"lacks {', '.join(missing)}" if missing else f"has hidden_act {found.get('hidden_act')!r}"
        raise ClozeError(f"{path} {what}; expected a configuration as transformers writes it.")
    offset = 0 if model_type == "bert" else int(found.get("pad_token_id", 1)) + 1
    config = EncoderConfig(
        **{ours: found[theirs] for theirs, ours in _SIZES.items() if theirs in found},
        max_length=int(found["max_position_embeddings"]) - offset,
        position_offset=offset,
        activation=cast("Any", activation),
        norm_position="pre" if model_type == "roberta-prelayernorm" else "post",
    )
    family = "bert" if found.get("cloze_family") == "bert" or model_type == "bert" else "roberta"
    return found, config, family


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder) / WEIGHTS_FILE
    if not path.is_file():
        raise ClozeError(f"{folder} has no {WEIGHTS_FILE}; cloze reads weights from safetensors only.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedError(
            f"{path} cannot be read: {error}. It is truncated or damaged; copy or save it again."
        ) from None


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
