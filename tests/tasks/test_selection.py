"""The epoch is chosen by a development set that is never the test set; parts of the training examples are nested."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cloze.errors import ClozeError
from cloze.tasks.selection import EpochChoice, part, read_splits, split
from cloze.tasks.task import kind_of
from tests.tasks.test_finetuning import run, task, without_times

KEYS = [f"글 {number}" for number in range(2_000)]


def test_a_split_is_a_function_of_what_an_example_is_about() -> None:
    learned, apart = split(KEYS, 0.1, "development")
    assert sorted([*learned, *apart]) == list(range(2_000))
    assert 150 < len(apart) < 250
    longer = split(["new", *KEYS], 0.1, "development")[1]
    assert set(apart + 1) <= set(longer), "an example that is added moves no other"
    twice = split(KEYS + KEYS, 0.1, "development")[1]
    assert twice.tolist() == [*apart, *(apart + 2_000)], "equal texts are on one side"


@given(st.lists(st.text(), min_size=1, max_size=40), st.floats(0.01, 1), st.floats(0.01, 1))
def test_parts_are_nested(keys: list[str], one: float, other: float) -> None:
    small, large = (part(keys, share) for share in sorted((one, other)))
    assert set(small) <= set(large)
    assert len(large) == max(1, round(max(one, other) * len(keys)))
    assert (np.diff(small) > 0).all()


def test_the_first_of_equal_epochs_is_kept_and_none_is_below_all() -> None:
    model = nn.Linear(1, 1)
    choice = EpochChoice("f1")
    for epoch, f1 in enumerate([None, 0.5, 0.7, 0.7, 0.6, None]):
        nn.init.constant_(model.weight, epoch)
        assert choice.offer({"f1": f1}, model) == (epoch in (0, 1, 2))
    choice.restore(model)
    assert (choice.best, model.weight.item()) == (2, 2.0)


@pytest.mark.parametrize("kind", ["question_answering", "multiple_choice", "tagging", "multi_label", "regression"])
def test_every_kind_can_be_split_and_no_text_is_on_both_sides(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    settings = task(kind=kind, development_frac=0.3, train=path, test=path, text_column="text")
    with pytest.warns(UserWarning, match="the development part is .*, too few to tell good from bad"):
        found = read_splits(tmp_path, settings)
    keys = kind_of(kind).keys
    learned, apart, whole = map(keys, (found.train, found.development, kind_of(kind).read(tmp_path / path, settings)))
    assert learned and apart and not set(learned) & set(apart)
    assert sorted(learned + apart) == sorted(whole)
    assert found.counts["train file"]["examples"] == len(whole)
    assert found.counts["train"]["examples"] == len(learned)
    assert found.counts["development"]["examples"] == len(apart)


@pytest.mark.parametrize("kind", ["question_answering", "multiple_choice", "tagging", "multi_label", "regression"])
def test_a_test_may_be_a_part_of_the_one_labelled_file(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    settings = task(kind=kind, test_frac=0.3, development_frac=0.3, train=path, test=path, text_column="text")
    found, keys = read_splits(tmp_path, settings), kind_of(kind).keys
    sides = [set(keys(side)) for side in (found.train, found.development, found.test)]
    assert all(sides) and len(set.union(*sides)) == sum(map(len, sides)), "no text is on two sides"
    counts = {name: found.counts[name]["examples"] for name in ("labelled file", "train file", "test")}
    assert counts["train file"] + counts["test"] == counts["labelled file"]


def test_pairs_with_one_first_text_are_tested_together(tmp_path: Path) -> None:
    """As the three hypotheses of a premise in NLI: two that were learned would tell the label of the third."""
    rows = [f"전제 {i}\t가설 {i}-{label}\t{label}" for i in range(30) for label in ("가", "나", "다")]
    (tmp_path / "pairs.tsv").write_text("\n".join(["text\tsecond\tlabel", *rows]) + "\n", encoding="utf-8")
    columns = {"text_column": "text", "second_text_column": "second"}
    found = read_splits(tmp_path, task(test_frac=0.3, train="pairs.tsv", test="pairs.tsv", **columns))
    assert set(found.train.texts).isdisjoint(found.test.texts) and len(found.test.texts) % 3 == 0
    with pytest.raises(ClozeError, match=r"test_frac 1e-09 sets 0 of 90 examples apart and leaves 90 .*\(--test\)"):
        read_splits(tmp_path, task(test_frac=1e-9, train="pairs.tsv", test="pairs.tsv", **columns))


def test_texts_that_differ_in_spaces_are_tested_together(tmp_path: Path) -> None:
    rows = [f"글  {i // 2}\t{i % 3}" if i % 2 else f"글 {i // 2} \t{i % 3}" for i in range(200)]
    (tmp_path / "texts.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    found = read_splits(tmp_path, task(test_frac=0.3, train="texts.tsv", test="texts.tsv", text_column="text"))
    assert found.counts["test"]["shared_with_train"] == 0
    assert found.labelled.counts["examples"] == 200


@pytest.mark.parametrize("purpose", ["test", "development"])
@pytest.mark.parametrize("kind", ["classification", "multi_label", "tagging", "question_answering"])
def test_what_only_a_part_would_have_is_learned_from(tmp_path: Path, kind: str, purpose: str) -> None:
    """And its text's other examples with it: else nothing could predict it, and the file would be refused."""
    path, keys = write(tmp_path, kind), kind_of(kind).keys
    settings = task(kind=kind, **{f"{purpose}_frac": 0.3}, train=path, test=path, text_column="text")
    before = read_splits(tmp_path, settings)
    key = keys(getattr(before, purpose))[0]
    number = "".join(filter(str.isdigit, key))
    common, rare = {
        "tagging": (f"사람{number} 간다\tB-PS", f"사람{number} 간다\tB-RARE"),
        "question_answering": (f'"id": "{number}-0"', f'"is_impossible": true, "id": "{number}-0"'),
    }.get(kind, (f"글 {number}\t", f"글 {number}\trare"))
    text = (tmp_path / path).read_text(encoding="utf-8")
    assert text.count(common) == 1
    (tmp_path / path).write_text(text.replace(common, rare), encoding="utf-8")
    after = read_splits(tmp_path, settings)
    assert key in keys(after.train) and key not in keys(getattr(after, purpose))
    moved, whole = 2 if kind == "question_answering" else 1, "labelled file" if purpose == "test" else "train file"
    assert [one.counts[whole]["moved_to_train"] for one in (before, after)] == [0, moved]
    assert len(keys(getattr(after, purpose))) == len(keys(getattr(before, purpose))) - moved


