"""Fine-tuning without a recipe: published tasks by their names, and files of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloze.errors import ClozeError
from cloze.evaluate import evaluate_file
from cloze.finetune import finetune_file, finetune_named
from cloze.pipeline import run
from cloze.progress import Silent
from cloze.recipe_file import read_recipe
from cloze.report.cells import Table
from cloze.study.grid import read_study
from cloze.study.results import write_results
from cloze.study.run import finished, folder_of, run_cells, to_be_made

SETTINGS = {"epochs": 1.0, "seeds": [1], "length": 16}


def understood(shown: list[Table]) -> dict[str, str]:
    """Rows of the table that is shown before training."""
    return {row[0]: row[1] for row in shown[0].rows}


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
    rows = understood(shown)
    assert rows["Examples"].startswith("200, ") and rows["2 classes"].startswith("0 ")
    assert rows["Split"] == "200 to train, 60 to test, ratings_test.txt"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Beside published scores" in page and "KoBERT" in page and "89.59" in page
    assert "The test split: ratings_test.txt." in page
    assert "retraining has" not in page and 'id="corpus"' not in page, "nothing was pretrained, and nothing is missing"


def test_an_encoder_that_was_saved_alone_is_fine_tuned(data: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="published folders need the dev extra")
    transformers.BertModel.from_pretrained(data / "model").save_pretrained(tmp_path / "alone")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "alone" / name).write_bytes((data / "model" / name).read_bytes())
    file = tmp_path / "my.csv"
    file.write_text(ROWS, encoding="utf-8")
    columns: dict[str, Any] = {"text": "review", "label": "stars", "settings": SETTINGS}
    folder = finetune_file(tmp_path / "alone", file, tmp_path / "run", Silent(), **columns)
    assert results(folder)["pretrained"]["mean"]["test"]["accuracy"] >= 0


def test_a_further_seed_trains_itself_alone(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.csv"
    file.write_text(ROWS, encoding="utf-8")
    seeds = []
    for asked in ([1], [1, 2]):
        ours: dict[str, Any] = {"text": "review", "label": "stars", "settings": SETTINGS | {"seeds": asked}}
        folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
        seeds.append(results(folder)["pretrained"]["seeds"])
    assert [seed["seed"] for seed in seeds[1]] == [1, 2]
    assert seeds[0][0] == seeds[1][0], "to the time that it took: copied"
    assert (folder / "tasks" / "my" / "model" / "model.safetensors").is_file()


def test_files_that_are_not_there_are_told_with_their_command(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"korsts/sts-train\.tsv and .*sts-test\.tsv\. `cloze data get korsts --data"):
        finetune_named(data / "model", "korsts", tmp_path, tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "needs", "word"),
    [
        ("classification", None, "classification of texts"),
        ("multi_label", "sklearn", "multi-label classification of texts"),
        ("regression", "scipy", "regression of texts"),
        ("tagging", "seqeval", "tagging of words"),
        ("question_answering", None, "question answering"),
        ("multiple_choice", None, "multiple choice"),
    ],
)
def test_any_file_is_known_split_trained_on_and_scored(
    data: Path, tmp_path: Path, kind: str, needs: str | None, word: str
) -> None:
    if needs is not None:
        pytest.importorskip(needs, reason="the tasks extra is not installed")
    file, shown = write(tmp_path, kind), list[Table]()
    settings = SETTINGS | ({"longest_question": 4} if kind == "question_answering" else {})
    ours: dict[str, Any] = {"text": "text", "label": "label", "settings": settings, "show": shown.append}
    folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
    found, rows = results(folder), understood(shown)
    assert (found["kind"], rows["Kind"]) == (kind, f"{word}; --kind decides otherwise")
    learned, tested = (found["counts"][part]["examples"] for part in ("train", "test"))
    assert tested and found["counts"]["labelled file"]["examples"] == learned + tested
    how = "a tenth, chosen by a hash of the texts"
    assert rows["Split"] == f"{learned:,} to train, {tested:,} to test, {how}"
    assert found["counts"]["test"]["shared_with_train"] == 0 and rows["Shared"].startswith("0 test examples")
    assert f"The test split: {how}." in (folder / "report.html").read_text(encoding="utf-8")
    scored = evaluate_file(folder / "tasks" / "mine" / "model", file, Silent(), text="text")
    assert scored.results["kind"] == kind and len(scored.predictions) == learned + tested


def write(folder: Path, kind: str) -> Path:
    """A file of 60 texts; two questions on each."""
    if kind == "question_answering":
        answers = [{"text": "영화", "answer_start": 0}]
        asked = [[{"id": f"{i}-{j}", "question": "뭐?", "answers": answers} for j in (0, 1)] for i in range(60)]
        paragraphs = [{"context": f"영화 {i}", "qas": qas} for i, qas in enumerate(asked)]
        name, text = "mine.json", json.dumps({"data": [{"title": "하나", "paragraphs": paragraphs}]})
    elif kind == "multiple_choice":
        rows = [f"글 {i // 2},뭐?,하나,둘,셋,{'ABC'[i % 3]}" for i in range(120)]
        name, text = "mine.csv", "\n".join(["text,question,A,B,C,label", *rows])
    elif kind == "tagging":
        name, text = "mine.txt", "".join(f"영화{i} B-X\n그냥 O\n\n" for i in range(60))
    else:
        labels = {"classification": ("a", "b"), "multi_label": ("a", '"a,b"', "b"), "regression": ("0.5", "1", "2")}
        rows = [f"글 {i},{labels[kind][i % len(labels[kind])]}" for i in range(60)]
        name, text = "mine.csv", "\n".join(["text,label", *rows])
    (folder / name).write_text(text + "\n", encoding="utf-8")
    return folder / name


def fail(data: Path, folder: Path, text: str, test: str | None = None, name: str = "my.csv", **more: Any) -> str:
    """What is said of a user's file."""
    (folder / name).write_text(text, encoding="utf-8")
    (folder / f"test_{name}").write_text(test or "", encoding="utf-8")
    ours: dict[str, Any] = {"text": "review", "label": "stars", "settings": SETTINGS, **more}
    ours |= {} if test is None else {"test": folder / f"test_{name}"}
    with pytest.raises(ClozeError) as caught:
        finetune_file(data / "model", folder / name, folder / "run", Silent(), **ours)
    assert not (folder / "run").exists(), "nothing was written"
    return str(caught.value)


