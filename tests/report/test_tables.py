from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from cloze.report import tables, task_tables
from cloze.report.run import TaskRun, read_run

MakeRun = Callable[..., Path]


def printed(folder: Path) -> str:
    console = Console(width=120, record=True, file=None, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(tables.terminal_tables(folder))
    return capture.get()


def test_pretraining_table_is_the_studys(make_run: MakeRun) -> None:
    table = tables.pretraining_table(read_run(make_run()))
    assert table is not None
    assert table.columns == ("", "Validation loss", "Validation accuracy", "Training loss", "Training accuracy")
    assert [row[:3] for row in table.rows] == [("NSP", "0.425", "80.45"), ("MLM", "4.659", "30.41")]


def test_without_pairs_the_row_stays_and_says_why(make_run: MakeRun) -> None:
    table = tables.pretraining_table(read_run(make_run(pairs=False)))
    assert table is not None and table.rows[0] == ("NSP", "–", "–", "–", "–") and "No NSP" in table.note


def test_bits_per_character_are_said_under_the_table(make_run: MakeRun) -> None:
    run = read_run(make_run())
    run.validation[-1]["masked_tokens/bits_per_character"] = 3.2104
    table = tables.pretraining_table(run)
    assert table is not None and table.note.endswith("Validation of MLM: 3.210 bits a character of the masked text.")


def test_finetuning_tables_are_the_studys(make_run: MakeRun) -> None:
    task = read_run(make_run()).tasks[0]
    pretrained, random = task_tables.finetuning_tables(task)
    assert pretrained.rows == [
        ("Train", "91.31 ± 0.12", "0.210 ± 0.003"),
        ("Test", "88.31 ± 0.12", "0.287 ± 0.003"),
    ]
    assert random.title == "From random weights" and random.rows[1][1] == "84.02 ± 0.12"
    assert task_tables.gain(task) == "Pretraining adds 4.29 points of test accuracy over random weights."


def test_no_gain_is_called_none(make_run: MakeRun) -> None:
    task = read_run(make_run()).tasks[0]
    task.results["random_weights"]["mean"]["test"]["accuracy"] = task.results["pretrained"]["mean"]["test"]["accuracy"]
    assert task_tables.gain(task) == "Pretraining makes no difference to test accuracy over random weights."


@pytest.mark.parametrize(("values", "median"), [([1.0, None, 9.0, 2.0], 2.0), ([100.0, 200.0], 150.0), ([None], None)])
def test_a_median_of_an_even_number_lies_between(values: list[float | None], median: float | None) -> None:
    assert tables._median(values) == median


def test_one_seed_has_no_spread(make_run: MakeRun) -> None:
    run = read_run(make_run(seeds=1, random=False))
    (table,) = task_tables.finetuning_tables(run.tasks[0])
    assert table.rows[1] == ("Test", "88.31", "0.287") and "One seed" in table.note
    assert tables.headline(run)[0].detail == "one seed"
    assert task_tables.gain(run.tasks[0]) == ""


def test_a_student_is_said_to_be_one(make_run: MakeRun) -> None:
    task = read_run(make_run(random=False)).tasks[0]
    task.results["teachers"] = {"models": 3, "weight": 0.5, "temperature": 2.0, "elapsed_s": 9.0}
    said = "Distilled from 3 fine-tuned models: weight 0.50, temperature 2.0"
    assert f"{said}." in task_tables.finetuning_tables(task)[0].note
    task.results["counts"] = {"unlabelled": {"kept": 45_000}}
    assert f"{said}, 45,000 texts without a label as well." in task_tables.finetuning_tables(task)[0].note


def test_confusion_is_a_share_of_the_true_class(make_run: MakeRun) -> None:
    table = task_tables.confusion_table(read_run(make_run()).tasks[0])
    assert table is not None and table.columns == ("True class", "부정", "긍정", "Texts")
    assert table.rows[0] == ("부정", "88.6", "11.4", "24,827")


def test_scores_of_parts_are_means_over_seeds(make_run: MakeRun) -> None:
    task = read_run(make_run()).tasks[0]
    assert task_tables.parts_table(task) is None
    parts = [{"PS": {"f1": 0.5, "count": 7}}, {"PS": {"f1": 0.7, "count": 7}, "LC": {"f1": 1.0, "count": 1}}]
    task.results["pretrained"] = {"seeds": [{"test": {"parts": of_seed}} for of_seed in parts]}
    table = task_tables.parts_table(task)
    assert table is not None and table.columns == ("", "F1", "Count")
    assert table.rows == [("PS", "60.00", "7"), ("LC", "–", "–")]


def test_headline_of_a_run_without_tasks_is_its_validation(make_run: MakeRun) -> None:
    run = read_run(make_run())
    run.tasks.clear()
    assert [(item.value, item.label) for item in tables.headline(run)] == [
        ("30.4", "Masked words guessed right"),
        ("20.7", "Pretraining"),
        ("16.4", "Tokens read"),
        ("7.41", "Parameters"),
    ]


def test_nothing_dropped_is_said(make_run: MakeRun) -> None:
    run = read_run(make_run())
    run.manifests["corpus"]["counts"]["dropped"] = {}
    table = tables.corpus_table(run)
    assert table is not None and table.note.startswith("Nothing was dropped.")
    assert [row[0] for row in table.rows] == ["Kept", "Train", "Validation", "Changed: recomposed to NFC"]


def test_time_is_summed_over_stages(make_run: MakeRun) -> None:
    table = tables.stages_table(read_run(make_run()))
    assert table is not None and table.rows[-1][:2] == ("Together", "5.8 min")


def test_terminal_shows_both_tables(make_run: MakeRun) -> None:
    text = printed(make_run())
    for part in ("MLM", "4.659", "88.31 ± 0.12", "84.02 ± 0.12", "adds 4.29 points", "영화평"):
        assert part in text


def test_terminal_takes_no_markup_from_a_run(make_run: MakeRun) -> None:
    folder = make_run()
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("name: 영화평", "name: '[bold]x[/nope]'"), encoding="utf-8"
    )
    assert "[bold]x[/nope]" in printed(folder)


