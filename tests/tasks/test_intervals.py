"""The bootstrap's measures are the reference's on every resample; its interval covers what it should."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from cloze.interop.huggingface import load_model
from cloze.tasks import intervals
from cloze.tasks.intervals import BINS, bootstrap, calibration_error, f1, mean, spearman
from cloze.tasks.mistakes import most_confident
from cloze.tasks.results import with_interval
from cloze.tasks.task import Layout, kind_of
from tests.tasks.test_finetuning import task
from tests.tasks.test_selection import write

RANDOM = np.random.default_rng(3)


def resamples(examples: int, count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Places that were drawn [count, examples], and how often each was."""
    places = RANDOM.integers(examples, size=(count, examples))
    drawn = np.array([np.bincount(one, minlength=examples) for one in places], dtype=np.float64)
    return places, drawn


def test_spearman_is_scipys_on_every_resample() -> None:
    values = np.round(RANDOM.normal(size=(40, 2)) * 2)  # Many ties.
    places, drawn = resamples(40)
    want = [stats.spearmanr(values[one, 0], values[one, 1]).statistic for one in places]
    np.testing.assert_allclose(spearman(values, drawn), want, rtol=1e-12)


def test_f1_is_sklearns_on_every_resample() -> None:
    given, wanted = RANDOM.random((2, 30, 4)) > 0.6
    per_example = np.stack([(given & wanted).sum(1), given.sum(1), wanted.sum(1)], axis=1).astype(np.float64)
    places, drawn = resamples(30)
    want = [f1_score(wanted[one].ravel(), given[one].ravel()) for one in places]
    np.testing.assert_allclose(f1(per_example, drawn), want, rtol=1e-12)
    assert f1(np.zeros((3, 3)), np.ones((1, 3))).tolist() == [0]


def test_of_a_mean_the_interval_is_the_normal_one() -> None:
    right = (np.arange(2_000) % 5 > 0).astype(np.float64)
    found = bootstrap(right, mean)
    assert found is not None and found["resamples"] == 1_000
    half = 1.96 * (0.8 * 0.2 / 2_000) ** 0.5
    assert (found["low"], found["high"]) == pytest.approx((0.8 - half, 0.8 + half), abs=0.002)
    assert bootstrap(right, mean) == found, "a function of the scores alone"
    assert bootstrap(np.ones(50), mean) == {"low": 1.0, "high": 1.0, "resamples": 1_000}


def test_a_measure_that_is_missing_for_a_resample_has_no_interval() -> None:
    assert bootstrap(np.array([[0.0, 1.0], [1.0, 2.0]]), spearman) is None
    assert np.isnan(spearman(np.array([[1.0, 1.0], [1.0, 2.0]]), np.ones((1, 2)))).all()


def test_a_measure_that_is_missing_altogether_has_none() -> None:
    """F1 of taggers over resamples of no entity is 0 and not missing."""
    scores = {"entity_f1": None, "per_example": np.zeros((3, 3))}
    assert with_interval(kind_of("tagging"), scores) == {"entity_f1": None, "interval": None}


def test_large_tests_get_fewer_resamples_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = RANDOM.normal(size=(300, 2))
    whole = bootstrap(values, spearman)
    monkeypatch.setattr(intervals, "CHUNK_DRAWS", 1_000)
    assert bootstrap(values, spearman) == whole
    monkeypatch.setattr(intervals, "DRAWS", 300 * 200)
    found = bootstrap(values, spearman)
    assert found is not None and found["resamples"] == 200


def reference_calibration(probabilities: np.ndarray, right: np.ndarray) -> float:
    edges, error = np.linspace(0, 1, BINS + 1), 0.0
    for low, high in pairwise(edges):
        inside = (probabilities > low) & (probabilities <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - probabilities[inside].mean())
    return error


@pytest.mark.parametrize("draw", [RANDOM.random, lambda n: np.full(n, 0.9)])
def test_calibration_error_is_guos(draw: Callable[[int], np.ndarray]) -> None:
    probabilities = draw(500)
    right = RANDOM.random(500) < probabilities**2
    assert calibration_error(probabilities, right) == pytest.approx(reference_calibration(probabilities, right))


def test_calibration_of_the_sure_and_right_is_perfect() -> None:
    assert calibration_error(np.ones(4), np.ones(4, dtype=bool)) == 0
    assert calibration_error(np.ones(4), np.zeros(4, dtype=bool)) == 1


KINDS = ("classification", "multi_label", "regression", "tagging", "question_answering", "multiple_choice")


@pytest.mark.parametrize("name", KINDS)
def test_of_the_whole_test_it_is_the_headline(data: Path, tmp_path: Path, name: str) -> None:
    path, kind = write(tmp_path, name), kind_of(name)
    settings = task(kind=name, train=path, test=path, text_column="text")
    if name == "question_answering":
        settings = settings.model_copy(update={"longest_question": 4})
    examples = kind.read(tmp_path / path, settings)
    classes, layout = kind.classes(examples, examples), Layout(load_model(data / "model")[1], 16, 2)
    inputs = kind.inputs(examples, classes, layout, settings)
    count = len(inputs.features.ids) if kind.per_token else len(inputs.features.lengths)
    outputs = RANDOM.normal(size=(count, len(classes))).astype(np.float32)
    if name == "tagging":
        outputs[:, classes.index("B-PS")] += 1.0
    scores = inputs.score(outputs)
    per_example = scores["per_example"]
    assert len(per_example) == len(kind.keys(examples))
    whole = kind.resample(per_example, np.ones((1, len(per_example))))
    assert 0 != whole[0] == pytest.approx(scores[kind.measures[0]])
    found = with_interval(kind, scores)
    assert found["interval"]["low"] <= whole[0] <= found["interval"]["high"]
    json.dumps(found)


def test_the_surest_mistakes_come_first_and_are_cut() -> None:
    probabilities = np.array([0.5, 0.9, 0.8, 0.99, 0.9])
    right = np.array([False, False, False, True, False])
    found = most_confident(probabilities, right, lambda place: {"id": str(place), "text": "가" * 400, "count": place})
    assert [one["id"] for one in found] == ["1", "4", "2", "0"]
    assert found[0] == {"id": "1", "text": "가" * 299 + "…", "count": 1, "probability": 0.9}
    assert len(most_confident(np.ones(99), np.zeros(99, dtype=bool), lambda place: {})) == 10
