"""Studies as files: cells, their names, and what a wrong file is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloze.errors import ClozeError, RecipeError
from cloze.study.grid import read_study
from cloze.study.search import read_search
from tests.pages import fenced

REPOSITORY = Path(__file__).parents[2]

STUDY = """
name: masks
base: base.yaml
budget: equal tokens
axes:
  copies:
    one copy: {masking.copies: 1}
    dynamic: {masking.copies: null}
  share:
    15%: {}
    30%: {masking.target_frac: 0.3}
settings: {training.steps: 7}
seeds: [1, 5]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("name: base\nmasking: {copies: 3}\n", encoding="utf-8")
    (tmp_path / "other.yaml").write_text("name: other\nmodel: {family: roberta}\n", encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_axes_are_crossed_and_every_cell_has_every_seed(folder: Path) -> None:
    study, cells = read_study(write(folder, STUDY))
    assert (study.name, study.seeds) == ("masks", [1, 5])
    assert [(cell.variant, cell.seed) for cell in cells] == [
        (f"{copies}, {share}", seed)
        for copies in ("one copy", "dynamic")
        for share in ("15%", "30%")
        for seed in (1, 5)
    ]
    last = cells[-1].recipe
    assert (last.name, last.seed, last.training.steps) == ("masks-dynamic-30-5", 5, 7)
    assert (last.masking.copies, last.masking.target_frac) == (None, 0.3)
    assert cells[0].recipe.masking.copies == 1


def test_the_tasks_of_one_recipe_are_those_of_all_cells(folder: Path) -> None:
    task = "{{name: {name}, train: a.tsv, test: b.tsv, epochs: 3}}"
    (folder / "tasks.yaml").write_text(
        f"name: tasks\ntasks: [{task.format(name='one')}, {task.format(name='two')}]\n", encoding="utf-8"
    )
    (folder / "other.yaml").write_text(f"name: other\ntasks: [{task.format(name='own')}]\n", encoding="utf-8")
    text = STUDY.replace("dynamic: {masking.copies: null}", "other: {recipe: other.yaml, tasks.1.epochs: 5}")
    text = text.replace("settings: {", "tasks: tasks.yaml\nsettings: {tasks.0.seeds: [4], ")
    _, cells = read_study(write(folder, text))
    for cell in cells:
        one, two = cell.recipe.tasks
        assert (one.name, one.epochs, one.seeds, two.name) == ("one", 3, [4], "two")
        assert two.epochs == (5 if cell.values["copies"] == "other" else 3)


def test_values_of_any_script_have_runs_of_their_own(folder: Path) -> None:
    values = "{한 벌: null, 열 벌: {masking.copies: 9}, GELU로: {masking.copies: 8}}"
    text = f"name: a\nbase: base.yaml\nbudget: equal steps\naxes: {{마스크: {values}}}\n"
    _, cells = read_study(write(folder, text))
    assert [cell.variant for cell in cells] == ["한 벌", "열 벌", "GELU로"]
    assert [cell.recipe.name for cell in cells] == ["a-1-1", "a-2-1", "a-GELU-3-1"]


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("seed", "--seed would make all cells alike"),
        ("name", "--name would make all cells alike"),
        ("masking.copies", "--masking.copies would undo the axis copies, which sets masking.copies"),
        ("masking", "--masking would undo the axis copies, which sets masking.copies"),
    ],
)
def test_flags_that_would_undo_an_axis_are_refused(folder: Path, flag: str, told: str) -> None:
    with pytest.raises(ClozeError, match=re.escape(told)):
        read_study(write(folder, STUDY), {flag: "5"})


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("settings: {", "settings.seed: a cell's seed is the study's to give: list seeds under `seeds`"),
        ("dynamic: {", "study.yaml:8: axes.copies.dynamic.seed: a cell's seed is the study's to give"),
        ("one copy: {", "study.yaml:7: axes.copies.one copy.seed: a cell's seed is the study's to give"),
    ],
)
def test_seeds_of_cells_are_not_set_beside_the_studys(folder: Path, where: str, told: str) -> None:
    """They were overwritten, so a study of seeds compared equal runs."""
    assert where in STUDY
    with pytest.raises(ClozeError) as error:
        read_study(write(folder, STUDY.replace(where, f"{where}seed: 9, ")))
    assert told in " ".join(str(error.value).split())


