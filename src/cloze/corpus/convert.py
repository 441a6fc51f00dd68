"""A raw document to sentences of clean text: all that costs time and needs no other document, so it runs in workers."""

from __future__ import annotations

from cloze.corpus.clean import normalize, squeeze
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document, RawDocument
from cloze.corpus.markup import plain_text
from cloze.corpus.sentences import Splitter, split_sentences
from cloze.recipe import MarkupSettings

_LOST = {"lines": "extra white space", "prose": "white space"}
"""By kind of markup: what the characters are that stand in no sentence; of a real one, the markup, too."""
_WITH_ENTITIES = ("mediawiki", "html", "markdown")
"""Markup in which &#8203; and the like stand for characters, which are then cleaned like those of the text."""
_DEFAULTS = MarkupSettings()


def convert(
    raw: RawDocument, counts: Counts, options: MarkupSettings = _DEFAULTS, split: Splitter = split_sentences
) -> Document:
    """Clean, without markup, split into sentences by `split`; what that drops or changes is entered into `counts`."""
    text = normalize(raw.text, counts, raw.id)
    plain = plain_text(text, raw.markup, options, counts, raw.title or raw.id)
    counted = 0
    if raw.markup in _WITH_ENTITIES:
        normal = normalize(plain, counts, raw.id)
        counted, plain = len(plain) - len(normal), normal
    lines = plain.split("\n")
    if raw.markup == "lines":
        sentences = [sentence for line in lines if (sentence := squeeze(line))]
        breaks = text.count("\n")  # A line break ends a sentence here: it is not lost.
    else:
        sentences = [squeezed for line in lines for part in split(line) if (squeezed := squeeze(part))]
        breaks = 0
    if lost := len(text) - counted - breaks - sum(map(len, sentences)):
        reason = _LOST.get(raw.markup, "markup and white space")
        counts.drop(reason, characters=lost, example=raw.id)
    return Document(raw.id, squeeze(normalize(raw.title, counts, raw.id)), sentences)