def test_labels_that_all_differ_leave_nothing_to_set_apart(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(
        "text\tlabel\n" + "".join(f"글 {i}\t이름 {i}\n" for i in range(40)), encoding="utf-8"
    )
    with pytest.raises(
        ClozeError, match=r"sets 0 of 40 examples apart .* \(\d+ more have labels that no other example"
    ):
        read_splits(tmp_path, task(test_frac=0.3, train="a.tsv", test="a.tsv", text_column="text"))


def write(folder: Path, kind: str) -> Path:
    """A file of 20 texts, of which some kinds ask two questions."""
    if kind == "question_answering":
        paragraphs = []
        for i in range(20):
            answers = [{"text": f"글{i}", "answer_start": 0}]
            asked = [{"id": f"{i}-{j}", "question": "뭐?", "answers": answers} for j in (0, 1)]
            paragraphs.append({"context": f"글{i} 이다", "qas": asked})
        text, path = json.dumps({"data": [{"title": "하나", "paragraphs": paragraphs}]}), "questions.json"
    elif kind == "multiple_choice":
        rows = [f"글 {i // 2}\t질문\t하나\t둘\t셋\t넷\t{'ABCD'[i % 4]}" for i in range(40)]
        text, path = "\n".join(["text\tquestion\tA\tB\tC\tD\tlabel", *rows]), "choices.tsv"
    elif kind == "tagging":
        text, path = "\n".join(f"사람{i} 간다\tB-PS O" for i in range(20)), "tags.tsv"
    else:
        text, path = "\n".join(["text\tlabel", *(f"글 {i}\t{i % 3}" for i in range(20))]), "table.tsv"
    (folder / path).write_text(text + "\n", encoding="utf-8")
    return Path(path)


@pytest.fixture(scope="module")
def chosen(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task whose epoch a tenth of its training examples chose."""
    folder = tmp_path_factory.mktemp("chosen")
    run(data, folder, task(development_frac=0.2))
    return folder


def test_the_best_epoch_is_scored_once_and_said(chosen: Path) -> None:
    results, lines = without_times(chosen)
    counts = results["counts"]
    assert counts["train"]["examples"] + counts["development"]["examples"] == counts["train file"]["examples"] == 200
    made = {"made": "hash of the training examples", "share": 0.2, "measure": "accuracy"}
    assert results["development"] == made | {"examples": counts["development"]["examples"]}
    assert "chosen epoch" in results["meaning"]["test"]
    for seed in results["pretrained"]["seeds"]:
        mine = [line for line in lines if line["seed"] == seed["seed"]]
        scores = [line["classification/accuracy"] for line in mine if line["kind"] == "development"]
        assert scores == [epoch["accuracy"] for epoch in seed["development"]] and len(scores) == 3
        assert seed["chosen_epoch"] == 1 + scores.index(max(scores)), "the earlier of equal ones"
        (test,) = [line for line in mine if line["kind"] == "test"]
        assert (test["epoch"], test["classification/accuracy"]) == (seed["chosen_epoch"], seed["test"]["accuracy"])


def test_choosing_changes_no_training(data: Path, tmp_path: Path) -> None:
    """Scoring the development set changes no training, and the test score is that of the epoch's own weights."""
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    shutil.copy(folder / "train.txt", folder / "dev.txt")
    results = run(folder, tmp_path / "run", task(development=Path("dev.txt"), seeds=[1], epochs=2))
    assert results["development"] == {"made": "file", "share": None, "examples": 200, "measure": "accuracy"}
    straight = run(folder, tmp_path / "straight", task(seeds=[1], epochs=2))
    first, last = [
        line for line in map(json.loads, (tmp_path / "straight" / "metrics.jsonl").open()) if line["kind"] == "test"
    ]
    wanted = (first, last)[results["pretrained"]["seeds"][0]["chosen_epoch"] - 1]
    assert results["pretrained"]["seeds"][0]["test"]["accuracy"] == wanted["classification/accuracy"]
    assert straight["development"] is None and "chosen_epoch" not in straight["pretrained"]["seeds"][0]


def test_the_test_file_does_not_choose(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    shutil.copy(folder / "test.txt", folder / "other_name.txt")
    with pytest.raises(ClozeError, match=r"development file .*other_name\.txt is the test file"):
        run(folder, tmp_path, task(development=Path("other_name.txt")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"development_frac": 0.001}, r"sets 0 of 200 examples apart"),
        ({"development": Path("none.txt")}, r"none\.txt cannot be read"),
    ],
)
def test_a_development_set_must_exist(data: Path, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ClozeError, match=message):
        run(data, tmp_path, task(**settings))


def test_two_development_sets_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="set one of them"):
        task(development=Path("dev.txt"), development_frac=0.1)


