"""Stage folders: what their names depend on, made once, nothing half-made."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError, DamagedError
from cloze.progress import Silent
from cloze.recipe import Recipe
from cloze.stages import Stage, forget_others, is_whole, make, plan_stages, siblings, without_own_links


def recipe(folder: Path, **changes: Any) -> Recipe:
    """A recipe over tiny files in `folder`; changes are dotted with `__`."""
    data = folder / "data"
    data.mkdir(exist_ok=True, parents=True)
    for name in ("corpus.txt", "train.tsv", "test.tsv"):
        if not (data / name).exists():
            (data / name).write_text(f"{name}\n", encoding="utf-8")
    values: dict[str, Any] = {
        "name": "r",
        "data": data,
        "output": folder / "runs",
        "corpus": {"sources": ["corpus.txt"]},
        "tasks": [{"name": "t", "train": "train.tsv", "test": "test.tsv"}],
    }
    for key, value in changes.items():
        *sections, name = key.split("__")
        inner = values
        for section in sections:
            inner = inner[int(section)] if isinstance(inner, list) else inner.setdefault(section, {})
        inner[name] = value
    return Recipe.model_validate(values)


def names(recipe: Recipe) -> dict[str, str]:
    return {name: stage.folder.name for name, stage in plan_stages(recipe).items()}


def changed(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return [name for name in one if one[name] != other[name]]


@pytest.mark.parametrize(
    ("change", "made_again"),
    [
        ({"corpus__min_characters": 9}, ["corpus", "tokenizer", "store", "pretraining", "task-t"]),
        ({"corpus__cleaning__repeated_lines": 9}, ["corpus", "tokenizer", "store", "pretraining", "task-t"]),
        ({"corpus__cleaning__decontaminate": "lines"}, ["corpus", "tokenizer", "store", "pretraining", "task-t"]),
        ({"tokenizer__vocabulary_size": 99}, ["tokenizer", "store", "pretraining", "task-t"]),
        ({"store__shard_documents": 9}, ["store", "pretraining", "task-t"]),
        ({"store__processes": 2, "corpus__processes": 2, "corpus__engine": "ray"}, []),
        ({"seed": 2}, ["pretraining", "task-t"]),
        ({"inputs__length": 32}, ["pretraining", "task-t"]),
        ({"masking__copies": 1}, ["pretraining", "task-t"]),
        ({"model__layers": 2}, ["pretraining", "task-t"]),
        ({"training__steps": 5}, ["pretraining", "task-t"]),
        ({"training__minutes": 5.0}, ["pretraining", "task-t"]),
        ({"training__log_every_steps": 1, "training__validate_every_steps": 1, "training__keep_checkpoints": 9}, []),
        ({"training__checkpoint_every_steps": 1, "training__micro_batch_rows": 8, "training__device": "cpu"}, []),
        ({"model__norm": "rms"}, ["pretraining", "task-t"]),
        ({"tasks__0__epochs": 1.0}, ["task-t"]),
        ({"training__average_decay": 0.9}, ["pretraining", "task-t"]),
        ({"tasks__0__length": 128}, []),  # What null means already.
        ({"report__fill_top": 1, "description": "x", "name": "s"}, []),
    ],
)
def test_a_stage_is_made_again_when_its_settings_or_those_before_it_change(
    tmp_path: Path, change: dict[str, Any], made_again: list[str]
) -> None:
    assert changed(names(recipe(tmp_path)), names(recipe(tmp_path, **change))) == made_again


def test_batch_norm_depends_on_the_size_of_a_micro_batch(tmp_path: Path) -> None:
    whole, cut = (recipe(tmp_path, model__norm="batch", training__micro_batch_rows=rows) for rows in (None, 8))
    assert changed(names(whole), names(cut)) == ["pretraining", "task-t"]


def test_content_counts_and_its_place_does_not(tmp_path: Path) -> None:
    first = names(recipe(tmp_path / "a"))
    assert names(recipe(tmp_path / "b")) == first
    (tmp_path / "b" / "data" / "test.tsv").write_text("other", encoding="utf-8")
    assert changed(first, names(recipe(tmp_path / "b"))) == ["task-t"]
    (tmp_path / "b" / "data" / "corpus.txt").write_text("other", encoding="utf-8")
    assert changed(first, names(recipe(tmp_path / "b"))) == list(first)


def test_the_corpus_depends_on_the_test_files_that_it_is_compared_with(tmp_path: Path) -> None:
    def made(folder: str, **changes: Any) -> dict[str, str]:
        return names(recipe(tmp_path / folder, corpus__cleaning__decontaminate="lines", **changes))

    first = made("a")
    (tmp_path / "b" / "data").mkdir(parents=True)
    (tmp_path / "b" / "data" / "test.tsv").write_text("other", encoding="utf-8")
    assert changed(first, made("b")) == list(first)
    further = made("a", corpus__cleaning__decontaminate_against=["train.tsv"])
    assert changed(first, further) == list(first)


def test_a_run_that_only_fine_tunes_depends_on_the_model_it_starts_from(tmp_path: Path) -> None:
    def made(content: str, **changes: Any) -> dict[str, str]:
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / "config.json").write_text(content, encoding="utf-8")
        return names(recipe(tmp_path, start_from=tmp_path / "model", corpus={}, **changes))

    first = made("{}")
    assert list(first) == ["task-t"] and made("{}") == first
    assert made("{}", training__steps=5, seed=2, model__layers=2, masking__copies=1) == first
    assert changed(first, made("{ }")) == changed(first, made("{}", tasks__0__epochs=1.0)) == ["task-t"]


def test_a_recipe_without_corpus_and_start_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"corpus\.sources is empty.* To only fine-tune .* set start_from"):
        plan_stages(recipe(tmp_path, corpus={}))


def test_all_absent_files_are_named_at_once(tmp_path: Path) -> None:
    made = recipe(tmp_path, corpus__sources=["corpus.txt", "gone"], tasks__0__test=".")
    with pytest.raises(ClozeError) as caught:
        plan_stages(made)
    lines = str(caught.value).splitlines()
    assert lines[1:3] == [
        f"  corpus.sources.1: {tmp_path / 'data' / 'gone'}",
        f"  tasks.0.test: {tmp_path / 'data'}",
    ]
    assert "--data DIR" in lines[3]


def test_sources_may_be_patterns(tmp_path: Path) -> None:
    assert names(recipe(tmp_path, corpus__sources=["*.txt"])) == names(recipe(tmp_path))
    with pytest.raises(ClozeError, match=r"The corpus source \*\.xml fits nothing in .*, which holds corpus\.txt, "):
        names(recipe(tmp_path, corpus__sources=["*.xml"]))


def test_a_task_of_multiple_choice_may_read_folders(tmp_path: Path) -> None:
    (tmp_path / "data" / "race" / "high").mkdir(parents=True)
    (tmp_path / "data" / "race" / "high" / "1.txt").write_text("{}", encoding="utf-8")
    made = recipe(tmp_path, tasks__0__train="race", tasks__0__kind="multiple_choice")
    first = names(made)
    (tmp_path / "data" / "race" / "high" / "1.txt").write_text("{ }", encoding="utf-8")
    assert changed(first, names(made)) == ["task-t"]


def test_a_file_that_moves_from_test_to_training_makes_another_task(tmp_path: Path) -> None:
    """Folders of RACE: which files there are says less than what each is for."""
    for name in ("corpus.txt", "train/1.txt", "train/2.txt", "test/3.txt", "test/4.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    task = {"name": "race", "kind": "multiple_choice", "train": "train", "test": "test"}
    recipe = Recipe.model_validate(
        {"name": "a", "data": tmp_path, "corpus": {"sources": ["corpus.txt"]}, "tasks": [task]}
    )
    before = plan_stages(recipe)["task-race"].folder
    (tmp_path / "test" / "3.txt").rename(tmp_path / "train" / "3.txt")
    assert plan_stages(recipe)["task-race"].folder != before


def test_a_student_depends_on_its_teachers(tmp_path: Path) -> None:
    """On earlier tasks by their stages, on folders by their content; who teaches keeps more, so is another stage."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    file = {"train": "train.tsv", "test": "test.tsv"}

    def made(teachers: list[str], **teacher: Any) -> dict[str, str]:
        tasks = [{"name": "t", **file, **teacher}, {"name": "s", **file, "teachers": teachers}]
        return names(recipe(tmp_path, tasks=tasks))

    apart, both = made([str(model)]), made(["t", str(model)])
    assert apart["task-t"] == names(recipe(tmp_path))["task-t"] != both["task-t"]
    assert changed(both, made(["t", str(model)], epochs=1.0)) == ["task-t", "task-s"]
    (model / "config.json").write_text("{ }", encoding="utf-8")
    assert changed(both, made(["t", str(model)])) == ["task-s"]
    with pytest.raises(
        ClozeError, match=r"tasks\.1\.teachers: 'tt' is neither an earlier task of the recipe \(t\) nor"
    ):
        made(["tt"])


