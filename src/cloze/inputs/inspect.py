"""Show what was built: the decoded rows of a batch, coloured. Most data bugs are visible in ten rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from cloze.inputs.batch import Batch
from cloze.inputs.pairs import LABEL_NAMES
from cloze.inputs.planning import offsets_of
from cloze.inputs.spans import runs

Int64 = NDArray[np.int64]

_SEGMENT_STYLES = ("default", "cyan")
_SPECIAL_STYLE = "dim"
_SPAN_UNITS = {"span": "span", "ngram": "n-gram"}
_TARGET_STYLES = {"masked": "bold white on red", "random": "bold black on yellow", "kept": "bold black on green"}


class ShowsTokens(Protocol):
    """The parts of a tokenizer that showing rows needs."""

    mask_id: int

    @property
    def special_ids(self) -> list[int]:
        """Shown as they are, apart from the words."""

    @property
    def word_starts(self) -> NDArray[np.bool_]:
        """Bool [V]: True where an entry begins a word."""

    def token(self, id: int, /) -> str:
        """The vocabulary entry of an id."""

    def decode(self, ids: list[int], /) -> str:
        """The text of ids."""


def render(
    batch: Batch, tokenizer: ShowsTokens, *, title: str = "rows", format: str = "segment-pair", unit: str = "token"
) -> RenderableType:
    """A legend, then a panel for each row: its number, length, targets, the pair's label in words and its text.

    A target stands as {original→replacement}, so the rows can be read without colours, too; a span or n-gram stands
    between « and ». A row that is cut for attention has a panel for each part. `format` and `unit` are those of the
    recipe's inputs and masking; `format` is read for pairs.
    """
    ids, labels, targets = batch.ids.numpy(), batch.original_ids.numpy(), np.zeros(batch.tokens, dtype=np.bool_)
    masked = batch.targets.get("masked_tokens")
    if masked is not None:
        targets[masked.positions.numpy()] = True
    pairs = batch.targets.get("sentence_pair")
    panels = []
    for i, (name, (start, end)) in enumerate(zip(_row_names(batch), pairwise(batch.offsets.tolist()), strict=True)):
        row = slice(start, end)
        heading = f"{name} · {end - start} tokens · {int(targets[row].sum())} targets"
        if unit in _SPAN_UNITS:
            spans = runs(np.flatnonzero(targets[row]))[0].size
            heading += f" in {spans} {_SPAN_UNITS[unit]}{'' if spans == 1 else 's'}"
        if pairs is not None:
            heading += f" · {LABEL_NAMES[format][int(pairs.labels[i])]}"
        segments = batch.segments.numpy()[row]
        text = _row_text(ids[row], labels[row], targets[row], segments, tokenizer, spans=unit in _SPAN_UNITS)
        panels.append(Panel(text, title=heading, title_align="left"))
    return Group(_legend(batch, title, unit), *panels)


def _row_names(batch: Batch) -> Iterator[str]:
    """What each row of attention is called: by its row, and by its place there if the row is cut."""
    parts = np.ones(batch.rows.size, dtype=np.int64) if batch.parts is None else batch.parts
    for row, count in zip(batch.rows.tolist(), parts.tolist(), strict=True):
        for part in range(count):
            yield f"row {row:,}" + (f", part {part + 1} of {count}" if count > 1 else "")


def _legend(batch: Batch, title: str, unit: str) -> Text:
    """What colours and arrows mean, after a line of totals."""
    ends = np.arange(batch.rows.size + 1) if batch.parts is None else offsets_of(batch.parts)
    lengths = np.diff(batch.offsets.numpy()[ends])
    legend = Text(
        f"{title}: {batch.rows.size} rows of {lengths.min()} to {lengths.max()} tokens, {batch.tokens:,} in all\n"
    )
    entries = [("special token", _SPECIAL_STYLE), ("segment A", _SEGMENT_STYLES[0]), ("segment B", _SEGMENT_STYLES[1])]
    entries += [
        ("{word→[MASK]} masked", _TARGET_STYLES["masked"]),
        ("{word→other} random", _TARGET_STYLES["random"]),
        ("{word→word} kept", _TARGET_STYLES["kept"]),
    ]
    entries += [(f"«{{a→b}} {{c→d}}» one {_SPAN_UNITS[unit]}", "default")] if unit in _SPAN_UNITS else []
    return legend.append_text(Text("  ").join(Text(name, style=style) for name, style in entries))


def _row_text(
    ids: Int64,
    labels: Int64,
    targets: NDArray[np.bool_],
    segments: Int64,
    tokenizer: ShowsTokens,
    *,
    spans: bool,
) -> Text:
    """One row: words apart, the pieces of a word together, targets with what became of them; « » around `spans`."""
    text = Text()
    first, last, _ = runs(np.flatnonzero(targets) if spans else np.empty(0, dtype=np.int64))
    opens, closes = set(first.tolist()), set(last.tolist())
    special = set(tokenizer.special_ids)
    for start, end in _words(labels, special, tokenizer):
        text.append(" " if start else "")
        style = _SPECIAL_STYLE if labels[start] in special else _SEGMENT_STYLES[int(segments[start])]
        if not targets[start:end].any():
            text.append(_surface(labels[start:end].tolist(), tokenizer), style=style)
            continue
        for place in range(start, end):
            original = _surface([int(labels[place])], tokenizer)
            if not targets[place]:
                text.append(original, style=style)
                continue
            kind = "masked" if ids[place] == tokenizer.mask_id else "kept" if ids[place] == labels[place] else "random"
            text.append("«" if place in opens else "")
            text.append(f"{{{original}→{_surface([int(ids[place])], tokenizer)}}}", style=_TARGET_STYLES[kind])
            text.append("»" if place in closes else "")
    return text


def _words(labels: Int64, special: set[int], tokenizer: ShowsTokens) -> Iterator[tuple[int, int]]:
    """Start and end of each word of a row; a special token stands alone."""
    alone = np.isin(labels, list(special))
    opens = tokenizer.word_starts[labels] | alone
    opens[1:] |= alone[:-1]
    opens[0] = True
    starts = np.flatnonzero(opens).tolist()
    return zip(starts, [*starts[1:], labels.size], strict=True)


def _surface(ids: list[int], tokenizer: ShowsTokens) -> str:
    """The text of part of a row; the vocabulary entries where that is none: special tokens, parts of a character."""
    text = tokenizer.decode(ids).strip().removeprefix("##")
    return text if text and "\ufffd" not in text else "".join(tokenizer.token(id) for id in ids)
