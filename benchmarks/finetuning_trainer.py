"""The Trainer's side of benchmarks/finetuning.py: rows as transformers' example scripts make them, and one epoch.

Texts and labels are read by cloze's readers, so that both sides learn from the same examples.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NO_LABEL = -100
"""What transformers' losses leave out."""


class Task(NamedTuple):
    """What a task becomes for Trainer."""

    model: str
    """Name of the Auto class."""
    labels: int
    rows: list[dict[str, Any]]
    examples: int
    collator: Callable[[Any], Any]
    """tokenizer -> collator."""


def run(folder: Path, name: str, method: str, settings: dict[str, Any], training: dict[str, Any]) -> dict[str, float]:
    """One epoch on `folder`/`name`/train.* from `folder`/model. Returns examples_per_s, train_loss, peak_memory_mb."""
    import torch
    import transformers

    from cloze.recipe import TaskSettings, TrainingSettings
    from cloze.tasks.task import kind_of

    path = next((folder / name).glob("train.*"))
    task = TaskSettings(name=name, train=path, test=path, **settings)
    examples = kind_of(task.kind).read(path, task)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
    made = _READERS[task.kind](examples, tokenizer, task, "max_length" if method == "script" else False)
    torch.manual_seed(1)
    obeyed = TrainingSettings()
    with tempfile.TemporaryDirectory() as output:
        arguments = transformers.TrainingArguments(
            output_dir=output,
            num_train_epochs=1,
            per_device_train_batch_size=training["batch_rows"],
            train_sampling_strategy="group_by_length" if method == "grouped" else "random",
            learning_rate=training["peak_learning_rate"],
            warmup_steps=training["warmup_frac"],
            weight_decay=training["weight_decay"],
            adam_beta1=obeyed.beta1,
            adam_beta2=obeyed.beta2,
            adam_epsilon=obeyed.adam_eps,
            max_grad_norm=obeyed.clip_norm or 0.0,
            optim="adamw_torch_fused",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=1,
        )
        model = getattr(transformers, made.model).from_pretrained(folder / "model", num_labels=made.labels)
        trainer = transformers.Trainer(
            model=model, args=arguments, train_dataset=made.rows, data_collator=made.collator(tokenizer)
        )
        metrics = trainer.train().metrics
    speed = made.examples / metrics["train_runtime"]
    return {"examples_per_s": speed, "train_loss": metrics["train_loss"], **memory()}


def memory() -> dict[str, float]:
    """The most memory that this process has had."""
    return {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _texts(examples: Any, tokenizer: Any, length: int, padding: str | bool, labels: Sequence[float]) -> list[Any]:
    """Rows of texts or pairs, as in run_glue.py."""
    encoded = tokenizer(examples.texts, examples.second, truncation=True, max_length=length, padding=padding)
    return _rows(encoded, {"label": labels})


def _classification(examples: Any, tokenizer: Any, task: Any, padding: str | bool) -> Task:
    from transformers import DataCollatorWithPadding

    from cloze.tasks.classification import class_indices, class_names

    classes = class_names(examples, examples)
    labels = [int(label) for label in class_indices(examples.labels, classes)]
    rows = _texts(examples, tokenizer, task.length, padding, labels)
    return Task("AutoModelForSequenceClassification", len(classes), rows, len(labels), DataCollatorWithPadding)


def _regression(examples: Any, tokenizer: Any, task: Any, padding: str | bool) -> Task:
    from transformers import DataCollatorWithPadding

    rows = _texts(examples, tokenizer, task.length, padding, [float(label) for label in examples.labels])
    return Task("AutoModelForSequenceClassification", 1, rows, len(examples.labels), DataCollatorWithPadding)


def _tagging(examples: Any, tokenizer: Any, task: Any, padding: str | bool) -> Task:
    """The first token of a word has its tag, as in run_ner.py."""
    from transformers import DataCollatorForTokenClassification

    names = sorted({tag for tags in examples.tags for tag in tags})
    words = [
        [text[start:end] for start, end in units] for text, units in zip(examples.texts, examples.units, strict=True)
    ]
    encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=task.length, padding=padding)
    labels = []
    for row, tags in enumerate(examples.tags):
        word_ids = encoded.word_ids(row)
        labels.append(
            [
                names.index(tags[word]) if word is not None and word != before else NO_LABEL
                for before, word in zip([None, *word_ids], word_ids, strict=False)
            ]
        )
    rows = _rows(encoded, {"labels": labels})
    return Task("AutoModelForTokenClassification", len(names), rows, len(words), DataCollatorForTokenClassification)


def _question_answering(examples: Any, tokenizer: Any, task: Any, padding: str | bool) -> Task:
    """Windows with the places of the answer's first and last token, [CLS] where they don't hold it, as in run_qa.py."""
    from transformers import DataCollatorWithPadding

    asked = examples.questions
    encoded = tokenizer(
        [question.text for question in asked],
        [examples.contexts[question.context] for question in asked],
        truncation="only_second",
        max_length=task.length,
        stride=task.stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=padding,
    )
    starts, ends = [], []
    for window, (number, offsets) in enumerate(
        zip(encoded.pop("overflow_to_sample_mapping"), encoded.pop("offset_mapping"), strict=True)
    ):
        sequences = encoded.sequence_ids(window)
        tokens = [place for place, sequence in enumerate(sequences) if sequence == 1]
        start, end = asked[number].span
        within = [place for place in tokens if offsets[place][0] < end and offsets[place][1] > start]
        whole = bool(tokens) and offsets[tokens[0]][0] <= start and offsets[tokens[-1]][1] >= end
        starts.append(within[0] if whole else 0)
        ends.append(within[-1] if whole else 0)
    rows = _rows(encoded, {"start_positions": starts, "end_positions": ends})
    return Task("AutoModelForQuestionAnswering", 2, rows, len(asked), DataCollatorWithPadding)


def _rows(encoded: Any, labels: dict[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """A dictionary for each row, with its length, which group_by_length reads."""
    columns: dict[str, Sequence[Any]] = {name: encoded[name] for name in ("input_ids", "token_type_ids")}
    columns |= {"attention_mask": encoded["attention_mask"], **labels}
    columns["length"] = [sum(mask) for mask in encoded["attention_mask"]]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


_READERS: dict[str, Callable[[Any, Any, Any, str | bool], Task]] = {
    "classification": _classification,
    "regression": _regression,
    "tagging": _tagging,
    "question_answering": _question_answering,
}
