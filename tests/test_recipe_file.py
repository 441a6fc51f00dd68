"""Reading, overriding, refusing and printing recipes."""

from __future__ import annotations

import re
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import ClozeError, RecipeError
from cloze.recipe import Recipe
from cloze.recipe_file import list_recipes, read_recipe, schema_text, settings, show
from tests.pages import fenced

RECIPES = Path(__file__).resolve().parents[1] / "recipes"


def write(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(folder: Path, text: str, overrides: dict[str, object] | None = None) -> list[str]:
    path = write(folder, text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path, overrides)
    return str(caught.value).replace(str(path), "r.yaml").splitlines()


FIVE_MISTAKES = """\
name: five
modle:
  layers: 2
training:
  steps: many
  peak_learning_rate: -1
model:
  heads: 3
  width: 128
tasks:
  - name: nsmc
    train: a.txt
"""


def test_five_mistakes_are_five_problems_with_lines(tmp_path: Path) -> None:
    assert complaint(tmp_path, FIVE_MISTAKES) == [
        "r.yaml has 5 problems; nothing was run.",
        "  r.yaml:2: modle: no such setting. Did you mean model?",
        "  r.yaml:5: training.steps: many is not a whole number (at least 0) or null; unit: steps",
        "  r.yaml:6: training.peak_learning_rate: -1 is not a number (above 0); unit: dimensionless",
        "  r.yaml:8: model.heads: width 128 is not a multiple of heads 3: every head needs the same width",
        "  r.yaml:11: tasks.0.test: missing; expected a path",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model: {layres: 2}", "r.yaml:2: model.layres: no such setting. Did you mean model.layers?"),
        ("model: {steps: 2}", "r.yaml:2: model.steps: no such setting. Did you mean training.steps?"),
        (
            "model: {family: brt}",
            "r.yaml:2: model.family: brt is not one of bert, roberta, albert, electra, spanbert, modernbert. Did you "
            "mean bert?",
        ),
        ("seed: a", "r.yaml:2: seed: a is not a whole number (at least 0); unit: whole number"),
        ("model: {0: 2}", "r.yaml:2: model.0: no such setting. Expected one of family, layers,"),
        ("x: &x [*x]", "r.yaml:2: x: no such setting. Expected one of name,"),
        ("model: 5", "r.yaml:2: model: 5 is not a section of settings"),
        ("seed: true", "r.yaml:2: seed: true is not a whole number (at least 0); unit: whole number"),
        (
            "training: {peak_learning_rate: .inf}",
            "r.yaml:2: training.peak_learning_rate: '.inf' is not a number (above 0)",
        ),
        (
            "inputs:\n  length: 64\n  length: 32",
            "r.yaml:4: inputs.length: stands more than once in its section; keep one",
        ),
        ("corpus: {sources: [1]}", "r.yaml:2: corpus.sources.0: 1 is not a path"),
        ("tasks: [3]", "r.yaml:2: tasks.0: 3 is not a section of settings"),
        (
            "masking: {mask_frac: 0.9, random_frac: 0.2}",
            "r.yaml:2: masking.mask_frac: mask_frac 0.9 and random_frac 0.2",
        ),
        (
            "training: {batch_rows: 9, micro_batch_rows: 2}",
            "r.yaml:2: training.micro_batch_rows: batch_rows 9 is not a",
        ),
        ("tasks: [{name: a, train: x, test: y, seeds: [1, 2, 1]}]", "r.yaml:2: tasks.0.seeds: seeds names 1 twice"),
        ("training: {beta1: 1.0}", "r.yaml:2: training.beta1: 1.0"),
        ("tasks: [{name: a, train: x, test: y, dropout: 1.0}]", "r.yaml:2: tasks.0.dropout: 1.0"),
        ("training: {steps: null}", "r.yaml:2: training.steps: steps, epochs and minutes are all null"),
        (
            "training: {steps: null, minutes: 5}",
            "r.yaml:2: training.schedule: a linear schedule ends at steps or epochs",
        ),
        (
            "model: {max_length: 64}\ninputs: {length: 128}",
            "r.yaml:3: inputs.length: the model has 64 positions, fewer than inputs.length",
        ),
        (
            "model: {family: roberta}\ninputs: {format: segment-pair}",
            "r.yaml:2: model.family: model.family roberta learns nothing from pairs, but inputs.format segment-",
        ),
        ("tasks: [{name: a, train: x, test: y, length: 200}]", "r.yaml:2: tasks.0.length: the model has 128 positions"),
        (
            "tasks: [{name: a, train: x, test: y, unlabelled: z}]",
            "r.yaml:2: tasks.0.unlabelled: unlabelled is for tasks with teachers, and teachers is empty",
        ),
        (
            "tasks: [{name: a, train: x, test: y, kind: tagging, teachers: [m]}]",
            "r.yaml:2: tasks.0.teachers: teachers is for classification and regression, and this kind is tagging",
        ),
        (
            "tasks: [{name: a, train: x, test: y, teachers: [m], class_weights: balanced}]",
            "r.yaml:2: tasks.0.class_weights: class_weights weigh labels, and teachers give none",
        ),
        (
            "model: {norm: batch}\ntraining: {average_decay: 0.9}",
            "r.yaml:3: training.average_decay: training.average_decay 0.9 averages weights, whose BatchNorm would keep",
        ),
        (
            "tasks: [{name: a, train: x, test: y, teachers: [m, m]}]",
            "r.yaml:2: tasks.0.teachers: teachers names m twice",
        ),
        (
            "tasks: [{name: a, train: x, test: y, teachers: [m], unlabelled: z, second_text_column: b}]",
            "r.yaml:2: tasks.0.unlabelled: unlabelled texts are single",
        ),
        (
            "tasks: [{name: a, train: x, test: y, teachers: [b]}, {name: b, train: x, test: y}]",
            "r.yaml:2: tasks.0.teachers.0: 'b' is a later task: a teacher is an earlier task of the same kind",
        ),
        (
            "tasks:\n- {name: a, train: x, test: y, kind: regression}\n- {name: b, train: x, test: y, teachers: [a]}",
            "r.yaml:4: tasks.1.teachers.0: 'a' is a task of regression: a teacher is",
        ),
        (
            "tasks:\n- {name: a, train: x, test: y}\n- {name: a, train: x, test: y}",
            "r.yaml:4: tasks.1.name: the name 'a' is used by an earlier task",
        ),
    ],
)
def test_each_mistake_says_where_what_and_what_was_expected(tmp_path: Path, text: str, problem: str) -> None:
    lines = complaint(tmp_path, "name: a\n" + text)
    assert len(lines) == 2
    assert lines[1].strip().startswith(problem)