def write(folder: Path) -> dict[str, Any]:
    (folder / "x").write_text("made", encoding="utf-8")
    return {"counts": {"things": 1}}


def test_a_stage_is_made_once_and_linked(tmp_path: Path) -> None:
    stage, run = plan_stages(recipe(tmp_path))["corpus"], tmp_path / "runs" / "r"
    make(stage, run, Silent(), write)

    def never(_: Path) -> dict[str, Any]:
        raise AssertionError("made twice")

    make(stage, run, Silent(), never)
    manifest = json.loads((run / "corpus" / "manifest.json").read_text())
    assert {"stage", "version", "settings", "parents", "counts", "elapsed_s", "created", "versions", "files"} <= {
        *manifest
    }
    assert manifest["counts"] == {"things": 1}
    assert (run / "corpus" / "x").read_text() == "made"
    assert not os.path.isabs(os.readlink(run / "corpus"))


@pytest.mark.parametrize(("name", "kept"), [("corpus", True), ("tokenizer", False), ("pretraining", True)])
def test_what_failed_is_not_taken_for_finished(tmp_path: Path, name: str, kept: bool) -> None:
    stage, run = plan_stages(recipe(tmp_path))[name], tmp_path / "runs" / "r"

    def fail(folder: Path) -> dict[str, Any]:
        write(folder)
        raise ClozeError("no")

    with pytest.raises(ClozeError, match="no"):
        make(stage, run, Silent(), fail)
    assert not stage.finished
    assert stage.partial.exists() == kept
    if kept:  # A report of the unfinished run can be read.
        assert (run / stage.link / "x").read_text() == "made"
    make(stage, run, Silent(), write)
    assert stage.finished
    assert not stage.partial.exists()


