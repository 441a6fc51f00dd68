"""Small files in the formats in which the named tasks were published: the same columns, quirks and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloze.tasks.named import TASKS


def _table(*rows: str) -> str:
    return "\n".join(row.replace("|", "\t") for row in rows) + "\n"


def _questions(key: str, *, none: bool) -> str:
    asked: list[dict[str, Any]] = [
        {key: "q1", "question": "누가?", "answers": [{"text": "임종석", "answer_start": 0}], "is_impossible": False}
    ]
    asked += [{key: "q2", "question": "왜?", "answers": [], "is_impossible": True}] if none else []
    paragraph = {"context": "임종석이 서울로 간다.", "qas": asked}
    return json.dumps({"version": "v1.1", "data": [{"title": "글", "paragraphs": [paragraph], "source": "wikitree"}]})


def _relation(number: int, label: str) -> dict[str, Any]:
    subject = {"word": "비틀즈", "start_idx": 0, "end_idx": 2, "type": "ORG"}
    target = {"word": "해리슨", "start_idx": 5, "end_idx": 7, "type": "PER"}
    entities = {"subject_entity": subject, "object_entity": target}
    return {"guid": f"klue-re-v1_train_{number:05}", "sentence": "비틀즈의 해리슨", **entities, "label": label}


_NLI = "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse"
_RACE = {
    "answers": ["B", "D"],
    "options": [["a", "b", "c", "d"]] * 2,
    "questions": ["Where?", "He went _ ."],
    "article": "A text.",
}
_KLUE = {"nli": {"premise": "가", "hypothesis": "나"}, "sts": {"sentence1": "가", "sentence2": "나"}}


def _klue(task: str, *labels: dict[str, Any]) -> str:
    return json.dumps(
        [{"guid": f"klue-{task}-v1_dev_{n:05}", **_KLUE[task], **label} for n, label in enumerate(labels)]
    )


def _similar(label: float) -> dict[str, Any]:
    return {"labels": {"label": round(label, 1), "real-label": label, "binary-label": int(label >= 3)}}


def _topic(number: int, label: str) -> dict[str, Any]:
    return {"guid": f"ynat-v1_train_{number:05}", "title": "제목", "predefined_news_category": label, "label": label}


FILES: dict[str, str] = {
    "nsmc": _table("id|document|label", '1|"좋다|1', "2||0"),
    "kornli": _table("sentence1|sentence2|gold_label", "가|나|entailment", "가|다|neutral", "가|라|contradiction"),
    "korsts": _table(
        "genre|filename|year|id|score|sentence1|sentence2", "a|b|2012|1|5.000|가|나", "a|b|2012|2|0.5|가|다"
    ),
    "question-pair": _table("question1|question2|is_duplicate", "가|나|0", "가|다|1"),
    "paws": _table("id|sentence1|sentence2|label", "1|가|나|1", "2|NS|다|0"),
    "hate-speech": _table(
        "comments|contain_gender_bias|bias|hate", "가|False|none|none", "나|True|gender|hate", "다|False|none|offensive"
    ),
    "naver-ner": _table("임종석이 서울로 간다 .|PER-B LOC-B O O", "가 나|O O"),
    "korquad": _questions("id", none=False),
    "klue-ynat": json.dumps([_topic(1, "정치"), _topic(2, "IT과학")]),
    "klue-sts": _klue("sts", _similar(4.857142857142857), _similar(1.428571428571429), _similar(0.0)),
    "klue-nli": _klue("nli", {"gold_label": "entailment"}, {"gold_label": "neutral"}),
    "klue-ner": "## 토큰, 레이블 구분자 : \\t\n## 컬럼명 : CHAR\tNE_TAG\n"
    "## klue-ner-v1_dev_00000-nsmc\t<경찰:OG>은 <32:QT>\n경\tB-OG\n찰\tI-OG\n은\tO\n \tO\n3\tB-QT\n2\tI-QT\n\n"
    "## klue-ner-v1_dev_00001-nsmc\t또\n또\tO\n",
    "klue-re": json.dumps([_relation(1, "no_relation"), _relation(2, "org:members")]),
    "klue-mrc": _questions("guid", none=True),
    "sst2": _table("sentence|label", "good |1", "bad |0"),
    "mnli": _table(
        f"{_NLI}|sentence1|sentence2|label1|gold_label",
        "0|1|1n|fiction|( a )|( b )|(ROOT a)|(ROOT b)|He came.|He went.|neutral|neutral",
        "1|1|1c|fiction|( a )|( b )|(ROOT a)|(ROOT b)|He came.|He left.|contradiction|contradiction",
    ),
    "cola": _table("gj04|1||The sailors rode the breeze.", "gj04|0|*|The book sank of."),
    "mrpc": "\ufeff" + _table("Quality|#1 ID|#2 ID|#1 String|#2 String", '1|1|2|"He came .|He came .', "0|3|4|a|b"),
    "qqp": _table("id|qid1|qid2|question1|question2|is_duplicate", "1|2|3|Why ?|How ?|0", "2|4|5|Why ?|Why so ?|1"),
    "qnli": _table("index|question|sentence|label", "0|Why?|So.|not_entailment", "1|Who?|He.|entailment"),
    "rte": _table("index|sentence1|sentence2|label", "0|a|b|not_entailment", "1|a|c|entailment"),
    "wnli": _table("index|sentence1|sentence2|label", "0|a|b|0", "1|a|c|1"),
    "sts-b": _table(
        "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score",
        "0|main-captions|MSRvid|2012test|0001|none|none|A plane .|An air plane .|5.000",
        "1|main-captions|MSRvid|2012test|0004|none|none|A man .|A flute .|0.800",
    ),
    "squad": _questions("id", none=False),
    "squad2": _questions("id", none=True),
}
FILES["mnli-mm"] = FILES["mnli"]


def write_published(folder: Path, name: str) -> None:
    """The training and the test file of the named task, both with the same examples."""
    for side in ("train", "test"):
        path = folder / str(TASKS[name].settings[side])
        if name == "race":
            for level in ("middle", "high"):
                (path / level).mkdir(parents=True)
                (path / level / "1.txt").write_text(json.dumps({**_RACE, "id": f"{level}1.txt"}), encoding="utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FILES[name], encoding="utf-8")
