"""Questions in SQuAD's format (KorQuAD, SQuAD 1.1 and 2.0): each context is a document, its article's title the title.

{"version": ..., "data": [{"title": ..., "paragraphs": [{"context": ..., "qas": [...]}]}]}; an article at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.record import drop_record, json_type
from cloze.corpus.sources import open_source
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings


class SquadReader:
    """A file of questions, plain or compressed."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its contexts. Raises ClozeError for JSON that is cut or damaged, or that has no articles."""
        import ijson

        number, articles = 0, 0
        with open_source(self.path, counts) as file:
            try:
                for articles, article in enumerate(ijson.items(file, "data.item", use_float=True), start=1):
                    paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
                    if not isinstance(paragraphs, list):
                        drop_record(counts, self.settings, self.path, articles, "no list of paragraphs", "article")
                        continue
                    for paragraph in paragraphs:
                        number += 1
                        context = paragraph.get("context") if isinstance(paragraph, dict) else None
                        if isinstance(context, str):
                            title = str(article.get("title") or "").replace("_", " ")
                            yield RawDocument(f"{self.path.name}:{number}", title, context, "prose")
                        else:
                            drop_record(counts, self.settings, self.path, number, f"context is {json_type(context)}")
            except (ijson.JSONError, UnicodeDecodeError) as error:
                raise SourceDamaged(
                    f"{self.path} is cut off or no valid JSON, after article {articles:,} "
                    f"({str(error).strip().splitlines()[0]}). Fetch it again."
                ) from None
        if not articles:
            raise ClozeError(f'{self.path} has no articles; expected {{"data": [{{"paragraphs": [...]}}, ...]}}.')
