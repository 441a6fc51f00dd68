"""Lines and documents that are dropped, by setting, and what stays."""

from __future__ import annotations

from typing import Any

import pytest

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.prepare import Prepared, prepare
from cloze.recipe import CleaningSettings, CorpusSettings


def prepared(lines: list[str], counts: Counts | None = None, **cleaning: Any) -> Prepared:
    settings = CorpusSettings(cleaning=CleaningSettings(**cleaning))
    return prepare(RawDocument("a:1", "", "\n".join(lines), "lines"), settings, counts or Counts())


BOILERPLATE = [
    "홍길동 기자 hong@news.co.kr",
    "[서울=뉴스] 홍길동 특파원 hong.gil@news.com",
    "김철수 기자 [전자우편]",
    "저작권자 ⓒ 한국신문, 무단 전재 및 재배포 금지",
    "<저작권자(c) 통신, 무단 전재-재배포 금지>",
    "무단전재·복제·배포를 금합니다.",
    "무단전재 및 재배포, AI 학습 이용 금지",
    "Copyright ⓒ 2020 한국신문",
    "ⓒ 한국신문. All rights reserved.",
    "이 저작물은 CC BY-NC-SA 2.0 KR에 따라 이용할 수 있습니다.",
    "이 문서의 내용 중 전체 또는 일부는 호랑이 문서의 r12 판에서 가져왔습니다.",
    "이 문서는 동물에 관한 토막글입니다.",
    "▶ 관련 기사 더보기",
    "본문 바로가기",
]
PROSE = [
    "그는 신문사 기자였다.",
    "기자 홍길동의 주소는 hong@news.co.kr이었고, 편지는 날마다 왔다.",
    "무단 전재를 금지하는 법이 있다.",
    "저작권자의 허락이 필요하다.",
    "Copyright law protects authors.",
    "이 문서는 1443년에 쓰였다.",
    "▶ 버튼을 누르면 재생된다.",
    "바로가기를 만든다.",
]


def test_boilerplate_goes_and_prose_about_it_stays() -> None:
    counts = Counts()
    document = prepared(BOILERPLATE + PROSE, counts, korean_boilerplate=True).document
    assert document.sentences == PROSE
    dropped = counts.dropped["boilerplate line"]
    assert (dropped.sentences, dropped.characters) == (len(BOILERPLATE), sum(map(len, BOILERPLATE)))
    assert prepared(BOILERPLATE).document.sentences == BOILERPLATE


def test_lines_of_ones_own_choice_are_dropped() -> None:
    patterns = ["^광고", "(?i)sponsored"]
    assert prepared(["광고: 사세요", "좋은 광고", "Sponsored by"], boilerplate_lines=patterns).document.sentences == [
        "좋은 광고"
    ]


def test_a_line_is_kept_so_many_times() -> None:
    counts = Counts()
    lines = ["가", "나", "가", "가", "나"]
    assert prepared(lines, counts, repeated_lines=2).document.sentences == ["가", "나", "가", "나"]
    assert counts.dropped["repeated line"].to_json() == {
        "documents": 0,
        "sentences": 1,
        "characters": 1,
        "examples": ["가"],
    }


@pytest.mark.parametrize(("share", "unwanted"), [(0.39, "repeats itself"), (0.4, ""), (1.0, "")])
def test_a_document_may_repeat_itself_only_so_far(share: float, unwanted: str) -> None:
    lines = ["가", "나", "다", "가", "나"]  # Two of five repeat an earlier line.
    assert prepared(lines, max_repeated_frac=share).unwanted == unwanted
    # Also if the repeated lines are then dropped.
    assert prepared(lines, max_repeated_frac=share, repeated_lines=1).unwanted == unwanted


@pytest.mark.parametrize(
    ("text", "cleaning", "unwanted"),
    [
        ("한글 abcd 1234", {"min_hangul_frac": 0.3}, ""),
        ("한 abcd 1234 !!!", {"min_hangul_frac": 0.3}, "less than 30% Hangul"),
        ("1234 !!!", {"min_hangul_frac": 0.3}, ""),  # It has no letters of another script.
        ("ㅋㅋㅋ lol", {"min_hangul_frac": 0.5}, ""),
    ],
)
def test_length_and_hangul(text: str, cleaning: dict[str, Any], unwanted: str) -> None:
    assert prepared([text], **cleaning).unwanted == unwanted


def test_nothing_but_repairs_is_on_by_default() -> None:
    lines = ["홍길동 기자 hong@news.co.kr", "010-1234-5678", "가", "가", "가", "english only"]
    result = prepared(lines)
    assert (result.document.sentences, result.unwanted, result.bands, result.test_texts) == (lines, "", b"", b"")


def test_a_document_that_loses_all_its_lines_is_empty() -> None:
    assert prepared(["본문 바로가기"], korean_boilerplate=True).unwanted == "empty"


def test_personal_data_is_masked_before_any_example_is_kept() -> None:
    counts = Counts()
    lines = ["홍길동 기자 hong@news.co.kr", "전화 010-1234-5678"]
    cleaning = {"korean_boilerplate": True, "mask_personal_data": ["email", "phone"], "repeated_lines": 1}
    assert prepared([*lines, lines[1]], counts, **cleaning).document.sentences == ["전화 [전화번호]"]
    examples = [example for tally in (counts.dropped | counts.changed).values() for example in tally.examples]
    assert examples and not [example for example in examples if "@" in example or "1234" in example]


def test_wrong_settings_name_the_key() -> None:
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        CleaningSettings(boilerplate_lines=["("])
    with pytest.raises(ValueError, match="set it to lines or documents"):
        CleaningSettings.model_validate({"decontaminate_against": ["a.tsv"]})
