"""The recipe: every setting of cloze, once, with its type, unit, default and source.

A recipe is a YAML file with these sections: `data` has those from raw text to batches, `model` the encoder and its
pretraining, `tasks` fine-tuning and report. Reading, overriding, printing and the error messages are in `recipe_file`.
Checks that need only the settings stand here, beside the settings they check; a check that needs data stands in the
stage that reads the data. Sources: BERT = Devlin et al. 2019 (arXiv:1810.04805); RoBERTa = Liu et al. 2019
(arXiv:1907.11692); SpanBERT = Joshi et al. 2019 (arXiv:1907.10529); ALBERT = Lan et al. 2019 (arXiv:1909.11942);
ELECTRA = Clark et al. 2020 (arXiv:2003.10555); ModernBERT = Warner et al. 2024 (arXiv:2412.13663); study =
Chuck2Win/BERT, the Korean BERT this project began from; cloze = our own choice, measured in docs/experiments.md or a
plain convenience.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import model_validator

from cloze.recipe.base import Amount, Name, Settings, refuse
from cloze.recipe.cleaning import CleaningSettings
from cloze.recipe.data import (
    MIN_VOCABULARY,
    SEGMENT_FORMATS,
    CorpusSettings,
    InputSettings,
    MarkupSettings,
    MaskingSettings,
    StoreSettings,
    TokenizerSettings,
)
from cloze.recipe.model import (
    FAMILIES_WITHOUT_PAIRS,
    FAMILY_SETTINGS,
    NORM_POSITIONS,
    ModelSettings,
    TrainingSettings,
)
from cloze.recipe.tasks import ReportSettings, TaskSettings

__all__ = [
    "FAMILIES_WITHOUT_PAIRS",
    "FAMILY_SETTINGS",
    "MIN_VOCABULARY",
    "NORM_POSITIONS",
    "OBEYED_BY_TASKS",
    "SEGMENT_FORMATS",
    "Amount",
    "CleaningSettings",
    "CorpusSettings",
    "InputSettings",
    "MarkupSettings",
    "MaskingSettings",
    "ModelSettings",
    "Name",
    "Recipe",
    "ReportSettings",
    "Settings",
    "StoreSettings",
    "TaskSettings",
    "TokenizerSettings",
    "TrainingSettings",
    "refuse",
    "unfit_averages",
    "unfit_family",
]


OBEYED_BY_TASKS = {"beta1", "beta2", "adam_eps", "clip_norm", "precision"}
"""Settings of the section `training` that decide the numbers of fine-tuning, too."""


class Recipe(Settings):
    """A whole road: corpus, tokenizer, store, pretraining, fine-tuning, report."""

    name: Name
    """Name of the run and of its folder. Unit: letters, digits, dot, dash, underscore. Source: cloze."""
    description: str = ""
    """What the recipe is for, shown in the report. Unit: text. Source: cloze."""
    data: Path = Path("data")
    """Folder that relative paths of corpus and tasks start from; a relative one starts where cloze is run. Unit: path.
    Source: cloze."""
    output: Path = Path("runs")
    """Folder for stage folders and runs. Unit: path. Source: cloze."""
    seed: Amount = 1
    """Everything random is a function of it. Unit: whole number. Source: cloze."""
    start_from: Path | None = None
    """Folder of a pretrained model to go on from (Hugging Face layout, safetensors); its sizes and its tokenizer
    replace those of `model` and `tokenizer`; null: from the start. Relative to where cloze is run; `--from` is short
    for `--start_from`. Without corpus.sources nothing is pretrained: the tasks are that model's. Unit: path. Source:
    arXiv:2004.10964."""
    corpus: CorpusSettings = CorpusSettings()
    """Raw text. Unit: section. Source: cloze."""
    tokenizer: TokenizerSettings = TokenizerSettings()
    """Text to integers. Unit: section. Source: cloze."""
    store: StoreSettings = StoreSettings()
    """Integers on disk. Unit: section. Source: cloze."""
    inputs: InputSettings = InputSettings()
    """Documents to rows. Unit: section. Source: cloze."""
    masking: MaskingSettings = MaskingSettings()
    """Rows to targets. Unit: section. Source: cloze."""
    model: ModelSettings = ModelSettings()
    """The encoder. Unit: section. Source: cloze."""
    training: TrainingSettings = TrainingSettings()
    """Pretraining. Unit: section. Source: cloze."""
    tasks: list[TaskSettings] = []
    """Fine-tuning. Unit: list of sections. Source: cloze."""
    report: ReportSettings = ReportSettings()
    """The page at the end. Unit: section. Source: cloze."""

    @model_validator(mode="after")
    def _sections_fit(self) -> Recipe:
        wrong: list[tuple[str, str]] = []
        wrong += [
            (f"report.fill_sentences.{place}", f"{sentence!r} has no [MASK]: there is nothing to fill")
            for place, sentence in enumerate(self.report.fill_sentences)
            if "[MASK]" not in sentence and "<mask>" not in sentence
        ]
        positions = self.model.max_length or self.inputs.length
        lengths = {"inputs.length": self.inputs.length}
        if self.start_from is None:  # Else the folder's positions count, and they are not known yet.
            lengths |= {f"tasks.{place}.length": task.length or 0 for place, task in enumerate(self.tasks)}
        wrong += [
            (
                f"{key} model.max_length",
                f"the model has {positions} positions, fewer than {key} {length}: raise model.max_length",
            )
            for key, length in lengths.items()
            if length > positions
        ]
        wrong += unfit_family(self.model, self.inputs, self.masking)
        wrong += unfit_averages(self.model, self.training, self.tasks)
        if self.tokenizer.new_words is not None and self.start_from is None:
            message = "new_words extend the tokenizer of start_from, which is null; a tokenizer of its own learns words"
            wrong.append(("tokenizer.new_words start_from", message))
        if self.name == "stages":
            wrong.append(("name", "the folder `stages` is for the stages of all runs; choose another name"))
        names = [task.name for task in self.tasks]
        wrong += [
            (f"tasks.{place}.teachers.{n}", f"{name!r} is {found}: a teacher is an earlier task of the same kind")
            for place, task in enumerate(self.tasks)
            for n, name in enumerate(task.teachers)
            if (found := _unfit_teacher(name, task, self.tasks[:place], names))
        ]
        wrong += [
            (f"tasks.{place}.name", f"the name {name!r} is used by an earlier task")
            for place, name in enumerate(names)
            if name in names[:place]
        ]
        refuse(wrong)
        return self

    @property
    def only_tasks(self) -> bool:
        """Whether nothing is pretrained: without a corpus, the tasks are those of the model it starts from."""
        return self.start_from is not None and not self.corpus.sources and bool(self.tasks)

    def is_idle(self, setting: str) -> bool:
        """Whether a setting (dotted) decides no score here: one of pretraining's, where only tasks are trained."""
        section, _, name = setting.partition(".")
        if section == "training":
            return self.only_tasks and name not in {*OBEYED_BY_TASKS, "device"}
        pretrains = section in ("corpus", "tokenizer", "store", "inputs", "masking", "model")
        return self.only_tasks and pretrains and setting not in ("corpus.sources", "inputs.length")

    def teaches(self, task: TaskSettings) -> bool:
        """Whether another task learns from this one's models."""
        return any(task.name in other.teachers for other in self.tasks)

    def teachers_of(self, task: TaskSettings) -> tuple[list[TaskSettings], list[Path]]:
        """The tasks and the folders that are a task's teachers."""
        named = {other.name: other for other in self.tasks}
        folders = [Path(name) for name in task.teachers if name not in named]
        return [named[name] for name in task.teachers if name in named], folders

    def all_teachers_of(self, task: TaskSettings) -> list[TaskSettings]:
        """The tasks that are a task's teachers, and theirs, and so on."""
        found: dict[str, TaskSettings] = {}
        waiting = [task]
        while waiting:
            teachers, _ = self.teachers_of(waiting.pop())
            waiting += [teacher for teacher in teachers if teacher.name not in found]
            found |= {teacher.name: teacher for teacher in teachers}
        return list(found.values())


