"""Accuracy against minutes: finished runs as points of one curve, beside what others reach.

    cloze study studies/nsmc-minutes.yaml --data ../shared/data
    cloze run recipes/nsmc-record.yaml --data ../shared/data
    python benchmarks/nsmc_curve.py runs/nsmc-minutes-* runs/nsmc-record --write

It trains nothing. A point is a task of a run: the minutes that lead to one classifier (pretraining, and the mean of the
task's seeds; of a student also all of its teachers' seeds and their judging) and the mean accuracy of the seeds. A
learning rate falls to 0 at a run's end, so a point needs a run of its own: a checkpoint on the way is worse than that.

benchmarks/results/nsmc_curve.csv keeps every point that was written, so that runs may be of several days. One of the
same name is replaced; without runs, table and picture are drawn from there.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common import RESULTS, Table, command, machine, write_result

from cloze.errors import ClozeError
from cloze.report.cells import as_list
from cloze.report.run import RunData, TaskRun, dig, number, read_run
from cloze.report.wording import compact, decimal, percent, whole, with_spread
from cloze.tasks.metrics import mean_and_std
from cloze.tasks.named import TASKS

REFERENCES = {
    "KcELECTRA-base": TASKS["nsmc"].references["KcELECTRA-base"],
    "KoBERT": TASKS["nsmc"].references["KoBERT"],
    "KoELECTRA-small-v3": TASKS["nsmc"].references["KoELECTRA-small-v3"],
    "character n-grams": 87.61,
    "the original study": 82.6,
}
"""Accuracies, %: published ones on the published split, and that of n-grams on this project's (ngrams.md)."""

POINTS = RESULTS / "nsmc_curve.csv"
"""All points that were written; accuracies have spaces between."""
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Minutes that may stand at the axis."""


@dataclass(frozen=True)
class Point:
    """One task of one run."""

    name: str
    steps: float | None
    tokens: float | None
    pretraining_s: float
    teaching_s: float
    """All seeds of the teachers that are tasks of the run, and their judging."""
    finetuning_s: float
    """Mean of the seeds."""
    accuracies: list[float]
    cpu: str
    """Where the table was written, which should be where the run was made."""
    date: str

    @property
    def minutes(self) -> float:
        return (self.pretraining_s + self.teaching_s + self.finetuning_s) / 60


def seeds_of(task: TaskRun) -> Sequence[object]:
    """What results.json says of each seed. Raises ClozeError for a task that has not finished."""
    if not task.results:
        raise ClozeError(f"the task {task.name} has not finished: give runs that have, or finish it with `cloze run`.")
    return as_list(dig(task.results, "pretrained", "seeds"))


def elapsed_of(task: TaskRun) -> list[float]:
    """Seconds of each seed."""
    return [number(dig(seed, "elapsed_s")) or 0.0 for seed in seeds_of(task)]


def points_of(run: RunData) -> list[Point]:
    """Every task of a run with an accuracy. Raises ClozeError for a teacher whose minutes the run does not know."""
    tasks = {task.name: task for task in run.tasks}
    teachers = {str(dig(task, "name")): as_list(dig(task, "teachers")) for task in as_list(run.recipe.get("tasks"))}
    counts, found = run.counts("pretraining"), []
    for task in run.tasks:
        if foreign := [str(name) for name in teachers[task.name] if name not in tasks]:
            raise ClozeError(f"{run.folder}: what the teacher {foreign[0]} took is not known; its run is another one.")
        taught_s = sum(sum(elapsed_of(tasks[str(name)])) for name in teachers[task.name])
        accuracies = [number(dig(seed, "test", "accuracy")) for seed in seeds_of(task)]
        seconds = elapsed_of(task)
        found.append(
            Point(
                name=run.name if len(tasks) == 1 else f"{run.name}, {task.name}",
                steps=number(counts.get("steps")),
                tokens=number(counts.get("tokens")),
                pretraining_s=number(counts.get("elapsed_s")) or 0.0,
                teaching_s=taught_s + (number(dig(task.results, "teachers", "elapsed_s")) or 0.0),
                finetuning_s=sum(seconds) / len(seconds),
                accuracies=[value for value in accuracies if value is not None],
                cpu=machine()["CPU"],
                date=datetime.date.today().isoformat(),
            )
        )
    return [point for point in found if point.accuracies]


def read_points(path: Path) -> list[Point]:
    """The points of a file that `write_points` wrote; none if it is not there."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Point(
                name=row["name"],
                steps=float(row["steps"]) if row["steps"] else None,
                tokens=float(row["tokens"]) if row["tokens"] else None,
                pretraining_s=float(row["pretraining_s"]),
                teaching_s=float(row["teaching_s"]),
                finetuning_s=float(row["finetuning_s"]),
                accuracies=[float(value) for value in row["accuracies"].split()],
                cpu=row["cpu"],
                date=row["date"],
            )
            for row in csv.DictReader(file)
        ]


