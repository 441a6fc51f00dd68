"""The splitter: what ends a sentence, what does not, and that nothing of the text changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.sentences import split_sentences

CASES = {
    "ends": "그는 갔다.|정말?|놀라워!|그래…|그런가...|끝",
    "several marks": "뭐라고?!|그럴 리가...|정말!!!|끝",
    "quotes": '“안녕.”|"그래?"|그는 웃었다.|(끝.)|「가다.」|끝',
    "inside quotes": '그는 "가자. 어서 가자." 하고 말했다.|(그는 갔다. 왔다.)|그리고 끝났다.|끝',
    "quoting particle": "“갔다.”라고 했다.|‘갔다.’ 라고 했다.|‘갔다.’고 했다.|‘정말?’ 하며 웃었다.",
    "unclosed quote": '"가자.|그는 갔다.|끝',
    "numbers": "평점은 3.5점이다.|값은 1,000.50원이다.|버전 2.0.1이다.",
    "dates": "2018. 4. 1. 개봉했다.|2018. 4. 1.에 개봉했다.",
    "numbered": "1. 개요이다.|2. 줄거리이다.",
    "ends with a number": "평점은 9.|하지만 재미없다.",
    "abbreviations": "Mr. Kim met Dr. Lee.|J. K. Rowling wrote it.|It is big, e.g. huge.|The U.S. Army vs. Kim.",
    "English": 'He left.|"Why?"|She asked. he stayed.|The end.',
    "laughter": "재밌다 ㅋㅋㅋ|또 볼래요 ㅠㅠ|진짜 ㅋㅋ 웃기네|",
    "laughter behind a mark": "재밌다. ㅋㅋ|별로다!ㅎㅎ|좋아요^^|최고!! ^^|웃김ㅋㅋ.|끝",
    "address": "www.naver.com 참고.|끝",
    "wide marks": "정말？|끝。|끝！",
    "letters of a list": "가. 신청서를 낸다.|나. 결과를 기다린다.|가자.|끝",
    "emoji": "최고예요 😀|또 올게요!! 🎉🎉|끝났다 ♡|끝",
    "single quotes": "'가자. 어서.'|그는 뛰었다.|It's 5 o'clock.|'I don't know. I can't.'|He left.|끝",
    "ellipsis behind a particle": "나는… 모르겠다.|바빠서… 못 갔다…|끝",
}
"""| stands for a space between two sentences."""

WITHOUT_A_MARK = {
    "formal": "문을 열었습니다|어디로 갑니까|여기 서십시오|같이 갑시다|끝",
    "polite": "배우가 좋아요|이야기도 탄탄하고요|그럼 가지요|맞죠|내일 올게요|왜 그랬나요|끝",
    "plain": "비가 온다|길을 잃었다|눈이 쌓이겠다|방이 좁다|끝이 없다|보고 싶다|그것이 봄이다|최고다|참 조용하다|끝",
    "familiar": "나 출발했어|벌써 끝났네|아직 몰랐냐|내가 할게|문 닫아라|가지 마|먹을 거야|예쁘더라|했잖아|그랬구나|끝",
    "notes": "회의를 시작했음|이상 없음|내일 확인하기로 함|다음 주 예정임|교체 완료됨|물이 잘 빠짐|끝",
    "laughter of any kind": "완전 꿀잼 ㅋㅋ|살이라니 ㅋㅋ|예쁘네요 ^^|좋아요~|안 돼요;;|슬퍼요ㅠㅠ|끝",
    "while, than, nouns": "하다 보니 그는 바다 보다 우간다 쪽을 더 좋아했다",
    "quoted or supposed": "간다 하고 온다 해도 좋았다 싶으면 있다 하더라도 끝",
    "two in turn": "왔다 갔다 하다가 늘었다 줄었다 하는 이렇다 저렇다 말이 끝",
    "leaned on": "비가 왔음 직한 땅을 진작 갈걸 그랬다고 말하고 알릴게 있고 하기로 함 때문에 끝",
    "nouns like endings": "필요 없는 중요 문서 개요 및 마음 처음 다음 모임 책임 게임 포함 명함 잠수함 바다 마다 끝",
    "polite particles": "저는요 그래서요 제가요 집에 가고 끝",
    "connecting in familiar speech": "먹고 있어 배부른 것 같아 보이게 웃어 주니 가게 나라 네 자리 끝",
    "a remark": "문을 열었다 (어제) 그리고 갔다 / 왔고 끝",
}
"""The same: endings that close, and below them what looks like one."""


@pytest.mark.parametrize("marked", (CASES | WITHOUT_A_MARK).values(), ids=CASES | WITHOUT_A_MARK)
def test_boundaries(marked: str) -> None:
    want = [part for part in marked.split("|") if part]
    assert [sentence.strip() for sentence in split_sentences(" ".join(want))] == want


def test_full_stop_without_a_space() -> None:
    assert split_sentences("그는 갔다.그리고 v1.2.가 왔다.") == ["그는 갔다.", "그리고 v1.2.가 왔다."]


def test_lines_end_sentences() -> None:
    assert split_sentences("가\n\n나다 \n라.\n") == ["가\n\n", "나다 \n", "라.\n"]


@given(st.text() | st.text(alphabet="가다요A1.!?… \n\"'“”(ㅋㅠ^~)라고"))
def test_joined_sentences_are_the_text(text: str) -> None:
    sentences = split_sentences(text)
    assert "".join(sentences) == text
    assert all(sentences)
    assert all(not sentence[0].isspace() for sentence in sentences[1:]), "white space stays behind a sentence"


@given(st.lists(st.sampled_from(["그는 갔다.", "정말 좋았다!", "왜 그랬을까?", "끝이 없다…"]), max_size=20))
def test_plain_sentences_are_found_again(sentences: list[str]) -> None:
    assert [sentence.strip() for sentence in split_sentences(" ".join(sentences))] == sentences


@pytest.mark.parametrize(
    "unit",
    [
        "!~",
        "(",
        '"가.',
        "1. ",
        "1. 가",
        "ㅋ ",
        "가. ",
        '…"',
        ". ",
        "ㅋㅋ ^^ ",
        "( ",
        "“가",
        "왔다 갔다 ",
        "요 ㅋ ",
        "'a'a ",
    ],
)
def test_long_adversarial_text_finishes(unit: str) -> None:
    text = unit * 20_000
    assert "".join(split_sentences(text)) == text


def test_novels_are_split_nearly_as_people_did(shared_data: Path) -> None:
    """45 novels with a sentence a line (KoCoNovel), their lines joined by spaces."""
    right = found = marked = 0
    for novel in (shared_data / "corpus" / "novels.txt").read_text("utf-8").split("\n\n"):
        lines = [line for line in novel.split("\n") if line.strip()]
        want, got = _ends([f"{line} " for line in lines]), _ends(split_sentences(" ".join(lines)))
        right, found, marked = right + len(want & got), found + len(got), marked + len(want)
    assert right / found > 0.97
    assert right / marked > 0.87


def _ends(sentences: list[str]) -> set[int]:
    """Where sentences end, the last one left out."""
    ends, place = set(), 0
    for sentence in sentences[:-1]:
        place += len(sentence)
        ends.add(place)
    return ends
