"""A saved model in use: classify texts, fill gaps, turn texts into vectors.

model = cloze.load("runs/nsmc/tasks/nsmc/model")
model.predict(["정말 재밌다"])[0].label

A model of pairs takes tuples: `predict([("비가 온다", "날이 맑다")])`.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.tasks.given import Text, listed, shown, valid

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from cloze.inputs.batch import Batch
    from cloze.models import PretrainingModel
    from cloze.models.classifier import Classifier, TokenClassifier
    from cloze.tasks.features import Features
    from cloze.tasks.question_answering import Answer
    from cloze.tasks.tagging import Entity, Unit
    from cloze.tasks.task import Layout
    from cloze.tokens.tokenizer import Tokenizer

GAP = re.compile(r"\s*(?:\[MASK\]|<mask>)")
"""A gap, in BERT's and in RoBERTa's spelling; both work with every tokenizer. A space before it belongs to it."""


GIVES = {
    "classification": ("a class", "predict"),
    "multi_label": ("several labels", "labels"),
    "regression": ("a number", "score"),
    "tagging": ("entities", "tag"),
    "question_answering": ("answers", "answer"),
    "multiple_choice": ("a choice", "choose"),
}
"""Kind of task -> what a model of it gives, and by which method."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most likely class of a text."""

    label: str
    probability: float
    probabilities: dict[str, float]
    """Of every class; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """The labels of a text that may have several."""

    labels: tuple[str, ...]
    """Those with a probability above one half."""
    probabilities: dict[str, float]
    """Of every label, each by itself."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best of several options."""

    option: str
    place: int
    """From 0."""
    probabilities: list[float]
    """Of every option; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One token for a gap."""

    token: str
    probability: float


