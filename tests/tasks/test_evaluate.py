"""`cloze evaluate`: the figures of fine-tuning's test to the last bit, for every kind, and what is told otherwise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from cloze import predict
from cloze.errors import ClozeError
from cloze.evaluate import Evaluation, evaluate_file, evaluate_named, write_evaluation
from cloze.progress import Silent
from cloze.recipe import Recipe, TaskSettings
from cloze.report.evaluation_tables import evaluation_tables
from cloze.tasks.answer_scores import answer_scores
from cloze.tasks.finetuning import finetune
from cloze.tasks.tagging import entity_scores
from tests.tasks.conftest import write_reviews
from tests.tasks.test_multi_label import write_reviews as write_labelled
from tests.tasks.test_multiple_choice import write_choices
from tests.tasks.test_question_answering import write_questions
from tests.tasks.test_regression import write_pairs
from tests.tasks.test_tagging import write_sentences
from tests.test_cli import call


def write_characters(path: Path, count: int, seed: int) -> None:
    write_sentences(path, count, seed, "characters")


def write_columns(path: Path, count: int, seed: int) -> None:
    """Labels in columns of their own."""
    write_labelled(path, count, seed)
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    lines = [f"{text}\t{'bad' in labels}\t{'good' in labels}\n" for text, labels in rows]
    path.write_text("document\tbad\tgood\n" + "".join(lines), encoding="utf-8")


def write_asked(path: Path, count: int, seed: int) -> None:
    """Questions in a column that is called otherwise."""
    write_choices(path, count, seed)
    path.write_text(path.read_text(encoding="utf-8").replace("question", "asked", 1), encoding="utf-8")


def write_with_a_lost_answer(path: Path, count: int, seed: int) -> None:
    """Questions, the second of which has an answer that its context has not."""
    write_questions(path, count, seed)
    whole = json.loads(path.read_bytes())
    whole["data"][0]["paragraphs"][1]["qas"][0]["answers"][0]["text"] = "어디에도 없다"
    path.write_text(json.dumps(whole), encoding="utf-8")


WRITE: dict[str, tuple[Any, str]] = {
    "classification": (write_reviews, "txt"),
    "multi_label": (write_columns, "tsv"),
    "regression": (write_pairs, "tsv"),
    "tagging": (write_characters, "tsv"),
    "question_answering": (write_with_a_lost_answer, "json"),
    "multiple_choice": (write_asked, "csv"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "classification": {"null_class": "0"},
    "multi_label": {"label_columns": ["bad", "good"]},
    "regression": {
        **{"text_column": "sentence1", "second_text_column": "sentence2", "label_column": "score"},
        "positive_from": 1.0,
    },
    "tagging": {"tag_format": "characters", "stride": 4},
    "question_answering": {
        **{"stride": 4, "longest_question": 5, "longest_answer": 1, "answer_rules": "korquad"},
        "null_threshold": 50.0,  # Always an answer, so that its length and the rules matter.
    },
    "multiple_choice": {"text_column": "article", "question_column": "asked"},
}
"""What fine-tuning is told. Nothing of it is the default, so a model that forgot it would give other figures."""
COLUMNS: dict[str, dict[str, Any]] = {
    "regression": {"text": "sentence1", "second": "sentence2", "label": "score"},
    "multiple_choice": {"text": "article"},
}
"""What `cloze evaluate` is told again."""
LENGTH = 13


@dataclass(frozen=True)
class Tuned:
    """A model that was fine-tuned for a little, and what its test gave."""

    kind: str
    model: Path
    test: Path
    results: dict[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        return {"text": "document", **COLUMNS.get(self.kind, {})}

    def evaluate(self) -> Evaluation:
        return evaluate_file(self.model, self.test, Silent(), **self.columns)


def tune(data: Path, folder: Path, kind: str, settings: dict[str, Any] | None = None) -> Tuned:
    """`settings` in place of SETTINGS."""
    write, suffix = WRITE[kind]
    for name, count, seed in (("train", 60, 1), ("test", 40, 2)):
        write(folder / f"{name}.{suffix}", count, seed)
    told = {
        "name": "task",
        "kind": kind,
        "train": f"train.{suffix}",
        "test": f"test.{suffix}",
        **(SETTINGS[kind] if settings is None else settings),
    }
    told |= {"epochs": 2, "batch_rows": 8, "peak_learning_rate": 5e-3, "length": LENGTH, "seeds": [1]}
    task = TaskSettings.model_validate(told)
    recipe = Recipe.model_validate(
        {"name": "tiny", "data": folder, "training": {"precision": "float32"}, "tasks": [task]}
    )
    results = finetune(recipe, task, data / "model", folder / "task", Silent())
    return Tuned(kind, folder / "task" / "model", folder / f"test.{suffix}", results)


@pytest.fixture(scope="module", params=WRITE)
def tuned(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(data, tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def reviews(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(data, tmp_path_factory.mktemp("reviews"), "classification", {})


def test_on_the_test_file_the_figures_are_those_of_fine_tuning(tuned: Tuned) -> None:
    found = tuned.evaluate().results
    assert found["test"] == tuned.results["pretrained"]["seeds"][0]["test"]
    # What the file shares with that of training, only fine-tuning can know.
    counts = {name: n for name, n in tuned.results["counts"]["test"].items() if not name.startswith("shared_with")}
    assert found["counts"]["test"] == counts
    assert (found["kind"], found["classes"]) == (tuned.kind, tuned.results["classes"])
    assert found["length"] == LENGTH == predict.load(tuned.model).length
    assert json.loads(json.dumps(found)) == found
    if tuned.kind == "question_answering":
        assert (counts["examples"], counts["unlocated_questions"]) == (40, 1)
        assert tuned.results["counts"]["train"]["dropped_questions"] == 1


def test_predictions_give_the_scores_again(tuned: Tuned, tmp_path: Path) -> None:
    evaluation = tuned.evaluate()
    predictions, test = evaluation.predictions, evaluation.results["test"]
    files = write_evaluation(evaluation, tmp_path / "out")
    assert sorted((tmp_path / "out").iterdir()) == sorted(files)
    assert json.loads(files[1].read_bytes()) == evaluation.results
    if tuned.kind == "question_answering":
        by_id = json.loads(files[0].read_bytes())
        assert by_id == {one["id"]: one["predicted"] for one in predictions}
        scores = answer_scores(list(by_id.values()), [one["label"] for one in predictions], "korquad")
        assert (scores["exact_match"], scores["f1"]) == (test["exact_match"], test["f1"])
        return
    assert [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()] == predictions
    assert len(predictions) == 40
    labels, given = ([one[key] for one in predictions] for key in ("label", "predicted"))
    right = sum(label == said for label, said in zip(labels, given, strict=True)) / 40
    if tuned.kind == "tagging":
        assert entity_scores(labels, given, evaluation.results["classes"])["entity_f1"] == test["entity_f1"]
    elif tuned.kind == "regression":
        errors = [(label - said) ** 2 for label, said in zip(labels, given, strict=True)]
        assert sum(errors) / 40 == pytest.approx(test["loss"], rel=1e-12)
    else:
        assert right == test["exact_match" if tuned.kind == "multi_label" else "accuracy"]


def test_answers_whose_ids_occur_twice_are_lines(tmp_path: Path) -> None:
    predictions = [{"id": "1", "predicted": "가"}, {"id": "1", "predicted": "나"}]
    files = write_evaluation(Evaluation({"kind": "question_answering"}, predictions), tmp_path)
    assert [file.name for file in files] == ["predictions.jsonl", "results.json"]
    assert [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()] == predictions


def test_predict_says_what_was_scored(reviews: Tuned) -> None:
    texts = [line.split("\t")[1] for line in reviews.test.read_text(encoding="utf-8").splitlines()[1:]]
    said = predict.load(reviews.model).predict([*texts])
    found = [(one["predicted"], one["probability"]) for one in reviews.evaluate().predictions]
    assert found == [(one.label, pytest.approx(one.probability, abs=1e-6)) for one in said]


def test_f1_of_classes_and_calibration_are_shown(tuned: Tuned) -> None:
    tables = {table.title: table for table in evaluation_tables(tuned.evaluate().results)}
    first = tables.pop("test: scores")
    assert " to " in first.rows[0][2] and all(not row[2] for row in first.rows[1:])
    assert ("Calibration error" in [row[0] for row in first.rows]) == (
        tuned.kind in ("classification", "multiple_choice")
    )
    assert any(row[0].startswith("Examples") and row[1] == "40" for row in tables["What was read"].rows)
    assert ("By part" in tables) == (tuned.kind not in ("regression", "multiple_choice"))
    assert "Beside published scores" not in tables


def test_a_named_task_has_its_file_and_the_scores_of_others(reviews: Tuned, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "nsmc").mkdir()
    (tmp_path / "nsmc" / "ratings_test.txt").write_bytes(reviews.test.read_bytes())
    found = evaluate_named(reviews.model, "nsmc", tmp_path, Silent()).results
    assert found["test"] == reviews.evaluate().results["test"]
    assert found["published"]["scores"]["accuracy"]["KoBERT"] == 89.59
    arguments = ["evaluate", str(reviews.model), "nsmc", "--data", str(tmp_path)]
    assert call(*arguments, "--output", str(tmp_path / "out")) == 0
    out, error = capsys.readouterr()
    assert "KoBERT" in out and "89.59" in out and "Calibration error" in out and "results.json" in error
    assert json.loads((tmp_path / "out" / "results.json").read_bytes()) == found
    assert call(*arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out) == found
    other = evaluate_named(reviews.model, "nsmc", tmp_path, Silent(), test=reviews.test).results
    assert other["published"] is None and other["test"] == found["test"]
    # Both kinds of predictions in one folder would leave those of an evaluation before.
    (tmp_path / "out" / "predictions.json").write_text("{}", encoding="utf-8")
    assert call(*arguments, "--output", str(tmp_path / "out")) == 0
    assert not (tmp_path / "out" / "predictions.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "document\tlabel\n좋다\t1\n글\tironic\n",
            r"a\.tsv, line 3: the label 'ironic' is none that .*model knows; it gives '0', '1'",
        ),
        ("text\tlabel\n좋다\t1\n", r"a\.tsv has no column 'document'; it has 'text', 'label'"),
        ("document\tlabel\n좋다\n", r"a\.tsv, line 2: 1 tab-separated field"),
        ("document\tlabel\n", r"has a header but no examples"),
        ("좋다\tB-X\n", r"a\.tsv is for tagging, and .*model was fine-tuned for classification \(0, 1\)"),
        (b"\xb0\xa1\t1\n", r"a\.tsv, line 1: byte 0 \(0xb0\) is not UTF-8"),
        (None, r"a\.tsv cannot be read \(No such file or directory\)"),
    ],
)
def test_a_file_that_does_not_fit_is_told(
    reviews: Tuned, tmp_path: Path, content: str | bytes | None, message: str
) -> None:
    file = tmp_path / "a.tsv"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ClozeError, match=message):
        evaluate_file(reviews.model, file, Silent(), text="document")


def test_a_strange_tag_or_a_question_without_an_answer_is_told(data: Path, tmp_path: Path) -> None:
    for name in ("tagging", "question_answering"):
        (tmp_path / name).mkdir()
    tagger = tune(data, tmp_path / "tagging", "tagging")
    tagger.test.write_text("정\tO\n\n영\tB-Q\n", encoding="utf-8")
    with pytest.raises(ClozeError, match=r"line 3: the label 'B-Q' is none that .* gives 'O', 'B-B'"):
        tagger.evaluate()
    config = tmp_path / "question_answering" / "task" / "model" / "config.json"
    answerer = tune(data, tmp_path / "question_answering", "question_answering")
    described = json.loads(config.read_bytes())
    described["cloze_task"]["null_threshold"] = None  # As of a model whose questions all had an answer.
    config.write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(ClozeError, match=r"test\.json, question 0: it has no answer, and .* all have one"):
        answerer.evaluate()


def test_models_that_do_not_fit_are_told(reviews: Tuned, data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ClozeError, match=r"no head for a task: it was pretrained \(bert\).*cloze finetune .*model nsmc\)"
    ):
        evaluate_named(data / "model", "nsmc", tmp_path, Silent())
    with pytest.raises(ClozeError, match=r"the task korsts is for regression, and .* for classification \(0, 1\)"):
        evaluate_named(reviews.model, "korsts", tmp_path, Silent())
    with pytest.raises(ClozeError, match=r"needs .*ratings_test\.txt\. `cloze data get nsmc --data"):
        evaluate_named(reviews.model, "nsmc", tmp_path, Silent())
    with pytest.raises(ClozeError, match=r"was fine-tuned on single texts, and .*test\.txt is read as pairs"):
        evaluate_file(reviews.model, reviews.test, Silent(), text="document", second="id")
    with pytest.raises(ClozeError, match=r"can't be scored so.*\n  --second: two columns of a table"):
        evaluate_file(reviews.model, reviews.test, Silent(), text="document", second="label")
    with pytest.raises(ClozeError, match=r"rows of 17 tokens, but .* has positions for 16\. Give a smaller --length"):
        evaluate_file(reviews.model, reviews.test, Silent(), text="document", settings={"length": 17})
    with pytest.raises(ClozeError, match=r"can't be scored so.*\n  --answer-rules: answer_rules is for"):
        evaluate_file(reviews.model, reviews.test, Silent(), text="document", settings={"answer_rules": "korquad"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "MODEL"], "what to score on? Name a task"),
        (["evaluate", "MODEL", "nsmcc"], "Did you mean nsmc"),
        (["evaluate", "MODEL", "--data", "TEST", "--test", "TEST"], "--test goes with a named task"),
        (["evaluate", "MODEL", "nsmc", "--text", "a", "--kind", "tagging"], "--text and --kind are for a file of your"),
        (["finetune", "MODEL", "nsmc", "--label", "a"], "--label is for a file of your own"),
        (["finetune", "MODEL", "--data", "TEST", "--text", "document"], "model was fine-tuned already"),
        (["evaluate", "gone", "nsmc"], "gone does not exist; expected a model's folder"),
        (["evaluate", "MODEL", "nsmc", "--answer-rules", "race"], "--answer-rules"),
        (["evaluate", "MODEL", "--data", "TEST", "--text", "document", "--output", "TEST"], "test.txt"),
    ],
)
def test_wrong_input_is_one_message(reviews: Tuned, capsys: Any, arguments: list[str], message: str) -> None:
    words = {"MODEL": str(reviews.model), "TEST": str(reviews.test)}
    assert call(*(words.get(word, word) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error and message in error


def test_models_of_others_are_scored_under_their_own_names(data: Path, tmp_path: Path) -> None:
    """As transformers saves them: classes without names, and tags with B and I last, as KoELECTRA's."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.BertConfig(**sizes, vocab_size=64, pad_token_id=0, max_position_embeddings=20)
    torch.manual_seed(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(data / "model")
    for name, classes in (("SequenceClassification", None), ("TokenClassification", ["O", "PER-B", "PER-I"])):
        if classes is not None:
            config.id2label = dict(enumerate(classes))
        getattr(transformers, f"BertFor{name}")(config).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    write_reviews(tmp_path / "reviews.txt", 30, 1)
    found = evaluate_file(tmp_path / "SequenceClassification", tmp_path / "reviews.txt", Silent(), text="document")
    assert found.results["classes"] == ["0", "1"] and found.results["length"] == 20
    (tmp_path / "tags.tsv").write_text("영화 배우\tO B-PER\n정말\tO\n", encoding="utf-8")
    tagged = evaluate_file(tmp_path / "TokenClassification", tmp_path / "tags.tsv", Silent(), text="text")
    assert tagged.results["classes"] == ["O", "B-PER", "I-PER"]
    assert tagged.results["test"]["entity_f1"] is not None
