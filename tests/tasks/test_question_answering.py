"""Questions: read and repaired, laid out in windows, answered in the very characters of the context, and learned."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze import predict
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import Recipe, TaskSettings
from cloze.tasks.features import IGNORED
from cloze.tasks.finetuning import finetune
from cloze.tasks.metrics import log_softmax, log_softmax_in_groups
from cloze.tasks.question_answering import KIND, Reading, answers, lay_out
from cloze.tasks.selection import read_splits
from cloze.tasks.shapes import shape_of
from cloze.tasks.squad import Question, read_questions
from cloze.tasks.task import Layout
from cloze.tasks.windows import compose
from tests.tasks.conftest import FILLER, GOOD
from tests.tasks.official import korquad
from tests.tasks.test_tagging import BYTES, byte_bpe, wordpiece

CONTEXT = "임종석이 서울 간다"


def asked(number: object, text: str, start: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "question": "누가?", "answers": [{"text": text, "answer_start": start}], **more}


def write(path: Path, *paragraphs: tuple[str, list[dict[str, Any]]]) -> Path:
    data = [{"title": "글", "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs]}]
    path.write_text(json.dumps({"version": "1", "data": data}, ensure_ascii=False), encoding="utf-8")
    return path


def settings(folder: Path = Path(), **changes: Any) -> TaskSettings:
    given: dict[str, Any] = {"name": "qa", "kind": "question_answering", "longest_question": 6}
    given |= {"train": folder / "train.json", "test": folder / "test.json"}
    return TaskSettings(**(given | changes))


def test_misplaced_answers_are_found_or_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        (CONTEXT, [asked("1", "임종석", 0), asked(2, "서울", 4), asked("3", "부산", 5)]),
        ("가 가", [asked("4", "가", 1), {**asked("5", "", 0), "is_impossible": True}]),
    )
    named = r"question 2: '서울' found elsewhere; .*question 3: '부산' not found; .*question 4: '가' found in 2 places"
    with pytest.warns(UserWarning, match=named):
        found = read_questions(path)
    spans = {question.id: question.span for question in found.questions}
    assert spans == {"1": (0, 3), "2": (5, 7), "3": None, "4": None, "5": None}
    assert [question.id for question in found.questions if question.unlocated] == ["3", "4"]
    assert [question.id for question in found.questions if question.unanswerable] == ["5"]
    assert found.counts == {
        "examples": 5,
        "contexts": 2,
        "unanswerable": 1,
        "unlocated_questions": 2,
        "empty": 0,
        "repaired_answers": 1,
        "unlocated_answers": 2,
        "left_out": 0,
        "repeated_ids": 0,
    }


def test_a_place_before_the_beginning_is_none(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'임종석' found elsewhere"):
        found = read_questions(write(tmp_path / "a.json", (CONTEXT, [asked(1, "임종석", -1)])))
    assert found.questions[0].span == (0, 3)


def test_one_answer_that_stands_is_enough_to_learn_from(tmp_path: Path) -> None:
    question = asked(1, "부산", 0)
    question["answers"].append({"text": "서울", "answer_start": 5})
    with pytest.warns(UserWarning, match="'부산' not found"):
        found = read_questions(write(tmp_path / "a.json", (CONTEXT, [question])))
    assert found.questions[0].answers == ("부산", "서울") and found.questions[0].span == (5, 7)
    assert (found.counts["unlocated_answers"], found.counts["unlocated_questions"]) == (1, 0)


def test_the_parts_of_one_file_keep_them_where_they_are_only_scored(tmp_path: Path) -> None:
    paragraphs = [(f"{CONTEXT} {n}", [asked(n, "서울", 5), asked(-n, "부산", 5)]) for n in range(1, 31)]
    write(tmp_path / "all.json", *paragraphs)
    one = settings(train="all.json", test="all.json", test_frac=0.3, development_frac=0.3)
    with pytest.warns(UserWarning, match="don't stand where it says|learned from"):
        found = read_splits(tmp_path, one)
    assert found.development is not None
    sides = [side.questions for side in (found.train, found.development, found.test)]
    learned, development, test = map(len, sides)
    unlocated = [sum(question.unlocated for question in side) for side in sides]
    assert all(sides) and unlocated == [0, development / 2, test / 2] and 2 * learned + development + test == 60
    train = found.counts["train"]
    assert (train["examples"], train["dropped_questions"]) == (learned, learned)
    assert [found.counts[name]["unlocated_questions"] for name in ("development", "test")] == unlocated[1:]


@pytest.mark.filterwarnings("ignore:.*answers don't stand:UserWarning")
def test_answers_that_are_not_found_are_scored_and_not_learned_from(tmp_path: Path) -> None:
    """The official scripts compare texts: an answer misspelled in the file is one that no model can give."""
    task = settings(answer_rules="korquad", length=24)
    questions = [asked(1, "임종석", 0), asked(2, "서올", 5), asked(3, "임종석은", 0)]
    for name in ("train.json", "test.json"):
        write(tmp_path / name, (CONTEXT, questions))
    with pytest.warns(UserWarning, match=r"train\.json: 2 of 3 questions can't be learned from, .* left out: 2, 3$"):
        splits = read_splits(tmp_path, task)
    assert [question.id for question in splits.train.questions] == ["1"]
    assert [question.id for question in splits.test.questions] == ["1", "2", "3"]
    assert splits.counts["train"]["examples"] == 1 and splits.counts["test"]["examples"] == 3
    counts = [splits.counts[name].get("dropped_questions") for name in ("train", "test")]
    assert counts == [2, None], "only training drops them"
    assert [splits.counts[name]["unlocated_questions"] for name in ("train", "test")] == [0, 2]

    inputs = KIND.inputs(splits.test, splits.classes, Layout(BYTES, 48, 1), task)
    labels = np.asarray(inputs.labels)
    assert labels[0].min() > 0 and (labels[1:] == IGNORED).all()
    outputs = np.zeros((len(inputs.features.ids), 2), dtype=np.float32)
    for row, first in enumerate(inputs.features.offsets[:-1]):
        outputs[first + labels[0], [0, 1]] = 9.0 + row
    given = [record["predicted"] for record in inputs.predictions(outputs)]
    assert given == ["임종석"] * 3
    official = [
        korquad(answer, question.answers) for answer, question in zip(given, splits.test.questions, strict=True)
    ]
    found = inputs.score(outputs)
    assert (found["exact_match"], found["f1"]) == tuple(np.mean(official, axis=0))
    alone = KIND.inputs(splits.train, splits.classes, Layout(BYTES, 48, 1), task)
    wanted = alone.score(outputs[: inputs.features.offsets[1]])["loss"]
    assert found["loss"] == pytest.approx(wanted), "of the rows that have a label"

    nothing = {**asked(4, "", 0), "is_impossible": True}
    for rest in (questions[1:], [nothing], [*questions[1:], nothing]):
        write(tmp_path / "train.json", (CONTEXT, rest))
        with pytest.raises(
            ClozeError, match=r"train\.json: no question has an answer that was found .*nothing to learn"
        ):
            read_splits(tmp_path, task)


def one_context(*qas: dict[str, Any]) -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": "가", "qas": qas}]}]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "has no questions"),
        ("{}", r"'data' is None, expected list"),
        ("[{}]", r"data\[0\]: 'paragraphs' is None, expected list"),
        ('{"data": []}', "has no questions"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', r"article 0, paragraph 0: 'context' is None, expected str"),
        (one_context({"id": 1, "question": 3}), "question 1: 'question' is 3, expected str"),
        (one_context({"id": 1, "question": "뭐?"}), "question 1: 'answers' is None, expected list or dict"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ClozeError, match=message):
        read_questions(path)


def test_ids_that_repeat_and_a_few_broken_questions_are_named_and_counted(tmp_path: Path) -> None:
    questions = [asked(number % 19, "서울", 5) for number in range(20)]
    with pytest.warns(UserWarning) as warned:
        found = read_questions(write(tmp_path / "a.json", (CONTEXT, [*questions, {"id": 20, "question": "뭐?"}])))
    assert (found.counts["examples"], found.counts["left_out"], found.counts["repeated_ids"]) == (20, 1, 1)
    told = [str(one.message) for one in warned]
    assert "article '글', question 20: 'answers' is None, expected list" in told[0]
    assert "paragraph 0, question 20 has '0', the id of article '글', paragraph 0, question 1" in told[1]


def test_a_question_without_an_id_is_left_out_named_and_counted(tmp_path: Path) -> None:
    questions = [asked(number, "서울", 5) for number in range(20)]
    del questions[3]["id"]
    with pytest.warns(UserWarning, match=r"1 of 20 examples .* paragraph 0, question 4: it has no 'id' \(nor 'guid'\)"):
        found = read_questions(write(tmp_path / "a.json", (CONTEXT, questions)))
    assert (len(found.questions), found.counts["left_out"]) == (19, 1)


def test_klues_ids_are_read(tmp_path: Path) -> None:
    question = {"guid": "klue-mrc-v1_dev_00000", "question": "누가?", "question_type": 1, "is_impossible": False}
    question["answers"] = [{"text": "임종석", "answer_start": 0}]
    found = read_questions(write(tmp_path / "a.json", (CONTEXT, [question])))
    assert (found.questions[0].id, found.questions[0].span) == ("klue-mrc-v1_dev_00000", (0, 3))


@pytest.mark.parametrize("form", ["lines.jsonl", "lines.json", "array.json", "data.json"])
def test_rows_of_the_hub_are_read_as_the_nested_file_is(form: str, tmp_path: Path) -> None:
    """A question whose list of answers is empty has none (SQuAD 2.0's make_qid_to_has_ans)."""
    paragraphs = [(CONTEXT, [asked("1", "임종석", 0), asked("2", "서울", 5)]), ("가 나", [asked("3", "가", 0)])]
    paragraphs[1][1].append({"id": "4", "question": "왜?", "answers": []})
    rows: list[dict[str, Any]] = []
    for context, questions in paragraphs:
        for one in questions:
            keys = {"text": "text", "answer_start": "answer_start"}
            answers = {key: [answer[name] for answer in one["answers"]] for key, name in keys.items()}
            rows.append({**one, "title": "글", "context": context, "answers": answers})
    if form.startswith("lines"):
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    else:
        text = json.dumps({"version": "1", "data": rows} if form == "data.json" else rows)
    (tmp_path / form).write_text(text + "\n", encoding="utf-8")
    found, nested = read_questions(tmp_path / form), read_questions(write(tmp_path / "nested.json", *paragraphs))
    assert (found.questions, found.contexts, found.counts) == (nested.questions, nested.contexts, nested.counts)
    assert found.counts["unanswerable"] == 1 and found.counts["contexts"] == 2
    assert shape_of(tmp_path / form) == shape_of(tmp_path / "nested.json") == {"kind": "question_answering"}


def test_a_single_row_is_a_file_too(tmp_path: Path) -> None:
    row = {**asked("1", "서울", 5), "context": CONTEXT, "answers": {"text": ["서울"], "answer_start": [5]}}
    (tmp_path / "a.json").write_text(json.dumps(row), encoding="utf-8")
    assert [question.span for question in read_questions(tmp_path / "a.json").questions] == [(5, 7)]


def test_what_is_wrong_with_rows_is_told_by_line(tmp_path: Path) -> None:
    row = {"context": CONTEXT, "question": "누가?", "answers": {"text": ["임종석"], "answer_start": [0]}}
    wrong = [
        row | {"context": None},
        row | {"answers": {"text": ["가"], "answer_start": []}},
        row | {"answers": "임종석"},
    ]
    lines = [*([row] * 40), *wrong]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n{", encoding="utf-8")
    told = r"4 of 44 .* line 41: 'context' is None, .*; line 42, question 42: 1 texts of answers and 0 places .*"
    with pytest.warns(UserWarning, match=told + r"; line 43, question 43: 'answers' is '임종석', .*; line 44: no JSON"):
        found = read_questions(tmp_path / "a.jsonl")
    assert [question.id for question in found.questions[:2]] == ["1", "2"], "rows without ids have their numbers"
    assert (found.counts["examples"], found.counts["left_out"], found.counts["contexts"]) == (40, 4, 1)


def test_training_must_teach_what_the_test_asks(tmp_path: Path) -> None:
    full = read_questions(write(tmp_path / "a.json", (CONTEXT, [asked(1, "서울", 5)])))
    none = read_questions(write(tmp_path / "b.json", (CONTEXT, [asked(7, "", 0, is_impossible=True)])))
    assert KIND.classes(full, full) == ("start", "end")
    with pytest.raises(ClozeError, match=r"b\.json, question 7: it has no answer, and every question of .*a\.json"):
        KIND.classes(full, none)
    with pytest.raises(ClozeError, match="nothing to learn"):
        KIND.learnable(none)


def pointing(labels: Any, rows: Any) -> Any:
    """Outputs [tokens, 2] that point at the labels of every row, half as surely where that is [CLS]."""
    outputs = np.zeros((len(rows.features.ids), 2), dtype=np.float32)
    for first, (start, end) in zip(rows.features.offsets[:-1], labels.tolist(), strict=True):
        outputs[first + start, 0] = outputs[first + end, 1] = 8.0 if start else 4.0
    return outputs


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("tokenizer", [wordpiece("임", "##종석", "##이", "서울", "간다", "누가", "?"), byte_bpe()])
def test_answers_are_the_very_characters_of_the_context(tokenizer: Any, form: Any, tmp_path: Path) -> None:
    context, wanted = (unicodedata.normalize(form, text) for text in (f"  {CONTEXT}\u00a0 {CONTEXT}!", "종석이 서울"))
    start = context.rindex(wanted)
    question = Question("1", "누가?", 0, (wanted,), (start, start + len(wanted)))
    reading = Reading(stride=5, longest_question=12)
    rows, labels = lay_out([question], [context], Layout(tokenizer, 48, 2), reading)
    found = list(answers(pointing(labels, rows), rows, [question], [context], reading, top=3))
    assert (found[0][0].text, found[0][0].start, found[0][0].end) == (wanted, start, start + len(wanted))
    assert len(found[0]) == 3 and sum(answer.probability for answer in found[0]) <= 1 + 1e-9


@given(st.data())
def test_any_span_comes_back(data: st.DataObject) -> None:
    """Wherever an answer stands and however the context is cut, its characters are those of the file."""
    characters = st.sampled_from("가힣a.[ \u3000😀漢e\u0301\u1112\u1161\u11ab")
    context = data.draw(st.text(characters, min_size=1, max_size=25))
    composed = compose(context)
    place = data.draw(st.integers(0, len(composed.text) - 1))
    start, end = composed.given(place, data.draw(st.integers(place + 1, min(len(composed.text), place + 4))))
    question = Question("1", "누가?", 0, (), (start, end))
    reading = Reading(stride=data.draw(st.integers(1, 20)), longest_question=3, longest_answer=40)
    rows, labels = lay_out([question], [context], Layout(BYTES, 32, 1), reading)
    found = next(answers(pointing(labels, rows), rows, [question], [context], reading, top=1))[0]
    if labels.max() > 0:  # the answer fits a window and is more than white space
        assert found.text == context[start:end].strip() and context[found.start : found.end] == found.text
    else:
        assert not context[start:end].strip() or len(context[start:end].encode()) > 5


def test_windows_hold_the_answer_or_point_at_the_first_token() -> None:
    tokenizer = wordpiece(*(f"w{i}" for i in range(12)), "q")
    context = " ".join(f"w{i}" for i in range(12))
    question = Question("1", "q", 0, ("w6 w7",), (context.index("w6"), context.index("w7") + 2))
    reading = Reading(stride=3, longest_question=4)
    rows, labels = lay_out([question], [context], Layout(tokenizer, 10, 2), reading)  # room for 6 tokens
    assert rows.features.lengths.tolist() == [10, 10, 10] and rows.question_rows.tolist() == [0, 3]
    assert rows.features.segments is not None and rows.features.segments[:10].tolist() == [0] * 3 + [1] * 7
    assert labels.tolist() == [[0, 0], [6, 7], [3, 4]]
    assert rows.may_start.sum() == 12, "each token may start an answer in one window"
    with pytest.raises(ClozeError, match="no room for a context beside a question of up to 8 and 3 special tokens"):
        lay_out([question], [context], Layout(tokenizer, 10, 2), Reading(longest_question=8))


def test_answers_that_no_window_shows_whole_are_counted_and_teach_nothing() -> None:
    """Least of all that there is no answer."""
    tokenizer = wordpiece(*(f"w{i}" for i in range(12)), "q")
    context = " ".join(f"w{i}" for i in range(12))
    spans = [(0, context.index("w8")), (0, context.index("w4")), (2, 3)]
    questions = [Question(str(n), "q", 0, ("x",), span) for n, span in enumerate(spans)]
    reading = Reading(stride=3, longest_question=4, longest_answer=3)
    rows, labels = lay_out(questions, [context], Layout(tokenizer, 10, 2), reading)  # room for 6 tokens
    assert [(labels[first:last] == IGNORED).all() for first, last in pairwise(rows.question_rows)] == [
        True,
        False,
        True,
    ]
    counts = {"answers_in_no_window": 1, "answers_too_long": 2, "answers_without_token": 1, "questions_cut": 0}
    assert counts.items() <= rows.features.counts.items()


def test_best_answer_is_the_best_of_all_pairs_and_no_longer_than_it_may_be() -> None:
    tokenizer = wordpiece(*(f"w{i}" for i in range(9)), "q")
    context = " ".join(f"w{i}" for i in range(9))
    question = Question("1", "q", 0, (), None)
    generator = np.random.default_rng(3)
    for longest, threshold in ((1, None), (3, None), (30, 0.0), (30, 100.0), (30, -100.0)):
        reading = Reading(stride=2, longest_question=4, longest_answer=longest, null_threshold=threshold)
        rows, _ = lay_out([question], [context], Layout(tokenizer, 9, 2), reading)
        outputs = generator.standard_normal((len(rows.features.ids), 2)).astype(np.float32)
        best, where = -np.inf, ""
        for row, first in enumerate(rows.features.offsets[:-1]):
            inside = [p for p in range(first, rows.features.offsets[row + 1]) if rows.tokens[p] >= 0]
            for i in (p for p in inside if rows.may_start[p]):
                for j in (p for p in inside if i <= p < i + longest):
                    if (value := float(outputs[i, 0]) + float(outputs[j, 1])) > best:
                        best, where = value, " ".join(f"w{k}" for k in range(rows.tokens[i], rows.tokens[j] + 1))
        null = outputs[rows.features.offsets[:-1]].sum(axis=1).min()
        silent = threshold is not None and null - best > threshold
        found = next(answers(outputs, rows, [question], [context], reading, top=1))
        assert found[0].text == ("" if silent else where)


def test_an_empty_context_has_an_empty_answer() -> None:
    question, reading = Question("1", "", 0, (), None), Reading(longest_question=4)
    rows, labels = lay_out([question], [""], Layout(wordpiece("가"), 9, 2), reading)
    outputs = np.ones((len(rows.features.ids), 2), dtype=np.float32)
    assert next(answers(outputs, rows, [question], [""], reading, top=2))[0].text == ""
    assert labels.tolist() == [[0, 0]]


def test_log_softmax_in_groups_is_that_of_each_group() -> None:
    logits = (np.random.default_rng(0).standard_normal((7, 2)) * 100).astype(np.float32)
    found = log_softmax_in_groups(logits, np.array([0, 3, 4, 7]))
    for start, end in ((0, 3), (3, 4), (4, 7)):
        assert np.allclose(found[start:end], log_softmax(logits[start:end].T).T)


def write_questions(path: Path, count: int, seed: int) -> None:
    """Who is praised: the word before the praise. Every third context has none."""
    random = Random(seed)
    paragraphs = []
    for number in range(count):
        words = [random.choice(FILLER) for _ in range(random.randrange(4, 20))]
        place = random.randrange(1, len(words))
        words[place] = GOOD[0] if number % 3 else words[place]
        context, start = " ".join(words), len(" ".join(words[:place]))
        question = asked(number, GOOD[0], start + 1) | {"question": FILLER[0]}
        if not number % 3:
            question |= {"answers": [], "is_impossible": True}
        paragraphs.append((context, [question]))
    write(path, *paragraphs)


def test_it_learns_and_the_saved_model_answers(data: Path, tmp_path: Path) -> None:
    for name, count, seed in (("train.json", 300, 1), ("test.json", 60, 2)):
        write_questions(tmp_path / name, count, seed)
    changes: dict[str, Any] = {"epochs": 8, "batch_rows": 16, "peak_learning_rate": 5e-3, "length": 16, "seeds": [1]}
    task = settings(tmp_path, stride=4, longest_answer=8, answer_rules="korquad", **changes)
    training = {"device": "cpu", "precision": "float32"}
    recipe = Recipe.model_validate({"name": "tiny", "data": data, "training": training, "tasks": [task]})
    results = finetune(recipe, task, data / "model", tmp_path / "task", Silent())
    found = results["pretrained"]["mean"]["test"]
    assert found["exact_match"] > 0.9 and found["f1"] >= found["exact_match"]
    parts = results["pretrained"]["seeds"][0]["test"]["parts"]
    assert {name: part["count"] for name, part in parts.items()} == {"with an answer": 40, "without an answer": 20}
    assert results["counts"]["test"]["rows"] > 60, "some contexts are longer than a row"
    loaded = predict.load(tmp_path / "task" / "model")
    context = " ".join([*FILLER, GOOD[0], *FILLER])
    (first, *_), (nothing,) = loaded.answer([(FILLER[0], context), (FILLER[0], " ".join(FILLER))])
    assert (first.text, context[first.start : first.end]) == (GOOD[0], GOOD[0])
    assert (nothing.text, nothing.start, nothing.end) == ("", 0, 0)
    with pytest.raises(ClozeError, match=r"gives answers \(start, end\), not a class\. Call answer"):
        loaded.predict(["하나"])


def test_korquad_is_read_whole(shared_data: Path) -> None:
    found = read_questions(shared_data / "korquad" / "KorQuAD_v1.0_dev.json")
    assert found.counts["examples"] == 5774
    assert found.counts["contexts"] == 963, "of 964 paragraphs one has no question"
    assert found.counts["repaired_answers"] == found.counts["unlocated_answers"] == found.counts["unanswerable"] == 0
    for question in found.questions:
        assert question.span is not None
        assert found.contexts[question.context][slice(*question.span)] == question.answers[0]


def test_the_right_answers_of_korquad_come_back(shared_data: Path) -> None:
    """Labels and back again, with a tokenizer of syllables: nothing but answers beyond the longest is lost."""
    found = read_questions(shared_data / "korquad" / "KorQuAD_v1.0_dev.json")
    questions = found.questions[:200]
    contexts = found.contexts[: questions[-1].context + 1]
    reading = Reading(longest_answer=64)
    rows, labels = lay_out(questions, contexts, Layout(BYTES, 512, 1), reading)
    given = answers(pointing(labels, rows), rows, questions, contexts, reading, top=1)
    short = [len(question.answers[0].encode()) <= 50 for question in questions]
    same = [best[0].text == question.answers[0] for best, question in zip(given, questions, strict=True)]
    assert sum(short) > 180 and all(agree for agree, fits in zip(same, short, strict=True) if fits)