def unfit_family(model: ModelSettings, inputs: InputSettings, masking: MaskingSettings) -> list[tuple[str, str]]:
    """What a family does not learn from in rows of pretraining: (keys, message) for each, as `refuse` takes them."""
    wrong = []
    if model.family in FAMILIES_WITHOUT_PAIRS and inputs.format in SEGMENT_FORMATS:
        message = f"model.family {model.family} learns nothing from pairs, but inputs.format {inputs.format} makes them"
        wrong.append(("model.family inputs.format", f"{message}; take family bert or format full-sentences"))
    if masking.boundaries != (model.family == "spanbert"):
        has = "no" if masking.boundaries else "an"
        message = f"model.family {model.family} has {has} objective on masking.boundaries: set it to "
        message += "false" if masking.boundaries else "true, and masking.unit to span"
        wrong.append(("masking.boundaries model.family", message))
    return wrong


def unfit_averages(
    model: ModelSettings, training: TrainingSettings, tasks: Sequence[TaskSettings]
) -> list[tuple[str, str]]:
    """Averages of weights that a norm forbids: (keys, message) for each, as `refuse` takes them."""
    decays = {"training.average_decay": training.average_decay}
    decays |= {f"tasks.{place}.average_decay": task.average_decay for place, task in enumerate(tasks)}
    return [
        (
            f"{key} model.norm",
            f"{key} {decay:g} averages weights, whose BatchNorm would keep the last ones' statistics",
        )
        for key, decay in decays.items()
        if decay and model.norm == "batch"
    ]


def _unfit_teacher(name: str, task: TaskSettings, earlier: Sequence[TaskSettings], names: Sequence[str]) -> str:
    """Why a task's teacher can't be one; empty for an earlier task that fits, and for a folder."""
    if name not in names:
        return ""
    teacher = next((one for one in earlier if one.name == name), None)
    if teacher is None:
        return "this task itself" if name == task.name else "a later task"
    if teacher.kind != task.kind:
        return f"a task of {teacher.kind}"
    pairs, ours = (one.second_text_column is not None for one in (teacher, task))
    if pairs != ours:
        return "a task of pairs of texts" if pairs else "a task of single texts"
    learned = {teacher.train} | ({teacher.development} if teacher.development else set())
    return "a task that learned from the test file of this one" if task.test in learned and not task.test_frac else ""
