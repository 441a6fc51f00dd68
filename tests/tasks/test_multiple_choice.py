"""Multiple choice: RACE's folders, JSON lines and tables are one form; a question's options are judged together."""

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
from cloze.tasks.multiple_choice import KIND, Choice, lay_out, score
from cloze.tasks.task import Layout
from tests.tasks.conftest import BAD, FILLER, GOOD
from tests.tasks.test_tagging import wordpiece

RACE: dict[str, Any] = {
    "id": "high1.txt",
    "article": "가 나 다",
    "questions": ["어디?", "그는 _ 갔다"],
    "options": [["가", "나", "다", "라"], ["마", "바", "사", "아"]],
    "answers": ["B", "D"],
}


def settings(folder: Path = Path(), **changes: Any) -> TaskSettings:
    given: dict[str, Any] = {"name": "race", "kind": "multiple_choice", "text_column": "article"}
    given |= {"train": folder / "train.csv", "test": folder / "test.csv"}
    return TaskSettings(**(given | changes))


def test_folders_json_and_tables_become_one_form(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "high"
    folder.mkdir(parents=True)
    (folder / "1.txt").write_text(json.dumps(RACE), encoding="utf-8")
    (folder / "2.txt").write_text(json.dumps(RACE | {"id": "high2.txt", "answers": ["A", "A"]}), encoding="utf-8")
    found = KIND.read(tmp_path / "train", settings())
    assert found.counts == {"examples": 4, "options": 16, "empty": 0, "left_out": 0, "repeated_ids": 0}
    assert found.choices[0] == Choice("가 나 다", "어디?", ("가", "나", "다", "라"), 1)
    assert [choice.answer for choice in found.choices] == [1, 3, 0, 0]
    lines = tmp_path / "a.jsonl"
    lines.write_text("\n" + json.dumps(RACE) + "\n", encoding="utf-8")
    assert KIND.read(lines, settings()).choices == found.choices[:2]
    array = tmp_path / "a.json"
    array.write_text(json.dumps([RACE], indent=1), encoding="utf-8")
    assert KIND.read(array, settings()).choices == found.choices[:2]
    row = {"article": "가 나 다", "question": "어디?", **dict(zip("ABCD", "가나다라", strict=True)), "label": "B"}
    array.write_text(json.dumps([row]), encoding="utf-8")
    assert KIND.read(array, settings()).choices == found.choices[:1]
    table = tmp_path / "a.csv"
    table.write_text(
        "article,question,A,B,C,D,label\n가 나 다,어디?,가,나,다,라,B\n글,물음,ㄱ,,ㄴ,,C\n", encoding="utf-8"
    )
    read = KIND.read(table, settings()).choices
    assert read[0] == found.choices[0] and read[1] == Choice("글", "물음", ("ㄱ", "ㄴ"), 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[]", r"a\.json holds an empty array"),
        ("a.json", "{}", r"'\{\}' is not an object with article"),
        ("a.json", "[", r"no JSON"),
        ("a.json", json.dumps([RACE, 3]), r"object 2: '3' is no object"),
        ("a.json", json.dumps([RACE, RACE | {"answers": ["B", "E"]}]), r"object 2, question 2: the answer is 'E'"),
        ("a.json", json.dumps(RACE | {"answers": ["B", "E"]}), r"question 2: the answer is 'E', expected one of A, B"),
        ("a.json", json.dumps(RACE | {"answers": ["B"]}), "2 questions and 2 options and 1 answers"),
        ("a.json", json.dumps(RACE | {"article": 3}), "is not an object with article"),
        ("a.json", json.dumps(RACE | {"options": [["가"], ["나", "다"]]}), "question 1: 1 option"),
        (
            "a.csv",
            "article,question,A,B,C,D,label\n글,물음,가,나,,,C\n",
            r"line 2: the answer is 'C', expected one of A, B",
        ),
        ("a.csv", "article,A,B,C,D,label\n글,가,나,,,C\n", r"no column 'question'"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ClozeError, match=message):
        KIND.read(tmp_path / name, settings())


def test_ids_that_repeat_and_a_few_broken_questions_are_named_and_counted(tmp_path: Path) -> None:
    lines = [json.dumps(RACE | {"id": f"high{number % 9}"}) for number in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, json.dumps(RACE | {"answers": ["B", "E"]})]), encoding="utf-8")
    with pytest.warns(UserWarning) as warned:
        found = KIND.read(tmp_path / "a.jsonl", settings())
    assert (found.counts["examples"], found.counts["left_out"], found.counts["repeated_ids"]) == (21, 1, 1)
    told = [str(one.message) for one in warned]
    assert "line 11, question 2: the answer is 'E', expected one of A, B, C, D" in told[0]
    assert "line 10 has 'high0', the id of line 1" in told[1]


