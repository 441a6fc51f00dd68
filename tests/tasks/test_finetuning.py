"""Fine-tuning: it learns, its numbers are what they say, and a stop in the middle changes none of them."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cloze import predict
from cloze.errors import ClozeError, DamagedError
from cloze.files import read_manifest
from cloze.interop.huggingface import load_model, save_model
from cloze.models import build
from cloze.models.dropout import Dropout
from cloze.progress import Silent
from cloze.recipe import ModelSettings, Recipe, TaskSettings
from cloze.tasks.datasets import read_table
from cloze.tasks.features import map_rows, training_batches
from cloze.tasks.finetuning import Start, _classifier, _learner, _mean, finetune
from cloze.tasks.preparation import prepare
from cloze.tokens.tokenizer import Tokenizer
from cloze.training.signals import Stopped
from cloze.training.step import StepResult


def task(**changes: Any) -> TaskSettings:
    settings: dict[str, Any] = {
        "name": "reviews",
        "train": Path("train.txt"),
        "test": Path("test.txt"),
        "epochs": 3,
        "batch_rows": 8,
        "peak_learning_rate": 5e-3,
        "length": 16,
        "seeds": [1, 2],
    }
    return TaskSettings(**(settings | changes))


def run(
    data: Path,
    folder: Path,
    settings: TaskSettings,
    progress: Any = None,
    earlier: Sequence[Path] = (),
    **training: Any,
) -> dict[str, Any]:
    training = {"device": "cpu", "precision": "float32", **training}
    recipe = Recipe.model_validate({"name": "tiny", "data": data, "training": training, "tasks": [settings]})
    return finetune(recipe, settings, data / "model", folder, progress or Silent(), earlier=earlier)


def without_times(folder: Path) -> tuple[Any, list[Any]]:
    """results.json and metrics.jsonl without what a clock wrote."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(v) for key, v in value.items() if key not in ("elapsed_s", "examples_per_s")}
        return [clean(v) for v in value] if isinstance(value, list) else value

    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return clean(json.loads((folder / "results.json").read_text())), [clean(json.loads(line)) for line in lines]


