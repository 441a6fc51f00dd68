"""The command line: what each command does stands in its docstring, which is its help.

Wrong input ends with `error: ...` on standard error and status 2, Ctrl-C with 130, SIGTERM in training with 143; any
other exception is a defect of cloze and keeps its traceback. Modules that need torch are imported by the command that
uses them, so that `cloze --help` is instant.
"""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError

from cloze.cli_data import data_sets
from cloze.cli_models import evaluate, export, fill, finetune, make_progress, predict
from cloze.errors import ClozeError

if TYPE_CHECKING:
    from cloze.study.search import Search

Overrides = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]

SHORT = {"from": "start_from"}
"""Flags with a shorter name than their setting."""

KEPT = {**dict.fromkeys(("run", "inspect", "study"), "Finished stages are"), "data": "What arrived is"}
"""What a command that is interrupted leaves."""

WITH_SETTINGS = ("run", "inspect", "study", "recipe")
"""Commands that take settings of a recipe as flags."""

app = App(
    name="cloze",
    help="Raw text to a pretrained and fine-tuned encoder, by a recipe.",
    version_flags=[],
    suppress_keyboard_interrupt=False,  # `main` says what is kept.
    default_parameter=Parameter(negative=()),
)
recipes = App(name="recipe", help="Print, describe and list recipes.")
app.command(recipes)
app.command(data_sets)
for command in (predict, fill, finetune, evaluate, export):
    app.command(command)


@app.command
def run(recipe: Path, *overrides: Overrides) -> None:
    """Run a recipe: corpus, tokenizer, store, pretraining, fine-tuning, report. What is up to date is not made again.

    `--from FOLDER` goes on from a pretrained model, ours or any that Hugging Face wrote, with its sizes and tokenizer.

    Any setting of the recipe is a flag: `--training.steps 2000`, `--tasks.0.epochs 2`, `--data DIR`, `--output DIR`.
    `cloze recipe show RECIPE` lists all of them. A run that was stopped goes on when the same command is given again.
    On several GPUs: `torchrun --nproc-per-node 8 -m cloze run RECIPE`; the batch is shared out, the numbers stay.

    Parameters
    ----------
    recipe
        The recipe's file.
    """
    from rich.console import Console

    from cloze.pipeline import run as run_pipeline
    from cloze.recipe_file import read_recipe
    from cloze.report.tables import terminal_tables
    from cloze.stages import is_main

    folder = run_pipeline(read_recipe(recipe, parse_overrides(overrides)), make_progress())
    if is_main():
        Console().print(terminal_tables(folder))
        print(f"\nReport: {folder / 'report.html'}")


@app.command
def inspect(recipe: Path, *overrides: Overrides, step: int = 1, rows: int = 8) -> None:
    """Print decoded rows of a training step: targets, replacements, segments, labels.

    Makes corpus, tokenizer and store if need be. Settings of the recipe are flags, as in `cloze run`.

    Parameters
    ----------
    recipe
        The recipe's file.
    step
        Optimiser step; the first is 1.
    rows
        Rows to print, from the step's first.
    """
    from rich.console import Console

    from cloze.inputs.inspect import render
    from cloze.interop.start import with_sizes_of_start
    from cloze.pipeline import batch_of_step, make_store, open_rows
    from cloze.recipe_file import read_recipe
    from cloze.stages import plan_stages

    if step < 1 or rows < 1:
        raise ClozeError(f"--step and --rows count from 1, found {step} and {rows}.")
    resolved = with_sizes_of_start(read_recipe(recipe, parse_overrides(overrides)))
    if resolved.training.steps is not None and step > resolved.training.steps:
        raise ClozeError(f"--step is {step:,}, and {recipe} trains {resolved.training.steps:,} steps.")
    stages = plan_stages(resolved)
    make_store(resolved, stages, make_progress())
    prepared = open_rows(resolved, stages)
    batch = batch_of_step(resolved, prepared, step, rows)
    title, format, unit = f"{resolved.name}, step {step:,}", resolved.inputs.format, resolved.masking.unit
    Console().print(render(batch, prepared.tokenizer, title=title, format=format, unit=unit))


@app.command
def study(file: Path, *overrides: Overrides, dry_run: bool = False, so_far: bool = False) -> None:
    """Run the cells of a study that are missing, and write its table with intervals and tests.

    A study that is a search runs its trials, and writes the recipe of the best. Settings of the recipe are flags for
    every cell, as in `cloze run`. A study that was stopped goes on when the same command is given again; given in a
    second process meanwhile, it takes the cells that nobody runs yet.

    Parameters
    ----------
    file
        The study's file, such as studies/family.yaml.
    dry_run
        Only show the cells or the space, what they cost at most, and what is already there.
    so_far
        Run nothing: write the table of the cells that are finished, and name the others.
    """
    from rich.console import Console
    from rich.text import Text

    from cloze.report.terminal import as_rich
    from cloze.study.grid import read_study
    from cloze.study.results import write_results
    from cloze.study.run import folder_of, others_runs, run_cells, to_be_made, told_once
    from cloze.study.search import read_search
    from cloze.study.tables import cells_table

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ClozeError(
            "torchrun's processes train one run together, and those of a study take a cell each. Start it without "
            "torchrun: the same command, given in several processes, shares the cells out."
        )
    flags = parse_overrides(overrides)
    settings, cells = read_study(file, flags)
    if settings.search is not None:
        if so_far:
            raise ClozeError("--so-far is for grids: the trials of a search are shown by --dry-run while it goes on.")
        _search(read_search(file, settings, flags), dry_run=dry_run)
        return
    if dry_run:
        Console().print(as_rich(cells_table(cells, [to_be_made(cell) for cell in cells])))
        return
    folder = folder_of(settings, cells)
    failures = others_runs(cells) if so_far else run_cells(folder, cells, make_progress())
    if len(failures) < len(cells):
        typed = shlex.join(["cloze", "study", str(file), *overrides])
        results = write_results(folder, settings, cells, failures=failures, command=typed)
        Console().print(as_rich(results.table), Text(results.words))
        print(f"\nReport: {folder / 'report.html'}")
    if failures and not so_far:
        raise ClozeError("\n  ".join([f"{len(failures)} of {len(cells)} cells failed.", *told_once(failures)]))


