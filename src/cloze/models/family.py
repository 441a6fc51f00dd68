"""What a family says about itself, for the code that builds, saves and loads any of them.

A family's file ends with `FAMILY = Family(...)`: how its encoder follows from the settings, its pretraining model, what
a classifier puts on it, and the models of transformers that carry it. `cloze.models` finds the file by the family's
name; `cloze.interop` asks it for names. torch isn't imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

    from cloze.models import PretrainingModel
    from cloze.models.encoder import EncoderConfig
    from cloze.recipe import ModelSettings

Names = dict[str, tuple[str, ...]]
"""Our tensor -> transformers' tensors; several names on the right are consecutive parts of axis 0."""
Pooling = Literal["first", "mean"]
"""What a classifier makes of a row's hidden states: those of the first token, or their mean."""


HEADS = {
    "classification": "ForSequenceClassification",
    "regression": "ForSequenceClassification",
    "multi_label": "ForSequenceClassification",
    "tagging": "ForTokenClassification",
    "question_answering": "ForQuestionAnswering",
    "multiple_choice": "ForMultipleChoice",
}
"""Objective of fine-tuning -> end of the name of the class that carries it in transformers."""
NORM_NAMES = {"rms": "RMSNorm", "batch": "BatchNorm", "none": "NoNorm"}
"""Norms that no model of transformers has in this encoder -> what stands in place of LayerNorm in tensors' names."""
TOKENS = {"pad_token_id": "pad_id", "bos_token_id": "cls_id", "eos_token_id": "sep_id"}


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A model of transformers that carries our weights: what it calls its classes, settings and tensors.

    A setting is an entry of config.json. The plain ones stand in `counts` and `numbers` beside the field of
    EncoderConfig that they are; `read` and `write` do the rest.
    """

    model_type: str
    class_name: str
    """Its classes are this + "Model", "ForMaskedLM" and so on."""
    base: str
    """First part of the names of the encoder's tensors; without it stand the heads."""
    names: Callable[[EncoderConfig], Names]
    """All tensors of a pretraining model, those of optional heads too."""
    heads: Mapping[str, Mapping[str, str]]
    """End of the name of a fine-tuned class (HEADS) -> modules of our head and its modules; the encoder's, and what is
    called as in pretraining, are in `names`. See `task_heads`."""
    counts: Mapping[str, str]
    """Whole numbers above 0."""
    numbers: Mapping[str, str]
    """Numbers that are not negative."""
    amounts: tuple[str, ...] = ()
    """Whole numbers from 0 that only `read` uses."""
    tokens: Mapping[str, str] = field(default_factory=lambda: TOKENS)
    """Ids of special tokens -> attributes of Tokenizer."""
    activation: str = "hidden_act"
    classifier_dropout: str = "classifier_dropout"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What transformers takes an absent entry for."""
    only: Mapping[str, Any] = field(default_factory=dict)
    """Switches that cloze has in one position; another one would load and be silently wrong."""
    problems: Callable[[Mapping[str, Any]], list[str]] = lambda found: []
    """What else keeps cloze from using a config.json whose counts and numbers are in order."""
    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Fields of EncoderConfig that follow from config.json in another way."""
    write: Callable[[EncoderConfig], dict[str, Any]]
    """Entries of config.json that follow from EncoderConfig in another way."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One folder of a saved pretraining model."""

    folder: str
    """Below the model's own folder; "" is that folder."""
    head: str | None
    """End of the class's name in transformers: "ForPreTraining", "ForMaskedLM". None: tensors that it has no place for,
    in a `file` that it does not open, without a config.json."""
    config: EncoderConfig
    carrier: Carrier
    names: Names
    """The tensors that go there. One that is in two parts is shared by them."""
    file: str = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Family:
    """All that generic code asks of a family."""

    name: str
    """In recipes, in `PretrainingModel.family`, and the name of the family's file."""
    configure: Callable[[EncoderConfig, ModelSettings, int, bool], EncoderConfig]
    """(the plain reading of the settings, settings, padding id, rows are pairs) -> the family's encoder."""
    build: Callable[[EncoderConfig, bool], PretrainingModel]
    """(config, pairs) -> a model with torch's default weights; `pairs`: with the head that judges two segments."""
    carriers: tuple[Carrier, ...]
    """Models of transformers that are read as this family, unless the folder names another (`cloze_family`)."""
    carrier: Callable[[EncoderConfig], Carrier]
    """The model of transformers that an encoder of these sizes is written as; it may be another family's."""
    parts: Callable[[PretrainingModel], tuple[Part, ...]]
    """What is written where; the first part is the model's own folder. See `whole`."""
    pooler: Callable[[EncoderConfig], nn.Module]
    """What fine-tuning puts on a row's vector, where pretraining left no `pooler`: [R, D] -> [R, D]."""
    pooling: Pooling = "first"
    pools_tokens: bool = False
    """Whether the pooler stands before a head over single tokens too."""
    drops_before_pooler: bool = False
    """Whether a classifier of rows drops values before its pooler too."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Tensors of a pretrained model -> those of a classifier's head that begin as they are, beyond equal names."""
    generator_folder: str | None = None
    """Subfolder with a second encoder, which becomes `EncoderConfig.generator`; it may be absent."""