class Stops(Silent):
    """Presses Ctrl-C after some steps; counts them."""

    def __init__(self, after: int = 10**9) -> None:
        self.after, self.steps = after, 0.0

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Any]:
        yield self

    def advance(self, amount: float = 1.0) -> None:
        self.steps += amount
        if self.steps >= self.after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        pass


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a task that ran straight through."""
    folder = tmp_path_factory.mktemp("finished")
    results = run(data, folder, task())
    assert results == json.loads((folder / "results.json").read_text())
    return folder


def test_it_learns_and_says_what_its_numbers_are(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    group = results["pretrained"]
    assert (results["task"], results["classes"], results["random_weights"]) == ("reviews", ["0", "1"], None)
    assert [seed["seed"] for seed in group["seeds"]] == [1, 2]
    accuracies = [seed["test"]["accuracy"] for seed in group["seeds"]]
    assert min(accuracies) > 0.9
    assert group["mean"]["test"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert group["std"]["test"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    confusion = np.array(group["seeds"][0]["test"]["confusion"])
    assert confusion.sum() == 60
    assert confusion.trace() / 60 == pytest.approx(accuracies[0])
    assert confusion.sum(axis=1).tolist() == [42, 18], "rows are the true classes"
    assert results["counts"]["train"]["examples"] == 200
    assert results["counts"]["train"]["empty"] == 20
    assert results["examples_per_s"] > 0
    assert set(results["meaning"]) == {"train", "test", "interval", "std"}


def test_curves_hold_every_seed_and_end_at_the_results(finished: Path) -> None:
    results, lines = without_times(finished)
    for seed in results["pretrained"]["seeds"]:
        mine = [line for line in lines if line["seed"] == seed["seed"]]
        assert {line["start"] for line in mine} == {"pretrained"}
        tests = [line for line in mine if line["kind"] == "test"]
        assert [(line["step"], line["epoch"]) for line in tests] == [(25, 1.0), (50, 2.0), (75, 3.0)]
        assert tests[-1]["classification/accuracy"] == seed["test"]["accuracy"]
        train = [line for line in mine if line["kind"] == "train"]
        assert [line["step"] for line in train] == [20, 25, 40, 50, 60, 75]
        # Steps 51 to 60 and 61 to 75 make up the last epoch, whose mean is the training score.
        last = (10 * train[-2]["classification/loss"] + 15 * train[-1]["classification/loss"]) / 25
        assert seed["train"]["loss"] == pytest.approx(last)


def test_the_saved_classifier_is_the_first_seeds(finished: Path, data: Path) -> None:
    examples = read_table(data / "test.txt", "document", "label")
    said = predict.load(finished / "model").predict(examples.texts)
    results = json.loads((finished / "results.json").read_text())
    right = np.mean([p.label == label for p, label in zip(said, examples.labels, strict=True)])
    assert right == pytest.approx(results["pretrained"]["seeds"][0]["test"]["accuracy"])


@pytest.mark.parametrize("changes", [{}, {"development_frac": 0.2}])
def test_the_averaged_weights_are_scored_and_saved(data: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    plain, averaged = (
        run(data, tmp_path / name, task(seeds=[1], average_decay=decay, **changes))
        for name, decay in (("plain", 0.0), ("averaged", 0.9))
    )
    lines = [without_times(tmp_path / name)[1] for name in ("plain", "averaged")]
    learned, tested = ([[x for x in part if x["kind"] == kind] for part in lines] for kind in ("train", "test"))
    assert learned[0] == learned[1], "learning goes on from the weights themselves"
    assert tested[0] != tested[1]
    examples = read_table(data / "test.txt", "document", "label")
    said = predict.load(tmp_path / "averaged" / "model").predict(examples.texts)
    losses = [-np.log(p.probabilities[label]) for p, label in zip(said, examples.labels, strict=True)]
    assert np.mean(losses) == pytest.approx(averaged["pretrained"]["seeds"][0]["test"]["loss"], rel=1e-4)
    assert plain["pretrained"]["seeds"][0]["test"]["loss"] != pytest.approx(np.mean(losses), rel=1e-3)


@pytest.mark.parametrize("after", [75, 100])
def test_stop_and_resume_is_the_same_run(finished: Path, data: Path, tmp_path: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path, task(), Stops(after))
    assert not (tmp_path / "results.json").exists()
    run(data, tmp_path, task())
    assert without_times(tmp_path) == without_times(finished)


def test_sigterm_ends_with_what_is_kept(finished: Path, data: Path, tmp_path: Path) -> None:
    class Terminates(Stops):
        def advance(self, amount: float = 1.0) -> None:
            self.steps += amount
            if self.steps == self.after:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(
        Stopped, match=r"stopped by SIGTERM at step 5 of pretrained, seed 2\. Finished seeds are kept"
    ) as told:
        run(data, tmp_path, task(), Terminates(80))
    assert told.value.exit_code == 143
    run(data, tmp_path, task())
    assert without_times(tmp_path) == without_times(finished)


def test_finished_seeds_are_kept_until_something_changes(finished: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(finished, folder)
    first = folder / "seeds" / "pretrained-1.json"
    written_at = first.stat().st_mtime_ns
    results = run(data, folder, task(seeds=[1, 2, 3]))
    assert len(results["pretrained"]["seeds"]) == 3
    assert first.stat().st_mtime_ns == written_at
    run(data, folder, task(seeds=[2, 1]))
    assert (read_manifest(folder / "model") or {})["seed"] == 2, (
        "the kept classifier is that of the first seed asked for"
    )
    run(data, folder, task(seeds=[1], epochs=1))
    assert first.stat().st_mtime_ns > written_at, "another number of epochs is another run"
    first.write_text("{", encoding="utf-8")
    with pytest.raises(DamagedError, match=r"pretrained-1\.json is not JSON"):
        run(data, folder, task(seeds=[1], epochs=1))


def test_finished_seeds_of_another_folder_are_copied(finished: Path, data: Path, tmp_path: Path) -> None:
    progress, more = Stops(), task(seeds=[2, 3, 1])
    run(data, tmp_path / "more", more, progress, earlier=[tmp_path / "absent", finished])
    run(data, tmp_path / "alone", more)
    assert without_times(tmp_path / "more") == without_times(tmp_path / "alone")
    trained = {file.stem for file in (tmp_path / "more" / "seeds").iterdir()}
    assert trained == {"pretrained-1", "pretrained-2", "pretrained-3"}
    seeds = [json.loads((tmp_path / "more" / "seeds" / f"pretrained-{n}.json").read_text()) for n in (1, 2)]
    theirs = [json.loads((finished / "seeds" / f"pretrained-{n}.json").read_text()) for n in (1, 2)]
    assert seeds[0] == theirs[0], "with the time that it took"
    assert seeds[1] != theirs[1], "its classifier is kept here and was not there: trained, though the results are one"
    assert progress.steps == 3 * 75


def test_a_copied_seed_brings_its_classifier(finished: Path, data: Path, tmp_path: Path) -> None:
    for name, seeds, earlier in (("ours", [1], finished), ("theirs", [1, 3], tmp_path / "ours")):
        run(data, tmp_path / name, task(seeds=seeds), earlier=[earlier])
        for file in ("model/model.safetensors", "seeds/pretrained-1.json"):
            assert (tmp_path / name / file).read_bytes() == (finished / file).read_bytes()
    run(data, tmp_path / "shorter", task(seeds=[1], epochs=1), earlier=[finished])
    shorter = json.loads((tmp_path / "shorter" / "results.json").read_text())["pretrained"]["seeds"][0]
    assert shorter["test"] != json.loads((finished / "seeds" / "pretrained-1.json").read_text())["test"]
    weights = tmp_path / "theirs" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    run(data, tmp_path / "anew", task(seeds=[1]), earlier=[tmp_path / "theirs"])
    assert (tmp_path / "anew" / "model" / "model.safetensors").read_bytes() != weights.read_bytes(), "trained anew"


def test_a_model_of_other_settings_is_another_though_its_weights_are_equal(data: Path) -> None:
    """Heads, activation and dropout have no weights; a finished seed of one model is none of the other's."""
    ours = shared_task(data).fingerprint
    config = data / "model" / "config.json"
    text = config.read_text(encoding="utf-8")
    try:
        config.write_text(text.replace('"hidden_act": "gelu"', '"hidden_act": "relu"'), encoding="utf-8")
        assert config.read_text(encoding="utf-8") != text
        assert shared_task(data).fingerprint != ours
    finally:
        config.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("norm", "norm_position"), [("batch", "post"), ("batch", "pre"), ("rms", "post")])
