"""A tag for each word or character of a text: named entities and the like (Devlin et al. 2019, section 5.3).

A unit is what a file labels: a word, or a character that isn't white space. The first token of a unit carries its tag;
tokens that go on with a unit carry none, and no loss. A token of several labelled characters carries the tag of the
first; given back, B-X of such a token is B-X and then I-X. A unit without any token (a character that the tokenizer
drops) is O, and counted. Which token is of which characters is said by the tokenizer's offsets. Long texts are read in
overlapping windows, so nothing is cut off.

Tags are IOB2: O, B-X and I-X; X-B and X-I (Naver) are read as such. `entity_f1` is conlleval's (CoNLL 2000, by
seqeval: micro over entities, an I-X without its B-X begins one too); `entity_macro_f1` and `tag_f1` are KLUE's (Park et
al. 2021, arXiv:2105.09680): the mean over types of F1 of entities in strict IOB2, and over tags of F1 of units.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cloze.errors import ClozeError
from cloze.tasks.datasets import read_lines
from cloze.tasks.faults import Faults, count_repeated, refuse_unknown, refuse_unseen
from cloze.tasks.features import IGNORED, Features, RowBuilder
from cloze.tasks.intervals import f1
from cloze.tasks.metrics import log_softmax, require_extra
from cloze.tasks.task import Inputs, Layout, Outputs, Record, TaskKind, take
from cloze.tasks.windows import best_windows, tokenise, windows

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings

Span = tuple[int, int]
Unit = Literal["word", "character"]
_TAG = re.compile(r"O|([BI])-(.+)|(.+)-([BI])")


@dataclass(frozen=True, slots=True)
class TaggedTexts:
    """One labelled file; the lists run in file order."""

    path: Path
    texts: list[str]
    units: list[list[Span]]
    """Characters of each unit in its text."""
    tags: list[list[str]]
    """O, B-X or I-X of each unit."""
    lines: list[list[int]]
    """Where each unit's tag stands in the file."""
    counts: dict[str, int]
    """examples; units; empty: texts without a unit; left_out; repeated_ids."""


@dataclass(frozen=True, slots=True)
class Entity:
    """What a tagger found: characters `start` to `end` of a text."""

    label: str
    text: str
    start: int
    end: int


def _read(path: Path, task: TaskSettings) -> TaggedTexts:
    """A text with a line that is none, or a tag that is none, is left out. Raises ClozeError if too many are."""
    reader = {"sentences": _sentences, "words": _words, "characters": _characters}[task.tag_format]
    join = "" if task.tag_format == "characters" else " "
    texts: list[str] = []
    units: list[list[Span]] = []
    tags: list[list[str]] = []
    lines: list[list[int]] = []
    faults = Faults(path, "the task's tag_format")
    ids: Ids = []
    for sentence in reader(path, faults, ids):
        if wrong := [(line, tag) for _, tag, line in sentence if not _TAG.fullmatch(tag)]:
            line, tag = wrong[0]
            faults.add(f"line {line}", f"the tag {tag!r} is none; expected O, B-X or I-X (or X-B, X-I)")
            continue
        places, start = [], 0
        for piece, _, _ in sentence:
            places.append((start, start + len(piece)))
            start += len(piece) + len(join)
        kept = [place for place, (piece, _, _) in enumerate(sentence) if piece.strip()]
        texts.append(join.join(piece for piece, _, _ in sentence))
        units.append([places[place] for place in kept])
        tags.append([_tag(sentence[place][1]) for place in kept])
        lines.append([sentence[place][2] for place in kept])
    if not texts and not faults.count:
        raise ClozeError(f"{path} has no sentences: a task needs at least one. See the task's tag_format.")
    counts = {"examples": len(texts), "units": sum(map(len, units)), "empty": sum(not found for found in units)}
    counts |= {"left_out": faults.settle(len(texts)), "repeated_ids": count_repeated(path, ids)}
    return TaggedTexts(path, texts, units, tags, lines, counts)


Piece = tuple[str, str, int]
"""A word or character, its tag as written, and the line."""
Ids = list[tuple[str, str]]
"""Id of a text, and where it stands."""


