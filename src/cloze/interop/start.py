"""Going on from a pretrained folder: its sizes, its tokenizer and its weights in place of the recipe's.

Continued pretraining (Gururangan et al. 2020, arXiv:2004.10964) needs nothing else: corpus, rows, masks, schedule and
tasks are the recipe's own. The folder may be another run's or any that `load_model` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.errors import ClozeError

if TYPE_CHECKING:
    from cloze.models import PretrainingModel
    from cloze.recipe import Recipe, Settings
    from cloze.tokens.tokenizer import Tokenizer

OVER_VOCABULARY = ("embeddings.token.weight", "masked_tokens.bias", "span_boundary.bias")
"""Ends of the names of tensors that have a row for each entry of the tokenizer."""
DROPOUTS = {"dropout", "attention_dropout"}
"""Settings of `model` that are the folder's unless the recipe says others: they are no sizes."""
OWN_SETTINGS = {"family", "attention", "initialisation"}
"""Settings of `model` that do not follow from the folder's sizes under the same name."""


def with_sizes_of_start(recipe: Recipe) -> Recipe:
    """The recipe with the family and sizes of the folder it starts from; as it is without one.

    Raises ClozeError for a folder that is no pretrained model or, where it is to be pretrained, lacks a head or its
    generator; for fewer positions than a row has tokens; and for a family that does not learn from the recipe's rows.
    """
    from cloze.interop.huggingface import read_pretrained_config
    from cloze.recipe import FAMILY_SETTINGS, ModelSettings, unfit_averages, unfit_family

    if recipe.start_from is None:
        return recipe
    config, family, _ = read_pretrained_config(recipe.start_from, headless=recipe.only_tasks)
    if family.generator_folder is not None and config.generator is None and not recipe.only_tasks:
        raise ClozeError(
            f"{recipe.start_from} has no folder {family.generator_folder}/, and {family.name} is pretrained with a "
            "generator. It can be fine-tuned (cloze finetune); to train it further, put its generator there."
        )
    said = DROPOUTS & recipe.model.model_fields_set
    others = {name for name, families in FAMILY_SETTINGS.items() if family.name not in families}
    sizes = {
        name: ModelSettings.model_fields[name].default if name in others else getattr(config, name)
        for name in ModelSettings.model_fields
        if name not in OWN_SETTINGS | said and hasattr(config, name)
    }
    for place, task in enumerate(recipe.tasks):
        if (task.length or 0) > config.max_length:
            raise ClozeError(
                f"{recipe.start_from} has positions for {config.max_length} tokens, fewer than tasks.{place}.length "
                f"{task.length}. Lower tasks.{place}.length."
            )
    if recipe.only_tasks and (
        other := sorted(name for name in said if getattr(recipe.model, name) != getattr(config, name))
    ):
        raise ClozeError(
            f"model.{other[0]} is {getattr(recipe.model, other[0]):g}, but without a corpus nothing is pretrained, and "
            f"a task takes {recipe.start_from} as it is ({getattr(config, other[0]):g}). Leave it out; tasks.N.dropout "
            "is that of a task's head."
        )
    unsaid = recipe.only_tasks and "length" not in recipe.inputs.model_fields_set
    if config.max_length < recipe.inputs.length and not unsaid:
        raise ClozeError(
            f"{recipe.start_from} has positions for {config.max_length} tokens, fewer than inputs.length "
            f"{recipe.inputs.length}. Lower inputs.length."
        )
    if config.generator is not None:
        sizes["generator_frac"] = config.generator.width / config.width
    name = _family(recipe, family.name)
    model = recipe.model.model_copy(update={**sizes, "family": name, "initialisation": "normal"})
    update: dict[str, Settings] = {"model": model}
    if recipe.only_tasks:
        update |= _inputs_of(name, min(recipe.inputs.length, config.max_length))
    elif wrong := unfit_family(model, recipe.inputs, recipe.masking):
        raise ClozeError(f"{recipe.start_from} holds a {name}: {'; '.join(message for _, message in wrong)}.")
    if wrong := unfit_averages(model, recipe.training, recipe.tasks):
        raise ClozeError(f"{recipe.start_from} has BatchNorm: {'; '.join(message for _, message in wrong)}.")
    return recipe.model_copy(update=update)