def test_a_model_of_other_norms_is_fine_tuned(data: Path, tmp_path: Path, norm: Any, norm_position: Any) -> None:
    """BatchNorm's running averages are the pretrained ones at first, and those of the saved classifier at last."""
    sizes = {"layers": 1, "heads": 2, "width": 32, "initialisation_std": 0.1}
    settings = ModelSettings(norm=norm, norm_position=norm_position, **sizes)  # type: ignore[arg-type]
    tokenizer = Tokenizer.load(data / "tokenizer")
    size, pad_id = tokenizer.vocabulary_size, tokenizer.pad_id
    model = build(settings, vocabulary_size=size, length=16, pad_id=pad_id, pairs=False, seed=7)
    for name, tensor in model.state_dict().items():
        if "running" in name:
            tensor.add_(0.5)
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", model, tokenizer)
    for name in ("train.txt", "test.txt"):
        shutil.copy(data / name, tmp_path / name)
    begins = _classifier(shared_task(tmp_path), "pretrained", 1).state_dict()
    assert all(torch.equal(begins[n], t) for n, t in model.state_dict().items() if n.startswith("encoder."))
    results = run(tmp_path, tmp_path / "task", task(seeds=[1]))["pretrained"]["seeds"][0]
    assert results["test"]["accuracy"] > 0.9
    loaded = predict.load(tmp_path / "task" / "model")
    examples = read_table(data / "test.txt", "document", "label")
    right = [p.label == label for p, label in zip(loaded.predict(examples.texts), examples.labels, strict=True)]
    assert np.mean(right) == pytest.approx(results["test"]["accuracy"])


def test_random_weights_stand_beside_the_pretrained_ones(data: Path, tmp_path: Path) -> None:
    results = run(data, tmp_path, task(seeds=[1], epochs=0.5, from_random_weights=True))
    for group in (results["pretrained"], results["random_weights"]):
        assert len(group["seeds"]) == 1
        assert group["std"] == {"train": {"accuracy": None, "loss": None}, "test": {"accuracy": None, "loss": None}}
    starts = [line["start"] for line in without_times(tmp_path)[1]]
    assert starts == sorted(starts) == ["pretrained"] * 2 + ["random"] * 2


def shared_task(data: Path, **changes: Any) -> Any:
    settings = task(**changes)
    recipe = Recipe(name="tiny", data=data, training={"device": "cpu", "precision": "float32"}, tasks=[settings])  # type: ignore[arg-type]
    return prepare(recipe, settings, data / "model")[0]