ROWS = "review,stars\n" + "".join(f"영화 {number},{number % 2}\n" for number in range(60))


def test_what_is_wrong_is_told_of_the_users_own_file(data: Path, tmp_path: Path) -> None:
    assert "my.csv: every one of the 60 examples has the label '1'" in fail(data, tmp_path, ROWS.replace(",0", ",1"))
    told = fail(data, tmp_path, ROWS, "review,stars\n글,1\n글,x\n글,y\n글,x\n")
    assert "test_my.csv, line 3: the label 'x' never occurs in " in told
    assert "my.csv, which has '0', '1'. 3 label(s) of the test are so: 'x', 'y'." in told
    assert "it has 'review;stars'. Its columns have semicolons" in fail(data, tmp_path, ROWS.replace(",", ";"))
    tags = fail(data, tmp_path, "영화 B-X\n그냥 O\n\n" * 20, name="my.iob", second="other")
    assert "--second makes pairs of texts, and " in tags and "my.iob is for tagging" in tags
    assert "my.iob has too few examples for a test part" in fail(data, tmp_path, "영화 B-X\n", name="my.iob")
    assert "has no column 'note'; it has 'review', 'stars'" in fail(data, tmp_path, ROWS, label="note")
    words = fail(data, tmp_path, ROWS.replace(",0", ",low"), kind="regression")
    assert "my.csv, line 2: the label 'low' is not a number" in words and "30 of 60 examples cannot be used" in words


def test_wrong_settings_are_told_as_their_flags(data: Path, tmp_path: Path) -> None:
    (file := tmp_path / "my.csv").write_text(ROWS, encoding="utf-8")
    ours: dict[str, Any] = {"text": "review", "label": "stars"}
    wrong = {"epochs": -1.0, "batch_rows": 0, "seeds": [1, -1], "length": 2}
    with pytest.raises(ClozeError) as caught:
        finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours, settings=wrong)
    first, *lines = str(caught.value).splitlines()
    assert first == "this can't be trained:" and [line.split(" ", 4)[2:4] for line in lines] == [
        ["--epochs:", "-1.0"],
        ["--batch-rows:", "0"],
        ["--length:", "2"],
        ["--seeds:", "-1"],
    ]
    assert "  --epochs: -1.0 is not a number (above 0); unit: epochs" in lines
    with pytest.raises(ClozeError, match=r"--length 600: .*model has positions for \d+ tokens\. Give at most as many"):
        finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours, settings={"length": 600})
    assert not (tmp_path / "run").exists()


