"""What training, development and test set have in common is counted and told for every kind, and left out nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from cloze.errors import ClozeError
from cloze.recipe import Recipe
from cloze.tasks.overlap import overlaps
from cloze.tasks.preparation import read_task
from cloze.tasks.selection import Splits, read_splits
from cloze.tasks.task import kind_of, read_texts
from tests.tasks.test_finetuning import task
from tests.tasks.test_selection import write

KINDS = ["classification", "regression", "multi_label", "tagging", "question_answering", "multiple_choice"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_file_shares_everything(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    with pytest.warns(UserWarning, match=r"of \d+ test examples \(100\.0%\) .* example of train, such as '.*글|사람"):
        splits = read_splits(tmp_path, task(kind=kind, train=path, test=path, text_column="text"))
    assert (
        splits.counts["test"]["shared_with_train"]
        == splits.counts["test"]["examples"]
        == len(kind_of(kind).keys(splits.test))
    )
    assert "shared_with_train" not in splits.counts["train"]


def test_spaces_and_unicode_forms_hide_nothing_and_empty_texts_are_no_match(tmp_path: Path) -> None:
    texts = {
        "train": ["한국  영화", "", "하나"],
        "development": ["다른 글", "하나 ", " "],
        "test": [normalize("NFD", "한국 영화"), "하나", "둘", "", "다른 글"],
    }
    parts = {}
    for name, of_part in texts.items():
        (tmp_path / name).write_text("text\tlabel\n" + "".join(f"{text}\t0\n" for text in of_part), encoding="utf-8")
        parts[name] = read_texts(tmp_path / name, task(text_column="text"))
    with pytest.warns(UserWarning) as warned:
        found = overlaps(kind_of("classification"), parts)
    assert found == {
        "development": {"shared_with_train": 1},
        "test": {"shared_with_train": 2, "shared_with_development": 2},
    }
    assert [str(one.message).split(" have ")[0] for one in warned] == [
        "1 of 3 development examples (33.3%)", "2 of 5 test examples (40.0%)", "2 of 5 test examples (40.0%)"
    ]  # fmt: skip


def test_what_a_teacher_learned_is_no_test_for_its_student(tmp_path: Path) -> None:
    """Nor for a student of its student; a student that sets the same part of the same file apart is fine."""
    for name, first in (("all.tsv", 0), ("other.tsv", 200)):
        rows = "".join(f"글 {number}\t{number % 2}\n" for number in range(first, first + 200))
        (tmp_path / name).write_text("text\tlabel\n" + rows, encoding="utf-8")
    apart: dict[str, Any] = {"train": "all.tsv", "test": "all.tsv", "test_frac": 0.3}
    whole: dict[str, Any] = {"train": "all.tsv", "test": "other.tsv"}

    def read(*tasks: dict[str, Any]) -> Splits:
        named = [{"name": f"t{place}", "text_column": "text", **of_task} for place, of_task in enumerate(tasks)]
        recipe = Recipe.model_validate({"name": "a", "data": tmp_path, "tasks": named})
        return read_task(recipe, recipe.tasks[-1])

    between: dict[str, Any] = {"train": "other.tsv", "test": "other.tsv", "test_frac": 0.3, "teachers": ["t0"]}
    for chain in ([whole, apart | {"teachers": ["t0"]}], [whole, between, apart | {"teachers": ["t1"]}]):
        with pytest.raises(ClozeError, match=r"task t\d: its teachers learned from (\d+) of the \1 test examples"):
            read(*chain)
    assert read(apart, apart | {"teachers": ["t0"]}).counts["test"]["learned_by_teachers"] == 0
    few = (tmp_path / "other.tsv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "more.tsv").write_text("\n".join([*few, "글 3\t1", "글 5\t1"]) + "\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="its teachers learned from 2 of the 202 test examples"):
        found = read(whole, {"train": "other.tsv", "test": "more.tsv", "teachers": ["t0"]})
    assert found.counts["test"]["learned_by_teachers"] == 2


def test_a_pair_is_shared_with_both_of_its_texts(tmp_path: Path) -> None:
    parts = {}
    for name, row in (("train", "가\t나"), ("test", "나\t가")):
        (tmp_path / name).write_text(f"a\tb\tlabel\n{row}\t0\n", encoding="utf-8")
        parts[name] = read_texts(tmp_path / name, task(text_column="a", second_text_column="b"))
    assert overlaps(kind_of("classification"), parts) == {"test": {"shared_with_train": 0}}