def test_an_empty_folder_and_answers_in_one_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"holds no \.txt or \.json file"):
        KIND.read(tmp_path, settings())
    (tmp_path / "a.json").write_text(json.dumps(RACE | {"answers": ["A", "A"]}), encoding="utf-8")
    found = KIND.read(tmp_path, settings())
    with pytest.raises(ClozeError, match="the right answer of all 2 questions is option 1"):
        KIND.classes(found, found)


def test_rows_of_a_question_are_one_example_and_only_the_text_is_cut() -> None:
    tokenizer = wordpiece("가", "나", "q", "o", "p")
    choices = [Choice("가 나 가 나 가 나", "q", ("o", "p", "o p"), 2), Choice("가", "q _ q", ("o", "p"), 0)]
    features = lay_out(choices, Layout(tokenizer, 8, 2))
    rows = [tokenizer.decode(features.ids[a:b]) for a, b in zip(features.offsets, features.offsets[1:], strict=False)]
    assert rows == [
        "[CLS] 가 나 가 [SEP] q o [SEP]",
        "[CLS] 가 나 가 [SEP] q p [SEP]",
        "[CLS] 가 나 [SEP] q o p [SEP]",
        "[CLS] 가 [SEP] q o q [SEP]",
        "[CLS] 가 [SEP] q p q [SEP]",
    ]
    assert features.counts["truncated"] == 3 and features.counts["truncated_tokens"] == 3 + 3 + 4
    assert features.sizes.tolist() == [24, 14]
    batch = features.batch(np.array([1, 0]), {"multiple_choice": np.array([2, 0])})
    assert batch.parts is not None and batch.parts.tolist() == [2, 3] and len(batch.offsets) == 6
    assert batch.targets["multiple_choice"].labels.tolist() == [0, 2]


def test_scores_are_a_softmax_over_the_options_of_a_question() -> None:
    outputs = np.array([[1.0], [2.0], [0.0], [5.0], [4.0]], dtype=np.float32)
    found = dict(score(outputs, np.array([1, 1]), np.array([0, 3, 5])))
    want = [torch.tensor(values).log_softmax(0)[1].item() for values in ([1.0, 2.0, 0.0], [5.0, 4.0])]
    sure = np.exp([torch.tensor(values).log_softmax(0).max().item() for values in ([1.0, 2.0, 0.0], [5.0, 4.0])])
    assert found.pop("per_example").tolist() == [1, 0]
    assert found.pop("calibration_error") == pytest.approx((1 - sure[0] + sure[1]) / 2)
    assert found == {"accuracy": 0.5, "loss": pytest.approx(-sum(want) / 2, rel=1e-6)}


def write_choices(path: Path, count: int, seed: int) -> None:
    """The right option is what the text praises with a word of the same kind."""
    random = Random(seed)
    lines = ["article,question,A,B,C,D,label"]
    for number in range(count):
        good = number % 2
        options = [random.choice(BAD if good else GOOD) for _ in range(3)]
        place = random.randrange(3)
        options[place] = random.choice(GOOD if good else BAD)
        lines.append(
            f"{random.choice(GOOD if good else BAD)},{random.choice(FILLER)},{','.join(options)},,{'ABC'[place]}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_it_learns_and_the_saved_model_chooses(data: Path, tmp_path: Path) -> None:
    for name, count, seed in (("train.csv", 200, 1), ("test.csv", 60, 2)):
        write_choices(tmp_path / name, count, seed)
    changes: dict[str, Any] = {"epochs": 10, "batch_rows": 8, "peak_learning_rate": 4e-3, "length": 16, "seeds": [1]}
    task = settings(tmp_path, **changes)
    training = {"device": "cpu", "precision": "float32"}
    recipe = Recipe.model_validate({"name": "tiny", "data": data, "training": training, "tasks": [task]})
    results = finetune(recipe, task, data / "model", tmp_path / "task", Silent())
    assert results["pretrained"]["mean"]["test"]["accuracy"] > 0.9
    assert results["pretrained"]["mean"]["train"]["accuracy"] > 0.8
    loaded = predict.load(tmp_path / "task" / "model")
    first, second = loaded.choose([(GOOD[0], FILLER[0], [BAD[0], GOOD[1]]), (BAD[0], FILLER[0], [BAD[1], *GOOD])])
    assert (first.option, first.place, second.place) == (GOOD[1], 1, 0)
    assert sum(second.probabilities) == pytest.approx(1) and len(second.probabilities) == 4
