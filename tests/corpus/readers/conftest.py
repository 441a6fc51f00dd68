"""What tests of the readers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.readers import open_reader

Read = Callable[..., tuple[list[Document], Counts]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes bytes to a file and reads it; returns the documents and the counts."""

    def read_here(data: bytes, kind: str = "auto", name: str = "source") -> tuple[list[Document], Counts]:
        path, counts = tmp_path / name, Counts()
        path.write_bytes(data)
        return list(open_reader(path, kind).read(counts)), counts

    return read_here