def test_what_one_cell_sets_is_no_other_cells(folder: Path) -> None:
    """Settings of a study that are lists are laid over each recipe anew, and written into by the axes."""
    task = "{name: t, train: a.tsv, test: b.tsv, epochs: 3}"
    text = f"name: a\nbase: base.yaml\nbudget: equal steps\nsettings: {{tasks: [{task}]}}\naxes:\n"
    text += "  rate: {low: {training.peak_learning_rate: 0.1}, high: {training.peak_learning_rate: 0.2}}\n"
    text += "  epochs: {three: null, five: {tasks.0.epochs: 5}}\n"
    _, cells = read_study(write(folder, text))
    assert [cell.recipe.tasks[0].epochs for cell in cells] == [3, 5, 3, 5]


def test_a_value_may_take_another_recipe(folder: Path) -> None:
    text = (
        "name: a\nbase: base.yaml\nbudget: equal steps\naxes: {family: {BERT: null, RoBERTa: {recipe: other.yaml}}}\n"
    )
    _, cells = read_study(write(folder, text), {"training.steps": "3"})
    assert [cell.recipe.model.family for cell in cells] == ["bert", "roberta"]
    assert {cell.recipe.training.steps for cell in cells} == {3}, "what the command line says holds for every cell"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("base: base.yaml\n", "", "study.yaml:1: base: missing"),
        ("equal tokens", "joy", ":4: budget: joy is not possible. Expected one of equal tokens, equal"),
        ("equal tokens", "equal token", "equal token is not possible. Did you mean equal tokens?"),
        ("seeds: [1, 5]", "seeds: [5, 5]", "study.yaml:13: seeds: a seed stands twice"),
        ("axes:", "axis:", ":5: axis: no such key. Did you mean axes?"),
        ("seeds:", "repeats:", ":13: repeats: no such key. Expected one of name, description, base,"),
        ("budget: equal tokens\n", "", "a grid needs one, such as equal tokens"),
        ("seeds:", "within: [shares]\nseeds:", "within names 'shares', but the axes are copies, share"),
        ("seeds:", "within: [share, copies]\nseeds:", "within names every axis: nothing would be compared"),
        ("name: masks", "name: [", "not YAML"),
        ("    30%:", "    15.%:", None),
        ("settings: {", "settings: {model: {layers: 2}, ", ":12: settings.model: is a section, whose other settings"),
        ("settings: {", "settings: {recipe: 5, ", "5 is not the path of a recipe's file"),
        ("seeds: [1, 5]", "seeds: [1]\nseeds: [2]", "seeds: stands more than once"),
        ("    15%: {}", "    15%: {}\n    15%: {}", "axes.share.15%: stands more than once"),
        ("15%: {}", "15%: {masking.target_frac: 0.3}", "masks-one-copy-15-1 and masks-one-copy-30-1 are one and the"),
        ("30%: {", "30%: {masking.copies: 4, ", "masks-one-copy-30-1 and masks-dynamic-30-1 are one and the same"),
        ("dynamic: {", "one-copy: {", "would share the run masks-one-copy-15-1"),
        ("dynamic: {masking.copies: null}", "dynamic: 5", ":8: axes.copies.dynamic: 5 is not settings, such as {tr"),
        ("base: base.yaml", "base: [a]", "study.yaml:3: base: [a] is not a path"),
        ("settings: {", "settings: {1: 2, ", "study.yaml:12: settings.1: 1 is not a name; quote it"),
        ("settings: {", "settings: {recipe: '', ", "'' is not the path of a recipe's file"),
        ("base: base.yaml", f"base: base.yaml\ndescription: {'[' * 400}{']' * 400}", "nested too deeply to show"),
        ("15%: {}", "1e-2: {}\n    0.01: {}", "axes.share.0.01: stands more than once"),
        ("15%: {}", "1e-2: {masking.unit: x}", "study.yaml:10: axes.share.0.01.masking.unit: x is not one of"),
    ],
)
def test_a_wrong_study_is_told(folder: Path, old: str, new: str, told: str | None) -> None:
    path = write(folder, STUDY.replace(old, new))
    if told is None:
        read_study(path)
        return
    with pytest.raises(ClozeError) as caught:
        read_study(path)
    assert "study.yaml" in str(caught.value) and told in str(caught.value)