class LoadedModel:
    """A model and its tokenizer, ready to use. Texts longer than `length` tokens are cut, with a warning."""

    def __init__(
        self, model: PretrainingModel | Classifier | TokenClassifier, tokenizer: Tokenizer, *, name: str = "this model"
    ) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self._module = cast("nn.Module", model)

    @property
    def length(self) -> int:
        """Longest row, special tokens included: as in fine-tuning, else what the model can take."""
        longest = self.model.encoder.config.max_length
        kept = getattr(self.model, "settings", {}).get("length")
        return min(kept, longest) if isinstance(kept, int) else longest

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that `predict` chooses from; empty for a model without a classifier."""
        return getattr(self.model, "classes", ())

    @property
    def task(self) -> str | None:
        """Kind of task that the model was fine-tuned on, which decides the method to call; None: pretrained only."""
        return getattr(self.model, "objective", None)

    def predict(self, texts: Iterable[Text]) -> list[Prediction]:
        """The class of each text or pair. Raises ClozeError if the model has no classifier."""
        from cloze.tasks.metrics import log_softmax

        model, texts = self._fine_tuned("classification"), self._fitting(texts)
        found = []
        for row in np.exp(log_softmax(self._map(model.logits, texts))) if texts else ():
            best = int(row.argmax())
            probabilities = dict(zip(self.classes, row.tolist(), strict=True))
            found.append(Prediction(self.classes[best], float(row[best]), probabilities))
        return found

    def score(self, texts: Iterable[Text]) -> list[float]:
        """The number of each text or pair. Raises ClozeError if the model is no regression."""
        model, texts = self._fine_tuned("regression"), self._fitting(texts)
        return self._map(model.logits, texts)[:, 0].tolist() if texts else []

    def labels(self, texts: Iterable[Text]) -> list[Labelling]:
        """The labels of each text or pair, any number. Raises ClozeError if the model gives other things."""
        model, texts = self._fine_tuned("multi_label"), self._fitting(texts)
        found = []
        for row in 1 / (1 + np.exp(-self._map(model.logits, texts).astype(np.float64))) if texts else ():
            probabilities = dict(zip(self.classes, row.tolist(), strict=True))
            found.append(Labelling(tuple(name for name, p in probabilities.items() if p > 0.5), probabilities))
        return found

    def choose(self, questions: Sequence[tuple[str, str, Sequence[str]]]) -> list[Chosen]:
        """The best option for each (text, question, options). Raises ClozeError if the model gives other things."""
        from cloze.tasks.features import map_rows
        from cloze.tasks.metrics import log_softmax_in_groups
        from cloze.tasks.multiple_choice import Choice, lay_out

        model = self._fine_tuned("multiple_choice")
        if not questions:
            return []
        choices = [Choice(text, question, tuple(options), 0) for text, question, options in questions]
        if bare := next((choice for choice in choices if not choice.options), None):
            raise ClozeError(f"there are no options to choose from with the question {bare.question[:40]!r}.")
        features = lay_out(choices, self._layout)
        assert features.parts is not None
        self._warn_of_cuts(features.counts["truncated"], len(features.lengths))
        outputs = map_rows(model.logits, features, device=self._device)
        shares = np.exp(log_softmax_in_groups(outputs, features.parts))[:, 0]
        rows = [shares[start:end].tolist() for start, end in pairwise(features.parts)]
        return [
            Chosen(choice.options[int(np.argmax(row))], int(np.argmax(row)), row)
            for choice, row in zip(choices, rows, strict=True)
        ]

    def tag(self, texts: Iterable[str]) -> list[list[Entity]]:
        """The entities of each text, of any length, with their places. Raises ClozeError if the model is no tagger."""
        from cloze.tasks.features import map_rows
        from cloze.tasks.tagging import align, entities, in_iob2, units_of

        model = self._fine_tuned("tagging")
        if not (texts := [one for one in listed(texts, pairs=False) if isinstance(one, str)]):
            return []
        unit: Unit = "word" if model.settings.get("unit") == "word" else "character"
        units = [units_of(text, unit) for text in texts]
        stride = model.settings.get("stride")
        aligned = align(texts, units, self._layout, stride if isinstance(stride, int) else self.length // 2)
        outputs = map_rows(model.logits, aligned.features, device=self._device, per_token=True)
        tags = iter(aligned.tags(outputs, in_iob2(self.classes)))
        return [entities(text, places, [next(tags) for _ in places]) for text, places in zip(texts, units, strict=True)]

    def answer(self, pairs: Sequence[tuple[str, str]], top: int = 1) -> list[list[Answer]]:
        """The `top` best answers to each (question, context), each from another start; at least one each.

        Raises ClozeError if the model answers no questions.
        """
        from cloze.tasks.features import map_rows
        from cloze.tasks.question_answering import Reading, answers, lay_out
        from cloze.tasks.squad import Question

        model = self._fine_tuned("question_answering")
        if not pairs:
            return []
        kept: dict[str, Any] = {name: model.settings.get(name) for name in Reading.__slots__}
        reading = Reading(**{name: kept[name] for name in kept if isinstance(kept[name], int | float)})
        questions = [Question(str(number), asked, number, (), None) for number, (asked, _) in enumerate(pairs)]
        contexts = [context for _, context in pairs]
        rows, _ = lay_out(questions, contexts, self._layout, reading)
        if cut := rows.features.counts["questions_cut"]:
            message = f"{cut:,} of {len(pairs):,} questions had more than {reading.longest_question} tokens"
            warnings.warn(f"{message}; their ends were cut off", stacklevel=2)
        outputs = map_rows(model.logits, rows.features, device=self._device, per_token=True)
        return list(answers(outputs, rows, questions, contexts, reading, top))

    def encode(self, texts: Iterable[Text]) -> NDArray[np.float32]:
        """A vector for each text or pair, [texts, width]: the mean of its last hidden states, specials included."""
        from cloze.models.classifier import mean_of_rows

        width = self.model.encoder.config.width

        def mean(batch: Batch) -> Tensor:
            return mean_of_rows(self.model.encoder(batch), batch.offsets)

        texts = listed(texts)
        return self._map(mean, texts) if texts else np.zeros((0, width), dtype=np.float32)

    def fill(self, text: str, top: int = 5) -> list[list[Guess]]:
        """The `top` most likely tokens for every [MASK] or <mask> of `text`, the likeliest first.

        Raises ClozeError if the text has no gap or one beyond the longest row, if the model has no head for gaps, or
        for a `top` below 1.
        """
        import torch

        from cloze.models.classifier import Classifier, TokenClassifier

        if isinstance(self.model, Classifier | TokenClassifier):
            raise ClozeError(
                f"{self.name} cannot fill gaps: it is a classifier ({', '.join(self.classes)}), and fine-tuning leaves "
                "the head for masked words behind. Use the pretrained model, in runs/NAME/pretraining/model."
            )
        if not isinstance(text, str):
            raise ClozeError(f"expected one text with [MASK] in it, found {shown(text)}.")
        if type(top) is not int or top < 1:
            raise ClozeError(f"top is how many guesses each gap gets, 1 or more; found {top!r}.")
        features = self._row_with_gaps(valid(text, "the text"))
        gaps = torch.from_numpy(np.flatnonzero(features.ids == self.tokenizer.mask_id))
        self._module.eval()
        with torch.inference_mode():
            batch = features.batch(np.zeros(1, dtype=np.int64)).to(self._device)
            # A published table may have more rows than its tokenizer has entries.
            logits = self.model.token_logits(batch, gaps.to(self._device))[:, : self.tokenizer.vocabulary_size]
            best = logits.float().softmax(dim=1).topk(min(top, logits.shape[1]))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [[Guess(self.tokenizer.token(i), p) for i, p in zip(*pair, strict=True)] for pair in pairs]

    @property
    def pairs(self) -> bool | None:
        """Whether the model was fine-tuned on pairs of texts; None: that is not known, or it was not fine-tuned."""
        kept = getattr(self.model, "settings", {}).get("pairs")
        return kept if isinstance(kept, bool) else None

    def _fitting(self, texts: Iterable[Text]) -> list[Text]:
        """`listed`. Raises ClozeError for single texts where the model learned pairs, or the other way round."""
        found = listed(texts)
        if self.pairs is not None and any(isinstance(text, str) == self.pairs for text in found):
            learned, given = ("pairs of texts", "a single text") if self.pairs else ("single texts", "a pair")
            raise ClozeError(f"{self.name} was fine-tuned on {learned}, and {given} was given.")
        return found

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _fine_tuned(self, task: str) -> Classifier | TokenClassifier:
        """The model, if it is of that kind of task."""
        from cloze.models.classifier import Classifier, TokenClassifier

        if not isinstance(self.model, Classifier | TokenClassifier):
            raise ClozeError(
                f"{self.name} has no classifier: it was pretrained ({self.model.family}), not fine-tuned. Add a task "
                "to the recipe and run `cloze run RECIPE`; the classifier is then in runs/NAME/tasks/TASK/model."
            )
        if self.model.objective != task:
            gives, method = GIVES[self.model.objective]
            raise ClozeError(
                f"{self.name} gives {gives} ({', '.join(self.classes)}), not {GIVES[task][0]}. Call {method}."
            )
        return self.model

    @property
    def _layout(self) -> Layout:
        from cloze.tasks.task import Layout

        return Layout(self.tokenizer, self.length, self.model.encoder.config.segment_types)

    def _map(self, function: Callable[[Batch], Tensor], texts: Sequence[Text]) -> NDArray[np.float32]:
        """`function` over all texts, in flat batches of similar length; warns about texts that had to be cut."""
        from cloze.tasks.features import featurise, map_rows

        parts = [(text,) if isinstance(text, str) else text for text in texts]
        if len(set(map(len, parts))) > 1:
            raise ClozeError("single texts and pairs are mixed; give texts alone, or pairs (two texts) alone.")
        columns = [[unicodedata.normalize("NFC", text) for text in column] for column in zip(*parts, strict=True)]
        second, segments = (columns[1] if len(columns) > 1 else None), self.model.encoder.config.segment_types
        features = featurise(columns[0], self.tokenizer, self.length, second=second, segments=segments)
        self._warn_of_cuts(features.counts["truncated"], len(texts))
        self._module.eval()
        return map_rows(function, features, device=self._device)

    def _warn_of_cuts(self, cut: int, texts: int) -> None:
        if cut:
            message = f"{cut:,} of {texts:,} texts had more than {self.length} tokens; their ends were cut off"
            # The line that called predict, encode or fill.
            warnings.warn(message, stacklevel=4)

    def _row_with_gaps(self, text: str) -> Features:
        """One row, with the tokenizer's own mask token at every gap."""
        from cloze.tasks.features import Features

        mask_id = self.tokenizer.mask_id
        parts = GAP.split(unicodedata.normalize("NFC", text))
        ids = [self.tokenizer.cls_id, *self.tokenizer.encode_gaps(parts)]
        if mask_id not in ids:
            raise ClozeError(f"there is no gap in {text!r}: write [MASK] where a word is missing.")
        if mask_id in ids[self.length - 1 :]:
            raise ClozeError(
                f"the text has {len(ids) - 1:,} tokens and a [MASK] beyond the first {self.length - 2:,}, which is all "
                f"that {self.name} can read. Shorten the text."
            )
        self._warn_of_cuts(len(ids) >= self.length, 1)
        row = np.array([*ids[: self.length - 1], self.tokenizer.sep_id], dtype=np.int32)
        return Features(row, np.array([0, len(row)]), {})


