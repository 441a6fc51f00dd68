"""What readers of records share: a text with line breaks becomes sentences, and what is no text is counted."""

from __future__ import annotations

from typing import Any

from cloze.corpus.clean import normalize, squeeze
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.sentences import split_sentences


def make_document(name: str, title: str, text: str, counts: Counts) -> Document:
    """A document of prose: split at line breaks and at ends of sentences, white space to single spaces."""
    clean = normalize(text, counts, name)
    lines = clean.split("\n")
    sentences = [squeezed for line in lines for part in split_sentences(line) if (squeezed := squeeze(part))]
    counts.drop("white space", characters=len(clean) - sum(map(len, sentences)))
    return Document(name, squeeze(normalize(title, counts, name)), sentences)


def drop_record(counts: Counts, file: str, number: int, problem: str) -> None:
    """Enter a record that cannot be a document."""
    counts.drop("malformed record", documents=1, example=f"{file}, record {number:,}: {problem}")


def json_type(value: Any) -> str:
    """What JSON calls a value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
