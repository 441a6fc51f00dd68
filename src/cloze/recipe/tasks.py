"""Fine-tuning, and the page at the end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cloze.recipe.base import Amount, Count, Decay, Factor, Frac, Name, Number, Positive, Settings, Share, refuse

OWN_SETTINGS = {
    **dict.fromkeys(("label_columns", "label_separator"), ("multi_label",)),
    **dict.fromkeys(("question_column", "option_columns"), ("multiple_choice",)),
    "tag_format": ("tagging",),
    **dict.fromkeys(("class_weights", "entity_columns", "null_class"), ("classification",)),
    "positive_from": ("regression",),
    **dict.fromkeys(("teachers", "teacher_weight", "unlabelled"), ("classification", "regression")),
    "teacher_temperature": ("classification",),
    "stride": ("tagging", "question_answering"),
    **dict.fromkeys(("longest_question", "longest_answer", "null_threshold", "answer_rules"), ("question_answering",)),
}
"""Settings that only some kinds of task read: setting one elsewhere is a mistake."""
TEACHER_SETTINGS = ("teacher_weight", "teacher_temperature", "unlabelled")
"""Settings that only a task with teachers reads."""


class TaskSettings(Settings):
    """One fine-tuning task."""

    name: Name
    """Name in tables and folders. Unit: letters, digits, dot, dash, underscore. Source: cloze."""
    kind: Literal["classification", "multi_label", "regression", "tagging", "question_answering", "multiple_choice"] = (
        "classification"
    )
    """What is predicted. classification: one of several classes for a text or a pair of texts; multi_label: any number
    of labels; regression: a number; tagging: a tag for each word or character; question_answering: where in a text the
    answer stands; multiple_choice: which option is right. Unit: name. Source: BERT 4."""
    train: Path
    """Training file, relative to `data`: a table whose first line names the columns; for tagging see `tag_format`.
    Unit: path. Source: cloze."""
    test: Path
    """Test file, in the same format. Unit: path. Source: cloze."""
    test_frac: Share = 0.0
    """Where `test` is the training file: the share of its examples that a hash of their content sets apart as the test;
    pairs with the same first text stay together, and what has a label that no other has is learned from. Unit: share.
    Source: cloze."""
    development: Path | None = None
    """File in the same format that the epoch is chosen by, never the test file; null: see `development_frac`. Unit:
    path. Source: cloze."""
    development_frac: Share = 0.0
    """Share of the training examples that is set apart by a hash of their content to choose the epoch by; 0: none, and
    the last epoch is taken. Unit: share. Source: cloze."""
    text_column: str = "document"
    """Column with the text; an empty text is kept and counted. Unit: column name. Source: NSMC."""
    second_text_column: str | None = None
    """Column with the second text of a pair; null: one text. Unit: column name. Source: BERT 4.1."""
    label_column: str = "label"
    """Column with the class or the number. Unit: column name. Source: NSMC."""
    label_columns: Annotated[list[str], Field(min_length=1)] | None = None
    """Columns with labels of a text that may have several, in place of `label_column`. Unit: column names. Source:
    cloze."""
    label_separator: Annotated[str, Field(min_length=1)] = ","
    """What stands between several labels in `label_column`. Unit: text. Source: cloze."""
    question_column: str = "question"
    """Column of a table with the question; the text is what it is about. Unit: column name. Source: RACE."""
    option_columns: Annotated[list[str], Field(min_length=2)] = ["A", "B", "C", "D"]
    """Columns of a table with the options; an empty one is none. The label is the name of a column. Unit: column names.
    Source: RACE."""
    columns: list[str] | None = None
    """Names of the columns where the files' first lines do not name them; null: they do. Unit: column names. Source:
    cloze."""
    entity_columns: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    """Columns with the two parts of the text whose relation is the class, objects with start_idx and end_idx: marked in
    the text with @ and #. Unit: column names. Source: KLUE-RE."""
    null_class: str | None = None
    """Class that stands for none, without which micro F1 is measured, and AUPRC with it; null: neither is. Unit: class
    name. Source: KLUE-RE (no_relation)."""
    positive_from: Number | None = None
    """Number from which a label, and a score, count as positive, for F1; null: no F1 is measured. Unit: as the labels.
    Source: KLUE-STS (3)."""
    tag_format: Literal["sentences", "words", "characters"] = "sentences"
    """How a tagging file is written. sentences: one a line, its words, a tab, their tags (Naver NER); words: a word and
    its tag a line, blank between sentences (CoNLL 2003); characters: a character, a tab, its tag (KLUE-NER). Unit:
    name. Source: cloze."""
    stride: Count = 128
    """Distance from the start of a window over a long text to the start of the next. Unit: tokens. Source: BERT
    run_squad.py (doc_stride)."""
    longest_question: Count = 64
    """Tokens of a question that are read; what is cut off is counted. Unit: tokens. Source: BERT run_squad.py."""
    longest_answer: Count = 30
    """Longest answer that is looked for. Unit: tokens. Source: BERT run_squad.py."""
    null_threshold: Number = 0.0
    """How far the score of "no answer" must be above the best answer's to be given, in files with questions that have
    none. Unit: logits. Source: BERT 4.3 (tuned there on the development set)."""
    answer_rules: Literal["squad", "korquad", "klue"] = "squad"
    """How answers are compared. squad: F1 over words; korquad: over characters; klue: over characters, and ROUGE-W.
    Unit: name. Source: the official evaluation scripts."""
    epochs: Positive = 3.0
    """Passes over the training file. Unit: epochs. Source: BERT A.3 (2-4; study 5)."""
    batch_rows: Count = 32
    """Rows of one optimiser step. Unit: rows. Source: BERT A.3 (16 or 32)."""
    peak_learning_rate: Positive = 5e-5
    """Learning rate at the end of warm-up. Unit: dimensionless. Source: BERT A.3 (2e-5 to 5e-5)."""
    layer_decay: Factor = 1.0
    """Factor on the learning rate from each layer to the one below it, down to the embeddings; 1: one rate for all.
    Unit: factor. Source: ELECTRA table 7 (0.8 small and base, 0.9 large)."""
    warmup_frac: Frac = 0.1
    """Share of steps spent in warm-up. Unit: share. Source: BERT run_classifier.py."""
    weight_decay: Decay = 0.01
    """Decoupled decay; not on norms and biases. Unit: per step, times the learning rate. Source: BERT A.3."""
    dropout: Share | None = None
    """Dropout while fine-tuning, on hidden states, attention weights and before the classifier; null: as in pretraining
    for the encoder and 0.1 before the classifier. Unit: share. Source: BERT A.3 (0.1)."""
    average_decay: Share = 0.0
    """Score and save a running average of the weights, in which a step's weights count this much less with every step
    after it; 0: the last weights. Unit: factor a step. Source: arXiv:1512.00567 8."""
    teachers: list[str] = []
    """Learn from these fine-tuned models, too: folders, relative to where cloze is run, and names of earlier tasks of
    the recipe, each of which stands for its models of all seeds. Unit: paths or names. Source: arXiv:1503.02531."""
    teacher_weight: Frac = 0.5
    """What the teachers count in the loss of a labelled text; the label has the rest. Unit: share. Source:
    arXiv:1503.02531 3."""
    teacher_temperature: Positive = 2.0
    """Divisor of the logits of teachers and student before the softmax, in the teachers' part of the loss. Unit:
    dimensionless. Source: arXiv:1503.02531 3."""
    unlabelled: Path | None = None
    """Further texts to learn from the teachers alone, relative to `data`: lines of text, or a table with `text_column`;
    those that stand in the task's own files are left out and counted; null: none. Unit: path. Source:
    arXiv:1908.08962."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight of an example's loss in training. balanced: examples / (classes x examples of its class). Unit: name.
    Source: scikit-learn (class_weight)."""
    length: Annotated[int, Field(ge=4, strict=True)] | None = None
    """Longest row, special tokens included; longer texts are cut and counted; null: `inputs.length`. Unit: tokens.
    Source: BERT A.3."""
    seeds: Annotated[list[Amount], Field(min_length=1)] = [1, 2, 3]
    """One training run for each. Unit: seeds. Source: RoBERTa 4.1 (5 seeds)."""
    shares: list[Factor] = []
    """Shares of the training examples, the first of one order by hash, to train on as well; none: only on all. Unit:
    share. Source: cloze."""
    from_random_weights: bool = False
    """Also train the same classifier from random weights, to show what pretraining gives. Unit: yes/no. Source:
    cloze."""

    def _given(self, names: Iterable[str]) -> list[str]:
        """Those of these settings that are not at their defaults."""
        return [name for name in names if getattr(self, name) != type(self).model_fields[name].default]

    @model_validator(mode="after")
    def _own_settings(self) -> TaskSettings:
        wrong = [
            (name, OWN_SETTINGS[name]) for name in self._given(OWN_SETTINGS) if self.kind not in OWN_SETTINGS[name]
        ]
        refuse([(name, f"{name} is for {' and '.join(kinds)}, and this kind is {self.kind}") for name, kinds in wrong])
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> TaskSettings:
        labels = self.label_columns or [self.label_column]
        named = {"second_text_column": self.second_text_column, "text_column": self.text_column}
        twice = [name for name, column in named.items() if column in labels]
        twice += ["second_text_column text_column"] * (self.second_text_column == self.text_column)
        refuse([(names, "two columns of a table have one name: the text, its label would be known") for names in twice])
        return self

    @model_validator(mode="after")
    def _test_is_apart(self) -> TaskSettings:
        message = f"test_frac is a share of the training file, but test names another one, {self.test}"
        refuse([("test_frac test train", message)] if self.test_frac and self.test != self.train else [])
        return self

    @model_validator(mode="after")
    def _one_development_set(self) -> TaskSettings:
        both = self.development is not None and self.development_frac > 0
        message = "development names a file and development_frac sets training examples apart: set one of them"
        refuse([("development development_frac", message)] if both else [])
        return self

    @model_validator(mode="after")
    def _teachers_fit(self) -> TaskSettings:
        wrong: list[tuple[str, str]] = []
        if twice := sorted({name for name in self.teachers if self.teachers.count(name) > 1}):
            wrong.append(("teachers", f"teachers names {', '.join(twice)} twice, and each of them counts alike"))
        if not self.teachers:
            message = "{} is for tasks with teachers, and teachers is empty"
            wrong += [(f"{name} teachers", message.format(name)) for name in self._given(TEACHER_SETTINGS)]
        elif self.class_weights != "none":
            message = "class_weights weigh labels, and teachers give none: set class_weights to none"
            wrong.append(("class_weights teachers", message))
        elif self.shares:
            message = "shares are of labelled examples alone: a task with teachers has none"
            wrong.append(("shares teachers", message))
        if self.unlabelled is not None and self.second_text_column is not None:
            message = "unlabelled texts are single, and this task's examples are pairs"
            wrong.append(("unlabelled second_text_column", message))
        refuse(wrong)
        return self

    @property
    def chooses(self) -> bool:
        """Whether a development set chooses the epoch."""
        return self.development is not None or self.development_frac > 0

    @property
    def labelled(self) -> dict[str, Path]:
        """The files with examples by the setting that names them."""
        named = {"train": self.train, "test": self.test, "development": self.development}
        return {name: path for name, path in named.items() if path is not None}

    @property
    def files(self) -> dict[str, Path]:
        """All files by the setting that names them."""
        return self.labelled | ({} if self.unlabelled is None else {"unlabelled": self.unlabelled})

    @model_validator(mode="after")
    def _seeds_differ(self) -> TaskSettings:
        twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        message = f"seeds names {', '.join(map(str, twice))} twice: equal seeds give equal runs, which are no spread"
        refuse([("seeds", message)] if twice else [])
        return self


class ReportSettings(Settings):
    """The page at the end."""

    fill_sentences: list[str] = []
    """Sentences with [MASK]; the top guesses are recorded at every validation. Unit: texts. Source: study."""
    fill_top: Count = 5
    """Guesses kept for each mask. Unit: tokens. Source: cloze."""