def test_a_score_column_with_a_few_words_is_a_regression_without_them(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.csv"
    file.write_text(ROWS.replace(",0\n", ",0.5\n") + "글,좋음\n글,\n", encoding="utf-8")
    shown: list[Table] = []
    ours: dict[str, Any] = {"text": "review", "label": "stars", "settings": SETTINGS, "show": shown.append}
    with pytest.warns(UserWarning, match=r"my\.csv: 2 of 62 .*line 62: the label '좋음' is not .*line 63: no label"):
        folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
    assert results(folder)["kind"] == "regression"
    rows = understood(shown)
    assert rows["Kind"] == "regression of texts; --kind decides otherwise" and rows["Left out"] == "2 rows"
    assert results(folder)["counts"]["labelled file"]["left_out"] == 2


def test_columns_of_several_labels_are_known_and_split(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the tasks extra is not installed")
    file = tmp_path / "nsmc.csv"
    labels = ["a", '"a,b"', "b", ""]
    file.write_text("text,label\n" + "".join(f"글 {n},{labels[n % 4]}\n" for n in range(80)), encoding="utf-8")
    shown: list[Table] = []
    ours: dict[str, Any] = {"text": "text", "label": "label", "settings": SETTINGS, "show": shown.append}
    folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
    found = results(folder)
    assert (found["kind"], found["classes"]) == ("multi_label", ["a", "b"])
    assert understood(shown)["2 labels"] == "a 50.0%, b 50.0%"
    assert found["task"] == "my-nsmc" and "Beside published" not in (folder / "report.html").read_text(encoding="utf-8")


def test_a_table_of_options_is_known(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "quiz.csv"
    lines = "".join(f"글 {number},뭐?,하나,둘,셋,{'ABC'[number % 3]}\n" for number in range(12))
    file.write_text("text,question,A,B,C,label\n" + lines, encoding="utf-8")
    shown: list[Table] = []
    ours: dict[str, Any] = {"text": "text", "label": "label", "settings": SETTINGS, "show": shown.append}
    with pytest.warns(UserWarning, match=r"12 of 12 test examples \(100.0%\) have the same text"):
        folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), test=file, **ours)
    assert results(folder)["kind"] == "multiple_choice"
    assert results(folder)["counts"]["test"]["shared_with_train"] == 12
    rows = understood(shown)
    assert rows["Split"] == f"12 to train, 12 to test, the file {file}" and rows["Shared"].startswith(
        "12 test examples"
    )
    assert "Shared with train" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_recipe_that_is_left_does_the_same_again(data: Path, tmp_path: Path) -> None:
    (file := tmp_path / "my.csv").write_text(ROWS, encoding="utf-8")
    ours: dict[str, Any] = {"text": "review", "label": "stars", "settings": SETTINGS}
    folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), **ours)
    recipe, results_file = folder / "recipe.yaml", next(folder.glob("tasks/*/results.json"))
    made_at_ns = results_file.stat().st_mtime_ns
    assert run(read_recipe(recipe), Silent()) == folder
    assert results_file.stat().st_mtime_ns == made_at_ns, "it is up to date"
    elsewhere = run(read_recipe(recipe, {"output": str(tmp_path / "elsewhere")}), Silent())
    ours, again = (results(one)["pretrained"]["seeds"][0]["test"] for one in (folder, elsewhere))
    assert ours == again


def test_a_study_may_only_fine_tune(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task = {"name": "reviews", "train": "train.txt", "test": "test.txt", "length": 16, "seeds": [1, 2]}
    base = {"name": "base", "data": str(data), "start_from": str(data / "model"), "tasks": [task]}
    Path("base.yaml").write_text(json.dumps(base), encoding="utf-8")
    rates = {"low": {"tasks.0.peak_learning_rate": 1e-5}, "high": {"tasks.0.peak_learning_rate": 1e-3}}
    study = {"name": "rates", "base": "base.yaml", "budget": "no pretraining", "axes": {"rate": rates}}
    Path("rates.yaml").write_text(json.dumps(study), encoding="utf-8")
    settings, cells = read_study(Path("rates.yaml"))
    assert [to_be_made(cell) for cell in cells] == [["task-reviews"]] * 2
    folder = folder_of(settings, cells)
    assert run_cells(folder, cells, Silent()) == {} and all(map(finished, cells))
    found = write_results(folder, settings, cells)
    assert [len(row) for row in found.table.rows] == [len(found.table.columns)] * 2
    assert "reviews, Accuracy" in found.table.columns[-1]
    assert not (Path("runs") / "rates-low-1" / "pretraining").exists()
    idle = {"few": {"training.steps": 5}, "many": {"training.steps": 9, "tasks.0.epochs": 2}}
    Path("rates.yaml").write_text(json.dumps(study | {"axes": {"steps": idle}}), encoding="utf-8")
    with pytest.raises(ClozeError, match=r"2 problems(.*\n.*training\.steps: decides no score here){2}") as caught:
        read_study(Path("rates.yaml"))
    assert "epochs" not in str(caught.value)
    Path("rates.yaml").write_text(json.dumps(study | {"seeds": [1, 2]}), encoding="utf-8")
    with pytest.raises(
        ClozeError, match=r"rates\.yaml: seeds are those of pretraining, and rates-low-1 pretrains noth"
    ):
        read_study(Path("rates.yaml"))


def test_a_kind_that_is_named_keeps_what_the_shape_says(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("seqeval", reason="the tasks extra is not installed")
    file = tmp_path / "tags.tsv"
    file.write_text("영\tB-X\n화\tI-X\n\n그\tO\n냥\tO\n\n" * 10, encoding="utf-8")
    ours: dict[str, Any] = {"text": "text", "label": "label", "settings": SETTINGS, "kind": "tagging"}
    folder = finetune_file(data / "model", file, tmp_path / "run", Silent(), test=file, **ours)
    assert results(folder)["counts"]["train"]["units"] == 40
