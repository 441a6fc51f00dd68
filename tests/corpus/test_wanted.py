"""Documents that are not wanted: by title, length and language, each counted with its reason."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
from pydantic import ValidationError

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.languages import is_in
from cloze.corpus.prepare import Selection, prepare
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

KOREAN = "서울은 대한민국의 수도이다. 1394년부터 도읍이었다."
ENGLISH = "Seoul is the capital of South Korea. It has been the capital since 1394."


def reason_for(title: str, text: str, **settings: object) -> str:
    """Why a document is dropped; empty if it is kept."""
    counts, chosen = Counts(), CorpusSettings.model_validate(settings)
    kept = Selection().keeps(prepare(RawDocument("a:1", title, text, "prose"), chosen, counts), counts)
    reasons = [reason for reason, tally in counts.dropped.items() if tally.documents]
    assert kept == (not reasons)
    return "".join(reasons)


def test_titles() -> None:
    assert reason_for("가나다", KOREAN, titles="^가") == ""
    assert reason_for("나", KOREAN, titles="^가") == "title does not match corpus.titles"
    assert reason_for("가 (동음이의)", KOREAN, exclude_titles=r"\(동음이의\)$") == "title matches corpus.exclude_titles"
    assert reason_for("", KOREAN, exclude_titles="가") == ""


def test_a_document_with_an_unwanted_title_counts_its_characters() -> None:
    counts = Counts()
    prepared = prepare(RawDocument("a:1", "가", "[[나]]\ud800", "namumark"), CorpusSettings(titles="다"), counts)
    assert not Selection().keeps(prepared, counts)
    assert counts.dropped["title does not match corpus.titles"].characters == 6


@pytest.mark.parametrize("setting", ["titles", "exclude_titles"])
def test_what_is_no_regular_expression_is_an_error_of_the_recipe(setting: str) -> None:
    with pytest.raises(ValidationError, match="no regular expression: missing \\), unterminated subpattern"):
        CorpusSettings.model_validate({setting: "(가"})


def test_lengths() -> None:
    assert reason_for("", "가나다.", max_characters=4) == ""
    assert reason_for("", "가나다라.", max_characters=4) == "longer than 4 characters"
    assert reason_for("", "가.", min_characters=3) == "shorter than 3 characters"


def test_korean_is_told_by_its_letters_without_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", _without_py3langid(builtins.__import__))
    assert reason_for("", KOREAN, languages=["ko"]) == ""
    assert reason_for("", ENGLISH, languages=["ko"]) == "not in corpus.languages"
    assert reason_for("", KOREAN, languages=["en"]) == "not in corpus.languages"
    assert not is_in(["ko"], ["123 ..."])
    with pytest.raises(ClozeError, match=r"pip install 'cloze\[languages\]'"):
        reason_for("", ENGLISH, languages=["en", "ko"])


def test_other_languages_are_told_apart() -> None:
    pytest.importorskip("py3langid", reason="the extra `languages` is not installed")
    assert reason_for("", ENGLISH, languages=["en"]) == ""
    assert reason_for("", ENGLISH, languages=["de", "fr"]) == "not in corpus.languages"


def _without_py3langid(real: Any) -> Any:
    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "py3langid":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    return without
