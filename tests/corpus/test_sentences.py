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
}


@pytest.mark.parametrize("marked", CASES.values(), ids=CASES)
def test_boundaries(marked: str) -> None:
    """In the cases, | stands for a space between two sentences."""
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
    "unit", ["!~", "(", '"가.', "1. ", "1. 가", "ㅋ ", "가. ", '…"', ". ", "ㅋㅋ ^^ ", "( ", "“가"]
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
