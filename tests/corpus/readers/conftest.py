"""What tests of the readers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloze.corpus.convert import convert
from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.readers import open_reader
from cloze.recipe import CorpusSettings

Read = Callable[..., tuple[list[Document], Counts]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes bytes to a file and reads and converts it; returns the documents and the counts."""

    def read_here(
        data: bytes, kind: str = "auto", name: str = "source", **settings: object
    ) -> tuple[list[Document], Counts]:
        path, counts = tmp_path / name, Counts()
        path.write_bytes(data)
        reader = open_reader(path, CorpusSettings.model_validate({"kind": kind, **settings}))
        return [convert(raw, counts) for raw in reader.read(counts)], counts

    return read_here
