"""Named tasks: their settings are a recipe's, their files the catalogue's."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloze.errors import ClozeError
from cloze.recipe import TaskSettings
from cloze.report.wording import MEASURES
from cloze.tasks.named import TASKS, named
from cloze.tasks.task import kind_of, read_texts


@pytest.mark.parametrize("name", TASKS)
def test_a_named_task_is_a_task(name: str) -> None:
    task = TaskSettings.model_validate({"name": name, **TASKS[name].settings})
    assert TASKS[name].measure in MEASURES
    assert kind_of(task.kind).name == task.kind
    assert bool(TASKS[name].references) == bool(TASKS[name].source)
    assert all(20 < score < 100 for score in TASKS[name].references.values())


def test_an_unknown_name_is_told_its_nearest() -> None:
    with pytest.raises(ClozeError, match="Did you mean nsmc"):
        named("nsmcc")


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
    ],
)
def test_published_files_are_read(shared_data: Path, name: str, file: str, count: int) -> None:
    task = TaskSettings.model_validate({"name": name, **TASKS[name].settings})
    assert len(read_texts(shared_data / file, task).texts) == count
