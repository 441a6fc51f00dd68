"""Tasks by their names: where the published files lie in the data folder, how they are read, and others' scores.

The reference scores are copied from the tables they name. They were measured on the published test (or development)
split with models of other sizes and corpora, so they say what is possible, not what a fair comparison would give.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloze.errors import ClozeError

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings

KOELECTRA = (
    "KcELECTRA, README (github.com/Beomi/KcELECTRA), and KoELECTRA, README (github.com/monologg/KoELECTRA; its code "
    "scores every checkpoint on the test set)"
)
KLUE = "KLUE, table of baselines (arXiv:2105.09680; github.com/KLUE-benchmark/KLUE)"
ROBERTA = "RoBERTa, table 2, full sentences (arXiv:1907.11692)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTask:
    """A published task."""

    title: str
    settings: Mapping[str, Any]
    """Of `TaskSettings`, its name aside."""
    measure: str
    """What its publishers and the references report, by its name in results.json."""
    split: str
    """Which split is tested on, and how it was made."""
    references: Mapping[str, float] = field(default_factory=dict)
    """Model -> its score in per cent."""
    also: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Their other measures, each with its references."""
    source: str = ""
    """Of the references."""


def _korean(nsmc: float, *rest: float) -> dict[str, float]:
    """Scores in the order of KoELECTRA's table."""
    models = ("KoBERT", "KcBERT-base", "KoELECTRA-small-v3", "KoELECTRA-base-v3", "KcELECTRA-base")
    return dict(zip(models, (nsmc, *rest), strict=False))


def _klue(*scores: float) -> dict[str, float]:
    return dict(
        zip(("KLUE-BERT-base", "KLUE-RoBERTa-small", "KLUE-RoBERTa-base", "KLUE-RoBERTa-large"), scores, strict=True)
    )


def _pair(folder: str, train: str, test: str, first: str, second: str, label: str, **more: Any) -> dict[str, Any]:
    files = {"train": f"{folder}/{train}", "test": f"{folder}/{test}"}
    return files | {"text_column": first, "second_text_column": second, "label_column": label} | more


def _glue(folder: str, first: str, second: str | None, label: str, dev: str = "dev.tsv", **more: Any) -> dict[str, Any]:
    files = {"train": f"glue/{folder}/train.tsv", "test": f"glue/{folder}/{dev}"}
    return files | {"text_column": first, "second_text_column": second, "label_column": label} | more


DECIDE = (
    *("kind", "test_frac", "text_column", "second_text_column", "label_column", "label_columns", "label_separator"),
    *("question_column", "option_columns", "columns", "entity_columns", "null_class", "positive_from", "tag_format"),
    "answer_rules",
)
"""Settings of a task that decide, beside its test file, what its scores are of."""
GLUE_DEV = "GLUE's development set: the labels of its test set are not published"
KLUE_DEV = "KLUE's development set: the labels of its test set are not published"

