"""A number for a pair: it is learned, measured by rank and by line, and what is no number is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
import transformers

from cloze import predict
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import Recipe, TaskSettings
from cloze.tasks.datasets import read_table
from cloze.tasks.finetuning import finetune
from cloze.tasks.regression import KIND, score
from tests.tasks.conftest import BAD, FILLER, GOOD


def write_pairs(path: Path, count: int, seed: int) -> None:
    """Pairs scored by how many of the two praise, with a little noise."""
    random = Random(seed)
    lines = ["score\tsentence1\tsentence2"]
    for _ in range(count):
        sides = [random.randrange(2), random.randrange(2)]
        words = [f"{random.choice(FILLER)} {random.choice((BAD, GOOD)[side])}" for side in sides]
        lines.append(f"{sum(sides) + random.random() / 10:.2f}\t{words[0]}\t{words[1]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def task(folder: Path) -> TaskSettings:
    return TaskSettings(
        name="pairs",
        kind="regression",
        train=folder / "pairs_train.tsv",
        test=folder / "pairs_test.tsv",
        text_column="sentence1",
        second_text_column="sentence2",
        label_column="score",
        epochs=12,
        batch_rows=16,
        peak_learning_rate=5e-3,
        length=16,
        seeds=[1],
    )


def test_it_learns_pairs_and_the_saved_model_gives_the_same_numbers(data: Path, tmp_path: Path) -> None:
    for name, count, seed in (("pairs_train.tsv", 600, 1), ("pairs_test.tsv", 100, 2)):
        write_pairs(tmp_path / name, count, seed)
    training = {"device": "cpu", "precision": "float32"}
    recipe = Recipe.model_validate({"name": "tiny", "data": data, "training": training, "tasks": [task(tmp_path)]})
    results = finetune(recipe, task(tmp_path), data / "model", tmp_path / "task", Silent())
    assert (results["kind"], results["classes"]) == ("regression", ["score"])
    found = results["pretrained"]["mean"]["test"]
    assert found["spearman"] > 0.8 and found["pearson"] > 0.9
    assert set(results["pretrained"]["mean"]["train"]) == {"loss"}
    lines = [json.loads(line) for line in (tmp_path / "task" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["regression/pearson"] == found["pearson"]
    assert "regression/loss" in lines[0] and "regression/accuracy" not in lines[0]
    test = read_table(tmp_path / "pairs_test.tsv", "sentence1", "score", "sentence2")
    loaded = predict.load(tmp_path / "task" / "model")
    numbers = loaded.score(list(zip(test.texts, test.second or (), strict=True)))
    assert np.corrcoef(numbers, [float(x) for x in test.labels])[0, 1] == pytest.approx(found["pearson"], abs=1e-6)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "task" / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "task" / "model")
    with torch.inference_mode():
        first = theirs(**tokenizer(test.texts[0], (test.second or [])[0], return_tensors="pt")).logits
    assert theirs.config.problem_type == "regression"
    assert first.item() == pytest.approx(numbers[0], abs=1e-5)
    with pytest.raises(ClozeError, match=r"gives a number \(score\), not a class"):
        loaded.predict(["하나"])
    with pytest.raises(ClozeError, match="single texts and pairs are mixed"):
        loaded.encode(["하나", ("하나", "둘")])
    with pytest.raises(ClozeError, match="fine-tuned on pairs of texts, and a single text was given"):
        loaded.score(["하나", ("하나", "둘")])


def test_measures_of_a_hand_made_table() -> None:
    outputs, labels = np.array([[1.0], [2.0], [4.0], [3.0]], dtype=np.float32), np.array([1, 2, 3, 9], dtype=np.float32)
    found = score(outputs, labels)
    assert found["spearman"] == pytest.approx(0.8)
    assert found["pearson"] == pytest.approx(np.corrcoef(outputs[:, 0], labels)[0, 1])
    want = torch.nn.functional.mse_loss(torch.from_numpy(outputs[:, 0]), torch.from_numpy(labels)).item()
    assert found["loss"] == pytest.approx(want)


def test_a_constant_has_no_correlation() -> None:
    flat, labels = np.ones((3, 1), dtype=np.float32), np.arange(3, dtype=np.float32)
    assert score(flat, labels)["spearman"] is None
    assert score(labels[:, None], np.ones(3, dtype=np.float32))["pearson"] is None


@pytest.mark.parametrize("label", ["high", "nan", "1e39", "1e400", "3,5", "1_000", "٣"])
def test_what_is_no_number_is_told(tmp_path: Path, label: str) -> None:
    path = tmp_path / "a.tsv"
    settings = TaskSettings(name="a", kind="regression", train=path, test=path)
    path.write_text(f"document\tlabel\n가\t1.5\n나\t{label}\n", encoding="utf-8")
    with pytest.raises(ClozeError, match=rf"a\.tsv, line 3: the label '{label}' is not a number"):
        KIND.read(path, settings)
    rows = "".join(f"글\t{number}\n" for number in range(20))
    path.write_text(f"document\tlabel\n{rows}나\t{label}\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=rf"1 of 21 examples .*line 22: the label '{label}' is not a number"):
        examples = KIND.read(path, settings)
    assert (len(examples.labels), examples.counts["examples"], examples.counts["left_out"]) == (20, 20, 1)


def test_f1_of_numbers_from_a_threshold_on_is_klues() -> None:
    found = np.array([[3.0], [2.9], [4.0], [0.0]], dtype=np.float32)
    scores = score(found, np.array([3.5, 3.0, 1.0, 2.0], dtype=np.float32), positive_from=3.0)
    assert scores["f1"] == pytest.approx(0.5), "one right, two given, two wanted"
    assert "f1" not in score(found, np.arange(4, dtype=np.float32))


def test_one_number_is_nothing_to_learn(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("document\tlabel\n가\t1.5\n나\t1.50\n", encoding="utf-8")
    examples = read_table(path, "document", "label")
    with pytest.raises(ClozeError, match="nothing to learn"):
        KIND.classes(examples, examples)
