"""The commands that use a model: predict, fill, finetune, evaluate, export. What each does stands in its docstring, its
help."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from cloze.errors import ClozeError
from cloze.progress import Progress, RichProgress, Silent
from cloze.tasks.shapes import Kind

if TYPE_CHECKING:
    from cloze.predict import LoadedModel
    from cloze.report.cells import Table


def predict(
    model: Path,
    file: Path | None = None,
    *,
    pairs: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """What a fine-tuned model says of lines of text, tab-separated before each line; its kind of task decides what.

    A label and its probability; several labels; a score; the entities. Of lines `question TAB context` the answer and
    its probability, of `text TAB question TAB option TAB option ...` the option and its probability.

    Parameters
    ----------
    model
        Folder of a fine-tuned model, such as runs/NAME/tasks/TASK/model.
    file
        One text a line; standard input if there is none. For questions also a .json file as SQuAD has it: prints an
        object with the answer to every id, as the official scripts read it.
    pairs
        Each line is a pair: two texts with a tab between them. A model of ours knows whether it learned pairs.
    as_json
        Print one JSON object a line, with the probability of every class.
    """
    from cloze.predict import load

    if file is not None and file.suffix.lower() == ".json":
        print(json.dumps(_answers(model, file), ensure_ascii=False, indent=1))
        return
    lines, loaded = _lines(file), load(model)
    for line, (shown, record) in zip(lines, _predicted(loaded, lines, pairs), strict=True):
        print(json.dumps({"text": line, **record}, ensure_ascii=False) if as_json else f"{shown}\t{line}")


def _predicted(loaded: LoadedModel, lines: list[str], pairs: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the model says of each line: in words, and as JSON."""
    if pairs and loaded.pairs is False:
        raise ClozeError(f"{loaded.name} was fine-tuned on single texts: leave --pairs out.")
    pairs = pairs or loaded.pairs is True
    texts = [_pair(line, number) for number, line in enumerate(lines, start=1)] if pairs else lines
    if loaded.task == "regression":
        for score in loaded.score(texts):
            yield f"{score:.4f}", {"score": score}
    elif loaded.task == "multi_label":
        for found in loaded.labels(texts):
            yield ", ".join(found.labels), asdict(found)
    elif loaded.task == "tagging":
        for entities in loaded.tag(lines):
            shown = ", ".join(f"{entity.text}/{entity.label}" for entity in entities)
            yield shown, {"entities": [asdict(entity) for entity in entities]}
    elif loaded.task == "question_answering":
        for best in loaded.answer([_pair(line, number) for number, line in enumerate(lines, start=1)]):
            yield f"{best[0].text}\t{best[0].probability:.4f}", {"answer": asdict(best[0])}
    elif loaded.task == "multiple_choice":
        for chosen in loaded.choose([_choice(line, number) for number, line in enumerate(lines, start=1)]):
            yield f"{chosen.option}\t{chosen.probabilities[chosen.place]:.4f}", asdict(chosen)
    else:
        for one in loaded.predict(texts):
            yield f"{one.label}\t{one.probability:.4f}", {"label": one.label, "probabilities": one.probabilities}


def _answers(model: Path, file: Path) -> dict[str, str]:
    """Question's id -> answer, for a file in SQuAD's format."""
    from cloze.predict import load
    from cloze.tasks.squad import read_questions

    asked = read_questions(file)
    if asked.counts["repeated_ids"]:
        raise ClozeError(
            f"{file}: ids occur twice, and one answer is printed for each id. Give every question its own."
        )
    found = load(model).answer([(question.text, asked.contexts[question.context]) for question in asked.questions])
    return {question.id: best[0].text for question, best in zip(asked.questions, found, strict=True)}


def _choice(line: str, number: int) -> tuple[str, str, list[str]]:
    """Raises ClozeError for a line with fewer than two options."""
    text, *rest = line.split("\t")
    if len(rest) < 3:
        raise ClozeError(
            f"line {number} has {len(rest) + 1} tab-separated texts, expected 4 or more: text, question, options."
        )
    return text, rest[0], rest[1:]