def test_time_spent_before_a_stop_is_counted(tmp_path: Path) -> None:
    stage = plan_stages(recipe(tmp_path))["pretraining"]
    make(stage, tmp_path / "run", Silent(), lambda folder: {"counts": {"elapsed_s": 1000.0}})
    assert json.loads((stage.folder / "manifest.json").read_text())["elapsed_s"] == 1000.0


def test_a_file_changed_afterwards_is_named(tmp_path: Path) -> None:
    stage = plan_stages(recipe(tmp_path))["corpus"]
    make(stage, tmp_path / "run", Silent(), write)
    (stage.folder / "x").write_text("longer than before", encoding="utf-8")
    with pytest.raises(DamagedError, match="x has 18 bytes"):
        make(stage, tmp_path / "run", Silent(), write)


def test_a_run_is_whole_with_the_stages_of_its_own_recipe_alone(tmp_path: Path) -> None:
    """Two recipes of one name write to one folder; the second may find all of its stages there, made by a third."""
    ours, theirs = recipe(tmp_path), recipe(tmp_path, training__steps=5)
    stages = plan_stages(ours)
    run, written = tmp_path / "runs" / "r", {name: {"folder": stage.folder.name} for name, stage in stages.items()}
    assert not is_whole(ours, stages), "nothing is there"
    for stage in {stage.folder: stage for one in (ours, theirs) for stage in plan_stages(one).values()}.values():
        make(stage, run, Silent(), write)
    for text in ("", "[]", '{"stages": 1}', '{"stages": {"corpus": 1}}'):
        (run / "run.json").write_text(text, encoding="utf-8")
        assert not is_whole(ours, stages)
    (run / "run.json").write_text(json.dumps({"stages": written}), encoding="utf-8")
    assert is_whole(ours, stages) and not is_whole(theirs, plan_stages(theirs))
    shutil.rmtree(stages["store"].folder)
    assert not is_whole(ours, stages)