TASKS: dict[str, NamedTask] = {
    "nsmc": NamedTask(
        title="Naver film reviews, good or bad",
        settings={"train": "nsmc/ratings_train.txt", "test": "nsmc/ratings_test.txt"},
        measure="accuracy",
        split="ratings_test.txt",
        references=_korean(89.59, 89.62, 89.36, 90.63, 91.71),
        source=KOELECTRA,
    ),
    "kornli": NamedTask(
        title="Does the second sentence follow from the first? In Korean",
        settings=_pair("kornli", "multinli.train.ko.tsv", "xnli.test.ko.tsv", "sentence1", "sentence2", "gold_label"),
        measure="accuracy",
        split="XNLI's test set, trained on MultiNLI alone, as the references are",
        references=_korean(79.62, 74.85, 78.60, 82.24, 81.65),
        source=KOELECTRA,
    ),
    "korsts": NamedTask(
        title="How alike are two sentences, from 0 to 5? In Korean",
        settings=_pair("korsts", "sts-train.tsv", "sts-test.tsv", "sentence1", "sentence2", "score", kind="regression"),
        measure="spearman",
        split="sts-test.tsv",
        also={"pearson": {}},
        references=_korean(81.59, 75.57, 80.79, 85.53, 82.65),
        source=KOELECTRA,
    ),
    "question-pair": NamedTask(
        title="Do two questions mean the same? In Korean",
        settings=_pair("question-pair", "train.tsv", "test.tsv", "question1", "question2", "is_duplicate"),
        measure="accuracy",
        split="test.tsv",
        references=_korean(94.85, 93.93, 94.85, 95.25, 95.78),
        source=KOELECTRA,
    ),
    "paws": NamedTask(
        title="Do two sentences that share their words mean the same? In Korean",
        settings=_pair("paws", "translated_train.tsv", "test_2k.tsv", "sentence1", "sentence2", "label"),
        measure="accuracy",
        split="test_2k.tsv",
        references=_korean(81.25, 66.95, 77.45, 84.45, 74.80),
        source=KOELECTRA,
    ),
    "hate-speech": NamedTask(
        title="Comments on Korean entertainment news: hate, offensive or none",
        settings={
            "train": "hate-speech/train.tsv",
            "test": "hate-speech/dev.tsv",
            "text_column": "comments",
            "label_column": "hate",
        },
        measure="macro_f1",
        split="dev.tsv: the labels of the test set are not published",
        references={"KoBERT": 66.21, "KoELECTRA-small-v3": 63.07, "KoELECTRA-base-v3": 67.61},
        source=KOELECTRA,
    ),
    "naver-ner": NamedTask(
        title="Named entities in Korean news, of the Naver NLP Challenge 2018",
        settings={"kind": "tagging", "train": "naver-ner/train.tsv", "test": "naver-ner/test.tsv"},
        measure="entity_f1",
        split="test.tsv of KoELECTRA's copy",
        references=_korean(87.92, 84.34, 85.40, 88.11, 86.90),
        source=KOELECTRA,
    ),
    "korquad": NamedTask(
        title="Questions on Korean Wikipedia, answered by a part of the text (KorQuAD 1.0)",
        settings={
            "kind": "question_answering",
            "answer_rules": "korquad",
            "train": "korquad/KorQuAD_v1.0_train.json",
            "test": "korquad/KorQuAD_v1.0_dev.json",
        },
        measure="f1",
        split="the development set: the test set is not published",
        references=_korean(79.15, 84.39, 91.13, 93.45, 90.11),
        also={"exact_match": _korean(51.75, 60.25, 82.11, 84.83, 70.60)},
        source=KOELECTRA,
    ),
    "klue-ynat": NamedTask(
        title="KLUE: topics of headlines",
        settings={
            "train": "klue-ynat/ynat-v1.1_train.json",
            "test": "klue-ynat/ynat-v1.1_dev.json",
            "text_column": "title",
        },
        measure="macro_f1",
        split=KLUE_DEV,
        references=_klue(85.73, 84.98, 85.07, 85.69),
        source=KLUE,
    ),
    "klue-sts": NamedTask(
        title="KLUE: how alike are two sentences",
        settings=_pair(
            "klue-sts",
            "klue-sts-v1.1_train.json",
            "klue-sts-v1.1_dev.json",
            "sentence1",
            "sentence2",
            "labels.real-label",
            kind="regression",
            positive_from=3.0,
        ),
        measure="pearson",
        split=KLUE_DEV,
        references=_klue(90.85, 91.54, 92.50, 93.35),
        also={"f1": _klue(82.84, 85.16, 85.40, 86.63)},
        source=KLUE,
    ),
    "klue-nli": NamedTask(
        title="KLUE: does the second sentence follow from the first?",
        settings=_pair(
            "klue-nli", "klue-nli-v1.1_train.json", "klue-nli-v1.1_dev.json", "premise", "hypothesis", "gold_label"
        ),
        measure="accuracy",
        split=KLUE_DEV,
        references=_klue(81.63, 79.33, 84.83, 89.17),
        source=KLUE,
    ),
    "klue-ner": NamedTask(
        title="KLUE: named entities, tagged by character",
        settings={
            "kind": "tagging",
            "tag_format": "characters",
            "train": "klue-ner/klue-ner-v1.1_train.tsv",
            "test": "klue-ner/klue-ner-v1.1_dev.tsv",
        },
        measure="entity_macro_f1",
        split=KLUE_DEV,
        references=_klue(83.97, 83.65, 84.60, 85.00),
        also={"tag_f1": _klue(91.39, 91.14, 91.44, 91.86)},
        source=KLUE,
    ),
    "klue-re": NamedTask(
        title="KLUE: which relation two entities of a sentence have, if any",
        settings={
            "train": "klue-re/klue-re-v1.1_train.json",
            "test": "klue-re/klue-re-v1.1_dev.json",
            "text_column": "sentence",
            "entity_columns": ["subject_entity", "object_entity"],
            "null_class": "no_relation",
        },
        measure="micro_f1",
        split=KLUE_DEV,
        references=_klue(66.44, 60.89, 67.65, 71.13),
        also={"auprc": _klue(66.17, 58.96, 68.55, 72.98)},
        source=KLUE,
    ),
    "klue-mrc": NamedTask(
        title="KLUE: questions on news and Wikipedia, some without an answer",
        settings={
            "kind": "question_answering",
            "answer_rules": "klue",
            "train": "klue-mrc/klue-mrc-v1.1_train.json",
            "test": "klue-mrc/klue-mrc-v1.1_dev.json",
        },
        measure="exact_match",
        split=KLUE_DEV,
        references=_klue(62.32, 57.32, 68.67, 75.58),
        also={"rouge_w": _klue(68.51, 62.70, 73.98, 80.59)},
        source=KLUE,
    ),
    "sst2": NamedTask(
        title="Stanford Sentiment Treebank: sentences on films, good or bad",
        settings={
            "train": "sst2/train.tsv",
            "test": "sst2/dev.tsv",
            "text_column": "sentence",
            "columns": ["sentence", "label"],
        },
        measure="accuracy",
        split=GLUE_DEV,
        references={"BERT-base of RoBERTa's study": 92.5},
        source=ROBERTA,
    ),
    "mnli": NamedTask(
        title="MultiNLI: does the second sentence follow from the first?",
        settings=_glue("MNLI", "sentence1", "sentence2", "gold_label", "dev_matched.tsv"),
        measure="accuracy",
        split="the matched half of " + GLUE_DEV,
        references={"BERT-base of RoBERTa's study": 84.7},
        source=ROBERTA,
    ),
    "mnli-mm": NamedTask(
        title="The same on kinds of text that training does not have",
        settings=_glue("MNLI", "sentence1", "sentence2", "gold_label", "dev_mismatched.tsv"),
        measure="accuracy",
        split="the mismatched half of " + GLUE_DEV,
    ),
    "cola": NamedTask(
        title="Is a sentence English?",
        settings=_glue("CoLA", "sentence", None, "label", columns=["source", "label", "mark", "sentence"]),
        measure="matthews",
        split=GLUE_DEV,
    ),
    "mrpc": NamedTask(
        title="Do two sentences of the news mean the same?",
        settings=_glue("MRPC", "#1 String", "#2 String", "Quality"),
        measure="accuracy",
        also={"f1": {}},
        split=GLUE_DEV,
    ),
    "qqp": NamedTask(
        title="Do two questions mean the same?",
        settings=_glue("QQP", "question1", "question2", "is_duplicate"),
        measure="accuracy",
        also={"f1": {}},
        split=GLUE_DEV,
    ),
    "qnli": NamedTask(
        title="Does a sentence hold the answer to a question?",
        settings=_glue("QNLI", "question", "sentence", "label"),
        measure="accuracy",
        split=GLUE_DEV,
    ),
    "rte": NamedTask(
        title="Does the second sentence follow from the first? In few examples",
        settings=_glue("RTE", "sentence1", "sentence2", "label"),
        measure="accuracy",
        split=GLUE_DEV,
    ),
    "wnli": NamedTask(
        title="Whom does a pronoun mean?",
        settings=_glue("WNLI", "sentence1", "sentence2", "label"),
        measure="accuracy",
        split=GLUE_DEV,
    ),
    "sts-b": NamedTask(
        title="How alike are two sentences, from 0 to 5?",
        settings=_glue("STS-B", "sentence1", "sentence2", "score", kind="regression"),
        measure="spearman",
        also={"pearson": {}},
        split=GLUE_DEV,
    ),
    "squad": NamedTask(
        title="Questions on Wikipedia, answered by a part of the text (SQuAD 1.1)",
        settings={"kind": "question_answering", "train": "squad/train-v1.1.json", "test": "squad/dev-v1.1.json"},
        measure="f1",
        split="the development set: the test set is not published",
        references={"BERT-base of RoBERTa's study": 90.4},
        also={"exact_match": {}},
        source=ROBERTA,
    ),
    "squad2": NamedTask(
        title="The same with questions that have no answer (SQuAD 2.0)",
        settings={"kind": "question_answering", "train": "squad2/train-v2.0.json", "test": "squad2/dev-v2.0.json"},
        measure="f1",
        split="the development set: the test set is not published",
        references={"BERT-base of RoBERTa's study": 79.1},
        also={"exact_match": {}},
        source=ROBERTA,
    ),
    "race": NamedTask(
        title="Reading comprehension of Chinese pupils' English exams",
        settings={"kind": "multiple_choice", "train": "race/train", "test": "race/test"},
        measure="accuracy",
        split="the test set",
        references={"BERT-base of RoBERTa's study": 64.8},
        source=ROBERTA,
    ),
}
"""By name."""
ELSEWHERE = {
    "klue-dp": "dependency parsing needs a head that scores pairs of words",
    "klue-wos": "dialogue states need a decoder",
    "korquad2": "its answers are parts of web pages with their HTML, up to whole tables",
}
"""Published tasks of kinds that cloze does not have, and why."""


def is_published(task: TaskSettings) -> bool:
    """Whether a task of a recipe has the name of a published one, its test file and all that its scores depend on."""
    from cloze.recipe import TaskSettings

    found = TASKS.get(task.name)
    if found is None:
        return False
    wanted = TaskSettings.model_validate({"name": task.name, **found.settings})
    file = wanted.test.parts
    return task.test.parts[-len(file) :] == file and all(getattr(task, key) == getattr(wanted, key) for key in DECIDE)


def named(name: str) -> NamedTask:
    """The task of this name. Raises ClozeError that names the nearest one."""
    if name in TASKS:
        return TASKS[name]
    if name in ELSEWHERE:
        raise ClozeError(f"the task {name} is of a kind that cloze does not have: {ELSEWHERE[name]}.")
    near = difflib.get_close_matches(name.lower(), TASKS, 3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(TASKS)}."
    raise ClozeError(
        f"there is no task {name!r}. {hint} For a file of your own: cloze finetune MODEL --data FILE --text COLUMN "
        "--label COLUMN."
    )