def _family(recipe: Recipe, found: str) -> str:
    """The family that training goes on as. SpanBERT's encoder is BERT's, and so its published folders say: a recipe for
    SpanBERT goes on from a BERT, with a new head."""
    return "spanbert" if (found, recipe.model.family) == ("bert", "spanbert") else found


def _inputs_of(family: str, length: int) -> dict[str, Settings]:
    """Rows and masks that fit a family, for a run that makes none; `length` is the tasks' where they name none."""
    from cloze.recipe import InputSettings, MaskingSettings

    masking = MaskingSettings(unit="span", boundaries=True) if family == "spanbert" else MaskingSettings()
    return {"inputs": InputSettings(length=length, format="full-sentences"), "masking": masking}


def fingerprint_of_start(folder: Path) -> str:
    """A hash of the content of the folder's files; what continues from it is made again when one changes."""
    from cloze.corpus.build import fingerprint

    return fingerprint(sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors")))


def tokenizer_of_start(recipe: Recipe) -> tuple[Tokenizer, Mapping[int, tuple[int, ...]]]:
    """The folder's tokenizer, with the recipe's new words if it names any; new id -> the ids of its pieces before."""
    from cloze.tokens.extend import read_words
    from cloze.tokens.tokenizer import Tokenizer

    assert recipe.start_from is not None
    taken = Tokenizer.load(recipe.start_from)
    if recipe.tokenizer.new_words is None:
        return taken, {}
    return taken.extended(read_words(recipe.data / recipe.tokenizer.new_words))


def load_start(recipe: Recipe, tokenizer: Tokenizer, *, pairs: bool, seed: int) -> tuple[PretrainingModel, list[str]]:
    """The folder's model for pretraining, and the tensors that it lacks: they start from `seed`, truncated normal.

    A head that the rows train and the folder lacks is new (next-sentence prediction, say); one that the folder has and
    the rows do not train is left out. Tables and biases over the vocabulary grow by the recipe's new words, each of
    which begins as the mean of its pieces.
    """
    from cloze.interop.huggingface import load_model
    from cloze.models import from_config
    from cloze.models.encoder import initialise_normal

    assert recipe.start_from is not None
    found, _ = load_model(recipe.start_from)
    own, pieces = tokenizer_of_start(recipe)
    if own.fingerprint != tokenizer.fingerprint:
        raise ClozeError(f"the tokenizer in {recipe.start_from} has changed since this run began. Run again.")
    settings = recipe.model
    own_dropouts = {name: getattr(settings, name) for name in DROPOUTS & settings.model_fields_set}
    config = replace(found.encoder.config, attention=settings.attention, **own_dropouts)
    config = replace(config, generator=config.generator and replace(config.generator, **own_dropouts))
    if own.vocabulary_size > config.vocabulary_size:
        size = own.vocabulary_size
        generator = config.generator and replace(config.generator, vocabulary_size=size)
        config = replace(config, vocabulary_size=size, generator=generator)
    model = from_config(_family(recipe, found.family), config, pairs=pairs)
    initialise_normal(model, config.initialisation_std, seed)  # type: ignore[arg-type]
    loaded, wanted = found.state_dict(), model.state_dict()
    for name in wanted.keys() & loaded.keys():
        if not name.endswith(OVER_VOCABULARY):
            wanted[name].copy_(loaded[name])
            continue
        wanted[name][: len(loaded[name])].copy_(loaded[name])
        for new, of in pieces.items():
            wanted[name][new].copy_(loaded[name][list(of)].mean(dim=0))
    return model, sorted(wanted.keys() - loaded.keys())