def fill(model: Path, text: str, *, top: int = 5) -> None:
    """Show the most likely words for every [MASK] of a text.

    Parameters
    ----------
    model
        Folder of a pretrained model, such as runs/NAME/pretraining/model.
    text
        A text with [MASK] in place of words.
    top
        Guesses to show for each gap.
    """
    from cloze.predict import load

    if top < 1:
        raise ClozeError(f"--top must be at least 1, found {top}.")
    gaps = load(model).fill(text, top)
    for place, guesses in enumerate(gaps, start=1):
        if len(gaps) > 1:
            print(f"[MASK] {place}")
        for guess in guesses:
            print(f"{guess.probability:.4f}\t{guess.token}")


def finetune(
    model: Path,
    task: str | None = None,
    *,
    data: Path | None = None,
    text: str | None = None,
    label: str | None = None,
    second: str | None = None,
    test: Path | None = None,
    kind: Kind | None = None,
    output: Path = Path("runs"),
    epochs: float = 3.0,
    batch_rows: int = 32,
    peak_learning_rate: float = 5e-5,
    length: int | None = None,
    seeds: Annotated[list[int] | None, Parameter(consume_multiple=True)] = None,
) -> None:
    """Fine-tune a model on a published task or on your own labelled file; says first what it understood of the files.

    Parameters
    ----------
    model
        Folder of a pretrained model: a run's pretraining/model, or any that Hugging Face wrote.
    task
        Name of a published task (nsmc, korsts, klue-ner, squad, ...), whose files are in the data folder.
    data
        With a task, the folder with data; without one, your labelled file: a table (.csv, .json, .jsonl, or
        tab-separated; its first line names the columns), words and their tags, questions in SQuAD's or RACE's format.
    text
        Column with the text: text, unless you name another.
    label
        Column with the class or the number: label, unless you name another.
    second
        Column with the second text of a pair.
    test
        File to test on, in the same format; without it, a tenth of your file is set apart by a hash of its texts.
    kind
        auto: by the file's shape; a table is for regression if its labels are numbers that are not whole or are many
        different ones, else for classification.
    output
        Folder for runs.
    epochs
        Passes over the training rows.
    batch_rows
        Rows of one step.
    peak_learning_rate
        Learning rate at the end of warm-up; a small model trained from scratch likes more, 1e-4 to 5e-4.
    length
        Longest row in tokens; longer texts are cut and counted. Without it, what the model can take, at most 512.
    seeds
        One training run for each; 1 2 3 without it.
    """
    from rich.console import Console

    from cloze.finetune import default_folder, finetune_file, finetune_named
    from cloze.report.tables import terminal_tables
    from cloze.report.terminal import as_rich

    settings: dict[str, Any] = {"epochs": epochs, "batch_rows": batch_rows}
    settings["peak_learning_rate"] = peak_learning_rate
    settings |= {key: value for key, value in (("length", length), ("seeds", seeds)) if value is not None}
    console = Console()

    def show(table: Table) -> None:
        console.print(as_rich(table))

    more: dict[str, Any] = {"test": test, "settings": settings, "show": show}
    asked = settings | {"text": text, "label": label, "second": second, "kind": kind, "test": test and test.resolve()}
    if task is not None:
        _refuse_columns(task, text=text, label=label, second=second, kind=kind)
        folder = default_folder(output, model, Path(task), asked)
        finetune_named(model, task, data or Path("data"), folder, make_progress(), **more)
    elif data is None:
        raise ClozeError("what to fine-tune on? Name a task (cloze finetune MODEL nsmc), or give a file with --data.")
    else:
        folder = default_folder(output, model, data, asked)
        columns: dict[str, Any] = {"text": text or "text", "label": label or "label", "second": second}
        columns["kind"] = kind or "auto"
        finetune_file(model, data, folder, make_progress(), **columns, **more)
    console.print(terminal_tables(folder))
    print(f"\nReport: {folder / 'report.html'}")


