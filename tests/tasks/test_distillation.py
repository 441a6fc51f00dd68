"""A student learns what its teachers say: the loss by hand, the limits of it, and who may teach."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cloze import predict
from cloze.errors import ClozeError, DamagedError
from cloze.files import files_below
from cloze.interop.huggingface import load_classifier, load_model, save_classifier
from cloze.models.classifier import Classifier
from cloze.models.encoder import initialise_normal
from cloze.progress import Silent
from cloze.recipe import Recipe
from cloze.tasks import distillation
from cloze.tasks.distillation import mean_of, open_teacher, taught_classes, taught_numbers
from cloze.tasks.features import IGNORED
from cloze.tasks.finetuning import finetune
from cloze.tasks.preparation import prepare, with_lesson
from tests.tasks.conftest import write_reviews

LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 2, IGNORED])
TAUGHT = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])


def cross_entropy(wanted: Any, logits: Any) -> float:
    shares = np.exp(logits) / np.exp(logits).sum()
    return float(-(np.array(wanted) * np.log(shares)).sum())


def test_the_loss_is_the_one_computed_by_hand() -> None:
    weight, temperature = 0.3, 2.0
    rows = LOGITS.double().numpy()
    soft = [4.0 * cross_entropy(p, z / temperature) for p, z in zip(TAUGHT.double().numpy(), rows, strict=True)]
    hard = [cross_entropy(np.eye(3)[label], z) for label, z in zip((0, 2), rows, strict=False)]
    by_hand = 0.7 * hard[0] + 0.3 * soft[0] + 0.7 * hard[1] + 0.3 * soft[1] + soft[2]
    found = taught_classes(LOGITS, LABELS, TAUGHT, weight, temperature)
    assert found.loss.item() == pytest.approx(by_hand, rel=1e-6)
    assert (found.count, found.correct.item()) == (3, 2), "row 0 has its label, row 2 the teachers' class"


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_teachers_who_say_the_label_teach_the_label(weight: float) -> None:
    labels = torch.tensor([0, 2, 1])
    certain = F.one_hot(labels, 3).float()
    found = taught_classes(LOGITS, labels, certain, weight, 1.0)
    torch.testing.assert_close(found.loss, F.cross_entropy(LOGITS, labels, reduction="sum"))


def test_without_weight_only_the_label_counts() -> None:
    found = taught_classes(LOGITS[:2], LABELS[:2], TAUGHT[:2], 0.0, 3.0)
    torch.testing.assert_close(found.loss, F.cross_entropy(LOGITS[:2], LABELS[:2], reduction="sum"))


def test_numbers_are_learned_from_both() -> None:
    outputs, labels, taught = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 4.0]), torch.tensor([[3.0], [4.0]])
    found = taught_numbers(outputs, labels, taught, 0.25)
    assert found.loss.item() == pytest.approx(0.75 * 1 + 0.25 * 4 + 4)


def test_the_teachers_mean_is_that_of_their_probabilities() -> None:
    first, second = np.array([[2.0, 0.0]], dtype=np.float32), np.array([[0.0, 4.0]], dtype=np.float32)
    found = mean_of([first, second], 2.0)
    e = np.e
    np.testing.assert_allclose(found, [[(e / (e + 1) + 1 / (1 + e**2)) / 2, (1 / (e + 1) + e**2 / (1 + e**2)) / 2]])
    np.testing.assert_allclose(mean_of([first, second], None), [[1.0, 2.0]])


def settings(**changes: Any) -> dict[str, Any]:
    task = {"name": "reviews", "train": "train.txt", "test": "test.txt", "epochs": 3.0, "batch_rows": 8}
    return task | {"peak_learning_rate": 5e-3, "length": 16, "seeds": [1, 2]} | changes


def student(**changes: Any) -> dict[str, Any]:
    return settings(**({"name": "student", "teachers": ["reviews"], "seeds": [1]} | changes))


def make(data: Path, output: Path, *tasks: dict[str, Any]) -> Recipe:
    training = {"device": "cpu", "precision": "float32"}
    described = {"name": "tiny", "data": data, "output": output, "training": training, "tasks": list(tasks)}
    return Recipe.model_validate(described)


def run(recipe: Recipe, folders: dict[str, Path], place: int = -1) -> dict[str, Any]:
    task = recipe.tasks[place]
    return finetune(recipe, task, recipe.data / "model", folders[task.name], Silent(), folders)


@pytest.fixture(scope="module")
def taught(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a finished task that teaches, and of its student, which learned."""
    output = tmp_path_factory.mktemp("taught")
    folders = {name: output / name for name in ("reviews", "student")}
    recipe = make(data, output, settings(), student())
    run(recipe, folders, 0)
    before = digests(folders["reviews"])
    results = run(recipe, folders)
    assert digests(folders["reviews"]) == before, "teachers are not changed by what they teach"
    assert results["pretrained"]["mean"]["test"]["accuracy"] > 0.9
    assert results["teachers"]["models"] == 2 and results["teachers"]["elapsed_s"] > 0
    assert "teachers'" in results["meaning"]["train"]
    return folders


