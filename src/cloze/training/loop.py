"""Pretraining: step after step to a limit, and between the steps what happens once in a while.

The numbers of step n are a function of (recipe, n): rows, masks and dropout are hashes, and a checkpoint holds weights,
moments and a `Cursor`. So a run that is killed and started again writes the same curve, bit for bit on one CPU, and
goes on at the same cost after 10 steps or 1,000,000.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cloze.errors import ClozeError, NotFiniteError, some
from cloze.progress import Silent
from cloze.training.alarms import raised
from cloze.training.averaging import WeightAverage
from cloze.training.checkpoint import checkpoint_folder, latest_checkpoint, load_checkpoint, save_checkpoint
from cloze.training.cpu import dtype_name, prepare_cpu
from cloze.training.cursor import Cursor, History, Window, peak_memory_mb
from cloze.training.distributed import Ranks, open_ranks
from cloze.training.flops import measure_peak, training_flops
from cloze.training.identity import dtype_of_run, identity
from cloze.training.optimizer import make_optimizer
from cloze.training.schedule import learning_rate, total_steps, warmup_steps
from cloze.training.signals import Stopped, StopRequest, stop_requests
from cloze.training.step import Learner, StepResult, check_finite, evaluate, train_step
from cloze.training.tracking import FolderTracker, Tracker

if TYPE_CHECKING:
    from cloze.inputs.batch import Batch
    from cloze.inputs.rows import Rows
    from cloze.models import PretrainingModel
    from cloze.progress import Progress
    from cloze.recipe import Recipe, TrainingSettings

LONGEST_S = 999 * 86_400
"""Seconds that are left, as they are shown, at most."""
ROWS_SHOWN = 32

log = logging.getLogger(__name__)


def pretrain(
    recipe: Recipe,
    model: PretrainingModel,
    train_rows: Rows,
    validation_rows: Rows | None,
    folder: Path,
    progress: Progress,
    *,
    tracker: Tracker | None = None,
    on_validation: Callable[[int, PretrainingModel], None] | None = None,
    stop_after: int | None = None,
) -> History:
    """Train until the first limit of `recipe.training`, going on from the newest checkpoint in `folder`/checkpoints.

    Without `validation_rows` nothing is validated. `tracker` defaults to metrics.jsonl and TensorBoard in `folder`.
    `on_validation(step, model)` is called after every validation, on the main rank, without dropout or gradients.
    `stop_after` ends after that step as a kill would, but with a checkpoint. Raises Stopped after SIGTERM or Ctrl-C,
    NotFiniteError for a loss that is not finite, ClozeError for a full disk, a checkpoint of another run, or BatchNorm
    on several ranks.
    """
    if not prepare_cpu():
        log.warning(
            "Some threads were started before subnormal floats were switched off; steps may be slower. Call "
            "cloze.training.cpu.prepare_cpu() before anything else that uses torch."
        )
    with open_ranks(recipe.training.device) as ranks, stop_requests() as request:
        run = _Run(recipe, model, train_rows, validation_rows, folder, ranks, tracker, on_validation)
        stopped = run.train(progress if ranks.main else Silent(), request, stop_after)
        run.learner.finish()
    if stopped:
        raise Stopped(
            f"{request.name} stopped training after step {run.cursor.step:,}. Checkpoint {run.saved} is whole: "
            "run the same command again to go on from it.",
            exit_code=128 + (request.number or signal.SIGTERM),
        )
    return run.history()


def _compiles(settings: TrainingSettings, ranks: Ranks) -> bool:
    return settings.compile == "yes" or (settings.compile == "auto" and ranks.device.type == "cuda")


class _Run:
    """The state of one process of `pretrain`."""

    def __init__(
        self,
        recipe: Recipe,
        model: PretrainingModel,
        train_rows: Rows,
        validation_rows: Rows | None,
        folder: Path,
        ranks: Ranks,
        tracker: Tracker | None,
        on_validation: Callable[[int, PretrainingModel], None] | None,
    ) -> None:
        assert isinstance(model, nn.Module), "a family is an nn.Module"
        _refuse_ranks(recipe, ranks)
        self.settings, self.ranks, self.model = (settings := recipe.training), ranks, model
        self.train_rows, self.validation_rows = train_rows, validation_rows
        self.tracker = (tracker or FolderTracker(folder)) if ranks.main else None
        self.on_validation = on_validation
        self.checkpoints = folder / "checkpoints"
        self.saved = latest_checkpoint(self.checkpoints)
        dtype = dtype_of_run(self.saved, settings.precision, ranks.device)
        self.identity = identity(recipe, train_rows.fingerprint, dtype)
        optimizer = make_optimizer(
            model.to(ranks.device),
            weight_decay=settings.weight_decay,
            beta1=settings.beta1,
            beta2=settings.beta2,
            eps=settings.adam_eps,
        )
        average = WeightAverage(model, settings.average_decay) if settings.average_decay else None
        self.cursor = Cursor()
        if self.saved:
            found = load_checkpoint(self.saved, model, optimizer, settings=self.identity, average=average)
            self.cursor = Cursor.from_json(found)
        if ranks.sum_integers([self.cursor.step])[0] != ranks.world * self.cursor.step:
            raise ClozeError(f"ranks see different checkpoints in {self.checkpoints}: put the output on a shared disk.")
        ranks.copy_from_main([tensor.detach() for tensor in (*model.parameters(), *model.buffers())])
        self.total_steps = total_steps(settings, train_rows)
        self.warmup_steps = warmup_steps(settings, self.total_steps)
        self.step_rows = train_rows.rows_per_step(settings.batch_rows)
        self.micro_rows = train_rows.rows_per_step(settings.micro_batch_rows or settings.batch_rows)
        # After all that asks for the first epoch: `Rows` keeps the plan of one.
        weights = _weights(model, train_rows.batch(self.cursor.epoch, np.zeros(1, dtype=np.int64)))
        self.learner = Learner(
            model=model,
            losses=torch.compile(model.losses) if _compiles(settings, ranks) else model.losses,
            objectives=tuple(weights),
            weights=weights,
            figures=getattr(model, "figures", ()),
            optimizer=optimizer,
            characters=torch.from_numpy(train_rows.tokenizer.characters),
            clip_norm=settings.clip_norm,
            seed=recipe.seed,
            ranks=ranks,
            dtype=dtype,
            average=average,
        )
        self.peak_gflops = 0.0
        self.pending: list[tuple[int, int, NDArray[np.int64], StepResult]] = []
        self.losses: list[float] = []
        self.lines: list[dict[str, Any]] = []

    def train(self, progress: Progress, request: StopRequest, stop_after: int | None) -> bool:
        """Steps until a limit, and between them what happens once in a while. Returns whether a signal ended it."""
        settings, cursor = self.settings, self.cursor
        over, stopping = self._over(), False
        if over:
            return False
        self.peak_gflops = self._measure_peak()
        with self._tracked(), progress.stage("pretraining", self.total_steps, "steps") as meter:
            meter.advance(cursor.step)
            while not (over or stopping or self._halts(stop_after)):
                self._step()
                meter.advance()
                over, stopping = self._over(), self.ranks.any(request.number is not None)
                if over or cursor.step % settings.log_every_steps == 0:
                    meter.note(self._log())
                if over or cursor.step % settings.validate_every_steps == 0:
                    with self.learner.averaged():
                        self._validate()
                if over or stopping or cursor.step % settings.checkpoint_every_steps == 0 or self._halts(stop_after):
                    self._save()
        return self.ranks.any(request.number is not None)  # also of a signal in the last validation

    def history(self) -> History:
        """What this run has come to."""
        return History(
            steps=self.cursor.step,
            epochs=self._epochs(),
            tokens=self.cursor.tokens,
            characters=self.cursor.characters,
            elapsed_s=self.cursor.elapsed_s,
            parameters=sum(parameter.numel() for parameter in self.learner.model.parameters()),
            precision=dtype_name(self.learner.dtype),
            peak_gflops=self.peak_gflops,
            peak_memory_mb=peak_memory_mb(self.ranks.device),
            checkpoint=self.saved,
            losses=self.losses,
            lines=self.lines,
        )

    def _step(self) -> None:
        """One optimiser step over the next rows of the epoch, cut into this rank's micro-batches."""
        cursor, ranks = self.cursor, self.ranks
        with self._timed():
            order = self.train_rows.epoch(cursor.epoch).order
            places = np.arange(cursor.row, min(cursor.row + self.step_rows, len(order)))
            mine = ranks.share(len(places))
            batches = list(self._batches(self.train_rows, cursor.epoch, places[mine.start : mine.stop]))
            rate = self._learning_rate(cursor.step)
            result = train_step(self.learner, batches, step=cursor.step, learning_rate=rate, first_row=mine.start)
            self.pending.append((cursor.step + 1, cursor.epoch, order[places], result))
            tokens = sum(batch.tokens for batch in batches)
            characters = sum(self.learner.characters_of(batch.original_ids) for batch in batches)
            flops = sum(training_flops(self.model.encoder.config, batch) for batch in batches)
            tokens, characters, flops = ranks.sum_integers([tokens, characters, flops])
            cursor.advance(len(places), len(order), tokens=tokens, characters=characters, flops=flops)
            if ranks.device.type == "cpu":
                self._settle()

    def _settle(self) -> None:
        """Wait for the device and take in the results since the last time: all must be finite.

        Every step on a CPU; on a GPU only before something is written, so that it need not wait for the host after each
        step. Weights spoilt in between are never saved.
        """
        for step, epoch, rows, result in self.pending:
            check_finite(self.learner, result, where=_where(step, epoch, rows), advice=self._advice())
            sums, learner = result.sums.tolist(), self.learner
            figures = dict(zip(learner.figures, result.figures.tolist(), strict=True))
            self.cursor.window.add(learner.objectives, sums, result.counts, result.gradient_norm.item(), figures)
            divisors = learner.divisors(result.counts)
            self.losses.append(sum(loss / n for (loss, _), n in zip(sums, divisors, strict=True)))
        self.pending.clear()

    def _log(self) -> str:
        """Write a train line over the steps since the last one; returns the note beside the progress bar."""
        with self._timed():
            self._settle()
        window, self.cursor.window = self.cursor.window, Window()
        line = window.line(self.peak_gflops)
        self._write("train", {"learning_rate": self._learning_rate(self.cursor.step - 1), **line})
        self._watch(line)
        loss = sum(line[f"{name}/loss"] * self.learner.weights[name] for name in self.learner.objectives)
        left = self._left_s(window)
        return f"loss {loss:.3f} · {line['tokens_per_s']:,.0f} tokens/s · {line['peak_frac']:.0%} of peak" + (
            "" if left is None else f" · {timedelta(seconds=round(min(left, LONGEST_S)))} left"
        )

    def _watch(self, line: Mapping[str, float]) -> None:
        """Say once, in the log and among the lines, what has gone wrong since the line before."""
        cursor = self.cursor
        alarms = raised(line, step=cursor.step, warmup_steps=self.warmup_steps)
        for name, text in alarms.items():
            if name not in cursor.alarms and self.ranks.main:
                log.warning("Step %s: %s. docs/training.md says what may help.", f"{cursor.step:,}", text)
                self._record({"kind": "alarm", "step": cursor.step, "name": name, "text": text})
        cursor.alarms = list(alarms)

    def _validate(self) -> None:
        """The whole validation split, each rank its slice."""
        if self.validation_rows is None:
            return
        with self._timed():
            self._settle()
        mine = self.ranks.share(self.validation_rows.rows_in_epoch(0))
        means = evaluate(self.learner, self._batches(self.validation_rows, 0, np.arange(mine.start, mine.stop)))
        for name, mean in means.items():
            if not math.isfinite(mean.loss):
                step = self.cursor.step
                what = f"the validation loss of {name} became {mean.loss} at step {step:,}"
                raise NotFiniteError(f"{what}. {self._advice()}")
        numbers = {name: {"loss": mean.loss, "accuracy": mean.accuracy, **mean.figures} for name, mean in means.items()}
        self._write("validation", {f"{name}/{key}": x for name, found in numbers.items() for key, x in found.items()})
        if self.on_validation is not None and self.ranks.main:
            self.learner.model.eval()
            with torch.no_grad():
                self.on_validation(self.cursor.step, self.model)

    def _save(self) -> None:
        """A checkpoint, after every line of its steps is safe."""
        with self._timed():
            self._settle()
        if self.tracker:
            self.tracker.sync()
            save_checkpoint(
                self.checkpoints,
                self.cursor.step,
                self.learner.model,
                self.learner.optimizer,
                self.cursor.to_json(),
                settings=self.identity,
                keep=self.settings.keep_checkpoints,
                average=self.learner.average,
            )
        self.saved = checkpoint_folder(self.checkpoints, self.cursor.step)

    def _write(self, kind: str, numbers: Mapping[str, float]) -> None:
        cursor = self.cursor
        head = {"kind": kind, "step": cursor.step, "epoch": self._epochs(), "elapsed_s": cursor.elapsed_s}
        self._record({**head, "tokens": cursor.tokens, "characters": cursor.characters, **numbers})

    def _record(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        if self.tracker:
            self.tracker.write(line)

    def _batches(self, rows: Rows, epoch: int, places: NDArray[np.int64]) -> Iterator[Batch]:
        starts = range(0, len(places), self.micro_rows)
        return (rows.batch(epoch, places[start : start + self.micro_rows]) for start in starts)

    @contextmanager
    def _tracked(self) -> Iterator[None]:
        if self.tracker is None:
            yield
            return
        self.tracker.resume(self.cursor.step)
        try:
            yield
        finally:
            self.tracker.close()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the block's seconds as training."""
        started_at = time.perf_counter()
        yield
        seconds = time.perf_counter() - started_at
        self.cursor.elapsed_s += seconds
        self.cursor.window.elapsed_s += seconds

    def _over(self) -> bool:
        """Whether a limit is reached; all ranks agree."""
        late = self.settings.minutes is not None and self.cursor.elapsed_s >= 60 * self.settings.minutes
        return self.ranks.any(late) or (self.total_steps is not None and self.cursor.step >= self.total_steps)

    def _halts(self, stop_after: int | None) -> bool:
        return stop_after is not None and self.cursor.step >= stop_after

    def _left_s(self, window: Window) -> float | None:
        """Seconds until the first limit, at the speed of `window`."""
        left = []
        if self.total_steps is not None:
            left.append((self.total_steps - self.cursor.step) * window.elapsed_s / max(1, window.steps))
        if self.settings.minutes is not None:
            left.append(60 * self.settings.minutes - self.cursor.elapsed_s)
        return max(0.0, min(left)) if left else None

    def _epochs(self) -> float:
        cursor = self.cursor
        return cursor.epoch + (cursor.row / self.train_rows.rows_in_epoch(cursor.epoch) if cursor.row else 0.0)

    def _learning_rate(self, step: int) -> float:
        return learning_rate(
            step,
            peak=self.settings.peak_learning_rate,
            warmup_steps=self.warmup_steps,
            total_steps=self.total_steps,
            kind=self.settings.schedule,
        )

    def _measure_peak(self) -> float:
        """GFLOP/s of all ranks together, measured by all at the same time."""
        peak = torch.tensor([measure_peak(self.ranks.device, self.learner.dtype)], dtype=torch.float64)
        self.ranks.sum_tensors([peak])
        return float(peak)

    def _advice(self) -> str:
        good = f"The last good checkpoint is {self.saved}." if self.saved else "No checkpoint was written before it."
        return (
            f"{good} Running again would fail at the same step: lower training.peak_learning_rate, lengthen the "
            "warm-up or set training.clip_norm; `cloze inspect` shows the rows."
        )


def _weights(model: nn.Module, batch: Batch) -> dict[str, float]:
    """The objectives and their weights: as the family names them, else all that a batch has targets for, alike."""
    named: Mapping[str, float] = getattr(model, "weights", {})
    return dict(named) or dict.fromkeys(batch.targets, 1.0)


def _where(step: int, epoch: int, rows: NDArray[np.int64]) -> str:
    return f"step {step:,} (epoch {epoch}, rows {some(rows.tolist(), ROWS_SHOWN)})"


def _refuse_ranks(recipe: Recipe, ranks: Ranks) -> None:
    if ranks.world > 1 and recipe.model.norm == "batch":
        raise ClozeError(
            f"model.norm is batch, but torchrun started {ranks.world} processes: each would norm with the "
            "statistics of its own rows. Start one process, or set model.norm to layer or rms."
        )
