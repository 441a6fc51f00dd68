"""Particles and adjectives."""

from __future__ import annotations

import pytest

from cloze.corpus.sample.grammar import Judgement, Marked, Value, fill
from cloze.corpus.sample.korean import conjugate, with_particle
from cloze.corpus.sample.lexicon import ASPECTS

FORMS = ("고", "한", "해서", "했", "하다", "하다고", "하다는", "하네")


@pytest.mark.parametrize(
    ("word", "particle", "want"),
    [
        ("연기", "은", "연기는"),
        ("각본", "은", "각본은"),
        ("음악", "이", "음악이"),
        ("조명", "과", "조명과"),
        ("노래", "과", "노래와"),
        ("서울", "으로", "서울로"),
        ("부산", "으로", "부산으로"),
        ("거리", "으로", "거리로"),
        ("나래 7", "을", "나래 7을"),
        ("나래 2", "을", "나래 2를"),
        ("명작", "이다", "명작이다"),
        ("영화", "이었다", "영화였다"),
        ("각본", "도", "각본도"),
        ("각본", "", "각본"),
    ],
)
def test_particles(word: str, particle: str, want: str) -> None:
    assert with_particle(word, particle) == want


@pytest.mark.parametrize(
    ("adjective", "want"),
    [
        ("탄탄하다", "탄탄하고 탄탄한 탄탄해서 탄탄했 탄탄하다 탄탄하다고 탄탄하다는 탄탄하네"),
        ("감동적이다", "감동적이고 감동적인 감동적이어서 감동적이었 감동적이다 감동적이라고 감동적이라는 감동적이네"),
        ("재미있다", "재미있고 재미있는 재미있어서 재미있었 재미있다 재미있다고 재미있다는 재미있네"),
        ("맥없다", "맥없고 맥없는 맥없어서 맥없었 맥없다 맥없다고 맥없다는 맥없네"),
        ("새롭다", "새롭고 새로운 새로워서 새로웠 새롭다 새롭다고 새롭다는 새롭네"),
        ("아름답다", "아름답고 아름다운 아름다워서 아름다웠 아름답다 아름답다고 아름답다는 아름답네"),
    ],
)
def test_adjectives(adjective: str, want: str) -> None:
    assert " ".join(conjugate(adjective, form) for form in FORMS) == want


def test_negation() -> None:
    want = "않고 않은 않아서 않았 않다 않다고 않다는 않네"
    assert " ".join(conjugate("새롭다", form, negated=True).removeprefix("새롭지 ") for form in FORMS) == want


def test_every_word_has_all_forms_and_one_side() -> None:
    words = [word for aspect in ASPECTS for word in aspect.good + aspect.bad]
    assert len(set(words)) == len(words) > 400
    assert all(conjugate(word, form) for word in words for form in FORMS)


def test_other_verbs_are_refused() -> None:
    with pytest.raises(ValueError, match="먹다 is of no known kind"):
        conjugate("먹다", "한")


def test_fill() -> None:
    values: dict[str, Value] = {
        "n": "연기",
        "w": Judgement("섬세하다"),
        "d": Judgement("지루하다", True),
        "p": Marked("김도현"),
        "g": Marked("멜로", "[[장르|"),
    }
    got = fill("{p:은} {n:이} {w:고} {d:한} {g:을} {n}", values)
    assert got == "[[김도현]]은 연기가 섬세하고 지루하지 않은 [[장르|멜로]]를 연기"
