"""What `results.json` says of a task: every seed, mean and spread over seeds, and what the numbers are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloze.errors import DamagedError
from cloze.files import MANIFEST, check_files, read_manifest, write_folder, write_json
from cloze.tasks.intervals import bootstrap
from cloze.tasks.metrics import mean_and_std
from cloze.tasks.task import TaskKind

if TYPE_CHECKING:
    from cloze.recipe import TaskSettings
    from cloze.training.step import Mean

Run = dict[str, Any]
"""What `seeds/` stores of one training run."""

MEANING = {
    "train": "mean over the last epoch: each batch is scored just before the model learns from it, with dropout",
    "test": "the final model on the whole test set, without dropout, in float32",
    "interval": "95% of the first measure, percentile bootstrap over the test's examples; how much another test set of "
    "the same kind would move a seed's score",
    "std": "sample standard deviation over seeds (n - 1); null with one seed or where a seed has no value",
}
"""What the numbers of `results.json` are, in words; stored beside them."""
CHOSEN_MEANING = {
    "train": "mean over the chosen epoch: each batch is scored just before the model learns from it, with dropout",
    "test": "the weights of the chosen epoch on the whole test set, once, without dropout, in float32",
}
"""The same where a development set chose the epoch."""


TAUGHT_MEANING = "; its loss is in part the teachers', and a text without a label is right if it is given their class"
WEIGHTED_MEANING = "; its loss counts each class alike (class_weights), the test's each example"


def meaning(task: TaskSettings) -> dict[str, str]:
    """The words for a task: whether a development set chooses the epoch, classes have weights, teachers teach."""
    words = MEANING | CHOSEN_MEANING if task.chooses else dict(MEANING)
    more = WEIGHTED_MEANING * (task.class_weights != "none") + TAUGHT_MEANING * bool(task.teachers)
    return words | {"train": words["train"] + more}


def summary(kind: TaskKind[Any], runs: Sequence[Run]) -> dict[str, Any]:
    """The runs of one start with mean and standard deviation of their measures."""
    mean: dict[str, dict[str, float | None]] = {"train": {}, "test": {}}
    std: dict[str, dict[str, float | None]] = {"train": {}, "test": {}}
    for split, measures in (("train", kind.learned), ("test", kind.measures)):
        for measure in measures:
            mean[split][measure], std[split][measure] = mean_and_std([run[split][measure] for run in runs])
    names = ("seed", "train", "test", "development", "chosen_epoch", "elapsed_s")
    seeds = [{name: run[name] for name in names if name in run} for run in runs]
    return {"seeds": seeds, "mean": mean, "std": std}


def with_interval(kind: TaskKind[Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of a test with the `interval` of the first measure in place of what it is computed from."""
    kept = {name: value for name, value in scores.items() if name != "per_example"}
    there_is_one = scores[kind.measures[0]] is not None
    return kept | {"interval": bootstrap(scores["per_example"], kind.resample) if there_is_one else None}


def examples_per_s(runs: Sequence[Run]) -> float:
    """Examples learned from in a second, over all runs."""
    return float(sum(run["examples"] for run in runs) / sum(run["elapsed_s"] for run in runs))


def measured(kind: TaskKind[Any], scores: Mapping[str, Any]) -> dict[str, float | None]:
    """The measures alone."""
    return {measure: scores[measure] for measure in kind.measures}


def named(kind: TaskKind[Any], split: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Measures as a line of metrics.jsonl names them."""
    return {"kind": split} | {f"{kind.name}/{measure}": scores[measure] for measure in kind.measures}


def learned(kind: TaskKind[Any], mean: Mean) -> dict[str, float]:
    """What training adds up, by the measures' names."""
    return {measure: getattr(mean, measure) for measure in kind.learned}


def stored_run(stored: Path, made_of: Run, keep: Path | None) -> Run | None:
    """A stored run if it, and its classifier where one is kept, were made of `made_of`: start, seed and fingerprint."""
    if not stored.is_file():
        return None
    try:
        run: Run = json.loads(stored.read_bytes())
    except ValueError as error:
        raise DamagedError(
            f"{stored} is not JSON ({error}). Delete it and run again: its seed is trained anew."
        ) from None
    manifests = [run] if keep is None else [run, read_manifest(keep) or {}]
    return run if all(made_of.items() <= manifest.items() for manifest in manifests) else None


def taken_run(earlier: Sequence[Path], stored: Path, made_of: Run, keep: Path | None) -> Run | None:
    """`stored_run` of the first of the `earlier` folders that has it, copied to `stored`, its classifier to `keep`.

    The same run may be another folder's first seed, whose classifier is in model/, or one of its others. What is
    damaged there is passed over.
    """
    for folder in earlier:
        sources = [None] if keep is None else [folder / "model", folder / "models" / f"seed-{made_of['seed']}"]
        for source in sources:
            with suppress(DamagedError):
                run = stored_run(folder / "seeds" / stored.name, made_of, source)
                if run is None:
                    continue
                if source is not None and keep is not None:
                    _copy(source, keep)
                write_json(stored, run)
                return run
    return None


def _copy(source: Path, keep: Path) -> None:
    """A classifier's folder, with its manifest. Raises DamagedError if it was changed after it was written."""
    check_files(source, full=True)
    manifest = {key: value for key, value in (read_manifest(source) or {}).items() if key != "files"}
    with write_folder(keep, manifest=manifest) as aside:
        shutil.copytree(source, aside, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