def test_smaller_shares_are_trained_beside_all(data: Path, tmp_path: Path) -> None:
    settings = {"seeds": [1, 2], "epochs": 1, "from_random_weights": True}
    results = run(data, tmp_path / "shares", task(shares=[0.5, 0.1, 1.0], **settings))
    assert [(one["share"], one["rows"]) for one in results["shares"]] == [(0.1, 20), (0.5, 100)], "1 is the task itself"
    for one in results["shares"]:
        for start in ("pretrained", "random_weights"):
            assert [seed["seed"] for seed in one[start]["seeds"]] == [1, 2]
            assert one[start]["mean"]["test"]["accuracy"] is not None
    run(data, tmp_path / "all", task(**settings))
    (alone, lines), (beside, curves) = (without_times(tmp_path / name) for name in ("all", "shares"))
    assert curves == lines and {**beside, "shares": []} == alone, "shares change nothing of the task itself"
    stored = sorted((tmp_path / "shares" / "seeds").iterdir())
    assert len(stored) == 12 and (tmp_path / "shares" / "seeds" / "pretrained-1-share-0.1.json") in stored
    written_at = [path.stat().st_mtime_ns for path in stored]
    run(data, tmp_path / "shares", task(shares=[0.1, 0.5], **settings))
    assert [path.stat().st_mtime_ns for path in stored] == written_at, "finished parts are not trained again"
