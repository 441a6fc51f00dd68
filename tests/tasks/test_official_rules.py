"""Measures are those of the official scripts on the same predictions: beside their rules stated anew, and by hand.

Single questions and counts agree to the last bit. Means over questions agree to 12 digits: beyond, the scripts
themselves differ by the order in which they add and divide.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloze.recipe import TaskSettings
from cloze.tasks import classification, question_answering, regression
from cloze.tasks.answer_scores import Rules, answer_scores, f1
from cloze.tasks.squad import read_questions
from cloze.tasks.tagging import entity_scores
from cloze.tasks.task import Layout
from tests.tasks import official
from tests.tasks.test_tagging import BYTES, wordpiece

PIECES = [
    *("the", "a", "an", "The", "AN", "theme", "b", "dog", "Dog's", "3", "１", "세종", "대왕", "대왕이", "ß", "İ", "x"),
    *("é", "e\u0301", "a\u0301", "\u1112\u1161\u11ab", "ㅋㅋ", "漢", "😀"),
    *"《》<>〈〉()‘’“”'\"[]{}.,!?-–—_·…~$%&#@",
    *(" ", " ", " ", "  ", "\t", "\n", "\u00a0", "\u3000", "\u200b"),
]
answer_texts = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
right_answers = st.lists(answer_texts, min_size=1, max_size=3)


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-12, abs=1e-15)


def check(
    rule: Callable[[str, Sequence[str]], official.Scores], rules: Rules, asked: list[tuple[str, list[str]]]
) -> None:
    """Every question by itself, and the percentages that a script prints."""
    found = answer_scores([said for said, _ in asked], [answers for _, answers in asked], rules)
    wanted = [rule(said, answers) for said, answers in asked]
    assert found["per_example"].tolist() == [one for _, one in wanted]
    assert 100 * found["exact_match"] == close(100.0 * sum(exact for exact, _ in wanted) / len(wanted))
    assert 100 * found["f1"] == close(100.0 * sum(one for _, one in wanted) / len(wanted))
    for name, part in found["parts"].items():
        mine = [
            scores for scores, (_, answers) in zip(wanted, asked, strict=True) if bool(answers) == ("with an" in name)
        ]
        assert part["count"] == len(mine) and part["f1"] == close(sum(one for _, one in mine) / len(mine))


@given(st.lists(st.tuples(answer_texts, right_answers), min_size=1, max_size=6))
def test_answers_are_scored_as_squad_1_and_korquad_do(asked: list[tuple[str, list[str]]]) -> None:
    check(official.squad1, "squad", asked)
    check(official.korquad, "korquad", asked)


@given(st.lists(st.tuples(answer_texts, st.lists(answer_texts, max_size=3)), min_size=1, max_size=6))
def test_answers_that_may_be_missing_are_scored_as_squad_2_does(asked: list[tuple[str, list[str]]]) -> None:
    check(official.squad2, "squad", [*asked, ("", [])])


@pytest.mark.parametrize(
    ("rules", "said", "answers", "exact", "overlap"),
    [
        ("squad", "The Broncos", ["Denver Broncos", "Broncos"], 1, 1),
        ("squad", "the Denver Broncos team", ["Denver Broncos", "broncos"], 0, Fraction(4, 5)),
        ("squad", "an apple, a pear", ["apple pear"], 1, 1),
        ("squad", "Saint-Denis", ["saintdenis"], 1, 1),
        ("squad", "theatre", ["atre"], 0, 0),
        ("squad", "a—b", ["b a"], 0, 0),  # A dash that is not ASCII stays, and the article before it goes.
        ("squad", "“Queen”", ["Queen"], 0, 0),  # Nor do its quotation marks go.
        ("squad", "１９８９", ["1989"], 0, 0),
        ("squad", "CAFÉ", ["café"], 1, 1),
        ("squad", "cafe\u0301", ["café"], 0, 0),
        ("squad", "x x y", ["x y y"], 0, Fraction(2, 3)),
        ("squad", "", ["the"], 1, 0),  # Version 1.1: both are empty, and share no word.
        ("korquad", "《대한민국》", ["대한민국"], 1, 1),
        ("korquad", "‘세종’(대왕)", ["세종 대왕"], 1, 1),
        ("korquad", "세종.대왕", ["세종대왕"], 1, 1),
        ("korquad", "세종대왕은", ["세종대왕"], 0, Fraction(8, 9)),
        ("korquad", "대 왕 세 종", ["세종대왕"], 0, 1),
        ("korquad", "가가", ["가"], 0, Fraction(2, 3)),
        ("korquad", "“세종”", ["세종"], 0, Fraction(4, 6)),  # Double ones that curl are not in its list.
        ("korquad", "the dog", ["dog"], 0, Fraction(6, 9)),
    ],
)
def test_known_cases(rules: Rules, said: str, answers: list[str], exact: int, overlap: Fraction) -> None:
    found = answer_scores([said], [answers], rules)
    assert (found["exact_match"], found["f1"]) == (exact, pytest.approx(float(overlap), rel=1e-15))
    rule = {"squad": official.squad1, "korquad": official.korquad}[rules]
    assert rule(said, answers) == (exact, found["f1"]), "the rules stated anew are tried on the same cases"


def test_nothing_said_and_nothing_to_say() -> None:
    found = answer_scores(["", "a", "the", "dog", ""], [[], [], [], ["the"], ["dog"]], "squad")
    assert found["per_example"].tolist() == [1, 1, 1, 0, 0], "articles alone are nothing; so is an answer of them"
    assert found["exact_match"] == 3 / 5
    assert f1("dog", "", "squad") == 0


@given(answer_texts, st.lists(answer_texts, max_size=3))
def test_answers_are_scored_as_klue_does(said: str, answers: list[str]) -> None:
    # As for SQuAD 2.0, right answers of nothing but punctuation are left out; KLUE's files have none.
    known = [answer for answer in answers if official.klue_text(answer)]
    found = answer_scores([said, ""], [answers, []], "klue")
    exact, rouge = official.klue_mrc(said, known)
    assert (found["exact_match"], found["rouge_w"]) == ((exact + 1) / 2, (rouge + 1) / 2)


@pytest.mark.parametrize(
    ("said", "answers", "exact", "rouge"),
    [
        ("《서울》", ["서울"], 0, Fraction(2 * 2, 4 + 2)),  # Its expression for marks fits none.
        ("'서울', ", ["서울"], 1, 1),
        ("서울시 강남", ["강남 서울시"], 0, Fraction(2 * 3, 6 + 6)),
    ],
)
def test_known_cases_of_klue(said: str, answers: list[str], exact: int, rouge: Fraction) -> None:
    found = answer_scores([said], [answers], "klue")
    assert (found["exact_match"], found["rouge_w"]) == (exact, pytest.approx(float(rouge), rel=1e-15))
    assert official.klue_mrc(said, answers) == (exact, found["rouge_w"])


def test_the_whole_of_korquad_is_scored_as_by_its_script(shared_data: Path) -> None:
    """With right answers, and ones that are a little wrong: longer, shorter, of another question."""
    questions = read_questions(shared_data / "korquad" / "KorQuAD_v1.0_dev.json").questions
    firsts = [question.answers[0] for question in questions]
    said = [(text, f"{text}은", text[1:], f"'{text}'", firsts[i - 1])[i % 5] for i, text in enumerate(firsts)]
    asked = [(text, list(question.answers)) for text, question in zip(said, questions, strict=True)]
    check(official.korquad, "korquad", asked)
    check(official.squad1, "squad", asked)


@pytest.mark.parametrize(
    ("rules", "rule", "second"),
    [
        ("squad", official.squad1, "f1"),
        ("squad", official.squad2, "f1"),
        ("korquad", official.korquad, "f1"),
        ("klue", official.klue_mrc, "rouge_w"),
    ],
)
def test_answers_that_stand_nowhere_count_as_in_the_scripts(
    tmp_path: Path, rules: Rules, rule: Callable[[str, Sequence[str]], official.Scores], second: str
) -> None:
    """The scripts compare texts and look at no place: an answer that the context does not have is a right one, too."""
    context = "세종대왕은 한글을 만들었다. The king, a king."
    found, lost = ["세종대왕", "the king"], ["세종 대왕", "한 글", "Kings", "연산군", "", "、"]
    right = [*([text] for text in (*found, *lost)), lost[:3], [*lost, *found]]
    right += [[]] if rule is official.squad2 else []
    asked = [
        {"id": str(number), "question": "?", "answers": [{"text": text, "answer_start": 99} for text in texts]}
        | {"is_impossible": not texts}
        for number, texts in enumerate(right)
    ]
    file = tmp_path / "test.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": asked}]}]}), encoding="utf-8")
    task = TaskSettings(name="qa", kind="question_answering", train=file, test=file, answer_rules=rules)
    with pytest.warns(UserWarning, match="don't stand where it says"):
        examples = question_answering.KIND.read(file, task)
    assert (examples.counts["examples"], examples.counts["unlocated_questions"]) == (len(right), 8)
    inputs = question_answering.KIND.inputs(examples, ("start", "end"), Layout(BYTES, 256, 1), task)
    for seed in range(50):
        outputs = np.random.default_rng(seed).normal(size=(len(inputs.features.ids), 2)).astype(np.float32)
        said = [one["predicted"] for one in inputs.predictions(outputs)]
        wanted = [rule(*one) for one in zip(said, right, strict=True)]
        scores = inputs.score(outputs)
        assert scores["exact_match"] == close(sum(exact for exact, _ in wanted) / len(wanted))
        assert scores[second] == close(sum(one for _, one in wanted) / len(wanted))
        assert ("without an answer" in scores["parts"]) == (rule is official.squad2)


TAGS = ["O", "B-A", "I-A", "B-B", "I-B", "B-C", "I-C"]
tagged = st.lists(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=9), min_size=1, max_size=4)


@given(tagged)
def test_entities_are_scored_as_conlleval_and_klue_do(texts: list[list[tuple[str, str]]]) -> None:
    wanted, said = ([[pair[side] for pair in text] for text in texts] for side in (0, 1))
    assume(any(tag != "O" for text in wanted for tag in text))
    found = entity_scores(wanted, said, TAGS)
    conll, strict = (
        official.f1_by_type(rule, wanted, said) for rule in (official.conll_chunks, official.strict_chunks)
    )
    assert found["entity_f1"] == conll.pop("")
    assert {name: part["f1"] for name, part in found["parts"].items()} == conll
    del strict[""]
    assert found["entity_macro_f1"] == (close(sum(strict.values()) / len(strict)) if strict else None)
    flat = [[tag for text in side for tag in text] for side in (wanted, said)]
    pairs = list(zip(*flat, strict=True))
    by_tag = []
    for tag in TAGS:
        right, known, given = (pairs.count((tag, tag)), flat[0].count(tag), flat[1].count(tag))
        by_tag.append(official.overlap(right, given, known) if known or given else 1.0)  # As KLUE's script asks.
    assert found["tag_f1"] == close(sum(by_tag) / len(TAGS))


@pytest.mark.parametrize(
    ("wanted", "said", "conlleval"),
    [
        ("O B-A I-A", "O I-A I-A", 1),  # An I without its B begins a chunk.
        ("B-A I-A", "B-A I-B", 0),  # I of another type begins one, too: 2 given, none right.
        ("B-A B-A", "B-A I-A", 0),  # Two of one word are not one of two.
        ("I-A O I-A", "B-A O B-A", 1),
        ("B-A I-A O B-B", "B-A I-A O B-C", Fraction(1, 2)),
        ("B-A I-A I-A", "B-A I-A O", 0),  # Half a chunk is none.
    ],
)
def test_known_chunks(wanted: str, said: str, conlleval: Fraction) -> None:
    texts = [wanted.split()], [said.split()]
    assert entity_scores(*texts, TAGS)["entity_f1"] == pytest.approx(float(conlleval), rel=1e-15)
    assert official.f1_by_type(official.conll_chunks, *texts)[""] == pytest.approx(float(conlleval), rel=1e-15)


def test_a_chunk_ends_with_its_text() -> None:
    """conlleval reads a blank line as O."""
    found = entity_scores([["B-A"], ["I-A"]], [["B-A"], ["I-A"]], TAGS)
    assert found["parts"]["A"]["count"] == 2


numbers = st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 20)), min_size=3, max_size=25)


@given(numbers)
def test_correlations_are_exact_also_with_ties(rows: list[tuple[int, int]]) -> None:
    said, wanted = ([row[0] / 4 for row in rows], [row[1] / 5 for row in rows])
    assume(len(set(said)) > 1 and len(set(wanted)) > 1)
    found = regression.score(np.array(said, dtype=np.float32)[:, None], np.array(wanted))
    assert found["pearson"] == pytest.approx(official.pearson(said, wanted), rel=1e-12, abs=1e-14)
    assert found["spearman"] == pytest.approx(official.spearman(said, wanted), rel=1e-12, abs=1e-14)


def test_known_correlations() -> None:
    """Pearson of 1..5 and 10, 9, 2.5, 6, 4; Spearman with the 7 twice: 1 - 6 sum d^2 / (n^3 - n) does not hold."""
    one = np.arange(1, 6, dtype=np.float32)[:, None]
    assert regression.score(one, np.array([10, 9, 2.5, 6, 4]))["pearson"] == pytest.approx(
        -0.7426106572325056, rel=1e-12
    )
    assert regression.score(one, np.array([5.0, 6, 7, 8, 7]))["spearman"] == pytest.approx(8 / 95**0.5, rel=1e-12)


def test_labels_are_the_numbers_of_the_file(tmp_path: Path) -> None:
    """3.8 in float32 is 3.79999995: correlations would differ in the eighth digit."""
    labels = ["3.8", "0.1", "2.2", "4.9", "1.3"]
    file = tmp_path / "a.tsv"
    file.write_text("document\tlabel\n" + "".join(f"가\t{label}\n" for label in labels), encoding="utf-8")
    task = TaskSettings(name="a", kind="regression", train=file, test=file)
    examples = regression.KIND.read(file, task)
    inputs = regression.KIND.inputs(examples, ("label",), Layout(wordpiece("가"), 8, 2), task)
    outputs = np.array([[3.5], [0.5], [2.25], [4.0], [2.5]], dtype=np.float32)
    scores, wanted = inputs.score(outputs), [float(label) for label in labels]
    assert scores["pearson"] == pytest.approx(official.pearson(outputs[:, 0].tolist(), wanted), rel=1e-14)
    assert [one["label"] for one in inputs.predictions(outputs)] == wanted


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_accuracy_and_macro_f1_count_the_classes_that_occur(rows: list[tuple[int, int]]) -> None:
    wanted, said = zip(*rows, strict=True)
    found = classification.score(np.eye(6, dtype=np.float32)[list(said)], np.array(wanted))
    assert found["accuracy"] == sum(a == b for a, b in rows) / len(rows)
    of_classes = []
    for name in {*wanted, *said}:
        right = sum(a == b == name for a, b in rows)
        of_classes.append(Fraction(2 * right, wanted.count(name) + said.count(name)))
    assert found["macro_f1"] == close(float(sum(of_classes) / len(of_classes)))


def test_a_class_that_does_not_occur_has_no_part_in_the_mean() -> None:
    """As scikit-learn's f1_score(average="macro") and so KLUE's script have it: one absent class of three."""
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 1]]
    assert classification.score(outputs, np.array([0, 0, 1]))["macro_f1"] == pytest.approx(2 / 3, rel=1e-15)
