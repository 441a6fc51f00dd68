"""A document alone, and among the others."""

from __future__ import annotations

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.prepare import Selection, prepare
from cloze.recipe import CorpusSettings


def test_a_document_knows_what_is_wrong_with_it_alone() -> None:
    settings, counts = CorpusSettings(min_characters=5), Counts()
    texts = {"": "empty", "셋.": "shorter than 5 characters", "넉넉히 길다.": ""}
    for text, unwanted in texts.items():
        assert prepare(RawDocument("a:1", "", text, "prose"), settings, counts).unwanted == unwanted


def test_the_first_of_equal_documents_is_kept_whatever_their_titles() -> None:
    settings, counts, selection = CorpusSettings(), Counts(), Selection()
    raws = [
        RawDocument(f"a:{n}", f"title {n}", text, "prose") for n, text in enumerate(["같다.", "다르다.", " 같다. "])
    ]
    kept = [selection.keeps(prepare(raw, settings, counts), counts) for raw in raws]
    assert kept == [True, True, False]
    assert counts.dropped["duplicate"].examples == ["title 2"]
