"""Fine-tuning without a recipe: published tasks by their names, and files of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError
from cloze.finetune import finetune_file, finetune_named
from cloze.progress import Silent
from cloze.report.cells import Table

SETTINGS = {"epochs": 1.0, "seeds": [1], "length": 16}


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(folder.glob("tasks/*/results.json")).read_bytes())
    return found


def test_a_named_task_is_trained_and_stands_beside_published_scores(data: Path, tmp_path: Path) -> None:
    (tmp_path / "nsmc").mkdir()
    for ours, theirs in (("train", "ratings_train.txt"), ("test", "ratings_test.txt")):
        (tmp_path / "nsmc" / theirs).write_bytes((data / f"{ours}.txt").read_bytes())
    shown: list[Table] = []
    folder = finetune_named(
        data / "model", "nsmc", tmp_path, tmp_path / "run", Silent(), settings=SETTINGS, show=shown.append
    )
    assert results(folder)["kind"] == "classification"
    assert ("Classes", "0, 1") in shown[0].rows and shown[0].rows[1][1].startswith("200 examples")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Beside published scores" in page and "KoBERT" in page and "89.59" in page
    assert "The test split: ratings_test.txt." in json.loads((folder / "run.json").read_bytes())["notes"]


def test_files_that_are_not_there_are_told_with_their_command(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"korsts/sts-train\.tsv and .*sts-test\.tsv\. `cloze data get korsts --data"):
        finetune_named(data / "model", "korsts", tmp_path, tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()


def test_a_file_of_tags_is_known_and_needs_a_test(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("seqeval", reason="the tasks extra is not installed")
    file = tmp_path / "tags.tsv"
    file.write_text("정말 영화\tO B-X\n그냥\tO\n" * 20, encoding="utf-8")
    ours: dict[str, Any] = {"text": "text", "label": "label", "settings": SETTINGS}
    with pytest.raises(ClozeError, match=r"is for tagging, and there is no test file\. .* --test"):
        finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
    folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), test=file, **ours)
    assert results(folder)["kind"] == "tagging"


def test_a_table_is_split_and_trained_on(data: Path, tmp_path: Path) -> None:
    shown: list[Table] = []
    file = data / "train.txt"
    ours: dict[str, Any] = {"text": "document", "label": "label", "settings": SETTINGS, "show": shown.append}
    folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
    assert results(folder)["kind"] == "classification"
    assert next(row[1] for row in shown[0].rows if row[0] == "Split").endswith("chosen by a hash of the texts")