def task_heads(
    sequence: Mapping[str, str],
    *,
    tokens: Mapping[str, str] | None = None,
    answers: Mapping[str, str] | None = None,
    choices: Mapping[str, str] | None = None,
) -> Mapping[str, Mapping[str, str]]:
    """`Carrier.heads`; what is not given is called as transformers calls it in most of its models."""
    plain = {"head.linear": "classifier"}
    return {
        "ForSequenceClassification": sequence,
        "ForTokenClassification": tokens or plain,
        "ForQuestionAnswering": answers or {"head.linear": "qa_outputs"},
        "ForMultipleChoice": choices or plain,
    }


def other_norms(carrier: Carrier) -> Carrier:
    """`carrier` for encoders with another norm than LayerNorm, which transformers has not: a model type of our own.

    So transformers refuses the folder by name, and cloze reads it. Entries and tensors are the carrier's, but `norm`
    stands in config.json and tensors of the encoder's norms are called by what they are.
    """

    def names(config: EncoderConfig) -> Names:
        table = carrier.names(config)
        norms = {
            ours.removesuffix("weight"): theirs.replace("LayerNorm", NORM_NAMES[config.norm]).removesuffix("weight")
            for ours, (theirs, *_) in table.items()
            if ours.startswith("encoder.") and ours.endswith("norm.weight")
        }
        kinds = ("weight", "bias", "running_mean", "running_var")
        return table | {f"{ours}{kind}": (f"{theirs}{kind}",) for ours, theirs in norms.items() for kind in kinds}

    def problems(found: Mapping[str, Any]) -> list[str]:
        if (norm := found.get("norm")) in list(NORM_NAMES):
            return carrier.problems(found)
        return [f"norm is {norm!r}, expected one of {', '.join(NORM_NAMES)}"]

    return replace(
        carrier,
        model_type=f"cloze-{carrier.model_type}",
        class_name=f"Cloze{carrier.class_name}",
        names=names,
        problems=problems,
        read=lambda found: {**carrier.read(found), "norm": found["norm"]},
        write=lambda config: {**carrier.write(config), "norm": config.norm},
    )


def plain_pooler(config: EncoderConfig) -> nn.Module:
    """BERT's: dense, tanh."""
    from cloze.models.heads import Pooler

    return Pooler(config.width)


def has_pairs(model: PretrainingModel) -> bool:
    """Whether the model judges pairs of segments."""
    return getattr(model, "sentence_pair", None) is not None


def whole(model: PretrainingModel, carrier: Carrier, head: str) -> tuple[Part, ...]:
    """The one part of a model that is a single model of transformers."""
    config = model.encoder.config
    return (Part(folder="", head=head, config=config, carrier=carrier, names=carrier.names(config)),)
