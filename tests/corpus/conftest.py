"""What tests of the corpus stage share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.progress import Silent
from cloze.recipe import CorpusSettings

Build = Callable[..., tuple[Corpus, dict[str, Any]]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a corpus of the sources in tmp_path; returns it and its counts."""

    def build_here(*sources: str, **settings: Any) -> tuple[Corpus, dict[str, Any]]:
        folder = tmp_path / f"corpus-{len(list(tmp_path.glob('corpus-*')))}"
        folder.mkdir()
        chosen = CorpusSettings(sources=[Path(source) for source in sources], **settings)
        return Corpus(folder), build_corpus(chosen, tmp_path, folder, Silent())

    return build_here
