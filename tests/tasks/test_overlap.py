"""What training, development and test set have in common is counted and told for every kind, and left out nowhere."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from cloze.tasks.overlap import overlaps
from cloze.tasks.selection import read_splits
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


def test_a_pair_is_shared_with_both_of_its_texts(tmp_path: Path) -> None:
    parts = {}
    for name, row in (("train", "가\t나"), ("test", "나\t가")):
        (tmp_path / name).write_text(f"a\tb\tlabel\n{row}\t0\n", encoding="utf-8")
        parts[name] = read_texts(tmp_path / name, task(text_column="a", second_text_column="b"))
    assert overlaps(kind_of("classification"), parts) == {"test": {"shared_with_train": 0}}
