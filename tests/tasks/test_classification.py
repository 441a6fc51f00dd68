"""Classes out of labels, and scores against hand-made numbers and against PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import ClozeError
from cloze.recipe import TaskSettings
from cloze.tasks.classification import KIND, balanced_weights, class_indices, class_names, macro_f1, matthews, score
from cloze.tasks.datasets import Examples, read_table
from cloze.tasks.metrics import log_softmax
from cloze.tasks.task import Layout
from tests.tasks.test_tagging import BYTES


def labelled(tmp_path: Path, name: str, labels: list[str]) -> Examples:
    path = tmp_path / name
    path.write_text("document\tlabel\n" + "".join(f"가\t{label}\n" for label in labels), encoding="utf-8")
    return read_table(path, "document", "label")


def test_classes_are_ordered_by_number_or_name(tmp_path: Path) -> None:
    numbers = labelled(tmp_path, "a.txt", ["10", "2", "-1", "2"])
    assert class_names(numbers, numbers) == ("-1", "2", "10")
    assert class_names(*[labelled(tmp_path, "c.txt", ["2", "1", "01"])] * 2) == ("01", "1", "2"), (
        "not as a set has them"
    )
    words = labelled(tmp_path, "b.txt", ["hate", "10", "none"])
    assert class_names(words, words) == ("10", "hate", "none")
    assert class_indices(["none", "10"], ["10", "hate", "none"]) == [2, 0]


def test_one_class_or_an_unknown_label_cannot_be_trained(tmp_path: Path) -> None:
    one, two = labelled(tmp_path, "one.txt", ["1", "1"]), labelled(tmp_path, "two.txt", ["0", "1"])
    with pytest.raises(ClozeError, match=r"one\.txt: every one of the 2 examples has the label '1'"):
        class_names(one, two)
    strange = labelled(tmp_path, "strange.txt", ["0", "1", "ironic"])
    with pytest.raises(
        ClozeError, match=r"strange\.txt, line 4: the label 'ironic' never occurs in .*two\.txt.*'0', '1'"
    ):
        class_names(two, strange)
    assert class_names(two, one) == ("0", "1"), "a test set need not hold every class"


def test_balanced_weights_count_classes_alike() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = balanced_weights(labels, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)
    assert balanced_weights(np.array([0, 0, 2, 2]), 3).tolist() == [1, 0, 1], "a class that does not occur"


def test_scores_of_a_hand_made_table() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], dtype=np.float32))
    scores = score(logits, np.array([0, 1, 2]))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["loss"] == pytest.approx(-np.log([0.7, 0.8, 0.2]).mean(), rel=1e-6)
    assert scores["confusion"] == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_a_mistake_shows_its_own_text_label_and_prediction(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("id\tdocument\tlabel\na\t하나\t0\nb\t둘\t1\nc\t셋\t1\n", encoding="utf-8")
    examples = read_table(path, "document", "label")
    task = TaskSettings(name="a", train=path, test=path)
    inputs = KIND.inputs(examples, ("0", "1"), Layout(BYTES, 16, 2), task)
    (found,) = inputs.score(np.log([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1]], dtype=np.float32))["mistakes"]
    assert found == {"id": "c", "text": "셋", "label": "1", "predicted": "0", "probability": pytest.approx(0.9)}


def test_loss_is_torchs_cross_entropy_also_for_large_logits() -> None:
    generator = np.random.default_rng(5)
    logits = (generator.standard_normal((50, 4)) * 300).astype(np.float32)
    labels = generator.integers(4, size=50)
    want = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)).item()
    assert score(logits, labels)["loss"] == pytest.approx(want, rel=1e-9)
    assert np.exp(log_softmax(logits)).sum(axis=1) == pytest.approx(np.ones(50))


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_f1_and_correlation_are_scikit_learns(rows: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the tasks extra is not installed")
    true, predicted = (np.array(column) for column in zip(*rows, strict=True))
    confusion = metrics.confusion_matrix(true, predicted, labels=range(4))
    f1 = metrics.f1_score(true, predicted, average="macro")
    assert macro_f1(confusion) == pytest.approx(f1)
    assert matthews(confusion) == pytest.approx(metrics.matthews_corrcoef(true, predicted))
