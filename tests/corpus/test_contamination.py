"""Test texts in the corpus are found, whatever stands between their letters, and counted once."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloze.corpus.build import build_corpus
from cloze.corpus.contamination import LEAST_LETTERS, TestTexts, read_test_texts
from cloze.corpus.corpus import Corpus
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import CleaningSettings, CorpusSettings

SHORT = "정말 오랜만에 재미있는 영화를 보았습니다, 배우들도 좋았고요!"
LONG = (
    "옛날 옛적 깊은 산골에 마음씨 착한 나무꾼이 늙은 어머니를 모시고 살았는데, 어느 가을날 산에서 나무를 하다가 "
    "사냥꾼에게 쫓기는 사슴을 만나 나뭇단 속에 숨겨 주었다."
)
ANYBODYS = "정말 재미있게 잘 봤습니다"


def table(folder: Path, *texts: str, name: str = "test.tsv") -> Path:
    path = folder / name
    lines = [f"{place}\t{text}\t1" for place, text in enumerate(texts)]
    path.write_text("\n".join(["id\tdocument\tlabel", *lines]) + "\n", encoding="utf-8")
    return path


def read(path: Path, **settings: Any) -> TestTexts:
    return read_test_texts({"t": path}, CleaningSettings(decontaminate="lines", **settings))


@pytest.mark.parametrize(
    ("sentences", "touched"),
    [
        ([SHORT], [True]),
        ([SHORT.replace("좋았고요!", "좋았군요!")], [False]),
        (["앞 문장.", f"그가 말했다: {SHORT.upper()} 그리고 갔다."], [False, True]),
        ([SHORT.replace(" ", "").replace(",", "…")], [True]),
        ([SHORT[:20], SHORT[20:], "뒤 문장."], [True, True, False]),
        ([SHORT[:-4]], [False]),
        ([LONG], [True]),
        ([LONG[20:80]], [False]),  # Fewer than 50 letters.
        ([f"처음 들은 이야기다. {LONG[10:]}"], [True]),
        ([LONG[:50], "끼어든 문장이 하나 있다.", LONG[50:]], [False, False, False]),
        ([ANYBODYS], [False]),
        ([], []),
        (["…"], [False]),
    ],
)
def test_what_overlaps(tmp_path: Path, sentences: list[str], touched: list[bool]) -> None:
    tests = read(table(tmp_path, SHORT, LONG, ANYBODYS))
    assert tests.texts("t") == 2
    assert tests.find(sentences)[0] == touched


def test_laughter_of_any_length_is_the_same(tmp_path: Path) -> None:
    tests = read(table(tmp_path, SHORT + "ㅋㅋㅋㅋㅋㅋㅋ", "ㅋ" * 100))
    assert tests.texts("t") == 1
    assert tests.find([SHORT + "ㅋㅋㅋ", "ㅋ" * 80])[0] == [True, False]


def test_a_letter_that_is_repeated_across_two_sentences_hides_nothing(tmp_path: Path) -> None:
    text = "정말 재미있는 영화였어요 하하. 하하 다음에도 또 보러 가고 싶습니다"
    tests = read(table(tmp_path, text))
    assert tests.find([text])[0] == [True]
    first, second = text.split(". ")
    assert tests.find([f"{first}.", second])[0] == [True, True]


def test_a_beginning_that_all_tests_share_costs_one(tmp_path: Path) -> None:
    """Thousands of test texts by one template, met again and again, take no memory for each pair."""
    tests = read(table(tmp_path, *(f"{LONG} {number}" for number in range(2_000))))
    tracemalloc.start()
    touched, numbers = tests.find([LONG] * 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert touched == [True] * 50 and len(numbers) == 2_000
    assert peak < 20_000_000


def test_the_texts_found_are_named(tmp_path: Path) -> None:
    tests = read(table(tmp_path, LONG, SHORT, SHORT))
    assert tests.find([SHORT])[1].tolist() == [1, 2]
    assert tests.find([SHORT, LONG])[1].tolist() == [0, 1, 2]
    assert pickle.loads(pickle.dumps(tests)).find([LONG])[1].tolist() == [0]


NOISE = st.text("가나다라마 .", max_size=12)
QUOTED = st.text(st.sampled_from("가나다라마바사아자차카타파하 ."), min_size=15, max_size=60)


@st.composite
def quotations(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Test texts, and sentences of which some hold a stretch of one, of lengths about those that the rule names."""
    texts = draw(st.lists(QUOTED, min_size=1, max_size=3))
    sentences = []
    for _ in range(draw(st.integers(0, 3))):
        text = draw(st.sampled_from(texts))
        start, length = draw(st.integers(0, 5)), draw(st.sampled_from([19, 20, 23, 24, 25, 26, 60]))
        quoted = draw(NOISE) + text[start : start + length] + draw(NOISE)
        cut = draw(st.integers(0, len(quoted)))
        sentences += draw(st.sampled_from([[quoted], [quoted[:cut], quoted[cut:]]]))
    return texts, sentences


