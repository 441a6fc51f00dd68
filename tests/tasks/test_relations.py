"""KLUE-RE: entities are marked where the file says, and measured as KLUE's script does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloze.errors import ClozeError
from cloze.recipe import TaskSettings
from cloze.tasks.classification import KIND
from cloze.tasks.relations import auprc, micro_f1
from cloze.tasks.task import Layout, read_texts
from tests.tasks.test_tagging import BYTES

TEXT = "〈Something〉는 조지 해리슨이 쓰고 비틀즈가 1969년 앨범 《Abbey Road》에 담은 노래다."
SUBJECT = {"word": "비틀즈", "start_idx": 24, "end_idx": 26, "type": "ORG"}
OBJECT = {"word": "조지 해리슨", "start_idx": 13, "end_idx": 18, "type": "PER"}


def example(number: int = 0, label: str = "no_relation", **changes: Any) -> dict[str, Any]:
    entities = {"subject_entity": SUBJECT, "object_entity": OBJECT}
    return {"guid": f"klue-re-v1_train_{number:05}", "sentence": TEXT, **entities, "label": label, **changes}


def settings(**changes: Any) -> TaskSettings:
    given: dict[str, Any] = {"name": "re", "train": "a.json", "test": "a.json", "text_column": "sentence"}
    given["entity_columns"] = ["subject_entity", "object_entity"]
    return TaskSettings.model_validate(given | changes)


def read(folder: Path, *examples: dict[str, Any]) -> Any:
    (folder / "a.json").write_text(json.dumps(examples, ensure_ascii=False), encoding="utf-8")
    return read_texts(folder / "a.json", settings())


def test_both_entities_are_marked_whichever_comes_first(tmp_path: Path) -> None:
    found = read(tmp_path, example(), example(1, subject_entity=OBJECT, object_entity=SUBJECT))
    start, end = "〈Something〉는", "1969년 앨범 《Abbey Road》에 담은 노래다."
    assert found.texts[0] == f"{start} # 조지 해리슨 # 이 쓰고 @ 비틀즈 @ 가 {end}"
    assert found.texts[1] == f"{start} @ 조지 해리슨 @ 이 쓰고 # 비틀즈 # 가 {end}"
    assert found.ids[0] == "klue-re-v1_train_00000"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject_entity": {**SUBJECT, "end_idx": 25}}, "subject_entity is '비틀즈', but the text has '비틀' in its"),
        (
            {"object_entity": {**OBJECT, "end_idx": 99}},
            "object_entity is said to be characters '13' to '99' of a text of",
        ),
        ({"object_entity": SUBJECT}, "subject_entity and object_entity overlap"),
    ],
)
def test_entities_that_stand_elsewhere_are_named_and_left_out(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    good = [example(number) for number in range(10)]
    with pytest.warns(UserWarning, match=f"1 of 11 examples .*object 11: {message}"):
        found = read(tmp_path, *good, example(10, **changes))
    assert (len(found.texts), found.counts["left_out"]) == (10, 1)
    with pytest.raises(ClozeError, match=message):
        read(tmp_path, example(**changes))


def test_measures_are_those_of_klues_script() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the tasks extra is not installed")
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 200)
    probabilities = random.dirichlet(np.ones(5), 200).round(2)  # with equal ones among them
    predicted = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, predicted, labels=range(5))
    for left_out in range(5):
        rest = [name for name in range(5) if name != left_out]
        want = metrics.f1_score(labels, predicted, average="micro", labels=rest)
        assert micro_f1(confusion, left_out) == pytest.approx(want)
    curves = [metrics.precision_recall_curve(labels == name, probabilities[:, name])[:2] for name in range(5)]
    assert auprc(probabilities, labels) == pytest.approx(np.mean([metrics.auc(*curve[::-1]) for curve in curves]))
    assert micro_f1(np.zeros((2, 2), dtype=np.int64), 0) == 0


def test_the_class_for_none_is_one_of_the_classes(tmp_path: Path) -> None:
    found = read(tmp_path, example(), example(1, "per:origin"))
    classes, layout = KIND.classes(found, found), Layout(BYTES, 256, 1)
    inputs = KIND.inputs(found, classes, layout, settings(null_class="no_relation"))
    scores = inputs.score(np.array([[3, 1], [0, 2]], dtype=np.float32))
    assert scores["micro_f1"] == scores["auprc"] == 1
    with pytest.raises(ClozeError, match=r"null_class is 'none', and the classes are 'no_relation', 'per:origin'"):
        KIND.inputs(found, classes, layout, settings(null_class="none"))