def _sentences(path: Path, faults: Faults, ids: Ids) -> Iterable[list[Piece]]:
    for number, line in enumerate(read_lines(path), start=1):
        fields = [field.split() for field in line.split("\t")]
        if len(fields) != 2:
            if line:
                found = f"{len(fields)} tab-separated field(s), expected 2, words and tags with spaces between"
                faults.add(f"line {number}", f"{found}: {line[:80]!r}")
        elif len(fields[0]) != len(fields[1]):
            faults.add(f"line {number}", f"{len(fields[0])} words and {len(fields[1])} tags: {line[:80]!r}")
        else:
            yield [(word, tag, number) for word, tag in zip(*fields, strict=True)]


def _words(path: Path, faults: Faults, ids: Ids) -> Iterable[list[Piece]]:
    for block in _blocks(path):
        rows = [(number, line.split()) for number, line in block]
        if short := [number for number, fields in rows if len(fields) < 2]:
            faults.add(f"line {short[0]}", "expected a word and, last in the line, its tag")
        elif words := [(fields[0], fields[-1], number) for number, fields in rows if fields[0] != "-DOCSTART-"]:
            yield words  # The mark of a new document stands alone (English CoNLL 2003) or before its first sentence.


def _characters(path: Path, faults: Faults, ids: Ids) -> Iterable[list[Piece]]:
    for block in _blocks(path, ids):
        rows = [(number, line.split("\t")) for number, line in block]
        if wrong := [number for number, fields in rows if len(fields) != 2 or not fields[0]]:
            faults.add(f"line {wrong[0]}", "expected a character, a tab and its tag")
        else:
            yield [(fields[0], fields[1], number) for number, fields in rows]


def _blocks(path: Path, ids: Ids | None = None) -> Iterable[list[tuple[int, str]]]:
    """Runs of lines between blank ones; with `ids` without comments, `## id`, which are put there."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*read_lines(path), ""], start=1):
        if ids is not None and line.startswith("##"):  # a word may be ##, a character not
            ids.append((line[2:].split("\t")[0].strip(), f"line {number}"))
        elif line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []


def _tag(written: str) -> str:
    """IOB2, whatever side the B or I stands on."""
    match = _TAG.fullmatch(written)
    assert match is not None
    sides = match[1] or match[4], match[2] or match[3]
    return "-".join(sides) if sides[0] else "O"


def tag_names(train: TaggedTexts, test: TaggedTexts) -> tuple[str, ...]:
    """O, then B-X and I-X of every type in `train`, by name.

    Raises ClozeError if training has no entities, or `test` a type that training never saw; and, before anything is
    trained, if a package for the scores is missing.
    """
    require_extra("tasks", "seqeval", "sklearn")
    types = sorted({tag[2:] for tags in train.tags for tag in tags} - {""})
    if not types:
        raise ClozeError(f"{train.path} has the tag O only, so there is nothing to learn. Expected B-X and I-X, too.")
    tags = ((line, tag) for pair in zip(test.lines, test.tags, strict=True) for line, tag in zip(*pair, strict=True))
    refuse_unseen(train.path, test.path, ((line, tag[2:]) for line, tag in tags if tag != "O"), types)
    return ("O", *(f"{side}-{name}" for name in types for side in "BI"))


def in_iob2(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The tags of a model, B and I first where it puts them last, as the tags of files are read."""
    matches = zip(classes, map(_TAG.fullmatch, classes), strict=True)
    return tuple(f"{match[4]}-{match[3]}" if match and match[4] else name for name, match in matches)


def _refuse(examples: TaggedTexts, classes: tuple[str, ...], settings: Mapping[str, Any], model: Path) -> None:
    require_extra("tasks", "seqeval", "sklearn")
    texts = zip(examples.lines, examples.tags, strict=True)
    refuse_unknown(model, examples.path, (pair for text in texts for pair in zip(*text, strict=True)), classes)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Texts as rows of windows, and where the outputs for their units are."""

    features: Features
    places: NDArray[np.int64]
    """Of each unit of all texts, the place in `features.ids` of the token that answers for it; -1 if none does."""
    begins: NDArray[np.bool_]
    """Whether the unit is the first one of that token, whose tag is the token's own."""

    def tags(self, outputs: Outputs, classes: Sequence[str]) -> list[str]:
        """Of each unit of all texts, from outputs [tokens, classes]."""
        best = outputs.argmax(axis=1)
        found = []
        for place, begins in zip(self.places.tolist(), self.begins.tolist(), strict=True):
            tag = classes[best[place]] if place >= 0 else "O"
            found.append("I" + tag[1:] if tag.startswith("B-") and not begins else tag)
        return found