def test_a_run_cannot_take_the_folder_of_the_stages(tmp_path: Path) -> None:
    assert "choose another name" in complaint(tmp_path, "name: stages")[1]


def test_what_is_missing_hides_no_other_mistake(tmp_path: Path) -> None:
    lines = complaint(tmp_path, "model: {max_length: 16}\ninputs: {length: 32}")
    assert [line.split(": ")[1] for line in lines[1:]] == ["name", "inputs.length"]


def test_a_section_may_be_merged_from_another_and_then_differ(tmp_path: Path) -> None:
    text = "name: a\ntasks:\n- &first {name: one, train: x, test: y, epochs: 2}\n- {<<: *first, name: two, epochs: 4}\n"
    recipe = read_recipe(write(tmp_path, text))
    assert [(task.name, task.epochs, str(task.train)) for task in recipe.tasks] == [("one", 2, "x"), ("two", 4, "x")]
    assert (
        "tasks.1.epochs: stands more than once"
        in complaint(tmp_path, text.replace("epochs: 4", "epochs: 4, epochs: 5"))[1]
    )


def test_null_is_null_where_a_setting_may_be_null(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\ncorpus: {titles: x}\ntokenizer: {new_words: words.txt}\nstart_from: model\n")
    recipe = read_recipe(path, {"corpus.titles": "null", "tokenizer.new_words": "~", "start_from": "null"})
    assert (recipe.corpus.titles, recipe.tokenizer.new_words, recipe.start_from) == (None, None, None)
    assert read_recipe(path, {"description": "null"}).description == "null"


def test_checks_across_sections_do_not_wait_for_other_mistakes(tmp_path: Path) -> None:
    lines = complaint(tmp_path, "name: a\nseed: x\nmodel: {max_length: 16}\ninputs: {length: 32}")
    assert [line.split(": ")[1] for line in lines[1:]] == ["seed", "inputs.length"]


def test_a_wrong_value_does_not_cause_a_second_complaint_from_its_default(tmp_path: Path) -> None:
    """Without `heads`, the default of 12 would not divide 128."""
    assert len(complaint(tmp_path, "name: a\nmodel: {heads: x, width: 128}")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1\nb: 2", r"r\.yaml:2:2: not YAML"),
        ("- 1", r"holds \[1\], expected sections"),
        ("", r"r\.yaml:1: name: missing"),
        ("name: a\n---\nname: b", "not YAML"),
        ("name: a\nx: !!python/object:os.system {}", "not YAML"),
        (f"name: {'[' * 2_000}", "nested too deeply"),
        ("name: a\nseed: !!int x", "a value that cannot be read"),
        ("name: a\nseed: !!timestamp x", "a value that cannot be read"),
        (f"name: a\nseed: {'9' * 5_000}", "a value that cannot be read"),
        (
            "name: a\ntasks: [{name: t, train: a, test: b, null_threshold: .inf}]",
            r"tasks\.0\.null_threshold: '\.inf' is not a number",
        ),
        ("name: a\ncorpus: {cleaning: {boilerplate_lines: ['a{99999999999}']}}", "is no regular expression"),
    ],
)
def test_what_is_not_a_recipe(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(write(tmp_path, content))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_bytes("name: a\ndescription: '한".encode() + b"\xff'")
    with pytest.raises(RecipeError, match=r"quick\.yaml:2: byte \d+ \(0xff\) is not UTF-8"):
        read_recipe(tmp_path / "quick.yaml")
    with pytest.raises(RecipeError, match=r"does not exist\. Did you mean .*quick\.yaml\?"):
        read_recipe(tmp_path / "quik.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        read_recipe(tmp_path)
    with pytest.raises(ClozeError, match="is no folder"):
        list_recipes(tmp_path / "quick.yaml")


def test_numbers_of_numpy_are_numbers_and_other_objects_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\n")
    assert read_recipe(path, {"training.steps": np.int64(3), "seed": np.arange(3)[2]}).training.steps == 3
    with pytest.raises(RecipeError, match=r"training\.steps: .*object object"):
        read_recipe(path, {"training.steps": object()})


def test_a_file_that_is_no_recipe_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndescription: for A\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("name: b\naxes: {}\n", encoding="utf-8")
    found = {path.name: purpose for path, purpose in list_recipes(tmp_path).items()}
    assert found["a.yaml"] == "for A" and found["b.yaml"].startswith("(no recipe: ") and "b.yaml" in found["b.yaml"]


TASK = "name: a\ntasks:\n- {name: t, train: x, test: y}\n"


def test_overrides_reach_every_depth_and_keep_the_rest(tmp_path: Path) -> None:
    recipe = read_recipe(
        write(tmp_path, TASK + "model: {layers: 3}"),
        {
            "model.heads": "8",
            "training.steps": "null",
            "training.epochs": "1e1",
            "tasks.0.seeds": "[4, 5]",
            "data": "../elsewhere",
            "description": "a: b",
            "training.compile": "yes",
            "seed": 7,
        },
    )
    assert (recipe.model.layers, recipe.model.heads, recipe.training.steps, recipe.training.epochs) == (
        3,
        8,
        None,
        10.0,
    )
    assert (recipe.tasks[0].seeds, recipe.tasks[0].train, recipe.seed) == ([4, 5], Path("x"), 7)
    assert (recipe.data, recipe.description, recipe.training.compile) == (Path("../elsewhere"), "a: b", "yes")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("training.stepz", "5", "--training.stepz: no such setting. Did you mean training.steps?"),
        ("training.steps", "x", "--training.steps: x is not a whole number (at least 0) or null; unit: steps"),
        ("tasks.1.epochs", "2", "--tasks.1.epochs: tasks has 1 entries, numbered from 0; found 1"),
        ("tasks.t.epochs", "2", "--tasks.t.epochs: tasks has 1 entries, numbered from 0; found 't'"),
        ("name.x", "2", "--name.x: name is a: it has no settings below it"),
        ("model", "3", "--model: 3 is not a section of settings"),
        (
            "model",
            "{layers: 2}",
            "--model: is a section, whose other settings would be lost; set model.layers one by one",
        ),
        (
            "model.max_length",
            "16",
            "--model.max_length: the model has 16 positions, fewer than inputs.length 128: raise model.max_length",
        ),
        (
            "tasks.0.test_frac",
            "0.2",
            "--tasks.0.test_frac: test_frac is a share of the training file, but test names another one, y",
        ),
        ("masking.copies", "[", "--masking.copies: '[' is not YAML; quote it"),
    ],
)
def test_a_wrong_override_names_its_flag(tmp_path: Path, key: str, value: str, problem: str) -> None:
    assert complaint(tmp_path, TASK, {key: value})[1:] == [f"  {problem}"]


