"""What the cells of a study measured, as results.json, table.md with plots/*.svg, scores.csv, losses.csv and
report.html.

A cell that has not finished is missing from all numbers, and every table says so.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloze.errors import ClozeError
from cloze.files import write_json, write_text
from cloze.report.cells import Figure, Table
from cloze.report.plots import Plot
from cloze.report.run import RunData, dig, number
from cloze.report.task_tables import measures
from cloze.report.wording import OBJECTIVES, duration, shortened
from cloze.study.budget import Budget, budget_of
from cloze.study.comparisons import (
    Comparison,
    Score,
    compare_all,
    compare_losses,
    compare_together,
    scope_of,
    score_all,
    unscored,
)
from cloze.study.grid import Cell, StudySettings
from cloze.study.plots import cost_plots, loss_plots, score_plots
from cloze.study.statistics import CONFIDENCE
from cloze.study.tables import (
    difference_table,
    grid_tables,
    machine_table,
    runs_table,
    spread_table,
    study_table,
    together_table,
)
from cloze.study.variants import BITS, Split, Variant, read_variants, score_of, seeds_of
from cloze.study.words import in_words

Row = tuple[object, ...]
SCORE_NOTE = (
    "Large dot: the mean. Line: its 95% interval, with two seeds or more. Small dots: the seeds that both come from. "
    "The first of each group is the base of the others; the thin line goes down from its mean."
)
LOSS_NOTE = (
    "A line is the mean over a variant's pretraining seeds, the band reaches from the lowest to the highest. Losses "
    "compare only where masks and tokenizer are alike."
)
COST_NOTE = (
    "Up is better, left is cheaper. Minutes are those of the machine below, with whatever else it did meanwhile."
)


@dataclass(frozen=True)
class Results:
    """A study as its readers see it."""

    study: StudySettings
    words: str
    """The answer in one paragraph."""
    notices: list[tuple[str, str]]
    """What a reader must know before the numbers: (kind, text)."""
    headline: list[Figure]
    table: Table
    """A row for each variant."""
    grids: list[Table]
    differences: Table | None
    together: Table | None
    """Differences along each axis over the others together, where there are others."""
    losses: Table | None
    """Differences of validation losses, where they compare."""
    spreads: Table | None
    """How far seeds lie apart."""
    runs: Table
    machine: Table
    score_plots: list[Plot]
    loss_plots: list[Plot]
    cost_plots: list[Plot]

    @property
    def tests(self) -> list[Table]:
        """Those of the differences, and of what seeds do."""
        return [table for table in (self.differences, self.together, self.losses, self.spreads) if table]


def write_results(
    folder: Path,
    study: StudySettings,
    cells: Sequence[Cell],
    *,
    failures: Mapping[str, str] | None = None,
    command: str = "",
) -> Results:
    """Write results.json, table.md, plots/, scores.csv, losses.csv and report.html; returns what they say.

    `failures` are runs that did not finish, and why; `command` is what was typed. Raises ClozeError if no cell has
    finished.
    """
    failures = failures or {}
    variants = read_variants(cells, failures)
    if not any(variant.runs for variant in variants):
        raise ClozeError(f"no cell of the study {study.name} has finished: there is nothing to show.")
    scores = score_all(variants, study.split)
    comparisons = compare_all(variants, scores, study.within)
    together = compare_together(variants, scores, study.within)
    losses = compare_losses(variants, study.within)
    budget = budget_of(study.budget or "varies", cells[0].recipe, study.flops)
    runs = [run for variant in variants for run in variant.runs.values()]
    results = Results(
        study=study,
        words=in_words(comparisons, scope_of(variants), budget, losses, study.split, together),
        notices=_notices(study, cells, variants, scores, failures),
        headline=_headline(budget, cells, variants, scores),
        table=study_table(study, budget, variants, scores, comparisons),
        grids=grid_tables(variants, scores, comparisons, study.within, together),
        differences=difference_table(comparisons),
        together=together_table(together),
        losses=difference_table(losses),
        spreads=spread_table(variants, study.split),
        runs=runs_table(cells, variants, failures, study.split),
        machine=machine_table(runs, command, datetime.now(UTC).strftime("%Y-%m-%d")),
        score_plots=score_plots(variants, scores, study.within, study.split),
        loss_plots=loss_plots(variants),
        cost_plots=cost_plots(variants, scores, study.split),
    )
    write_json(
        folder / "results.json", _as_json(study, variants, scores, [*comparisons, *together, *losses], results.words)
    )
    write_text(folder / "scores.csv", _scores_csv(variants, study.split))
    write_text(folder / "losses.csv", _losses_csv(variants))
    write_text(folder / "table.md", _markdown(folder, results))
    write_text(folder / "report.html", _page(results))
    return results


def _headline(
    budget: Budget, cells: Sequence[Cell], variants: Sequence[Variant], scores: Sequence[Score]
) -> list[Figure]:
    """How much was run."""
    runs = [run for variant in variants for run in variant.runs.values()]
    scope = scope_of(variants)
    seeds = max((score.estimate.observations for score in scores if score.estimate), default=0)
    pretrained = {run.stage("pretraining"): number(run.counts("pretraining").get("elapsed_s")) or 0.0 for run in runs}
    elapsed_s = sum(pretrained.values())  # once, where runs share it
    time, _, unit = duration(elapsed_s).partition(" ")
    amount, _, letter = budget.amount.partition(" ")
    figures = [Figure(f"{len(runs)}", f"of {len(cells)}", "Cells finished", f"{len(variants)} variants")]
    if not all(cell.recipe.only_tasks for cell in cells):
        figures += [
            Figure(amount, f"{letter} {budget.unit}".strip(), "Pretraining of each", budget.name),
            Figure(time, unit, "Pretraining in all", "without validation"),
        ]
    each = "" if scope == "pretraining seeds" else "of one pretraining each"
    return [*figures, Figure(f"{seeds}", "", scope.capitalize(), each)] if seeds else figures


def _page(results: Results) -> str:
    """report.html: the answer first, then what it rests on, then how it was made."""
    from cloze.report.page import Section, render_study

    sections = [
        Section("Answer", results.words, results.score_plots, SCORE_NOTE, missing="No task has been scored."),
        Section("Scores", tables=[results.table, *results.grids]),
        Section(
            "Tests",
            tables=results.tests,
            missing="Nothing was compared.",
        ),
        Section("Losses of pretraining", "", results.loss_plots, LOSS_NOTE, missing="No loss was logged."),
        Section(
            "Score against cost", "", results.cost_plots, COST_NOTE, missing="No two variants have score and time."
        ),
        Section("Cells", tables=[results.runs]),
        Section("How it was made", tables=[results.machine]),
    ]
    return render_study(results.study, sections, headline=results.headline, notices=results.notices)


def _notices(
    study: StudySettings,
    cells: Sequence[Cell],
    variants: Sequence[Variant],
    scores: Sequence[Score],
    failures: Mapping[str, str],
) -> list[tuple[str, str]]:
    """What the runs say of themselves, and what is missing."""
    from cloze.report.health import notes_of, troubles_of

    runs = [run for variant in variants for run in variant.runs.values()]
    notices = notes_of(runs)
    done = {run.name for run in runs}
    waiting = [cell.recipe.name for cell in cells if cell.recipe.name not in done | failures.keys()]
    notices += [("Failed", f"{name}: {shortened(message, 300)}") for name, message in failures.items()]
    notices += [("Not finished", f"{', '.join(waiting)}.")] if waiting else []
    by_name = {variant.name: variant for variant in variants}
    notices += [("Left out", f"{unscored(by_name[score.variant], score)}.") for score in scores if score.scoreless]
    if study.budget == "equal minutes":
        notices += [("Less than its budget", text) for text in map(_short_of_minutes, runs) if text]
    return [*notices, *troubles_of(runs)]


def _short_of_minutes(run: RunData) -> str:
    """How a run ended before its minutes, by its steps or epochs; empty if it did not."""
    minutes, elapsed_s = (
        number(dig(run.recipe, "training", "minutes")),
        number(run.counts("pretraining").get("elapsed_s")),
    )
    if minutes is None or elapsed_s is None or elapsed_s >= 60 * minutes:
        return ""
    return f"{run.name} ended after {elapsed_s / 60:.1f} of its {minutes:g} minutes, by its steps or epochs."


def _markdown(folder: Path, results: Results) -> str:
    """table.md; writes the drawings that it shows beside it."""
    from cloze.export import markdown
    from cloze.report.page import standalone

    tables = [results.table, *results.grids, *results.tests]
    drawings = {"scores": results.score_plots, "losses": results.loss_plots, "costs": results.cost_plots}
    files: dict[str, Plot] = {}
    for kind, plots in drawings.items():
        for plot in plots:
            name = f"plots/{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', plot.title).strip('-').lower()}"
            name += f"-{len(files)}" if f"{name}.svg" in files else ""  # Tasks a_1 and a-1 are two.
            files[f"{name}.svg"] = plot
    for name, plot in files.items():
        write_text(folder / name, standalone(plot))
    links = [f"![{plot.title}, {plot.unit}]({name})" for name, plot in files.items()]
    facts = "\n".join(f"- {key}: {f'`{value}`' if key == 'Command' else value}" for key, value in results.machine.rows)
    notices = "\n".join(f"- {kind}: {text}" for kind, text in results.notices).replace("<", "&lt;")
    words = results.words.replace("<", "&lt;")
    text = [f"# {results.study.name}", results.study.description, notices, *map(markdown, tables), words]
    return "\n\n".join(part for part in [*text, "\n".join(links), facts] if part) + "\n"


def _as_json(
    study: StudySettings,
    variants: Sequence[Variant],
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
    words: str,
) -> Mapping[str, Any]:
    described = [
        {
            "name": variant.name,
            "values": variant.values,
            "runs": [run.name for run in variant.runs.values()],
            "pretraining_seeds": list(variant.runs),
            "missing_seeds": variant.missing,
            "parameters": variant.mean("parameters"),
            "tokens": variant.mean("tokens"),
            "characters": variant.mean("characters"),
            "elapsed_s": variant.mean("elapsed_s"),
            "validation_loss": {name: loss for name in OBJECTIVES if (loss := variant.loss(name)) is not None},
            "bits_per_character": variant.validated(BITS),
        }
        for variant in variants
    ]
    return {
        "study": study.model_dump(mode="json"),
        "confidence": CONFIDENCE,
        "scope": scope_of(variants),
        "variants": described,
        "scores": [asdict(score) | {"values": list(score.values.values())} for score in scores],
        "comparisons": [asdict(one) for one in comparisons],
        "in_words": words,
    }


def _scores_csv(variants: Sequence[Variant], split: Split) -> str:
    """One line for every fine-tuning run and measure; without a value where there was none."""
    columns = ("variant", "pretraining_seed", "task", "finetuning_seed", "split", "measure", "value")
    return _csv(columns, variants, lambda run: _lines(run, split))


def _losses_csv(variants: Sequence[Variant]) -> str:
    """One line for every validation of every pretraining and each number of it."""
    return _csv(("variant", "pretraining_seed", "step", "tokens", "measure", "value"), variants, _validations)


def _csv(columns: Row, variants: Sequence[Variant], lines: Callable[[RunData], Iterable[Row]]) -> str:
    """`lines` of every run, behind the names of its variant and its seed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for variant in variants:
        for pretraining_seed, run in variant.runs.items():
            writer.writerows([variant.name, pretraining_seed, *line] for line in lines(run))
    return file.getvalue()


def _validations(run: RunData) -> Iterator[Row]:
    """(step, tokens, measure, value) of a run; a measure is called as in metrics.jsonl."""
    for line in run.validation:
        for measure, value in line.items():
            if "/" in measure and (found := number(value)) is not None:
                yield line.get("step"), line.get("tokens"), measure, f"{found:.6f}"


def _lines(run: RunData, scored: Split) -> list[Row]:
    """(task, fine-tuning seed, split, measure, value) of a run."""
    lines: list[Row] = []
    for task in run.tasks:
        for seed in seeds_of(task):
            for split in ("train", scored):
                for measure in measures(task):
                    value = score_of(seed, split, measure)
                    if value is not None or split == scored:
                        shown = "" if value is None else f"{value:.6f}"
                        lines.append((task.name, dig(seed, "seed"), split, measure, shown))
    return lines
