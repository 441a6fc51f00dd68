"""The paragraph for every case that a study may end in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloze.study.budget import Budget
from cloze.study.comparisons import Comparison
from cloze.study.statistics import Difference
from cloze.study.words import NAMED, in_words

BUDGET = Budget("equal tokens", "3.07 M", "tokens")
NOT_EQUAL = "That is not evidence that they are equal: more seeds would show smaller differences."
END = "All of it is for at most 3.07 M tokens of pretraining; with more the order may be another."


def compared(
    value: str, mean: float | None, p: float | None, *, task: str = "t", corpus: str = "", pairs: int = 3, why: str = ""
) -> Comparison:
    apart = None if mean is None else Difference(mean, p, pairs)
    others = {"corpus": corpus} if corpus else {}
    tail = f", {corpus}" if corpus else ""
    return Comparison("x", value + tail, "base" + tail, value, "base", others, task, apart, why, p)


def said(*comparisons: Comparison) -> str:
    return in_words(comparisons, "pretraining seeds", BUDGET)


def test_nothing_to_compare() -> None:
    assert said() == "Nothing was compared: there is one variant, or no task."


def test_no_difference_is_real() -> None:
    wanted = f"No difference from base is distinguishable from chance. {NOT_EQUAL} {END}"
    assert said(compared("a", 0.1, 0.2), compared("b", -0.1, 0.05)) == wanted, "0.05 itself is not below it"


def test_scores_of_development_sets_are_said_to_be_that() -> None:
    text = in_words([compared("a", 0.1, 0.2)], "pretraining seeds", BUDGET, split="development")
    assert text.endswith(f"{END} Scores are of development sets, in the epoch that these chose, which flatters them.")


def test_all_differences_are_real() -> None:
    text = said(compared("a", 0.1013, 0.0001), compared("b", -0.02, 0.012, task="u"))
    assert text == (
        f"a is 10.13 points above base on t (p < 0.001); b is 2.00 points below base on u (p = 0.012). {END}"
    )


def test_some_differences_are_real_and_the_others_are_named() -> None:
    text = said(
        compared("a", 0.1, 0.01), compared("b", 0.0, 0.9), compared("c", 0.01, 0.5), compared("a", 0.1, 0.3, task="u")
    )
    assert text.startswith("a is 10.00 points above base on t (p = 0.010). The other 3 of 4 differences are not ")
    assert f"distinguishable from chance: b and c on t; a on u. {NOT_EQUAL}" in text


def test_many_others_are_counted() -> None:
    text = said(compared("a", 0.1, 0.01), *(compared(f"v{i}", 0.0, 0.9) for i in range(NAMED + 1)))
    assert f"The other {NAMED + 1} of {NAMED + 2} differences are not distinguishable from chance. That" in text


def test_of_many_real_ones_the_largest_are_named() -> None:
    text = said(*(compared(f"v{i}", 0.01 * i, 0.01) for i in range(1, NAMED + 2)))
    assert text.startswith(
        f"{NAMED + 1} of {NAMED + 1} differences are larger than chance explains, the largest of them: v17 is"
    )
    assert text.count("points above") == NAMED // 2 and "not distinguishable" not in text


def test_one_seed_tests_nothing() -> None:
    text = said(compared("a", 0.1, None, pairs=1), compared("b", 0.1, None, pairs=1))
    assert text == "Nothing was tested against base: a test needs two seeds or more on both sides."


def test_fine_tuning_seeds_say_nothing_of_another_pretraining() -> None:
    text = in_words([compared("a", 0.1, 0.2)], "fine-tuning seeds", BUDGET)
    assert "Each variant was pretrained once, so none of this says what another seed of pretraining would give." in text


def test_what_is_missing_is_said() -> None:
    text = said(
        compared("a", 0.1, 0.2),
        compared("b", 0.1, None, pairs=1),
        compared("c", None, None, why="no cell of c has finished"),
        compared("c", None, None, task="u", why="no cell of c has finished"),
        compared("d", None, None, why="1 of 3 runs of d have no score on t"),
    )
    assert "Not tested, with one pair of seeds: b on t." in text
    assert (
        "3 of 5 comparisons could not be made: no cell of c has finished; 1 of 3 runs of d have no score on t." in text
    )
    assert "Not all rest on the same seeds: they have 1 to 3 pairs." in text


def test_nothing_could_be_compared() -> None:
    text = said(compared("c", None, None, why="no cell of base has finished"))
    assert text == "1 of 1 comparisons could not be made: no cell of base has finished."


def test_equal_differences_are_not_tested() -> None:
    text = said(compared("a", 0.1, None), compared("b", 0.1, 0.5))
    assert "Not tested, since all pairs of seeds differ by the same amount: a on t." in text


@pytest.mark.parametrize("p", [0.01, 0.9])
def test_crossed_axes_say_what_was_held_fixed(p: float) -> None:
    text = said(compared("a", 0.1, p, corpus="wiki"), compared("b", -0.1, 0.8, corpus="reviews"))
    if p < 0.05:
        assert text.startswith("a is 10.00 points above base on t with corpus wiki (p = 0.010). The other 1 of 2 ")
        assert "differences is not distinguishable from chance: b against base on t with corpus reviews." in text
    else:
        assert text.startswith("No difference is distinguishable from chance.")


def test_what_is_over_the_other_axis_is_said_after_what_is_not() -> None:
    scores = [compared("a", 0.01, 0.2, corpus="wiki"), compared("a", 0.01, 0.3, corpus="reviews")]
    together = [
        replace(compared("a", 0.01, 0.04), over=("corpus",)),
        replace(compared("b", 0.0, 0.9), over=("corpus",)),
    ]
    text = in_words(scores, "pretraining seeds", BUDGET, together=together)
    assert text == (
        f"No difference is distinguishable from chance. {NOT_EQUAL} Over the other axis together: a is 1.00 points "
        "above base on t (p = 0.040). The other 1 of 2 differences is not distinguishable from chance: b against base "
        f"on t. {END}"
    )
    three = [replace(one, over=("corpus", "size")) for one in together]
    missing = [replace(compared("c", None, None, why="no cell of c has finished"), over=("corpus", "size"))]
    text = in_words(scores, "pretraining seeds", BUDGET, together=three + missing)
    assert "Over the other axes together: a is 1.00" in text and "could not be made" not in text


def test_what_is_real_in_several_places_is_one_sentence() -> None:
    text = said(
        compared("a", 0.1, 0.01, corpus="wiki"),
        compared("a", 0.2, 0.02, corpus="reviews"),
        compared("a", -0.3, 0.03, corpus="novels"),
        compared("b", 0.0, 0.9, corpus="wiki"),
        compared("b", 0.0, 0.9, corpus="novels"),
    )
    assert text.startswith(
        "a is above base on t, by 10.00 points with corpus wiki (p = 0.010) and 20.00 with corpus reviews (p = 0.020); "
        "a is 30.00 points below base on t with corpus novels (p = 0.030). The other 2 of 5 differences are not "
        "distinguishable from chance: b against base on t with corpus wiki or corpus novels."
    )


def test_axes_whose_values_have_the_same_names_are_told_apart() -> None:
    nsp = replace(compared("yes", 0.1, 0.01), axis="nsp", base_value="no", others={"words": "no"})
    words = replace(compared("yes", 0.1, 0.02), axis="words", base_value="no", others={"nsp": "no"})
    alike = [replace(one, p=0.9, others={"words": "yes"}) for one in (nsp,)]
    text = said(nsp, words, *alike)
    assert text.startswith(
        "nsp yes is 10.00 points above nsp no on t with words no (p = 0.010); words yes is 10.00 points above words "
        "no on t with nsp no (p = 0.020). The other 1 of 3 differences is not distinguishable from chance: nsp yes "
        "against nsp no on t with words yes."
    )


def test_equal_differences_together_are_not_tested_either() -> None:
    scores = [compared("a", 0.01, 0.2, corpus="wiki"), compared("a", 0.01, 0.3, corpus="reviews")]
    together = [replace(compared("a", 0.01, None), over=("corpus",))]
    text = in_words(scores, "pretraining seeds", BUDGET, together=together)
    assert "Not tested, since all pairs of seeds differ by the same amount: a against base on t." in text


def test_losses_follow_the_scores_in_nats() -> None:
    scores = [compared("a", 0.1, 0.2), compared("b", 0.1, 0.3)]
    losses = [
        replace(compared("a", 1.3432, 0.001, task="MLM loss"), unit="nats"),
        replace(compared("b", -0.03, 0.2, task="MLM loss"), unit="nats"),
    ]
    assert in_words(scores, "pretraining seeds", BUDGET, losses) == (
        f"No difference from base is distinguishable from chance. {NOT_EQUAL} Losses of validation: a is 1.343 nats "
        "above base in MLM loss (p = 0.001). The other 1 of 2 differences is not distinguishable from chance: b on MLM "
        f"loss. {END}"
    )
    assert in_words([], "pretraining seeds", BUDGET, losses[:1]).startswith("Losses of validation: a is 1.343 nats")