@hypothesis.settings(max_examples=25)
@given(
    steps=st.none() | st.integers(0, 10**9),
    rate=st.floats(1e-12, 1e6),
    description=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    sentences=st.lists(st.sampled_from(["영화 ", "[MASK]: ", "a: b # c", "1e-4", "", "'"]), max_size=3),
)
def test_a_printed_recipe_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: int | None, rate: float, description: str, sentences: list[str]
) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "a",
            "description": description,
            "training": {"steps": steps, "minutes": 1.5, "schedule": "constant", "peak_learning_rate": rate},
            "tasks": [{"name": name, "train": "x", "test": "y"} for name in ("s", "t")],
            "report": {"fill_sentences": [f"{sentence}[MASK]" for sentence in sentences]},
        }
    )
    assert read_recipe(write(tmp_path_factory.mktemp("r"), show(recipe))) == recipe


def test_plain_words_follow_yaml_1_2(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, "name: on\nseed: 1_000\ntraining: {peak_learning_rate: 1e-4, compile: no}"))
    assert (recipe.name, recipe.seed) == ("on", 1000)
    assert (recipe.training.peak_learning_rate, recipe.training.compile) == (1e-4, "no")


def test_every_setting_has_help_unit_and_source() -> None:
    assert len(settings()) > 80
    for key, setting in settings().items():
        assert setting.help and setting.unit and setting.source, (
            f"{key}: end the docstring with `Unit: ... Source: ...`"
        )