def test_variants_of_one_name_are_refused(folder: Path) -> None:
    """Names are joined by commas; Korean ones leave nothing of themselves in the names of runs."""
    text = STUDY.replace("one copy:", '"가, 나":').replace("dynamic:", '"가":')
    path = write(folder, text.replace("15%:", '"다":').replace("30%:", '"나, 다":'))
    with pytest.raises(ClozeError, match="two variants would be called '가, 나, 다'; give their values names without"):
        read_study(path)


def test_a_value_may_be_named_by_a_number(folder: Path) -> None:
    text = "name: a\nbase: base.yaml\nbudget: equal steps\n"
    text += "axes: {rate: {1e-3: {training.peak_learning_rate: 1e-3}, 2: {}}}\n"
    _, cells = read_study(write(folder, text))
    assert [cell.recipe.name for cell in cells] == ["a-0.001-1", "a-2-1"]
    assert cells[0].recipe.training.peak_learning_rate == 0.001


def test_tasks_of_a_file_are_told_as_its_own(folder: Path) -> None:
    """What is laid on last is what stands there: an axis over settings, settings over the file of tasks."""
    tasks = "name: tasks\ntasks: [{name: t, train: a, test: b, length: 9}]\ninputs: {length: 16}\n"
    (folder / "tasks.yaml").write_text(tasks, encoding="utf-8")
    (folder / "base.yaml").write_text("name: base\nmodel: {max_length: 8}\ninputs: {length: 8}\n", encoding="utf-8")
    text = STUDY.replace("axes:", "tasks: tasks.yaml\naxes:")
    with pytest.raises(RecipeError, match=r"\n  tasks\.yaml: tasks\.0\.length: the model has 8 positions"):
        read_study(write(folder, text))
    with pytest.raises(RecipeError, match=r"study\.yaml:13: settings\.tasks\.0\.epochs: -1 is not a number"):
        read_study(write(folder, text.replace("settings: {", "settings: {tasks.0.length: 8, tasks.0.epochs: -1, ")))
    over = text.replace("settings: {", "settings: {tasks: [{name: t, train: a, test: b}], ")
    with pytest.raises(RecipeError, match=r"study\.yaml:9: axes\.copies\.dynamic\.tasks\.0\.epochs: -1 is not a"):
        read_study(write(folder, over.replace("dynamic: {", "dynamic: {tasks.0.epochs: -1, ")))


def test_a_setting_that_decides_somewhere_may_vary(folder: Path) -> None:
    """Only one that decides nothing in any cell that has it compares equal runs."""
    (folder / "base.yaml").write_text(
        "name: base\nstart_from: model\ntasks: [{name: t, train: a, test: b}]\n", encoding="utf-8"
    )
    text = "name: a\nbase: base.yaml\nbudget: varies\naxes:\n"
    text += "  start:\n    as it is: {}\n    longer: {corpus.sources: [c.txt]}\n"
    text += "  rate: {low: {training.peak_learning_rate: 1e-4, tasks.0.epochs: 1}, high: {tasks.0.epochs: 2}}\n"
    assert len(read_study(write(folder, text))[1]) == 4
    text = text.replace("longer: {corpus.sources: [c.txt]}", "longer: {model.layers: 4}")
    with pytest.raises(ClozeError) as caught:
        read_study(write(folder, text))
    told = str(caught.value).splitlines()[1:]
    assert [line.split(": ")[1] for line in told] == [
        "axes.start.longer.model.layers",
        "axes.rate.low.training.peak_learning_rate",
    ]


