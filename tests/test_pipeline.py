"""What a stage does is tested where it stands, whole runs in end_to_end; here is what lies between them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cloze import pipeline
from cloze.errors import ClozeError
from cloze.files import write_json
from cloze.pipeline import Prepared, batch_of_step
from cloze.progress import Silent
from cloze.recipe import Recipe


class FakeRows:
    """Epochs of 10, 7, 10, 7, ... rows of half the length: twice as many a step. A batch is what was asked for."""

    def rows_per_step(self, batch_rows: int) -> int:
        return 2 * batch_rows

    def rows_in_epoch(self, number: int) -> int:
        return (10, 7)[number % 2]

    def batch(self, epoch: int, places: NDArray[np.int64]) -> tuple[int, list[int]]:
        return epoch, places.tolist()


@pytest.mark.parametrize(
    ("step", "rows", "expected"),
    [
        (1, 4, (0, [0, 1, 2, 3])),
        (1, 2, (0, [0, 1])),
        (3, 9, (0, [8, 9])),  # The epoch's last step is smaller.
        (4, 9, (1, [0, 1, 2, 3])),
        (5, 9, (1, [4, 5, 6])),
        (6, 1, (2, [0])),
    ],
)
def test_a_step_is_found_in_its_epoch(step: int, rows: int, expected: tuple[int, list[int]]) -> None:
    recipe = Recipe.model_validate({"name": "r", "training": {"batch_rows": 2}})
    tokenizer: Any = None
    fake: Any = FakeRows()
    found: Any = batch_of_step(recipe, Prepared(tokenizer, fake, None), step, rows)
    assert found == expected


def test_a_run_that_is_made_anew_is_not_taken_for_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a study's table would show the numbers of the run before, under the recipe of this one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("하나.\n", encoding="utf-8")
    recipe = Recipe.model_validate({"name": "again", "data": tmp_path, "corpus": {"sources": ["a.txt"]}})
    folder = recipe.output / recipe.name
    write_json(folder / "run.json", {})
    with pytest.raises(ClozeError):  # too little text to train on
        pipeline.run(recipe, Silent())
    assert (folder / "recipe.yaml").is_file() and not (folder / "run.json").exists()


@pytest.mark.parametrize(
    ("text", "kept"), [('{"notes": ["mine"], "stages": {}}', {"notes": ["mine"]}), ("[]", {}), ("{", {}), (None, {})]
)
def test_what_the_user_notes_in_run_json_is_kept(tmp_path: Path, text: str | None, kept: dict[str, Any]) -> None:
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert pipeline._notes(path) == kept


def test_a_recipe_that_only_fine_tunes_has_no_rows(tmp_path: Path) -> None:
    task = {"name": "t", "train": "a.txt", "test": "b.txt"}
    recipe = Recipe.model_validate({"name": "own", "start_from": tmp_path, "tasks": [task]})
    with pytest.raises(ClozeError, match=r"the recipe own only fine-tunes .* without corpus"):
        pipeline.make_store(recipe, {}, Silent())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_lack_of_memory_is_told_with_what_helps(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study goes on with its other cells after a ClozeError, and after nothing else."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "plan_stages", fail)
    recipe = Recipe.model_validate({"name": "large", "corpus": {"sources": ["a.txt"]}})
    with pytest.raises(ClozeError, match=r"large does not fit into memory \(.+\)\. Set training\.micro_batch_rows"):
        pipeline.run(recipe, Silent())


def test_other_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(pipeline, "plan_stages", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        pipeline.run(Recipe.model_validate({"name": "a", "corpus": {"sources": ["a.txt"]}}), Silent())


def test_the_record_of_an_archive_is_that_of_the_files_in_it(tmp_path: Path) -> None:
    """A licence that forbids changes must not be lost because the file was packed."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.txt", "가나다.")
        archive.writestr("y.txt", "라마바.")
    record = {"name": "set", "licence": "CC BY-ND", "files": {"a.zip": {"blob_id": "0" * 40}}}
    write_json(tmp_path / "SOURCE.json", record)
    recipe = Recipe.model_validate({"name": "a", "data": tmp_path, "corpus": {"sources": ["a.zip"]}})
    (found,) = pipeline._sources(recipe)
    assert (found["licence"], found["used_for"], found["changed"]) == ("CC BY-ND", ["corpus"], ["a.zip"])