def load(folder: str | Path, device: Literal["auto", "cpu", "cuda"] = "auto") -> LoadedModel:
    """Load a pretrained model or a classifier from its folder (config.json, model.safetensors, tokenizer.json).

    Raises ClozeError if the folder is not one, naming the model folders inside it if there are any.
    """
    from cloze.interop.huggingface import is_classifier, load_classifier, load_model
    from cloze.training.distributed import choose_device

    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ClozeError(_not_a_model(folder))
    model, tokenizer = load_classifier(folder) if is_classifier(folder) else load_model(folder)
    if device not in ("auto", "cpu", "cuda"):
        raise ClozeError(f"the device is {device!r}, expected auto, cpu or cuda.")
    try:
        chosen = choose_device(device)
    except ClozeError:
        raise ClozeError("the device is to be cuda, but torch finds no GPU. Take auto or cpu.") from None
    cast("nn.Module", model).to(chosen)
    return LoadedModel(model, tokenizer, name=str(folder))


def _not_a_model(folder: Path) -> str:
    """What `folder` is instead, and what to give."""
    from cloze.interop.configuration import models_inside

    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        return f"{folder} {what}; expected a model's folder, such as runs/NAME/pretraining/model."
    if models := models_inside(folder):
        return f"{folder} is not a model's folder, but holds some. Give one of: {', '.join(map(str, models))}."
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    return (
        f"{folder} is not a model's folder: it holds {held}; expected config.json, model.safetensors, tokenizer.json."
    )
