"""What is personal data, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloze.corpus.counts import Counts
from cloze.corpus.personal import mask

ALL = ("email", "phone", "resident_number")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("hong@news.co.kr로 보내세요.", "[전자우편]로 보내세요."),
        ("메일:hong.gil-dong+news@mail.example.com.", "메일:[전자우편]."),
        ("(hong@a.kr, kim@b.kr)", "([전자우편], [전자우편])"),
        ("연락처 010-1234-5678", "연락처 [전화번호]"),
        ("01012345678이에요", "[전화번호]이에요"),
        ("010.1234.5678 / 010 1234 5678", "[전화번호] / [전화번호]"),
        ("011-234-5678", "[전화번호]"),
        ("Tel.02-345-6789", "Tel.[전화번호]"),
        ("(02)345-6789, 02)3456-7890", "[전화번호], [전화번호]"),
        ("031-345-6789~9", "[전화번호]~9"),
        ("070-2345-6789", "[전화번호]"),
        ("+82-10-1234-5678, +82 2-345-6789", "[전화번호], [전화번호]"),
        ("900101-1234567", "[주민등록번호]"),
        ("000229 - 3123456", "[주민등록번호]"),
        ("외국인 850315-5123456.", "외국인 [주민등록번호]."),
        ("9001011234568", "[주민등록번호]"),  # The check digit is right.
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text, ALL, Counts()) == masked


@pytest.mark.parametrize(
    "text",
    [
        "버전 1.10.1234, 3.02.345.6789",
        "npm install react@18.2.0, vite@5.0.0-beta",
        "@hong 님, 골뱅이(@)는 앳이라고도 한다",
        "root@192.168.0.1",
        "1988-1994년, 2018-2019 시즌, 1588-1234",
        "2018-04-01, 2018. 4. 1., 02-03-2018",
        "값은 10,000,000원, 0.1234 5678",
        "ISBN 978-89-01-23456-7",
        "ISBN 9788901234567",
        "계좌 110-234-567890",
        "010-1234-56789",
        "20010-1234-5678",
        "02-1234-5678-90",
        "991301-1234567",  # No thirteenth month.
        "010229-3123456",  # 2001 was no leap year.
        "9001011234567",  # A wrong check digit.
        "900101-9234567",
        "1900101-1234567",
        "03:15-04:20, 02 2018 0304",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert mask(text, ALL, Counts()) == text


def test_only_the_kinds_asked_for_are_masked_and_no_example_shows_any() -> None:
    text, counts = "hong@a.kr 010-1234-5678", Counts()
    assert mask(text, ["phone"], counts) == "hong@a.kr [전화번호]"
    counts = Counts()
    mask(text, ALL, counts)
    assert {name: (tally.characters, tally.examples) for name, tally in counts.changed.items()} == {
        "masked [전자우편]": (9, ["[전자우편] [전화번호]"]),
        "masked [전화번호]": (13, ["[전자우편] [전화번호]"]),
    }


PERSONAL = ["010-1234-5678", "hong@a.kr", "900101-1234567", "+82 2-345-6789", "(02) 345-6789", "[전화번호]"]


@given(st.lists(st.sampled_from([*PERSONAL, *"0123456789-. ()+@a가"]), max_size=12).map("".join))
@example("010-1234-5678hong@a.kr 900101-1234567")
def test_what_is_masked_stays_masked(text: str) -> None:
    once = mask(text, ALL, Counts())
    assert mask(once, ALL, Counts()) == once


def test_what_looks_like_the_beginning_of_something_ends_soon_and_stays() -> None:
    """With backtracking these would take hours."""
    for unit in ("a", "a.", "a@", "0-", "01", "900101-"):
        assert mask(unit * 50_000, ALL, Counts()) == unit * 50_000