def digests(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files_below(folder)}


def test_a_task_that_teaches_keeps_the_models_of_all_seeds(taught: dict[str, Path], data: Path) -> None:
    models = [taught["reviews"] / "model", taught["reviews"] / "models" / "seed-2"]
    states = [load_classifier(folder)[0].state_dict() for folder in models]
    assert not torch.equal(states[0]["head.linear.weight"], states[1]["head.linear.weight"])
    assert not (taught["student"] / "models").exists()
    assert (taught["student"] / "model" / "config.json").is_file()


def test_what_teachers_said_is_kept_for_other_settings_and_no_other_texts(
    taught: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(distillation, "judge", asked)
    output = taught["student"].parent
    folders = taught | {"student": tmp_path}
    changed = run(make(data, output, settings(), student(teacher_weight=1.0, epochs=0.2)), folders)
    assert changed["teachers"]["weight"] == 1.0
    assert (
        changed["teachers"]["elapsed_s"]
        == json.loads((taught["student"] / "results.json").read_text())["teachers"]["elapsed_s"]
    )
    with pytest.raises(InterruptedError):
        run(make(data, output, settings(), student(length=8)), folders)
    kept = sorted((output / "stages" / "teachers").iterdir())
    other = tmp_path / "output" / "stages" / "teachers"
    shutil.copytree(kept[0].parent, other)
    (other / kept[0].name).write_bytes(b"{}")
    with pytest.raises(DamagedError, match=rf"{kept[0].name} is damaged"):
        run(make(data, tmp_path / "output", settings(), student()), folders)


def test_a_student_learns_from_texts_without_labels(taught: dict[str, Path], data: Path, tmp_path: Path) -> None:
    """Eight labelled texts are too few to learn from; what teachers say of others is enough."""
    inside = tmp_path / "data"
    shutil.copytree(data, inside)
    few = (data / "train.txt").read_text(encoding="utf-8").splitlines()[:9]
    (inside / "few.txt").write_text("\n".join(few) + "\n", encoding="utf-8")
    write_reviews(tmp_path / "more.txt", 400, 3)
    texts = [line.split("\t")[1] for line in (tmp_path / "more.txt").read_text(encoding="utf-8").splitlines()[1:]]
    (inside / "more.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    folders = taught | {"student": tmp_path / "student"}
    changes = {"train": "few.txt", "unlabelled": "more.txt", "epochs": 5.0}
    results = run(make(inside, tmp_path, settings(), student(**changes)), folders)
    assert results["pretrained"]["mean"]["test"]["accuracy"] > 0.9
    counts = results["counts"]
    assert counts["train"]["rows"] == 8
    found = counts["unlabelled"]
    assert found["in_test"] > 0 and found["rows"] == found["kept"] > 150
    assert found["found"] == sum(found[key] for key in ("in_train", "in_test", "repeated", "kept"))


def test_each_text_is_taught_what_the_teachers_say_of_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces; by two teachers, without their dropout, one with its classes in another order; texts without a label
    behind the others."""
    monkeypatch.setattr(distillation, "JUDGED_TEXTS", 7)
    inside = tmp_path / "data"
    shutil.copytree(data, inside)
    unlabelled = [f"다른 글 {number}" for number in range(9)]
    (inside / "more.txt").write_text("\n".join(unlabelled) + "\n", encoding="utf-8")
    teachers = [
        saved(tmp_path / "first", data, ["0", "1"], seed=1),
        saved(tmp_path / "turned", data, ["1", "0"], seed=2),
    ]
    recipe = make(inside, tmp_path, settings(teachers=list(map(str, teachers)), unlabelled="more.txt"))
    shared, _, _ = prepare(recipe, recipe.tasks[0], inside / "model")
    lesson = with_lesson(shared, teachers, Silent()).lesson
    assert lesson is not None
    texts = [*shared.splits.train.texts, *unlabelled]
    said = [
        np.array([[found.probabilities[name] for name in ("0", "1")] for found in predict.load(one).predict(texts)])
        for one in teachers
    ]
    assert np.abs(said[0] - said[1]).max() > 0.05, "two that say the same would hide one who is not asked"
    expected = mean_of([np.log(one).astype(np.float32) for one in said], 2.0)
    np.testing.assert_allclose(lesson.taught, expected, atol=1e-4)
    labels = np.asarray(lesson.inputs.labels)
    assert labels[: len(shared.train.labels)].tolist() == shared.train.labels.tolist()
    assert labels[len(shared.train.labels) :].tolist() == [IGNORED] * 9


def test_teachers_of_pairs_and_numbers(taught: dict[str, Path], data: Path, tmp_path: Path) -> None:
    lines = [line.split("\t") for line in (data / "train.txt").read_text(encoding="utf-8").splitlines()[1:]]
    for name, rows in (("a.txt", lines[:60]), ("b.txt", lines[60:100])):
        text = "".join(f"{text}\t영화\t{place % 5}\n" for place, (_, text, _) in enumerate(rows))
        (tmp_path / name).write_text("a\tb\tscore\n" + text, encoding="utf-8")
    columns = {"text_column": "a", "second_text_column": "b", "label_column": "score", "epochs": 0.5}
    shutil.copytree(data / "model", tmp_path / "model")
    for kind in ("regression", "classification"):
        files = {"train": "a.txt", "test": "b.txt", "kind": kind}
        recipe = make(tmp_path, tmp_path, settings(**columns, **files), student(**columns, **files))
        folders = {name: tmp_path / kind / name for name in ("reviews", "student")}
        run(recipe, folders, 0)
        results = run(recipe, folders)
        assert np.isfinite(results["pretrained"]["mean"]["train"]["loss"])
        assert (results["teachers"]["temperature"] is None) == (kind == "regression")


def saved(
    folder: Path, data: Path, classes: list[str], objective: str = "classification", seed: int = 1, **kept: Any
) -> Path:
    model, tokenizer = load_model(data / "model")
    classifier = Classifier(model, classes, objective=objective, settings=kept)
    initialise_normal(classifier, 0.1 if seed == 1 else 0.5, seed)
    folder.mkdir(parents=True)
    save_classifier(folder, classifier, tokenizer)
    return folder


def test_a_teachers_classes_may_stand_in_another_order(data: Path, tmp_path: Path) -> None:
    (task,) = make(data, tmp_path, settings(teachers=["x"])).tasks
    folder = saved(tmp_path / "turned", data, ["1", "0"])
    assert open_teacher(folder, task, ["0", "1"])[2] == [1, 0]


@pytest.mark.parametrize(
    ("classes", "objective", "told"),
    [
        (["good", "bad"], "classification", r"has the classes 0, 1, but the teacher in .* tells bad, good apart"),
        (["0", "1", "2"], "classification", r"tells 0, 1, 2 apart"),
        (["score"], "regression", r"task reviews is classification, but the teacher in .* does regression"),
    ],
)
def test_models_of_another_task_cannot_teach(
    data: Path, tmp_path: Path, classes: list[str], objective: str, told: str
) -> None:
    folder = saved(tmp_path / "teacher", data, classes, objective)
    recipe = make(data, tmp_path, settings(teachers=[str(folder)]))
    with pytest.raises(ClozeError, match=told):
        run(recipe, {"reviews": tmp_path / "task"})


def test_a_teacher_of_pairs_teaches_no_single_texts(data: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "teacher", data, ["0", "1"], pairs=True)
    (task,) = make(data, tmp_path, settings(teachers=[str(folder)])).tasks
    with pytest.raises(ClozeError, match=r"is of single texts, but the teacher in .* was fine-tuned on pairs of texts"):
        open_teacher(folder, task, ["0", "1"])


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        ({"second_text_column": "b"}, "'reviews' is a task of pairs of texts"),
        ({"train": "test.txt", "test": "train.txt"}, "'reviews' is a task that learned from the test file of this one"),
        ({"development": "test.txt", "test": "other.txt"}, "'reviews' is a task that learned from the test file"),
    ],
)
def test_a_task_that_cannot_teach_another_is_told(
    data: Path, tmp_path: Path, teacher: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        make(data, tmp_path, settings(**teacher), student())


def test_a_pretrained_model_or_nothing_cannot_teach(data: Path, tmp_path: Path) -> None:
    for folder, told in (
        (data / "model", "holds a pretrained model, which can't teach"),
        (data / "gone", "no such folder"),
    ):
        with pytest.raises(ClozeError, match=told):
            run(make(data, tmp_path, settings(teachers=[str(folder)])), {"reviews": tmp_path / "task"})


def test_another_teacher_is_another_run(taught: dict[str, Path], data: Path, tmp_path: Path) -> None:
    teachers = [saved(tmp_path / name, data, ["0", "1"]) for name in ("a", "b")]
    weights = teachers[1] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + bytes([weights.read_bytes()[-1] ^ 1]))
    found = []
    for teacher in teachers:
        run(make(data, tmp_path, settings(teachers=[str(teacher)], epochs=0.1)), {"reviews": tmp_path / "task"})
        found.append(json.loads((tmp_path / "task" / "seeds" / "pretrained-1.json").read_text())["fingerprint"])
    assert found[0] != found[1]