def align(texts: Sequence[str], units: Sequence[Sequence[Span]], layout: Layout, stride: int) -> Aligned:
    """Tokenise texts, cut them into windows, and find the token of every unit."""
    builder = RowBuilder(layout.tokenizer, pair=False, segments=layout.segments)
    room = layout.length - builder.specials
    places: list[int] = []
    begins: list[bool] = []
    tokens_before, long = 0, 0
    for spans_of_units, (ids, spans) in zip(units, tokenise(texts, layout.tokenizer), strict=True):
        cut = windows(len(ids), room, stride)
        starts = np.cumsum([0, *(end - start + builder.specials for start, end in cut)]) + tokens_before
        best = best_windows(cut)
        token_of, begins_of = _tokens_of_units(spans_of_units, spans.tolist())
        for token in token_of:
            if token < 0:
                places.append(-1)
                continue
            window = int(best[token])
            places.append(int(starts[window]) + 1 + token - cut[window][0])
        begins += begins_of
        for start, end in cut:
            builder.add(ids[start:end])
        tokens_before, long = int(starts[-1]), long + (len(cut) > 1)
    lost = sum(place < 0 for place in places)
    features = builder.features({"texts_in_windows": long, "units_without_token": lost})
    return Aligned(features, np.array(places, dtype=np.int64), np.array(begins, dtype=np.bool_))


def _tokens_of_units(units: Sequence[Span], spans: Sequence[Span]) -> tuple[list[int], list[bool]]:
    """For each unit, the first token that has a character of it, or -1, and whether it is that token's first unit."""
    token_of, begins = [-1] * len(units), [False] * len(units)
    starts = [start for start, _ in units]
    for token, (start, end) in enumerate(spans):
        unit, first = max(0, bisect_right(starts, start) - 1), True
        while start < end and unit < len(units) and units[unit][0] < end:
            if units[unit][1] > start:
                if token_of[unit] < 0:
                    token_of[unit], begins[unit] = token, first
                first = False
            unit += 1
    return token_of, begins


def _inputs(examples: TaggedTexts, classes: tuple[str, ...], layout: Layout, task: TaskSettings) -> Inputs:
    aligned = align(examples.texts, examples.units, layout, task.stride)
    index = {name: place for place, name in enumerate(classes)}
    wanted = np.array([index[tag] for tags in examples.tags for tag in tags], dtype=np.int64)
    labels = np.full(len(aligned.features.ids), IGNORED, dtype=np.int64)
    labels[aligned.places[aligned.begins]] = wanted[aligned.begins]
    scores = partial(score, labels=labels, aligned=aligned, tags=examples.tags, classes=classes)
    predictions = partial(_predictions, aligned=aligned, tags=examples.tags, classes=classes)
    return Inputs(aligned.features, labels, scores, predictions)


def _predictions(
    outputs: Outputs, aligned: Aligned, tags: Sequence[Sequence[str]], classes: tuple[str, ...]
) -> list[Record]:
    """`probability`: of each unit's tag; None for a unit without a token."""
    found = iter(aligned.tags(outputs, classes))
    probabilities = np.exp(log_softmax(outputs)).max(axis=1)
    of_units = iter([float(probabilities[place]) if place >= 0 else None for place in aligned.places])
    return [
        {
            "number": number,
            "label": list(of_text),
            "predicted": [next(found) for _ in of_text],
            "probability": [next(of_units) for _ in of_text],
        }
        for number, of_text in enumerate(tags, start=1)
    ]


def score(
    outputs: Outputs,
    labels: NDArray[np.int64],
    aligned: Aligned,
    tags: Sequence[Sequence[str]],
    classes: tuple[str, ...],
) -> Mapping[str, Any]:
    """Outputs [tokens, C] against `labels` [tokens] and the `tags` of the units of each text, in which F1 counts."""
    found = iter(aligned.tags(outputs, classes))
    predicted = [[next(found) for _ in of_text] for of_text in tags]
    chosen = np.flatnonzero(labels != IGNORED)
    losses = -log_softmax(outputs[chosen])[np.arange(len(chosen)), labels[chosen]]
    loss = float(losses.mean()) if len(losses) else None
    return {**entity_scores(tags, predicted, classes), "loss": loss, "per_example": _entity_counts(tags, predicted)}


