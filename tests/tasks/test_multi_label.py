"""Several labels at once: read from one column or several, scored by hand-worked F1, and learned."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from cloze import predict
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import Recipe, TaskSettings
from cloze.tasks.finetuning import finetune
from cloze.tasks.multi_label import KIND, SEPARATOR, score
from tests.tasks.conftest import BAD, FILLER, GOOD


def settings(folder: Path = Path(), **changes: Any) -> TaskSettings:
    given: dict[str, Any] = {"name": "hate", "kind": "multi_label", "train": folder / "train.tsv"}
    return TaskSettings(**(given | {"test": folder / "test.tsv"} | changes))


def read(path: Path, text: str, **changes: Any) -> Any:
    path.write_text(text, encoding="utf-8")
    return KIND.read(path, settings(**changes))


def test_labels_of_one_column_and_of_several(tmp_path: Path) -> None:
    one = read(tmp_path / "a.tsv", "document\tlabel\n가\tb, a ,a\n나\t\n다\ta\n")
    assert [label.split(SEPARATOR) for label in one.labels] == [["a", "b"], [""], ["a"]]
    assert KIND.classes(one, one) == ("a", "b")
    bars = read(tmp_path / "b.tsv", "document\tlabel\n가\ta,b|c\n나\t\n", label_separator="|")
    assert KIND.classes(bars, bars) == ("a,b", "c")
    columns = "document\tgender\tbias\n가\tTrue\tnone\n나\tFalse\tothers\n다\t0\t\n"
    several = read(tmp_path / "c.tsv", columns, label_columns=["gender", "bias"])
    assert several.labels == ["gender", "bias=others", ""]
    with pytest.raises(ClozeError, match=r"c\.tsv has no column 'hate'"):
        read(tmp_path / "c.tsv", columns, label_columns=["gender", "hate"])


def test_lists_of_json_are_labels(tmp_path: Path) -> None:
    """As the Hub has them; a comma in a label is no separator then, and a list without items is no label."""
    lists = [["b", "a, c"], [], ["b"], None, [1, True]]
    records = [{"document": "가", "label": labels} for labels in lists] + [{"document": "나"}]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    found = read(tmp_path / "a.jsonl", lines)
    assert [label.split(SEPARATOR) for label in found.labels] == [["a, c", "b"], [""], ["b"], [""], ["1", "true"], [""]]
    assert read(tmp_path / "a.json", json.dumps(records)).labels == found.labels
    several = read(tmp_path / "b.json", json.dumps(records), label_columns=["label"])
    assert several.labels[0].split(SEPARATOR) == ["label=a, c", "label=b"]


def test_columns_may_be_named_by_the_task(tmp_path: Path) -> None:
    found = read(tmp_path / "a.tsv", "가\ta,b\n나\tb\n", columns=["document", "label"])
    assert [label.split(SEPARATOR) for label in found.labels] == [["a", "b"], ["b"]]


def test_nothing_to_learn_and_strange_labels_are_told(tmp_path: Path) -> None:
    train = read(tmp_path / "train.tsv", "document\tlabel\n가\ta\n나\ta,b\n")
    with pytest.raises(ClozeError, match=r"same\.tsv: every one of the 2 examples has a, b, so"):
        KIND.classes(read(tmp_path / "same.tsv", "document\tlabel\n가\ta,b\n나\tb,a\n"), train)
    with pytest.raises(ClozeError, match=r"none\.tsv: every one of the 1 examples has no label"):
        KIND.classes(read(tmp_path / "none.tsv", "document\tlabel\n가\t\n"), train)
    with pytest.raises(ClozeError, match=r"test\.tsv, line 3: the label 'c' never occurs in .*'a', 'b'"):
        KIND.classes(train, read(tmp_path / "test.tsv", "document\tlabel\n가\ta\n나\tb,c\n"))
    with pytest.raises(ValueError, match="label_separator is for multi_label, and this kind is classification"):
        settings(kind="classification", label_separator="|")


def test_scores_of_a_hand_made_table() -> None:
    logits = np.array([[2, -1, -1], [1, 3, -2], [-1, -1, -5]], dtype=np.float32)
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    found = score(logits, labels, ("a", "b", "c"))
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro_f1"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert found["parts"]["a"] == {"f1": 0.5, "count": 2}
    want = torch.nn.functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found["loss"] == pytest.approx(want.item(), rel=1e-6)
    alone = score(logits[:, :1], labels[:, :1], ("a",))
    assert alone["micro_f1"] == alone["macro_f1"] == 0.5


def write_reviews(path: Path, count: int, seed: int) -> None:
    random = Random(seed)
    lines = ["document\tlabel"]
    for _ in range(count):
        labels = [name for name in ("bad", "good") if random.random() < 0.5]
        words = [random.choice({"bad": BAD, "good": GOOD}[name]) for name in labels] + random.sample(FILLER, 3)
        random.shuffle(words)
        lines.append(f"{' '.join(words)}\t{','.join(labels)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_it_learns_and_the_saved_model_labels(data: Path, tmp_path: Path) -> None:
    for name, count, seed in (("train.tsv", 300, 1), ("test.tsv", 60, 2)):
        write_reviews(tmp_path / name, count, seed)
    changes: dict[str, Any] = {"epochs": 12, "batch_rows": 16, "peak_learning_rate": 5e-3, "length": 24, "seeds": [1]}
    task = settings(tmp_path, **(changes | {"length": 16}))
    training = {"device": "cpu", "precision": "float32"}
    recipe = Recipe.model_validate({"name": "tiny", "data": data, "training": training, "tasks": [task]})
    results = finetune(recipe, task, data / "model", tmp_path / "task", Silent())
    found = results["pretrained"]["mean"]["test"]
    assert found["micro_f1"] > 0.9 and found["macro_f1"] > 0.9
    loaded = predict.load(tmp_path / "task" / "model")
    both, none = loaded.labels([f"{GOOD[0]} {BAD[1]}", " ".join(FILLER[:3])])
    assert both.labels == ("bad", "good") and none.labels == ()
    assert set(both.probabilities) == {"bad", "good"} and loaded.labels([]) == []


def test_hate_speech_has_labels_in_three_columns(shared_data: Path) -> None:
    columns = ["contain_gender_bias", "bias", "hate"]
    task = settings(text_column="comments", label_columns=columns)
    train, dev = (KIND.read(shared_data / "hate-speech" / name, task) for name in ("train.tsv", "dev.tsv"))
    assert KIND.classes(train, dev) == (
        "bias=gender", "bias=others", "contain_gender_bias", "hate=hate", "hate=offensive"
    )  # fmt: skip
    assert (train.counts["examples"], dev.counts["examples"]) == (7896, 471)