@given(quotations())
@example(([LONG], ["앞말 " + LONG[3:40]]))
def test_it_is_the_rule_as_it_is_said(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[str], list[str]]
) -> None:
    """Against the rule written out: 25 letters in a row, or the whole of a text of at least 20."""
    texts, sentences = drawn
    path = tmp_path_factory.mktemp("t") / "test.json"
    path.write_text(json.dumps(["x", *texts]), encoding="utf-8")
    tests = read(path, overlap_letters=25)

    def bare(text: str) -> str:
        runs = ["".join(run) for _, run in groupby(text.replace(" ", "").replace(".", ""))]
        return "".join(run[:2] for run in runs)

    kept = [text for text in map(bare, texts) if len(text) >= LEAST_LETTERS]
    corpus = "".join(map(bare, sentences))
    windows = [{text[i : i + 25] for i in range(max(1, len(text) - 24))} for text in kept]
    expected = [number for number, parts in enumerate(windows) if any(part in corpus for part in parts)]
    touched, found = tests.find(sentences)
    assert found.tolist() == expected
    assert any(touched) == bool(expected)


def test_every_format_is_read(tmp_path: Path) -> None:
    context = LONG + " " + SHORT
    squad = {"data": [{"title": "x", "paragraphs": [{"context": context, "qas": [{"question": SHORT, "id": "1"}]}]}]}
    files = {
        "squad.json": json.dumps(squad),
        "lines.jsonl": f"{json.dumps({'a': SHORT})}\n{json.dumps({'b': [LONG, 1, None]}, ensure_ascii=False)}\n",
        "table.csv": f'text,label\n"{SHORT}",0\n"{LONG}",1\n',
        "pairs.tsv": f"{SHORT}\t{LONG}\t0",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert read(tmp_path / name).find([SHORT, LONG])[1].tolist() == [0, 1], name


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "race").mkdir()
    for name, text in (("1.txt", SHORT), ("2.txt", LONG)):
        (tmp_path / "race" / name).write_text(json.dumps({"article": text}), encoding="utf-8")
    assert read(tmp_path / "race").find([LONG])[1].tolist() == [1]


@pytest.mark.parametrize(
    ("data", "said"), [(b"\xff", "not UTF-8 at byte 0"), (b'{"a": ', "begins like JSON and is none")]
)
def test_files_that_cannot_be_read(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "test.tsv").write_bytes(data)
    with pytest.raises(ClozeError, match=said):
        read(tmp_path / "test.tsv")
    with pytest.raises(ClozeError, match="cannot be read"):
        read(tmp_path / "absent.tsv")


@pytest.mark.parametrize(
    ("what", "kept", "dropped"),
    [("lines", ["첫 줄.", "끝 줄.", "다른 글."], (0, 2)), ("documents", ["다른 글."], (2, 4))],
)
def test_the_corpus_is_decontaminated_and_says_so(
    tmp_path: Path, what: str, kept: list[str], dropped: tuple[int, int]
) -> None:
    (tmp_path / "a.txt").write_text(f"첫 줄.\n{SHORT}\n끝 줄.\n\n다른 글.\n\n{SHORT}\n", encoding="utf-8")
    settings = CorpusSettings.model_validate(
        {"sources": ["a.txt"], "validation_frac": 0.0, "cleaning": {"decontaminate": what}}
    )
    folder = tmp_path / "corpus"
    folder.mkdir()
    files = {"reviews": table(tmp_path, SHORT, LONG, ANYBODYS), "none": table(tmp_path, ANYBODYS, name="none.tsv")}
    counts = build_corpus(settings, tmp_path, folder, Silent(), files)
    assert list(Corpus(folder).sentences("train")) == kept
    found = counts["dropped"]["overlaps with a test set"]
    assert found["examples"][0] == (SHORT if what == "lines" else "첫 줄.")

    assert (found["documents"], found["sentences"]) == dropped
    assert counts["tests"] == {"reviews": {"texts": 2, "found": 1}, "none": {"texts": 0, "found": 0}}


def test_personal_data_is_masked_in_test_texts_as_in_the_corpus(tmp_path: Path) -> None:
    text = "문의는 hong.gildong@news.co.kr로 보내 주시면 빠르게 답하겠습니다"
    path = table(tmp_path, text)
    masked = text.replace("hong.gildong@news.co.kr", "[전자우편]")
    assert read(path, mask_personal_data=["email"]).find([masked])[0] == [True]
    assert read(path).find([masked])[0] == [False]