def _entity_counts(tags: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Entities of each text that are right, that were given, and that it has, [texts, 3], as in `entity_f1`."""
    from seqeval.metrics.sequence_labeling import get_entities

    found = np.zeros((len(tags), 3))
    for place, both in enumerate(zip(predicted, tags, strict=True)):
        given, wanted = (set(get_entities(list(of_text))) for of_text in both)
        found[place] = len(given & wanted), len(given), len(wanted)
    return found


def entity_scores(
    tags: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], classes: Sequence[str]
) -> dict[str, Any]:
    """The three F1s of the module's text; None without entities, the strict one also if no text and no prediction has a
    B. `parts`: F1 of each type, and how many there are."""
    from seqeval.metrics import classification_report, f1_score
    from seqeval.scheme import IOB2
    from sklearn.metrics import f1_score as f1_of_classes

    wanted, given = [list(of_text) for of_text in tags], [list(of_text) for of_text in predicted]
    if not any(tag != "O" for of_text in wanted for tag in of_text):
        return {"entity_f1": None, "entity_macro_f1": None, "tag_f1": None, "parts": {}}
    report = classification_report(wanted, given, output_dict=True, zero_division=0)
    averages = ("micro avg", "macro avg", "weighted avg")
    flat = [[tag for of_text in both for tag in of_text] for both in (wanted, given)]
    strict = any(tag.startswith("B-") for tags_of_all in flat for tag in tags_of_all)
    macro = f1_score(wanted, given, average="macro", mode="strict", scheme=IOB2, zero_division=0) if strict else None
    return {
        "entity_f1": float(report["micro avg"]["f1-score"]),
        "entity_macro_f1": None if macro is None else float(macro),
        "tag_f1": float(f1_of_classes(*flat, labels=list(classes), average="macro", zero_division=1)),
        "parts": {
            name: {"f1": float(row["f1-score"]), "count": int(row["support"])}
            for name, row in report.items()
            if name not in averages
        },
    }


def units_of(text: str, unit: Unit) -> list[Span]:
    """The words of a text, between white space, or its characters that are none."""
    return [match.span() for match in re.finditer(r"\S+" if unit == "word" else r"\S", text)]


def entities(text: str, units: Sequence[Span], tags: Sequence[str]) -> list[Entity]:
    """Runs of units with B-X and then I-X; an I-X that follows on nothing begins one too."""
    found: list[list[Any]] = []
    before = ""
    for (start, end), tag in zip(units, tags, strict=True):
        # A published model may have plain tags, of which equal ones in a row are one.
        side, name = (tag[0], tag[2:]) if tag[:2] in ("B-", "I-") else ("I", "" if tag == "O" else tag)
        if name and side == "I" and before == name:
            found[-1][2] = end
        elif name:
            found.append([name, start, end])
        before = name
    return [Entity(label, text[start:end], start, end) for label, start, end in found]


def types_of_entities(examples: TaggedTexts) -> list[list[str]]:
    """Of each text, one for every entity."""
    rows = zip(examples.texts, examples.units, examples.tags, strict=True)
    return [[entity.label for entity in entities(*row)] for row in rows]


def _settings(train: TaggedTexts, task: TaskSettings) -> Mapping[str, Any]:
    unit = "character" if task.tag_format == "characters" else "word"
    return {"unit": unit, "tag_format": task.tag_format, "stride": task.stride}


KIND = TaskKind(
    name="tagging",
    measures=("entity_f1", "entity_macro_f1", "tag_f1", "loss"),
    learned=("loss",),
    read=_read,
    classes=tag_names,
    inputs=_inputs,
    keys=lambda examples: examples.texts,
    take=take,
    labels=types_of_entities,
    resample=f1,
    per_token=True,
    token_labels=True,
    settings=_settings,
    names=lambda classes, examples: in_iob2(classes),
    refuse=_refuse,
)
