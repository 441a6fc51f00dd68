"""Hangul read in a wrong encoding is repaired, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.encodings import repair
from cloze.corpus.prepare import prepare
from cloze.recipe import CleaningSettings, CorpusSettings

KOREAN = "옛날 옛적에 호랑이가 살았다, 1988년(봄)에."


@pytest.mark.parametrize("real", ["utf-8", "euc_kr"])
@pytest.mark.parametrize("taken_for", ["latin-1", "cp1252"])
def test_hangul_read_as_latin_letters_is_repaired(real: str, taken_for: str) -> None:
    # CP1252 has no meaning for five bytes; those who read with it put in the control characters of Latin-1.
    broken = "".join(
        bytes([byte]).decode(taken_for if byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1")
        for byte in KOREAN.encode(real)
    )
    counts = Counts()
    assert repair(f"ok\n{broken}\n그대로", counts, "a:1") == f"ok\n{KOREAN}\n그대로"
    repaired = counts.changed["encoding repaired"]
    assert repaired.characters == len(KOREAN)
    assert repaired.examples[0].startswith("a:1: 옛날 옛적에")


@pytest.mark.parametrize(
    "text",
    [
        KOREAN,
        "기온은 21°C, 각도는 90°±0.5°, 값은 ½ × ¾",
        "naïve café, Ångström, Ålesund, Århus, Åre, ÀÉÈÇ ÄÖÜ",
        "L'ÉTÉ À L'ÎLE D'YEU – ÇA VA",
        "Þórr, Óðinn; São João, coração; ñandú",
        "À Á Â Ã Ä Å Æ Ç È É Ê Ë Ì Í",
        "ê, ë, ì, í",
        "ÇÑ±Û",  # Two syllables might be chance.
        "한글 ÇÑ±¹¾îÀÔ´Ï´Ù",  # The line was read in the right encoding.
        "?쒓뎅?? ���",  # Bytes were lost.
        "日本語、中文",
    ],
)
def test_other_text_stays(text: str) -> None:
    counts = Counts()
    assert repair(text, counts, "") == text
    assert not counts.changed


def test_euc_kr_is_not_taken_for_utf8() -> None:
    """The bytes of 나 in the middle look like a syllable of UTF-8."""
    for text in ("잼나게봤다 볼만했다잼나게", "잼나잼나!!!"):
        assert repair(text.encode("euc_kr").decode("latin-1"), Counts(), "") == text
    short = "잼나".encode("euc_kr").decode("latin-1")
    assert repair(short, Counts(), "") == short


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F), max_size=40))
def test_what_is_repaired_becomes_hangul(text: str) -> None:
    repaired = repair(text, Counts(), "")
    assert repaired == text or any("가" <= character <= "힣" for character in repaired)


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=4, max_size=40))
def test_every_text_of_hangul_comes_back(text: str) -> None:
    assert repair(text.encode().decode("latin-1"), Counts(), "") == text


def test_a_document_is_repaired_before_control_characters_go() -> None:
    raw = RawDocument("a:1", KOREAN.encode().decode("latin-1"), KOREAN.encode().decode("latin-1"), "lines")
    document = prepare(raw, CorpusSettings(), Counts()).document
    assert (document.title, document.sentences) == (KOREAN, [KOREAN])
    off = CorpusSettings(cleaning=CleaningSettings(repair_encodings=False))
    assert prepare(raw, off, Counts()).document.sentences != [KOREAN]