def test_every_value_is_printed_with_unit_and_source() -> None:
    task = {"name": "t", "train": "x", "test": "y"}
    lines = show(Recipe.model_validate({"name": "a", "tasks": [task]})).splitlines()
    for line in lines[1:]:
        assert re.fullmatch(r"| *\w+:  # .+|[ -]*\w+: \S.*  # [^;]+; .+", line), line
    assert "  layers: 12                              # layers; BERT 3 (base: 12)" in lines


def test_the_schema_for_editors_is_in_step() -> None:
    assert (RECIPES / "schema.json").read_text(encoding="utf-8") == schema_text(), "run `cloze recipe schema`"


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_in_the_repository_is_right_and_says_where_its_numbers_come_from(path: Path) -> None:
    recipe = read_recipe(path)
    within = path.parent != RECIPES
    assert recipe.name == (f"{path.parent.name}-{path.stem}" if within else path.stem)
    assert recipe.description
    text = path.read_text(encoding="utf-8")
    schema = "../schema.json" if within else "../recipes/schema.json"
    assert text.startswith(f"# yaml-language-server: $schema={schema}\n")
    numbers = [line for line in text.splitlines() if re.match(r"\s*\w+: [0-9.]", line)]
    assert numbers
    assert [line for line in numbers if "  # " not in line] == []


def test_all_five_recipes_are_there() -> None:
    found = list_recipes(RECIPES)
    assert not [purpose for purpose in found.values() if purpose.startswith("(no recipe")]
    names = {path.stem for path in found}
    assert {"quickstart", "nsmc", "study-bert", "bert-base", "roberta-base"} <= names


def blocks(page: Path) -> list[str]:
    """The pieces of YAML of a page of the docs that are a recipe's; studies have tests of their own."""
    return [block for block in fenced(page, "yaml") if not re.search(r"^base:", block, re.MULTILINE)]


PIECES = [(page.name, block) for page in sorted(RECIPES.parent.glob("docs/*.md")) for block in blocks(page)]


@pytest.mark.parametrize(("page", "block"), PIECES, ids=[f"{page}-{place}" for place, (page, _) in enumerate(PIECES)])
def test_the_pieces_of_recipes_in_the_docs_are_right(tmp_path: Path, page: str, block: str) -> None:
    named = block if re.search(r"^name:", block, re.MULTILINE) else "name: docs\n" + block
    named = named if "sources:" in named else named.replace("corpus:\n", "corpus:\n  sources: [a.txt]\n")
    named = named if "corpus:" in named else named + "corpus: {sources: [a.txt]}\n"
    long = {} if "inputs:" in named else {"inputs.length": 512}  # tasks need positions; so does whoever pastes them
    assert read_recipe(write(tmp_path, named), long)


def test_there_are_pieces_of_recipes_in_both_languages() -> None:
    english = [page.replace(".md", ".ko.md") for page, _ in PIECES if not page.endswith(".ko.md")]
    assert len(english) > 10
    assert sorted(english) == sorted(page for page, _ in PIECES if page.endswith(".ko.md"))