def write_points(points: Sequence[Point], path: Path) -> None:
    """A line a point; seconds to the tenth, accuracies (shares) to the example."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*asdict(points[0])], lineterminator="\n")
        writer.writeheader()
        for point in points:
            seconds = {key: f"{value:.1f}" for key, value in asdict(point).items() if key.endswith("_s")}
            accuracies = " ".join(f"{value:.5f}" for value in point.accuracies)
            writer.writerow({**asdict(point), **seconds, "accuracies": accuracies})


def merged(kept: Iterable[Point], new: Iterable[Point]) -> list[Point]:
    """All points, new ones in place of kept ones of the same name, in the order of their minutes."""
    points = {point.name: point for point in (*kept, *new)}
    return sorted(points.values(), key=lambda point: point.minutes)


def table_of(points: Sequence[Point]) -> Table:
    """A row a point, in the order of their minutes."""
    columns = ["run", "steps", "tokens", "pretraining, min", "teachers, min", "fine-tuning, min", "all, min", "seeds"]
    table = Table([*columns, "accuracy, %", "CPU", "date"])
    for point in points:
        mean, std = mean_and_std(point.accuracies)
        parts = (point.pretraining_s, point.teaching_s, point.finetuning_s)
        minutes = [decimal(seconds / 60, 1) for seconds in parts] + [decimal(point.minutes, 1)]
        score = with_spread(percent(mean), percent(std))
        table.rows.append(
            [
                *(point.name, whole(point.steps), compact(point.tokens), *minutes, f"{len(point.accuracies)}", score),
                *(point.cpu, point.date),
            ]
        )
    return table


def draw(points: Sequence[Point], path: Path) -> None:
    """Accuracy over minutes (logarithmic), a bar from the worst seed to the best, and a line for each reference."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    means = [100 * sum(point.accuracies) / len(point.accuracies) for point in points]
    minutes = [point.minutes for point in points]
    low, high = ([100 * end(point.accuracies) for point in points] for end in (min, max))
    axes.vlines(minutes, low, high, color="tab:blue", linewidth=1.2)
    axes.plot(minutes, means, marker="o", markersize=4, color="tab:blue", linestyle="none")
    place = math.inf
    for name, accuracy in sorted(REFERENCES.items(), key=lambda pair: -pair[1]):
        axes.axhline(accuracy, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
        place = min(accuracy, place - 0.4)  # so that two names don't stand on each other
        text, where = f"{name} {accuracy:g}", ("axes fraction", "data")
        axes.annotate(text, (1.01, place), xycoords=where, va="center", fontsize=8, color="0.35")
    for point, mean in zip(points, means, strict=True):
        label = f"{whole(point.steps)} steps" + (", taught" if point.teaching_s else "")
        last = point.minutes == max(minutes)  # beside it stand the references' names
        offset, side = ((-5, 5), "right") if last else ((5, -9), "left")
        axes.annotate(label, (point.minutes, mean), xytext=offset, ha=side, textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_xticks([tick for tick in TICKS if min(minutes) / 2 < tick < 2 * max(minutes)])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="minutes on the machine of the table", ylabel="NSMC accuracy, %")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, format="svg", metadata=dict.fromkeys(("Date", "Creator")))


def main() -> None:
    """Print the table, and keep it and the picture if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="folders of finished runs; none: the points kept before")
    parser.add_argument("--write", action="store_true", help="keep points, table and picture under benchmarks/results")
    arguments = parser.parse_args()
    try:
        new = [point for run in arguments.runs for point in points_of(read_run(run))]
    except ClozeError as error:
        parser.error(str(error))
    points = merged(read_points(POINTS), new)
    if not points:
        parser.error(f"no run was given, and {POINTS} has no points.")
    table = table_of(points)
    print(table)
    if arguments.write:
        notes = (
            "Mean ± standard deviation over fine-tuning seeds. Minutes: pretraining, and the mean of the seeds; of a "
            "student also all its teachers' seeds and their judging; without corpus, tokenizer, store, the embeddings' "
            "start from counts and scoring; those of nsmc-minutes at 0, 1,000, 3,000 and 9,000 steps to a tenth. "
            "Dashed: published accuracies, which are on the published split, and character n-grams on this one."
        )
        write_points(points, POINTS)
        path = write_result("nsmc_curve", table, command(), notes=notes)
        draw(points, path.with_suffix(".svg"))
        print(path)


if __name__ == "__main__":
    main()
