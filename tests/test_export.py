"""What a model card says of the data; whole exports are in end_to_end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError, DamagedError
from cloze.export import card, export
from cloze.files import write_folder, write_json
from cloze.report.run import read_run

FREE = {
    **{"name": "korsts", "licence": "CC BY-SA 4.0", "address": "https://example.org/sts", "citation": "Ham: KorSTS."},
    **{"used_for": ["task sts"], "changed": []},
}
BOUND = {"name": "wiki", "licence": "CC BY-NC-ND 4.0", "used_for": ["corpus"], "changed": ["wiki/a.txt"]}
OWN = {"used_for": ["corpus", "task own"], "count": 12, "files": ["mine/a.txt", "mine/b.txt"]}


def written(
    folder: Path, task: str | None, start: str | None = None, corpus: Sequence[str] = ("a.txt",), **info: Any
) -> str:
    """The card of a run whose run.json has `info`."""
    tasks = [{"name": "sts"}, {"name": "own"}]
    recipe: dict[str, Any] = {"name": "a", "model": {"family": "bert"}, "start_from": start, "tasks": tasks}
    recipe["corpus"] = {"sources": list(corpus)}
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return card(read_run(folder), task, "apache-2.0")


def test_licences_and_citations_of_what_it_was_trained_on(tmp_path: Path) -> None:
    text = written(tmp_path, None, sources=[FREE, BOUND, OWN])
    assert "license: apache-2.0" in text
    assert "| korsts | CC BY-SA 4.0 | task sts | https://example.org/sts |" in text
    assert "| wiki | CC BY-NC-ND 4.0 | corpus |  |" in text
    assert "| mine/a.txt, mine/b.txt and 10 more | licence not recorded | corpus, task own |  |" in text
    assert "- korsts: Ham: KorSTS." in text
    assert "wiki is licensed for non-commercial use (CC BY-NC-ND 4.0)" in text
    assert "The licence of wiki (CC BY-NC-ND 4.0) does not allow changed versions" in text
    assert "wiki/a.txt was changed after it was fetched." in text


def test_a_classifiers_card_leaves_other_tasks_out(tmp_path: Path) -> None:
    text = written(tmp_path, "own", sources=[FREE, BOUND, OWN])
    assert "korsts" not in text
    assert "| licence not recorded | corpus, task own |" in text


def test_a_licence_of_what_the_model_only_was_scored_on_forbids_nothing(tmp_path: Path) -> None:
    tested = {**FREE, "licence": "CC BY-NC 4.0"}
    assert "non-commercial" not in written(tmp_path, None, sources=[tested])
    assert "non-commercial" in written(tmp_path, "sts", sources=[tested])


def test_nothing_is_made_up_where_nothing_is_recorded(tmp_path: Path) -> None:
    infos: list[dict[str, Any]] = [{}, {"sources": []}, {"sources": "x"}]
    for info in infos:
        assert "The run did not record where its data came from, nor their licences." in written(tmp_path, None, **info)


def test_a_damaged_model_and_a_strange_licence_are_not_handed_on(tmp_path: Path) -> None:
    written(tmp_path, None)
    with write_folder(tmp_path / "pretraining", manifest={}) as aside:
        (aside / "model").mkdir()
        (aside / "model" / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ClozeError, match=r"the licence is 'mit\\n# x', expected one word"):
        export(tmp_path, tmp_path / "out", licence="mit\n# x")
    export(tmp_path, tmp_path / "good")
    (tmp_path / "pretraining" / "model" / "model.safetensors").write_bytes(b"wEights")
    with pytest.raises(DamagedError, match=r"model\.safetensors has another SHA-256"):
        export(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_another_one_was_the_start_of(tmp_path: Path) -> None:
    text = written(tmp_path, None, start="models/other", sources=[FREE])
    said = "Training went on from models/other; what that model was trained on is not recorded here."
    assert said in text
    text = written(tmp_path, "own", start="models/other", sources=[{**BOUND, "used_for": ["corpus of the start"]}])
    assert said not in text
    assert "| wiki | CC BY-NC-ND 4.0 | corpus of the start |  |" in text
    assert "wiki is licensed for non-commercial use" in text


@pytest.mark.parametrize("norm", ["rms", "batch"])
@pytest.mark.parametrize("task", [None, "own"])
def test_a_norm_that_transformers_lacks_is_not_exported(tmp_path: Path, norm: str, task: str | None) -> None:
    recipe = {"name": "a", "model": {"family": "bert", "norm": norm}, "tasks": [{"name": "own"}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    stage = "tasks/own" if task else "pretraining"
    message = rf"model\.norm {norm}, and no model of transformers has that norm.* cloze loads \S+/{stage}/model; "
    with pytest.raises(ClozeError, match=message):
        export(tmp_path, tmp_path / "out", task=task)
    assert not (tmp_path / "out").exists()


def test_a_run_of_cloze_finetune_is_exported_too(tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "run" / "tasks" / "own" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}", encoding="utf-8")
    written(run, "own", sources=[OWN], start="models/other", corpus=[])
    with pytest.raises(ClozeError, match="pretrained nothing: name the task, --task sts or own"):
        export(run, tmp_path / "out")
    with pytest.raises(ClozeError, match="has not finished"):
        export(run, tmp_path / "out", task="own")
    (model.parent / "results.json").write_text('{"kind": "classification"}', encoding="utf-8")
    write_json(model.parent / "manifest.json", {"files": {}})
    assert export(run, tmp_path / "out", task="own") == tmp_path / "out"
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "bert; this run only fine-tuned it." in text
    assert "licence not recorded" in text