def test_a_run_that_begins_anew_shows_nothing_of_another_recipe_of_its_name(tmp_path: Path) -> None:
    """Else its report and model card would have the other's scores under this one's settings."""
    theirs, ours = plan_stages(recipe(tmp_path)), plan_stages(recipe(tmp_path, training__steps=5))
    run = tmp_path / "runs" / "r"
    for stage in theirs.values():
        make(stage, run, Silent(), write)
    for name in ("run.json", "report.html", "mine.txt"):
        (run / name).write_text("{}", encoding="utf-8")
    (run / "elsewhere").symlink_to(tmp_path)
    forget_others(run, ours)
    left = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.parent in (run, run / "tasks"))
    assert left == ["corpus", "elsewhere", "mine.txt", "store", "tasks", "tokenizer"]
    assert all(stage.finished for stage in theirs.values()), "they stay where they were made"
    ours["pretraining"].partial.mkdir()
    (run / "pretraining").symlink_to(ours["pretraining"].partial)
    forget_others(run, ours)
    assert (run / "pretraining").is_symlink(), "what a killed run of this recipe began is its own"


def test_a_run_that_goes_on_from_itself_reads_the_stages_and_not_its_links(tmp_path: Path) -> None:
    """The links are taken away when it begins."""
    runs = tmp_path / "runs"
    (stage := runs / "stages" / "pretraining-0").joinpath("model").mkdir(parents=True)
    (runs / "r" / "tasks").mkdir(parents=True)
    (runs / "r" / "pretraining").symlink_to("../stages/pretraining-0")
    task = {"name": "t", "train": "a", "test": "b", "teachers": [f"{runs}/r/pretraining/model", f"{tmp_path}/other"]}
    asked = Recipe.model_validate(
        {"name": "r", "output": runs, "start_from": runs / "r" / "pretraining" / "model", "tasks": [task]}
    )
    found = without_own_links(asked)
    assert found.start_from == stage / "model"
    assert found.tasks[0].teachers == [str(stage / "model"), f"{tmp_path}/other"]
    elsewhere = asked.model_copy(update={"name": "another"})
    assert without_own_links(elsewhere) == elsewhere


def test_a_file_in_the_place_of_a_runs_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("", encoding="utf-8")
    with pytest.raises(ClozeError, match="A file stands where a folder should be"):
        forget_others(tmp_path / "r", {})


def test_new_words_are_a_file(tmp_path: Path) -> None:
    (tmp_path / "data" / "words").mkdir(parents=True)
    with pytest.raises(ClozeError, match=r"tokenizer\.new_words: .*words"):
        plan_stages(recipe(tmp_path, tokenizer__new_words="words", start_from="model"))


def test_siblings_are_finished_folders_of_one_stage(tmp_path: Path) -> None:
    def made(name: str, seeds: list[int]) -> Stage:
        task = {"name": name, "train": "train.tsv", "test": "train.tsv", "seeds": seeds}
        return plan_stages(recipe(tmp_path, tasks=[task]))[f"task-{name}"]

    first, second, failed, other = (made(*of) for of in (("t", [1]), ("t", [1, 2]), ("t", [3]), ("t-u", [1])))
    for stage in (first, second, other):
        make(stage, tmp_path / "run", Silent(), write)
    failed.partial.mkdir()
    assert siblings(first) == [second.folder] and siblings(failed) == sorted([first.folder, second.folder])
    manifest = json.loads((second.folder / "manifest.json").read_text())
    (second.folder / "manifest.json").write_text(json.dumps(manifest | {"version": 0}), encoding="utf-8")
    assert siblings(first) == [], "a version that would give something else"
    (second.folder / "manifest.json").write_text("", encoding="utf-8")
    assert siblings(first) == [], "a damaged folder of another run is none of this one's business"


def _make_slowly(stage: Stage, run: Path) -> None:
    def work(folder: Path) -> dict[str, Any]:
        with (run / "log").open("a") as log:
            log.write("made\n")
        time.sleep(0.3)
        return write(folder)

    make(stage, run, Silent(), work)


def test_two_processes_make_a_stage_once(tmp_path: Path) -> None:
    stage, run = plan_stages(recipe(tmp_path))["pretraining"], tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_make_slowly, args=(stage, run)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (run / "log").read_text() == "made\n"
