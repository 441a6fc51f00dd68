"""`cloze predict` and model cards for every kind of task, with random weights: what is printed, not what is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cloze import cli
from cloze.errors import ClozeError
from cloze.export import CALLS, PIPELINES, card
from cloze.interop.huggingface import save_classifier
from cloze.models import build
from cloze.models.classifier import classifier_of
from cloze.models.family import HEADS
from cloze.predict import load
from cloze.recipe import ModelSettings
from cloze.report.run import RunData, TaskRun
from tests.tasks.test_question_answering import CONTEXT, asked, write
from tests.tasks.test_tagging import wordpiece

CLASSES = {
    "multi_label": ["bad", "good"],
    "tagging": ["B-PS"],
    "question_answering": ["start", "end"],
    "multiple_choice": ["option"],
}
SETTINGS: dict[str, dict[str, Any]] = {"tagging": {"unit": "word"}, "question_answering": {"longest_question": 4}}
LINES = {
    "multi_label": "임종석이 간다",
    "tagging": "임종석이 간다",
    "question_answering": f"누가 간다?\t{CONTEXT}",
    "multiple_choice": "가\t누가?\t임종석\t서울\t간다",
}


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tokenizer, objective = wordpiece("임종석", "##이", "서울", "간다", "누가", "?"), request.param
    settings = ModelSettings(layers=1, heads=2, width=16, initialisation_std=0.3)
    encoder = build(settings, vocabulary_size=tokenizer.vocabulary_size, length=16, pad_id=0, pairs=False, seed=3)
    torch.manual_seed(1)
    made = classifier_of(objective, encoder, CLASSES[objective], settings=SETTINGS.get(objective))
    (tmp_path / "model").mkdir()
    save_classifier(tmp_path / "model", made, tokenizer)
    return tmp_path / "model"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        cli.main(["predict", *arguments])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("model", "line"), LINES.items(), indirect=["model"])
def test_each_kind_prints_before_its_line_and_as_json(model: Path, line: str, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text(line + "\n", encoding="utf-8")
    shown = printed(capsys, str(model), str(file))
    assert shown.endswith(f"\t{line}\n")
    record = json.loads(printed(capsys, str(model), str(file), "--json"))
    assert record.pop("text") == line
    if "entities" in record:
        assert shown.startswith("임종석이/PS, 간다/PS\t")
        assert record["entities"][1] == {"label": "PS", "text": "간다", "start": 5, "end": 7}
    elif "answer" in record:
        assert record["answer"]["text"] == CONTEXT[record["answer"]["start"] : record["answer"]["end"]] != ""
    elif "option" in record:
        assert record["option"] == line.split("\t")[2 + record["place"]] and len(record["probabilities"]) == 3
    else:
        assert set(record["probabilities"]) == {"bad", "good"}


@pytest.mark.parametrize("model", ["question_answering"], indirect=True)
def test_questions_of_a_json_file_get_an_answer_by_id(model: Path, capsys: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "q.json", (CONTEXT, [asked("1", "서울", 5), asked("2", "간다", 8)]), ("가", []))
    found = json.loads(printed(capsys, str(model), str(file)))
    assert set(found) == {"1", "2"} and all(answer in CONTEXT for answer in found.values())
    write(file, (CONTEXT, [asked("1", "서울", 5), asked("1", "간다", 8)]))
    with pytest.raises(SystemExit) as left:
        cli.main(["predict", str(model), str(file)])
    assert left.value.code == 2 and "q.json: ids occur twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "line", "message"),
    [
        ("question_answering", "누가?", "line 1 has 0 tabs, expected one"),
        ("multiple_choice", "가\t누가?\t서울", "line 1 has 3 tab-separated texts, expected 4 or more"),
    ],
    indirect=["model"],
)
def test_lines_that_do_not_fit_are_told(model: Path, line: str, message: str, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        cli.main(["predict", str(model), str(file)])
    assert left.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize("kind", HEADS)
def test_a_card_names_the_class_and_the_call(kind: str, tmp_path: Path) -> None:
    run = RunData(tmp_path, tasks=[TaskRun("a", {"kind": kind}, [], {})])
    text = card(run, "a", "cc0-1.0")
    assert f"pipeline_tag: {PIPELINES[kind]}" in text
    assert f"AutoModel{HEADS[kind]}.from_pretrained" in text and CALLS[kind] in text


def test_a_card_of_pairs_calls_with_a_pair_and_electras_loads_both_heads(tmp_path: Path) -> None:
    recipe = {"model": {"family": "electra"}, "tasks": [{"name": "a", "second_text_column": "b"}, {"name": "c"}]}
    kinds = [TaskRun(name, {"kind": "classification"}, [], {}) for name in ("a", "c")]
    run = RunData(tmp_path, recipe=recipe, tasks=kinds)
    assert 'predict([("...", "...")])' in card(run, "a", "mit") and 'predict(["..."])' in card(run, "c", "mit")
    text = card(run, None, "mit")
    assert 'AutoModelForPreTraining.from_pretrained("FOLDER")' in text and "pipeline_tag" not in text
    assert 'AutoModelForMaskedLM.from_pretrained("FOLDER", subfolder="generator")' in text


@pytest.mark.parametrize("model", ["question_answering"], indirect=True)
def test_a_question_that_is_cut_is_told(model: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 of 2 questions had more than 4 tokens; their ends were cut off"):
        load(model, device="cpu").answer([("누가 서울 간다 누가 서울 간다", CONTEXT), ("누가?", CONTEXT)])


@pytest.mark.parametrize("model", ["multiple_choice"], indirect=True)
def test_a_choice_needs_options(model: Path) -> None:
    with pytest.raises(ClozeError, match=r"no options to choose from with the question '누가\?'"):
        load(model, device="cpu").choose([("가", "누가?", ["임종석"]), ("가", "누가?", [])])


def test_tags_with_b_and_i_last_are_the_same_entities(tmp_path: Path) -> None:
    tokenizer = wordpiece("임종석", "##이", "서울", "간다")
    settings = ModelSettings(layers=1, heads=2, width=16, initialisation_std=0.3)
    encoder = build(settings, vocabulary_size=tokenizer.vocabulary_size, length=16, pad_id=0, pairs=False, seed=3)
    found = []
    for name, classes in (("ours", ["O", "B-PS", "I-PS"]), ("theirs", ["O", "PS-B", "PS-I"])):
        (tmp_path / name).mkdir()
        torch.manual_seed(2)
        save_classifier(
            tmp_path / name, classifier_of("tagging", encoder, classes, settings={"unit": "word"}), tokenizer
        )
        found.append(load(tmp_path / name, device="cpu").tag(["임종석이 서울 간다", "서울", "간다 임종석이"]))
    assert found[0] == found[1] and any(found[0]), "the same weights"


@pytest.mark.parametrize("model", CLASSES, indirect=True)
def test_nothing_gives_nothing_and_a_text_is_no_list_of_texts(model: Path, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("", encoding="utf-8")
    assert printed(capsys, str(model), str(file)) == ""
    loaded = load(model, device="cpu")
    methods = {"classification": loaded.predict, "multi_label": loaded.labels, "regression": loaded.score}
    if method := {**methods, "tagging": loaded.tag}.get(str(loaded.task)):
        with pytest.raises(ClozeError, match=r"expected a list of texts, found the text '임종석이'"):
            method("임종석이")


def test_a_model_of_pairs_reads_pairs_and_one_of_texts_texts(capsys: Any, tmp_path: Path) -> None:
    tokenizer = wordpiece("임종석", "##이", "서울", "간다", "누가", "?")
    settings = ModelSettings(layers=1, heads=2, width=16, initialisation_std=0.3)
    encoder = build(settings, vocabulary_size=tokenizer.vocabulary_size, length=16, pad_id=0, pairs=False, seed=3)
    line, pair = "임종석이\t서울", ("임종석이", "서울")
    file = tmp_path / "texts.txt"
    file.write_text(line + "\n", encoding="utf-8")
    shown = {}
    for name, known in (("pairs", {"pairs": True}), ("single", {"pairs": False}), ("unknown", {})):
        (tmp_path / name).mkdir()
        torch.manual_seed(1)
        made = classifier_of("classification", encoder, ["bad", "good"], settings=known)
        save_classifier(tmp_path / name, made, tokenizer)
        shown[name] = printed(capsys, str(tmp_path / name), str(file))
    assert shown["pairs"] == printed(capsys, str(tmp_path / "unknown"), str(file), "--pairs") != shown["single"]
    assert shown["single"] == shown["unknown"], "a tab is white space then"
    with pytest.raises(ClozeError, match="fine-tuned on pairs of texts, and a single text was given"):
        load(tmp_path / "pairs").predict([line])
    with pytest.raises(ClozeError, match="fine-tuned on single texts, and a pair was given"):
        load(tmp_path / "single").predict([pair])
    assert load(tmp_path / "single").encode([pair]).shape == (1, 16), "a vector is not what was learned"