def test_a_wrong_setting_names_its_cell_and_its_line(folder: Path) -> None:
    """Whoever wrote the study looks for it there, not in the recipe and not among flags."""
    path = write(folder, STUDY.replace("target_frac: 0.3", "target_fraction: 0.3").replace("steps: 7", "steps: x"))
    with pytest.raises(RecipeError) as caught:
        read_study(path, {"training.beta2": "5"})
    first, *lines = str(caught.value).splitlines()
    lines.sort()
    assert first == f"{path}, cell copies one copy, share 15%: base.yaml has 2 problems; nothing was run."
    assert lines[0].startswith("  --training.beta2: 5 is not a number")
    assert lines[1].startswith(f"  {path}:12: settings.training.steps: x is not a whole number")
    with pytest.raises(RecipeError) as caught:
        read_study(path, {"training.steps": "7"})
    assert "cell copies one copy, share 30%" in str(caught.value)
    assert f"{path}:11: axes.share.30%.masking.target_fraction: no such setting. Did you mean" in str(caught.value)
    tasks = "settings:\n  tasks:\n  - name: t\n    train: a\n    test: b\n    epochs: -1"
    path = write(folder, STUDY.replace("settings: {training.steps: 7}", tasks))
    with pytest.raises(
        RecipeError, match=rf"{re.escape(str(path))}:17: settings\.tasks\.0\.epochs: -1 is not a number"
    ):
        read_study(path)
    with pytest.raises(ClozeError, match=r"missing\.yaml is no file"):
        read_study(folder / "missing.yaml")


def test_the_studies_of_the_repository_are_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = sorted(Path("studies").glob("*.yaml"))
    assert found
    for path in found:
        study, cells = read_study(path)
        assert study.description
        assert len(cells) > 1 or len(read_search(path, study, {}).ends) > 1


@pytest.mark.parametrize("page", ["studies.md", "studies.ko.md"])
def test_the_studies_of_the_docs_are_studies(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, search = fenced(REPOSITORY / "docs" / page, "yaml")
    monkeypatch.chdir(REPOSITORY)
    assert len(read_study(write(tmp_path, grid))[1]) == 3 * 3
    path = write(tmp_path, search)
    assert {key for key, _ in read_search(path, read_study(path)[0], {}).ends} == {
        f"tasks.0.{name}" for name in ("peak_learning_rate", "dropout", "layer_decay", "batch_rows")
    }


def test_a_study_of_equal_flops_gives_each_cell_its_steps(folder: Path) -> None:
    text = "name: a\nbase: base.yaml\nbudget: equal FLOPs\nflops: 1e15\n"
    text += "axes: {layers: {few: {}, many: {model.layers: 24}}}\n"
    _, cells = read_study(write(folder, text))
    few, many = (cell.recipe.training.steps or 0 for cell in cells)
    assert few > 1.5 * many > 0
    with pytest.raises(ClozeError, match="belong together"):
        read_study(write(folder, text.replace("flops: 1e15\n", "")))


def test_a_promise_of_equal_steps_is_checked(folder: Path) -> None:
    text = "name: a\nbase: base.yaml\nbudget: equal steps\naxes: {n: {few: {}, many: {training.steps: 2000}}}\n"
    with pytest.raises(ClozeError, match="a-few-1 has 1,000 steps and a-many-1 2,000"):
        read_study(write(folder, text))
