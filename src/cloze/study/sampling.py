"""What Optuna does for a search: draws the settings of a trial by those before it, and says which settings matter.

It keeps nothing: its study is made anew from the trials for every draw. So a draw is a function of the seed, the
trial's number and the trials before it. (Optuna's own journal does not outlive every process that dies while it
writes: a lock file stays behind, or half a line; its issues 5921 and 5138.)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloze.errors import ClozeError
from cloze.study.space import Range, SearchSettings, Value, takes_whole_numbers

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

SIGNIFICANT_DIGITS = 3
"""Of a number that is drawn: with more of them a recipe is no better, and harder to read."""
FEWEST_FOR_IMPORTANCE = 10
"""With fewer finished trials nothing is said of how much a setting matters."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the space."""

    number: int
    """From 0."""
    settings: Mapping[str, Value]
    objective: float | None = None
    failure: str = ""
    """Why these settings have no objective: they are no recipe, or a loss is not finite."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.objective is not None or self.failure != ""


def suggest(search: SearchSettings, trials: Sequence[Trial]) -> dict[str, Value]:
    """The settings of the next trial: by TPE (Bergstra et al. 2011, section 4), those of the first ten at random."""
    from cloze.inputs.hashing import hash_u64

    seed = int(hash_u64(search.seed, "trial", len(trials))) >> 32
    with _study(search, trials, seed) as study:
        drawn = study.ask(_distributions(search)).params
    return {key: _rounded(drawn[key], values) for key, values in search.space.items()}


def importance(search: SearchSettings, trials: Sequence[Trial]) -> dict[str, float]:
    """How much each setting decides whether a trial is among the best, shares of 1 (PED-ANOVA, arXiv:2304.10255).

    Empty with fewer finished trials than mean something.
    """
    if sum(trial.objective is not None for trial in trials) < FEWEST_FOR_IMPORTANCE:
        return {}
    optuna = import_optuna()
    with _study(search, trials, seed=0) as study:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def import_optuna() -> Any:
    """The package, quiet. Raises ClozeError if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise ClozeError("a search needs optuna, which is not installed: pip install 'cloze[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def _study(search: SearchSettings, trials: Sequence[Trial], seed: int) -> Iterator[Study]:
    """Optuna's study of the trials: failed ones are below all others, and near ones that run no other is drawn."""
    optuna = import_optuna()
    states, distributions = optuna.trial.TrialState, _distributions(search)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        study = optuna.create_study(direction="maximize" if search.maximise else "minimize", sampler=sampler)
        for trial in trials:
            state = states.PRUNED if trial.failure else states.RUNNING if trial.objective is None else states.COMPLETE
            study.add_trial(
                optuna.trial.create_trial(
                    state=state, value=trial.objective, params=dict(trial.settings), distributions=distributions
                )
            )
        yield study


def _distributions(search: SearchSettings) -> dict[str, BaseDistribution]:
    """The space as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for key, values in search.space.items():
        if not isinstance(values, Range):
            found[key] = CategoricalDistribution(values)
        elif values.scale == "integer" or takes_whole_numbers(key):
            found[key] = IntDistribution(int(values.low), int(values.high), log=values.scale == "log")
        else:
            found[key] = FloatDistribution(values.low, values.high, log=values.scale == "log")
    return found


def _rounded(value: Value, values: Range | list[Value]) -> Value:
    """A drawn number with few digits, within its range; what was chosen stays as it is."""
    if not isinstance(values, Range) or not isinstance(value, float):
        return value
    return float(min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), values.low), values.high))