def _search(search: Search, *, dry_run: bool) -> None:
    """Run the trials of a search and show what they found; with `dry_run` only show what there is to do."""
    from rich.console import Console
    from rich.text import Text

    from cloze.report.terminal import as_rich
    from cloze.study.search import read_trials, run_trials
    from cloze.study.search_results import plan_tables, write_search_results

    if dry_run:
        Console().print(*map(as_rich, plan_tables(search, read_trials(search))))
        return
    tables, words = write_search_results(search, run_trials(search, make_progress()))
    Console().print(*map(as_rich, tables), Text(words))
    print(f"\nBest recipe: {search.folder / 'best.yaml'}\nReport: {search.folder / 'report.html'}")


@app.command
def sample(folder: Path, *, seed: int = 1) -> None:
    """Write the built-in sample corpus: Korean articles and labelled reviews, generated by a seeded grammar.

    Parameters
    ----------
    folder
        Where to write it.
    seed
        The same seed gives the same files.
    """
    from cloze.corpus.sample import write_sample

    for path in write_sample(folder, seed).values():
        print(path)


@app.command
def report(run_folder: Path) -> None:
    """Write report.html of a run anew, also while it is still running.

    Parameters
    ----------
    run_folder
        Folder of a run, such as runs/NAME.
    """
    from rich.console import Console

    from cloze.report.page import write_report
    from cloze.report.tables import terminal_tables

    path = write_report(run_folder)
    Console().print(terminal_tables(run_folder))
    print(f"\nReport: {path}")


@app.command
def version() -> None:
    """Print the version of cloze and of the packages that its numbers depend on."""
    from cloze.stages import versions

    for package, number in versions().items():
        print(package, number)


@recipes.command
def show(recipe: Path, *overrides: Overrides) -> None:
    """Print a recipe with every setting it leaves open, and after each value its unit and source.

    Settings are flags, as in `cloze run`.

    Parameters
    ----------
    recipe
        The recipe's file.
    """
    from cloze.interop.start import with_sizes_of_start
    from cloze.recipe_file import read_recipe
    from cloze.recipe_file import show as show_recipe

    print(show_recipe(with_sizes_of_start(read_recipe(recipe, parse_overrides(overrides)))), end="")


@recipes.command
def schema(file: Path = Path("recipes/schema.json")) -> None:
    """Write the JSON schema of recipes, by which editors complete and check them.

    Parameters
    ----------
    file
        Where to write it.
    """
    from cloze.files import write_text
    from cloze.recipe_file import schema_text

    write_text(file, schema_text())
    print(file)


@recipes.command(name="list")
def list_(folder: Path = Path("recipes")) -> None:
    """List the recipes of a folder and what each is for.

    Parameters
    ----------
    folder
        Folder with recipes (*.yaml).
    """
    from cloze.recipe_file import list_recipes

    found = list_recipes(folder)
    if not found:
        print(f"{folder} holds no recipe (*.yaml).")
    for path, description in found.items():
        print(path, textwrap.fill(description, 100, initial_indent="    ", subsequent_indent="    "), sep="\n")


def parse_overrides(tokens: Iterable[str]) -> dict[str, str]:
    """`--key value` and `--key=value` to a mapping. Raises ClozeError for anything else."""
    found: dict[str, str] = {}
    waiting = iter(tokens)
    for token in waiting:
        key, equals, value = token.removeprefix("--").partition("=")
        if not token.startswith("--") or not key:
            raise ClozeError(f"{token!r} is no setting; expected --SETTING VALUE, such as --training.steps 2000.")
        if not equals:
            following = next(waiting, None)
            if following is None or following.startswith("--"):
                raise ClozeError(f"--{key} has no value; expected --{key} VALUE.")
            value = following
        key = SHORT.get(key, key)
        if key in found:
            raise ClozeError(f"--{key} is given twice: {found[key]!r} and {value!r}.")
        found[key] = value
    return found


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except ClozeError as error:
        _fail(str(error), getattr(error, "exit_code", 2))
    except CycloptsError as error:
        command = [*(sys.argv[1:] if arguments is None else arguments), ""][0]
        unknown = isinstance(error, UnknownOptionError) and command in WITH_SETTINGS
        hint = " Settings of a recipe stand after its file." if unknown else ""
        _fail(f"{error}{hint}\nTry `cloze --help`.", 2)
    except KeyboardInterrupt:
        command = [*(sys.argv[1:] if arguments is None else arguments), ""][0]
        kept = f" {KEPT[command]} kept: run the same command again to go on from there." if command in KEPT else ""
        _fail(f"interrupted.{kept}", 130)
    except BrokenPipeError:  # `cloze ... | head` has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Our own warnings are for the user, in one line; a library's say where in its code they arose."""
    of_cloze = Path(filename).is_relative_to(Path(__file__).parent)
    text = f"warning: {message}" if of_cloze else warnings.formatwarning(message, category, filename, lineno).rstrip()
    print(text, file=sys.stderr)


def _fail(message: str, status: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
