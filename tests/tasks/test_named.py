"""Named tasks: their settings are a recipe's, their files the catalogue's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloze.errors import ClozeError
from cloze.recipe import TaskSettings
from cloze.report.wording import MEASURES
from cloze.tasks.named import TASKS, is_published, named
from cloze.tasks.selection import read_splits
from cloze.tasks.task import Layout, kind_of, read_texts
from tests.tasks.published import write_published
from tests.tasks.test_tagging import BYTES


@pytest.mark.parametrize("name", TASKS)
def test_a_named_task_is_a_task(name: str) -> None:
    task = TaskSettings.model_validate({"name": name, **TASKS[name].settings})
    assert TASKS[name].measure in MEASURES
    assert kind_of(task.kind).name == task.kind
    assert bool(TASKS[name].references) == bool(TASKS[name].source)
    for scores in (TASKS[name].references, *TASKS[name].also.values()):
        assert all(20 < score < 100 for score in scores.values())
        assert set(scores) <= set(TASKS[name].references)
    assert set(TASKS[name].also) <= set(MEASURES)


DECIDING: dict[str, dict[str, Any]] = {
    "nsmc": {"kind": "classification", "text_column": "document", "second_text_column": None, "label_column": "label"},
    "kornli": {"kind": "classification", "text_column": "sentence1", "second_text_column": "sentence2"},
    "korsts": {"kind": "regression", "second_text_column": "sentence2", "label_column": "score"},
    "question-pair": {"second_text_column": "question2", "label_column": "is_duplicate"},
    "hate-speech": {"kind": "classification", "text_column": "comments", "label_column": "hate"},
    "naver-ner": {"kind": "tagging", "tag_format": "sentences"},
    "korquad": {"kind": "question_answering", "answer_rules": "korquad"},
    "squad": {"kind": "question_answering", "answer_rules": "squad"},
    "squad2": {"kind": "question_answering", "answer_rules": "squad"},
    "klue-sts": {"kind": "regression", "positive_from": 3.0, "label_column": "labels.real-label"},
    "klue-ner": {"kind": "tagging", "tag_format": "characters"},
    "klue-re": {"null_class": "no_relation", "entity_columns": ["subject_entity", "object_entity"]},
    "klue-mrc": {"kind": "question_answering", "answer_rules": "klue"},
    "sst2": {"text_column": "sentence", "second_text_column": None},
    "mrpc": {"label_column": "Quality"},
    "race": {"kind": "multiple_choice"},
}
"""What decides the scores of published tasks, as their publishers say it."""


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_a_published_score_is_the_publishers(name: str) -> None:
    task = TaskSettings.model_validate({"name": name, **TASKS[name].settings})
    assert {key: getattr(task, key) for key in DECIDING[name]} == DECIDING[name]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("ignore:.*is constant", "ignore:.*only two")
def test_the_published_format_is_read_whole_and_scored_by_its_measures(tmp_path: Path, name: str) -> None:
    pytest.importorskip("seqeval", reason="the tasks extra is not installed")
    write_published(tmp_path, name)
    found = TASKS[name]
    task = TaskSettings.model_validate({"name": name, **found.settings})
    kind, splits = kind_of(task.kind), read_splits(tmp_path, task)
    assert splits.counts["test"].get("left_out", 0) == 0
    inputs = kind.inputs(splits.test, splits.classes, Layout(BYTES, 256, 2), task)
    count = len(inputs.features.ids) if kind.per_token else len(inputs.features.lengths)
    outputs = np.random.default_rng(1).standard_normal((count, len(splits.classes))).astype(np.float32)
    scores = inputs.score(outputs)
    for measure in (found.measure, *found.also):
        assert 0 <= abs(scores[measure]) <= 1


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, True),
        ({"train": "mine.tsv", "epochs": 9, "length": 32, "development_frac": 0.1}, True),
        ({"test": Path("/data/korsts/sts-test.tsv")}, True),
        ({"test": "korsts/sts-dev.tsv"}, False),
        ({"test": "sts-test.tsv"}, False),
        ({"name": "sts"}, False),
        ({"kind": "classification"}, False),
        ({"label_column": "rounded"}, False),
    ],
)
def test_a_task_is_the_published_one_if_its_scores_are(changes: dict[str, Any], published: bool) -> None:
    task = TaskSettings.model_validate({"name": "korsts", **TASKS["korsts"].settings, **changes})
    assert is_published(task) is published


def test_lines_that_break_off_in_qqp_are_left_out_and_counted(tmp_path: Path) -> None:
    """GLUE's file has questions with a line break in them, whose other half is a line of fewer fields."""
    good = "".join(f"{n}\t{n}\t{n}\tWhy ?\tHow {n} ?\t{n % 2}\n" for n in range(40))
    text = f"id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n{good}41\t1\t2\tWhy\n?\tHow ?\t0\n"
    (tmp_path / "train.tsv").write_text(text, encoding="utf-8")
    task = TaskSettings.model_validate({"name": "qqp", **TASKS["qqp"].settings})
    with pytest.warns(UserWarning, match=r"2 of 42 examples .*line 42: 4 tab-separated .*line 43: 3 tab-separated"):
        found = read_texts(tmp_path / "train.tsv", task)
    assert (len(found.texts), found.counts["left_out"]) == (40, 2)


def test_an_unknown_name_is_told_its_nearest() -> None:
    with pytest.raises(ClozeError, match="Did you mean nsmc"):
        named("nsmcc")
    with pytest.raises(ClozeError, match="klue-dp is of a kind that cloze does not have: dependency parsing"):
        named("klue-dp")


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("nsmc", "nsmc/ratings_test.txt", 25_000),
        ("korsts", "korsts/sts-dev.tsv", 1_500),
        ("kornli", "kornli/xnli.dev.ko.tsv", 2_490),
        ("question-pair", "question-pair/dev.tsv", 682),
        ("hate-speech", "hate-speech/dev.tsv", 471),
        ("klue-nli", "klue-nli/klue-nli-v1.1_dev.json", 3_000),
        ("sst2", "sst2/dev.tsv", 872),
        ("naver-ner", "naver-ner/test.tsv", 9_000),
        ("korquad", "korquad/KorQuAD_v1.0_dev.json", 5_774),
    ],
)
def test_published_files_are_read(shared_data: Path, name: str, file: str, count: int) -> None:
    task = TaskSettings.model_validate({"name": name, **TASKS[name].settings})
    counts = kind_of(task.kind).read(shared_data / file, task).counts
    assert counts["examples"] == count and counts["left_out"] == 0