def evaluate(
    model: Path,
    task: str | None = None,
    *,
    data: Path | None = None,
    text: str | None = None,
    label: str | None = None,
    second: str | None = None,
    test: Path | None = None,
    kind: Kind | None = None,
    length: int | None = None,
    answer_rules: Literal["squad", "korquad", "klue"] | None = None,
    output: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Score a fine-tuned model on a published task or on your own labelled file, without training.

    Parameters
    ----------
    model
        Folder of a fine-tuned model: a run's tasks/TASK/model, or any that Hugging Face wrote with a head for a task.
    task
        Name of a published task (nsmc, korsts, klue-ner, squad, ...), whose test file is in the data folder.
    data
        With a task, the folder with data; without one, your labelled file, as for `cloze finetune`.
    text
        Column with the text: text, unless you name another.
    label
        Column with the class, the labels or the number: label, unless the model knows others.
    second
        Column with the second text of a pair.
    test
        With a task, another file to score on, in the same format.
    kind
        auto: by the file's shape; what a table is for, the model says.
    length
        Longest row in tokens; without it, as in fine-tuning, else what the model can take, at most 512.
    answer_rules
        How answers are compared, as SQuAD's, KorQuAD's or KLUE's script does; without it, as in fine-tuning.
    output
        Folder to write results.json and the predictions to; without it, nothing is written.
    as_json
        Print results.json in place of tables.
    """
    from rich.console import Console

    from cloze.evaluate import evaluate_file, evaluate_named, write_evaluation
    from cloze.report.evaluation_tables import evaluation_tables
    from cloze.report.terminal import as_rich

    settings = {key: value for key, value in (("length", length), ("answer_rules", answer_rules)) if value is not None}
    if task is not None:
        _refuse_columns(task, text=text, label=label, second=second, kind=kind)
        found = evaluate_named(model, task, data or Path("data"), make_progress(), test=test, settings=settings)
    elif data is not None and test is not None:
        raise ClozeError("--test goes with a named task: a file of your own is given with --data alone.")
    elif data is None:
        raise ClozeError("what to score on? Name a task (cloze evaluate MODEL nsmc), or give a file with --data.")
    else:
        columns: dict[str, Any] = {"text": text or "text", "label": label, "second": second, "kind": kind or "auto"}
        found = evaluate_file(model, data, make_progress(), **columns, settings=settings)
    # Printed first: a disk that refuses the files costs none of the figures.
    if as_json:
        print(json.dumps(found.results, ensure_ascii=False, indent=2))
    else:
        Console().print(*map(as_rich, evaluation_tables(found.results)), sep="\n")
    for file in [] if output is None else write_evaluation(found, output):
        print(file, file=sys.stderr)


def _refuse_columns(task: str, **given: str | None) -> None:
    """A published task's file has its own columns and kind. Raises ClozeError for flags that would say others."""
    if flags := [f"--{name}" for name, value in given.items() if value is not None]:
        verb = "is" if len(flags) == 1 else "are"
        raise ClozeError(
            f"{' and '.join(flags)} {verb} for a file of your own (--data FILE without a task); the task {task} knows "
            "its columns. Leave them out."
        )


def export(run: Path, folder: Path, *, task: str | None = None, licence: str = "unknown") -> None:
    """Copy a run's model into a folder of its own, with a model card (README.md) filled from the run.

    Parameters
    ----------
    run
        Folder of the run.
    folder
        Where to write; it must not exist.
    task
        Export this task's classifier; without it, the pretrained model.
    licence
        The model's licence, as Hugging Face abbreviates it: cc0-1.0, apache-2.0, ...
    """
    from cloze.export import export as export_model

    print(export_model(run, folder, task=task, licence=licence))


def _pair(line: str, number: int) -> tuple[str, str]:
    """Raises ClozeError for a line without exactly one tab."""
    first, tab, second = line.partition("\t")
    if not tab or "\t" in second:
        found = line.count("\t")
        raise ClozeError(f"line {number} has {found} tabs, expected one between two texts: {line[:80]!r}")
    return first, second


def _lines(file: Path | None) -> list[str]:
    """Lines of a file or of standard input, without their ends. Raises ClozeError."""
    name = "standard input" if file is None else str(file)
    try:
        data = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        raise ClozeError(f"{name} cannot be read: {error.strerror}. Expected a file with one text a line.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ClozeError(f"{name}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8.") from None
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def make_progress() -> Progress:
    from cloze.stages import is_main

    return RichProgress() if is_main() else Silent()
