"""Fine-tuning on a task of any kind, once for each seed (Devlin et al. 2019, arXiv:1810.04805, section 4.1 and A.3).

A seed decides the head's first weights, the order of the rows and the dropout; with random weights also the encoder's.
A finished seed is stored and never trained again, so a killed run goes on with the seed it was at.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from cloze.files import write_folder, write_json, write_text
from cloze.interop.huggingface import save_classifier
from cloze.models import family_of, from_config
from cloze.models.classifier import Classifier, TokenClassifier, classifier_of
from cloze.models.encoder import initialise_normal
from cloze.tasks.classification import balanced_weights
from cloze.tasks.distillation import kept_model, teachers_of
from cloze.tasks.features import training_batches
from cloze.tasks.preparation import Prepared, prepare, with_lesson
from cloze.tasks.results import (
    examples_per_s,
    learned,
    meaning,
    measured,
    named,
    stored_run,
    summary,
    taken_run,
    with_interval,
)
from cloze.tasks.selection import EpochChoice, how_chosen
from cloze.tasks.task import Inputs, outputs_of
from cloze.training.averaging import WeightAverage
from cloze.training.cpu import choose_dtype, prepare_cpu
from cloze.training.distributed import Ranks
from cloze.training.optimizer import layer_factors, make_optimizer
from cloze.training.schedule import learning_rate
from cloze.training.signals import Stopped, StopRequest, stop_requests
from cloze.training.step import Learner, Mean, StepResult, check_finite, train_step

if TYPE_CHECKING:
    from cloze.progress import Meter, Progress
    from cloze.recipe import Recipe, TaskSettings

Start = Literal["pretrained", "random"]

HEAD_DROPOUT = 0.1
"""Before the classifier when the task names no dropout (BERT A.3)."""


def finetune(
    recipe: Recipe,
    task: TaskSettings,
    model_folder: Path,
    folder: Path,
    progress: Progress,
    made: Mapping[str, Path] | None = None,
    earlier: Sequence[Path] = (),
) -> dict[str, Any]:
    """Fine-tune the model in `model_folder` on `task`, once for each seed, and return what `results.json` holds.

    Written to `folder`: results.json, metrics.jsonl (learning curves), model/ (the first seed's classifier in Hugging
    Face layout), models/ (the other seeds', if the task teaches another), seeds/ (finished runs). The same call again
    continues after the last finished seed. The task's files are relative to `recipe.data`; `made`: the folders of the
    recipe's earlier tasks, by their names, for one that learns from them. `earlier`: finished folders of the task with
    other seeds, say; a run that one of them has is copied, not trained. Raises ClozeError for files or settings that
    don't fit, Stopped after SIGTERM or Ctrl-C: the seed under way is lost, the finished ones are kept.
    """
    prepare_cpu()
    shared, parts, counts = prepare(recipe, task, model_folder)
    if task.teachers:
        shared = with_lesson(shared, teachers_of(recipe, task, made or {}), progress)
        counts |= shared.lesson.counts if shared.lesson else {}
    starts: list[Start] = ["pretrained", "random"] if task.from_random_weights else ["pretrained"]
    total = sum(one.steps for one in (shared, *parts)) * len(starts) * len(task.seeds)
    of_parts: list[dict[str, Any]] = []
    with stop_requests() as request, progress.stage(task.name, total=total, unit="steps") as meter:
        runs = _runs(shared, folder, earlier, starts, meter, request)
        for one in parts:
            found = {
                start: summary(shared.kind, group)
                for start, group in _runs(one, folder, earlier, starts, meter, request).items()
            }
            of_part = {"share": one.share, "rows": len(one.train.features)}
            of_parts.append(of_part | {"pretrained": found["pretrained"], "random_weights": found.get("random")})
    every = [run for group in runs.values() for run in group]
    results = {
        "task": task.name,
        "kind": shared.kind.name,
        "measures": list(shared.kind.measures),
        "classes": list(shared.splits.classes),
        "pretrained": summary(shared.kind, runs["pretrained"]),
        "random_weights": summary(shared.kind, runs["random"]) if "random" in runs else None,
        "development": how_chosen(task, shared.kind.measures[0], counts.get("development", {}).get("examples", 0)),
        "shares": of_parts,
        "teachers": None if shared.lesson is None else shared.lesson.describe(),
        "counts": counts,
        "examples_per_s": examples_per_s(every),
        "meaning": meaning(task),
    }
    curves = [line for start in starts for run in runs[start] for line in run["curve"]]
    write_text(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in curves))
    write_json(folder / "results.json", results)
    return results


def _runs(
    shared: Prepared,
    folder: Path,
    earlier: Sequence[Path],
    starts: Sequence[Start],
    meter: Meter,
    request: StopRequest,
) -> dict[Start, list[dict[str, Any]]]:
    """The runs of all starts and seeds; finished ones are read from `seeds/`, or copied from an earlier folder."""
    runs: dict[Start, list[dict[str, Any]]] = {start: [] for start in starts}
    part = f"-share-{shared.share:g}" if shared.share < 1 else ""
    for start in starts:
        for seed in shared.settings.seeds:
            stored = folder / "seeds" / f"{start}-{seed}{part}.json"
            wanted = seed == shared.settings.seeds[0] or shared.recipe.teaches(shared.settings)
            kept = start == "pretrained" and not part and wanted
            keep = kept_model(folder, shared.settings, seed) if kept else None
            made_of = {"start": start, "seed": seed, "fingerprint": shared.fingerprint}
            run = stored_run(stored, made_of, keep) or taken_run(earlier, stored, made_of, keep)
            if run is None:
                run = _run(shared, start, seed, keep, meter, request)
                write_json(stored, run)
            else:
                meter.advance(shared.steps)
            runs[start].append(run)
    return runs


def _run(
    shared: Prepared, start: Start, seed: int, keep: Path | None, meter: Meter, request: StopRequest
) -> dict[str, Any]:
    """Train, choose the epoch if there is a development set, and score one classifier; write it to `keep` if given.

    Returns what `seeds/` stores of it.
    """
    classifier = _classifier(shared, start, seed)
    learner = _learner(shared, classifier, seed)
    who = {"start": start, "seed": seed}
    name = f"{start}, seed {seed}" + (f", {shared.share:g} of the training examples" if shared.share < 1 else "")
    made_of = {**who, "fingerprint": shared.fingerprint}
    curve: list[dict[str, Any]] = []
    choice = EpochChoice(shared.kind.measures[0])
    elapsed_s, examples = 0.0, 0
    for epoch in range(math.ceil(shared.steps / shared.epoch_steps)):
        lines, mean, rows = _epoch(shared, learner, epoch, elapsed_s, name, meter, request)
        place = {key: value for key, value in lines[-1].items() if "/" not in key}
        curve += [who | line for line in lines]
        elapsed_s, examples = place["elapsed_s"], examples + rows
        with learner.averaged():
            if shared.development is None:
                train, test = mean, _score(shared, classifier, shared.test)
                curve.append(who | place | named(shared.kind, "test", test))
            else:
                scores = measured(shared.kind, _score(shared, classifier, shared.development))
                curve.append(who | place | named(shared.kind, "development", scores))
                if choice.offer(scores, classifier):
                    train, chosen_at = mean, place
    learner.finish()
    chosen = {}
    if shared.development is not None:
        choice.restore(classifier)
        test = _score(shared, classifier, shared.test)
        curve.append(who | chosen_at | named(shared.kind, "test", test))
        chosen = {"development": choice.scores, "chosen_epoch": choice.best + 1}
    if keep is not None:
        with write_folder(keep, manifest={"task": shared.settings.name, **made_of}) as aside:
            save_classifier(aside, classifier, shared.layout.tokenizer)
    return {
        **made_of,
        "train": learned(shared.kind, train),
        "test": with_interval(shared.kind, test),
        **chosen,
        "elapsed_s": elapsed_s,
        "examples": examples,
        "curve": curve,
    }


def _epoch(
    shared: Prepared, learner: Learner, epoch: int, elapsed_s: float, who: str, meter: Meter, request: StopRequest
) -> tuple[list[dict[str, Any]], Mean, int]:
    """Learn from every example once (fewer in a last, partial epoch).

    Returns log lines, the mean over the epoch, and the number of examples.
    """
    task, log_every_steps = shared.settings, shared.recipe.training.log_every_steps
    first, warmup_steps = epoch * shared.epoch_steps, round(task.warmup_frac * shared.steps)
    batches = training_batches(shared.train.features.sizes, task.batch_rows, learner.seed, epoch)[
        : shared.steps - first
    ]
    results: list[StepResult] = []
    lines: list[dict[str, Any]] = []
    logged, started_at = 0, time.perf_counter()
    for step, rows in enumerate(batches, start=first + 1):
        peak = task.peak_learning_rate
        rate = learning_rate(step - 1, peak=peak, warmup_steps=warmup_steps, total_steps=shared.steps, kind="linear")
        batch = shared.train.features.batch(rows, shared.targets, per_token=shared.kind.token_labels)
        results.append(train_step(learner, [batch], step=step - 1, learning_rate=rate))
        meter.advance(1)
        if request.number is not None:
            raise Stopped(
                f"task {task.name} was stopped by {request.name} at step {step:,} of {who}. Finished seeds are kept: "
                "the same command trains this one from its beginning.",
                128 + request.number,
            )
        if step % log_every_steps and len(results) < len(batches):
            continue
        check_finite(
            learner,
            results[-1],
            where=f"or shortly before step {step:,} of task {task.name} ({who})",
            advice="Lower the task's peak_learning_rate or set training.precision to float32; finished seeds are kept.",
        )
        mean, logged = _mean(results[logged:]), len(results)
        accuracy = f", accuracy {mean.accuracy:.1%}" if "accuracy" in shared.kind.learned else ""
        meter.note(f"{who}, epoch {epoch + 1}: loss {mean.loss:.3f}{accuracy}")
        place = {
            "step": step,
            "epoch": step / shared.epoch_steps,
            "elapsed_s": elapsed_s + time.perf_counter() - started_at,
        }
        measures = {f"{shared.kind.name}/{measure}": value for measure, value in learned(shared.kind, mean).items()}
        lines.append({"kind": "train", **place, "learning_rate": rate, **measures})
    return lines, _mean(results), sum(map(len, batches))


def _classifier(shared: Prepared, start: Start, seed: int) -> Classifier | TokenClassifier:
    """Weights that are a function of the seed and, at start "pretrained", the pretrained ones put over them."""
    share = shared.settings.dropout
    config = replace(shared.model.encoder.config, attention=shared.recipe.model.attention)
    if share is not None:
        config = replace(config, dropout=share, attention_dropout=share)
    pretrained = shared.model.state_dict()
    pretrained |= {here: pretrained[there] for there, here in family_of(shared.model.family).kept.items()}
    model = from_config(shared.model.family, config, pairs="pooler.dense.weight" in pretrained)
    classifier = classifier_of(
        shared.kind.name,
        model,
        shared.splits.classes,
        HEAD_DROPOUT if share is None else share,
        settings={"length": shared.layout.length, **shared.splits.settings},
        class_weights=_class_weights(shared),
    )
    initialise_normal(classifier, config.initialisation_std, seed)
    if start == "pretrained":
        names = classifier.state_dict().keys() & pretrained.keys()
        assert all(f"encoder.{name}" in names for name in model.encoder.state_dict())
        classifier.load_state_dict({name: pretrained[name] for name in names}, strict=False)
    return classifier.to(shared.device)


def _class_weights(shared: Prepared) -> torch.Tensor | None:
    if shared.settings.class_weights == "none":
        return None
    return torch.from_numpy(balanced_weights(shared.train.labels.astype(np.int64), len(shared.splits.classes)))


def _learner(shared: Prepared, classifier: Classifier | TokenClassifier, seed: int) -> Learner:
    """The classifier with the optimiser of pretraining and the task's decay."""
    training, decay, layers = shared.recipe.training, shared.settings.layer_decay, classifier.encoder.config.layers
    average_decay = shared.settings.average_decay
    return Learner(
        model=classifier,
        losses=classifier.losses if shared.lesson is None else partial(shared.lesson.losses, classifier),
        objectives=(shared.kind.name,),
        optimizer=make_optimizer(
            classifier,
            weight_decay=shared.settings.weight_decay,
            beta1=training.beta1,
            beta2=training.beta2,
            eps=training.adam_eps,
            rate_factors=layer_factors(classifier, layers, decay) if decay < 1 else None,
        ),
        clip_norm=training.clip_norm,
        seed=seed,
        ranks=Ranks(device=shared.device),
        dtype=choose_dtype(training.precision, shared.device),
        average=WeightAverage(classifier, average_decay) if average_decay else None,
    )


def _score(shared: Prepared, classifier: Classifier | TokenClassifier, inputs: Inputs) -> dict[str, Any]:
    """Measures of the classifier on all of `inputs`, without dropout, in float32 as it will be used."""
    return dict(inputs.score(outputs_of(shared.kind, classifier, inputs, shared.device)))


def _mean(results: Sequence[StepResult]) -> Mean:
    """Loss and accuracy over the targets of some steps. Waits for the device."""
    loss, correct = torch.stack([result.sums for result in results]).sum(dim=0)[0].tolist()
    count = sum(result.counts[0] for result in results)  # 0 of texts without a token that has a tag
    return Mean(loss / max(1, count), correct / max(1, count), count)
