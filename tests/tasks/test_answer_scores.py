"""Exact match and F1 of answers, worked out by hand from the rules of the official scripts."""

from __future__ import annotations

import pytest

from cloze.tasks.answer_scores import Rules, answer_scores, f1, normalised, rouge_w


@pytest.mark.parametrize(
    ("rules", "text", "want"),
    [
        ("squad", "The  Eiffel-Tower, in an area!", "eiffeltower in area"),
        ("squad", "Theater of the Absurd", "theater of absurd"),
        ("squad", "《대한민국》 (서울)", "《대한민국》 서울"),
        ("korquad", "《대한민국》 (서울)", "대한민국 서울"),
        ("korquad", "‘A’형  <간염>.", "a 형 간염"),
        ("korquad", "세종,대왕", "세종대왕"),
        ("korquad", "the end", "the end"),
    ],
)
def test_normalised(rules: Rules, text: str, want: str) -> None:
    assert normalised(text, rules) == want


def test_f1_of_words_and_of_characters() -> None:
    assert f1("세종대왕이", "세종대왕", "squad") == 0
    assert f1("세종대왕이", "세종대왕", "korquad") == pytest.approx(2 * 4 / (5 + 4))
    assert f1("1989년 2월", "2월 15일", "korquad") == pytest.approx(2 * 3 / (7 + 5)), "1, 2, 월 in common"
    assert f1("the big red dog", "a red dog", "squad") == pytest.approx(2 * 2 / (3 + 2))
    assert f1("dog dog", "dog", "squad") == pytest.approx(2 * 1 / (2 + 1)), "a repeated word counts once"
    assert f1("", "dog", "squad") == f1("the", "a", "squad") == 0
    assert f1("the", "a", "squad", empty_agrees=True) == 1
    assert f1("", "dog", "squad", empty_agrees=True) == 0


def test_the_best_of_several_answers_counts() -> None:
    found = answer_scores(["the dog", "cat"], [["cat", "A dog!", "dog house"], ["cat food"]], "squad")
    assert found.pop("per_example") == pytest.approx([1, 2 / 3])
    assert found == {"exact_match": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2), "parts": {}}


def test_questions_without_an_answer_are_right_when_nothing_is_said() -> None:
    found = answer_scores(["", "dog", "dog", ""], [[], [], ["dog", "the"], ["dog"]], "squad")
    assert (found["exact_match"], found["f1"]) == (0.5, 0.5)
    assert found["parts"] == {
        "with an answer": {"exact_match": 0.5, "f1": 0.5, "count": 2},
        "without an answer": {"exact_match": 0.5, "f1": 0.5, "count": 2},
    }


@pytest.mark.parametrize(
    ("given", "wanted", "score"),
    [
        ("한 달", "한 달", 1),
        ("한 달가량", "한 달", 2 * 3 / (5 + 3)),
        ("약 한 달!", "한 달가량", 2 * 3 / (5 + 5)),  # the space counts, punctuation does not
        ("", "", 1),
        ("", "한 달", 0),
        ("가", "나", 0),
    ],
)
def test_rouge_w_is_f1_of_the_longest_common_run(given: str, wanted: str, score: float) -> None:
    assert rouge_w(given, wanted) == pytest.approx(score)


def test_the_rules_of_klue_keep_brackets_and_measure_rouge_w() -> None:
    assert normalised("《한국》 'A'", "klue") == "《한국》 a"
    found = answer_scores(["한 달가량", ""], [["한 달", "한 달가량"], []], "klue")
    assert (found["exact_match"], found["rouge_w"]) == (1, 1)
    assert found["parts"]["with an answer"] == {"exact_match": 1, "f1": 1, "rouge_w": 1, "count": 1}
    assert "rouge_w" not in answer_scores(["가"], [["가"]], "korquad")