@pytest.mark.parametrize("part", ["tasks", "pretraining"])
def test_terminal_says_what_is_missing(make_run: MakeRun, part: str) -> None:
    folder = make_run()
    (folder / part).rename(folder / "gone")
    assert "has not" in printed(folder)


def practised(task: TaskRun) -> TaskRun:
    """The made-up task with what newer results say of a seed."""
    for place, run in enumerate(task.results["pretrained"]["seeds"]):
        run["test"] = run["test"] | {
            "interval": {"low": 0.87 + place / 100, "high": 0.89 + place / 100, "resamples": 1000},
            "calibration_error": 0.03 + place / 100,
            "mistakes": [
                {"id": "7", "text": "<b>최고\n" * 90, "label": "부정", "predicted": "긍정", "probability": 0.998}
            ],
        }
        run["chosen_epoch"] = place + 1
    task.results["development"] = {"made": "hash", "share": 0.1, "examples": 15_000, "measure": "accuracy"}
    part = {"share": 0.01, "rows": 1_500, "pretrained": task.results["random_weights"], "random_weights": None}
    task.results["shares"] = [part]
    return task


def test_confidence_stands_in_the_tasks_table(make_run: MakeRun) -> None:
    task = practised(read_run(make_run()).tasks[0])
    table = task_tables.finetuning_tables(task)[0]
    assert table.rows[2] == ("Test, 95% interval", "88.00 to 90.00", "–")
    assert "calibration error of the test: 4.00%" in table.note
    assert "Epoch chosen by accuracy on 15,000 development examples, which a hash of the training" in table.note
    assert table.note.endswith("set apart: 1, 2, 3.")
    task.results["development"] = None
    assert "No development set: no epoch was chosen" in task_tables.finetuning_tables(task)[0].note
    seeds = task_tables.seeds_table(task)
    assert seeds.columns[-4:] == ("Test, 95% interval", "Calibration error", "Chosen epoch", "Time")
    assert seeds.rows[0][-4:-1] == ("87.00 to 89.00", "3.00", "1")
    assert seeds.rows[-1][-4:-1] == ("–", "–", "–"), "runs from random weights without them"


def test_mistakes_are_those_of_the_kept_classifier_in_one_line(make_run: MakeRun) -> None:
    task = read_run(make_run()).tasks[0]
    assert task_tables.mistakes_table(task) is None
    table = task_tables.mistakes_table(practised(task))
    assert table is not None and len(table.rows) == 1
    text, label, predicted, probability = table.rows[0]
    assert (label, predicted, probability) == ("부정", "긍정", "99.8")
    assert text.startswith("<b>최고 <b>최고") and text.endswith("…") and len(text) <= 160


def test_shares_end_with_all_examples(make_run: MakeRun) -> None:
    task = read_run(make_run()).tasks[0]
    assert task_tables.shares_table(task) is None
    table = task_tables.shares_table(practised(task))
    assert table is not None and table.columns == ("Share", "From the pretrained model", "From random weights")
    assert table.rows == [("1.0%", "84.02 ± 0.12", "–"), ("100.0%", "88.31 ± 0.12", "84.02 ± 0.12")]


def test_a_published_task_has_all_official_measures_beside_the_references(tmp_path: Path) -> None:
    seeds = [{"test": {"micro_f1": 0.5, "auprc": 0.4}}, {"test": {"micro_f1": 0.7, "auprc": 0.4}}]
    table = task_tables.references_table(TaskRun("klue-re", {"pretrained": {"seeds": seeds}}, [], {}, True))
    assert table is not None and table.title == "Beside published scores"
    assert table.columns == ("Model", "Micro F1", "AUPRC")
    assert table.rows[:2] == [("this run", "60.00 ± 14.14", "40.00 ± 0.00"), ("KLUE-BERT-base", "66.44", "66.17")]
    alone = task_tables.references_table(
        TaskRun("mrpc", {"pretrained": {"seeds": [{"test": {"accuracy": 0.5, "f1": 0.6}}]}}, [], {}, True)
    )
    assert alone is not None and alone.title == "As its publishers measure it"
    assert alone.rows == [("this run", "50.00", "60.00")]
    for name, published in (("my-mrpc", True), ("klue-re", False)):
        other = TaskRun(name, {"pretrained": {"seeds": seeds}}, [], {}, published)
        assert task_tables.references_table(other) is None
