"""The form that all text has."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.clean import normalize, squeeze
from cloze.corpus.counts import Counts


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
        ("가\u200b나\ufeff\x00다\x9f", "가나다"),
        ("\u1112\u200b\u1161", "하"),
        ("ㅋㅋ ㅠㅠ", "ㅋㅋ ㅠㅠ"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("가\n나", "가\n나"),
        ("문\ufffd서", "문서"),
        ("끝\ud800", "끝"),
    ],
)
def test_normalize(raw: str, want: str) -> None:
    assert normalize(raw, Counts(), "here") == want


def test_what_normalize_does_is_counted_and_named() -> None:
    counts = Counts()
    for place, text in enumerate(["가\x00\x00", "문\ufffd서", "\u1112\u1161", "그대로"]):
        normalize(text, counts, f"file:{place}")
    dropped = {reason: (tally.characters, tally.examples) for reason, tally in counts.dropped.items()}
    assert dropped == {
        "unprintable characters": (2, ["file:0"]),
        "U+FFFD from an earlier conversion": (1, ["file:1"]),
    }
    assert counts.changed["composed to NFC"].documents == 1


def test_squeeze() -> None:
    assert squeeze("\u3000가\t\t나\u2028다\x1f \r\n") == "가 나 다"


@given(st.text())
def test_clean_text_stays_as_it_is(text: str) -> None:
    once = normalize(text, Counts(), "")
    counts = Counts()
    assert normalize(once, counts, "") == once
    assert not counts.dropped and not counts.changed
    assert unicodedata.is_normalized("NFC", once)
    squeeze(once).encode()