def test_the_start_decides_the_encoder_and_the_seed_the_rest(data: Path) -> None:
    shared = shared_task(data)
    saved = load_model(data / "model")[0].state_dict()
    runs: list[tuple[Start, int]] = [("pretrained", 1), ("random", 1), ("pretrained", 2)]
    pretrained, random, other = (_classifier(shared, start, seed).state_dict() for start, seed in runs)
    for name, value in pretrained.items():
        if name.startswith("encoder."):
            assert torch.equal(value, saved[name])
            assert torch.equal(value, other[name])
        else:
            assert torch.equal(value, random[name])
            assert torch.equal(value, other[name]) == (value.ndim == 1), "biases start at 0, matrices with the seed"
    assert not torch.equal(pretrained["encoder.embeddings.token.weight"], random["encoder.embeddings.token.weight"])


def test_the_tasks_dropout_reaches_every_place(data: Path) -> None:
    def shares(**changes: Any) -> set[float]:
        classifier = _classifier(shared_task(data, **changes), "pretrained", 1)
        return {module.share for module in classifier.modules() if isinstance(module, Dropout)} - {0.0}

    assert shares(dropout=0.25) == {0.25}
    assert shares(dropout=0.0) == set()
    assert shares() == {0.1}


def test_a_rows_logits_do_not_depend_on_its_company(data: Path) -> None:
    shared = shared_task(data)
    classifier = _classifier(shared, "pretrained", 1).eval()
    together, apart = (
        map_rows(classifier.logits, shared.train.features, device=torch.device("cpu"), tokens=tokens)
        for tokens in (10_000, 1)
    )
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_class_weights_and_layer_decay_reach_training(data: Path) -> None:
    shared = shared_task(data, class_weights="balanced", layer_decay=0.5)
    classifier = _classifier(shared, "pretrained", 1)
    positives = int(shared.train.labels.sum())
    assert isinstance(classifier.class_weights, torch.Tensor)
    np.testing.assert_allclose(classifier.class_weights, [100 / (200 - positives), 100 / positives], rtol=1e-6)
    assert "class_weights" not in classifier.state_dict()
    batch = shared.train.features.batch(np.arange(8), {"classification": shared.train.labels})
    labels = torch.from_numpy(shared.train.labels[:8])
    with torch.no_grad():
        each = torch.nn.functional.cross_entropy(classifier.eval().logits(batch), labels, reduction="none")
        found = classifier.losses(batch)["classification"]
    torch.testing.assert_close(found.loss, (each * classifier.class_weights[labels]).sum())
    assert found.count == 8
    factors = {group.get("rate_factor", 1.0) for group in _learner(shared, classifier, 1).optimizer.param_groups}
    assert factors == {1.0, 0.5}
    assert _classifier(shared_task(data), "pretrained", 1).class_weights is None


def test_the_rate_rises_over_a_share_of_all_steps_and_falls_to_nothing(data: Path, tmp_path: Path) -> None:
    settings = task(warmup_frac=0.2, peak_learning_rate=1e-3, seeds=[1], epochs=2)
    run(data, tmp_path, settings, log_every_steps=1)
    lines = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    rates = [line["learning_rate"] for line in lines if line["kind"] == "train"]
    expected = [1e-3 * (step / 10 if step < 10 else (50 - step) / 40) for step in range(50)]
    assert rates == pytest.approx(expected)


def test_weight_decay_is_the_tasks(data: Path) -> None:
    shared = shared_task(data, weight_decay=0.3)
    optimizer = _learner(shared, _classifier(shared, "pretrained", 1), 1).optimizer
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.3}


def test_every_epoch_of_every_seed_has_an_order_of_its_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []

    def noted(*arguments: Any) -> Any:
        batches = training_batches(*arguments)
        orders.append(np.concatenate(batches).tolist())
        return batches

    monkeypatch.setattr("cloze.tasks.finetuning.training_batches", noted)
    run(data, tmp_path, task(epochs=2, seeds=[1, 2]))
    assert len({tuple(order) for order in orders}) == len(orders) == 4
    assert all(sorted(order) == list(range(200)) for order in orders)


def test_a_mean_over_no_label_is_nothing() -> None:
    """Steps of taggers whose texts have no token with a tag."""
    nothing = torch.zeros(1, 2, dtype=torch.float64)
    found = _mean([StepResult((0,), nothing, torch.zeros(()), torch.zeros(0, 2))])
    assert (found.loss, found.accuracy, found.count) == (0.0, 0.0, 0)


def test_rows_longer_than_the_position_table_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"task reviews: rows of 17 tokens, .* positions for 16"):
        run(data, tmp_path, task(length=17))


def test_a_loss_that_explodes_stops_with_its_place(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"step 20 of task reviews \(pretrained, seed 1\).*peak_learning_rate"):
        run(data, tmp_path, task(peak_learning_rate=1e30, warmup_frac=0.0))
    assert not list(tmp_path.glob("seeds/*"))
