"""Examples that cannot be used: a few are left out and named, many are an error; ids that repeat; unseen labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloze.errors import ClozeError
from cloze.tasks.faults import Faults, count_repeated, refuse_unseen

FILE = Path("a.tsv")


def faults(count: int) -> Faults:
    found = Faults(FILE)
    for number in range(count):
        found.add(f"line {number + 2}", "no label")
    return found


def test_a_few_are_left_out_and_the_first_are_named() -> None:
    with pytest.warns(UserWarning, match=r"^a\.tsv: 2 of 20 .* left out: line 2: no label; line 3: no label$"):
        assert faults(2).settle(18) == 2
    with pytest.warns(UserWarning, match=r"7 of 100 .*line 6: no label; and 2 more$"):
        assert faults(7).settle(93) == 7
    assert faults(0).settle(0) == 0


@pytest.mark.parametrize(("wrong", "kept"), [(3, 26), (1, 0), (7, 7)])
def test_more_than_a_tenth_are_an_error(wrong: int, kept: int) -> None:
    with pytest.raises(ClozeError, match=rf"a\.tsv, line 2: no label.* {wrong} of {wrong + kept} examples cannot be"):
        faults(wrong).settle(kept)


def test_ids_of_earlier_examples_are_counted_and_named() -> None:
    assert count_repeated(FILE, [("a", "line 2"), ("b", "line 3"), ("", "line 4"), ("", "line 5")]) == 0
    with pytest.warns(UserWarning, match=r"^a\.tsv: 2 examples .* line 3 has 'a', the id of line 2; line 4 has 'a'"):
        assert count_repeated(FILE, [("a", "line 2"), ("a", "line 3"), ("a", "line 4")]) == 2
    with pytest.warns(UserWarning, match=r"^a\.tsv: the ids do not tell .* apart: 10 of 20 examples"):
        assert count_repeated(FILE, [(str(number % 10), f"line {number}") for number in range(20)]) == 10


def test_all_labels_that_training_lacks_are_counted() -> None:
    refuse_unseen(FILE, FILE, [(2, "x"), (3, "y")], ("x", "y"))
    with pytest.raises(
        ClozeError, match=r"^b\.json, object 3: the label 'z' .* a\.tsv, which has 'x', 'y'\. 3 label"
    ) as e:
        refuse_unseen(FILE, Path("b.json"), [(2, "x"), (3, "z"), (4, "w"), (5, "z")], ("x", "y"))
    assert "are so: 'z', 'w'." in str(e.value)
