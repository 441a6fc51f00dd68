"""What is compared with what, on which observations."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence

import pytest
from scipy import stats

from cloze.recipe import Recipe
from cloze.study.comparisons import (
    Comparison,
    compare_all,
    compare_losses,
    compare_together,
    losses_compare,
    scope_of,
    score_all,
)
from cloze.study.variants import Variant, read_variants
from tests.study.conftest import MakeStudy, write_run, write_runs

CROSSED = {"format": ["pairs", "sentences", "documents"], "corpus": ["reviews", "wiki"]}
SCORES: dict[str, list[list[float | None]]] = {
    "pairs, reviews": [[0.80], [0.82], [0.81]],
    "pairs, wiki": [[0.70], [0.73], [0.71]],
    "sentences, reviews": [[0.81], [0.84], [0.82]],
    "sentences, wiki": [[0.70], [0.72], [0.73]],
    "documents, reviews": [[0.90], [0.92], [0.905]],
    "documents, wiki": [[0.79], [0.81], [0.82]],
}


def compare(
    make_study: MakeStudy,
    axes: Mapping[str, Sequence[str]],
    scores: Mapping[str, Sequence[Sequence[float | None]]],
    seeds: Sequence[int] = (1, 2, 3),
) -> tuple[list[Variant], list[Comparison]]:
    _, cells = make_study(axes, seeds)
    write_runs(cells, scores)
    variants = read_variants(cells)
    return variants, compare_all(variants, score_all(variants))


def test_one_axis_is_compared_with_its_first_value(make_study: MakeStudy) -> None:
    scores = {"a": [[0.8, 0.82, 0.81]], "b": [[0.9, 0.93, 0.91]], "c": [[0.8, 0.81, 0.82]]}
    _, found = compare(make_study, {"x": ["a", "b", "c"]}, scores, seeds=[1])
    assert [(one.variant, one.base, one.others) for one in found] == [("b", "a", {}), ("c", "a", {})]


def test_two_axes_are_compared_one_at_a_time(make_study: MakeStudy) -> None:
    _, found = compare(make_study, CROSSED, SCORES)
    assert [(one.axis, one.variant, one.base) for one in found] == [
        ("format", "sentences, reviews", "pairs, reviews"),
        ("format", "documents, reviews", "pairs, reviews"),
        ("format", "sentences, wiki", "pairs, wiki"),
        ("format", "documents, wiki", "pairs, wiki"),
        ("corpus", "pairs, wiki", "pairs, reviews"),
        ("corpus", "sentences, wiki", "sentences, reviews"),
        ("corpus", "documents, wiki", "documents, reviews"),
    ]
    assert found[2].others == {"corpus": "wiki"} and (found[2].value, found[2].base_value) == ("sentences", "pairs")


def test_along_an_axis_of_within_nothing_is_compared(make_study: MakeStudy) -> None:
    _, cells = make_study(CROSSED, [1, 2, 3])
    write_runs(cells, SCORES)
    variants = read_variants(cells)
    found = compare_all(variants, score_all(variants), within=["corpus"])
    assert [one.axis for one in found] == ["format"] * 4
    tested = [one for one in found if one.difference and one.difference.p is not None]
    smallest = min(tested, key=lambda one: one.difference.p if one.difference and one.difference.p else 1.0)
    assert smallest.difference and smallest.difference.p
    assert smallest.p == pytest.approx(min(1.0, 4 * smallest.difference.p)), "corrected for what is compared"


def test_every_test_is_scipys_and_all_of_them_are_corrected_together(make_study: MakeStudy) -> None:
    _, found = compare(make_study, CROSSED, SCORES)
    flat = {name: [value for group in groups for value in group] for name, groups in SCORES.items()}
    wanted = [float(stats.ttest_rel(flat[one.variant], flat[one.base]).pvalue) for one in found]
    assert [one.difference and one.difference.p for one in found] == pytest.approx(wanted)
    smallest = min(range(len(found)), key=lambda i: wanted[i])
    assert found[smallest].p == pytest.approx(min(1.0, 7 * wanted[smallest])), "Holm: times the number of all"


def test_an_axis_is_compared_over_the_other_together(make_study: MakeStudy) -> None:
    variants, _ = compare(make_study, CROSSED, SCORES)
    found = compare_together(variants, score_all(variants))
    assert [(one.axis, one.value, one.base_value, one.over) for one in found] == [
        ("format", "sentences", "pairs", ("corpus",)),
        ("format", "documents", "pairs", ("corpus",)),
        ("corpus", "wiki", "reviews", ("format",)),
    ]
    flat = {name: [value for group in groups for value in group] for name, groups in SCORES.items()}
    columns = [
        ["sentences, reviews", "sentences, wiki"],
        ["documents, reviews", "documents, wiki"],
        ["pairs, wiki", "sentences, wiki", "documents, wiki"],
    ]
    bases = [["pairs, reviews", "pairs, wiki"]] * 2 + [["pairs, reviews", "sentences, reviews", "documents, reviews"]]
    sides = [
        [[score for name in names for score in flat[name]] for names in both]
        for both in zip(columns, bases, strict=True)
    ]
    wanted = [float(stats.ttest_rel(*both).pvalue) for both in sides]
    assert [one.difference and one.difference.p for one in found] == pytest.approx(wanted)
    assert [one.difference and one.difference.pairs for one in found] == [6, 6, 9]
    assert found[1].p == pytest.approx(min(2 * wanted[1], 1.0)), "the second smallest of a family of three"
    assert [one.axis for one in compare_together(variants, score_all(variants), within=["corpus"])] == ["format"] * 2
    variants, _ = compare(make_study, {"x": ["a", "b"]}, {"a": [[0.5, 0.6]], "b": [[0.6, 0.7]]}, seeds=[1])
    assert compare_together(variants, score_all(variants)) == [], "there is no other axis"


def test_a_mean_over_an_axis_never_leaves_a_part_of_it_out(make_study: MakeStudy) -> None:
    variants, _ = compare(make_study, CROSSED, {**SCORES, "sentences, wiki": [[0.7], [None], [0.73]]})
    found = {one.value: one for one in compare_together(variants, score_all(variants))}
    assert found["sentences"].why_not == "no score on t from 1 of 3 runs of sentences, wiki"
    assert found["wiki"].difference is None and found["documents"].difference
    shutil.rmtree("runs")
    apart: dict[str, list[list[float | None]]] = {"sentences, wiki": [[0.7], [], []], "pairs, wiki": [[], [0.7], [0.8]]}
    variants, _ = compare(make_study, CROSSED, {**SCORES, **apart})
    found = {one.value: one for one in compare_together(variants, score_all(variants))}
    assert found["sentences"].why_not == "sentences, wiki and pairs, wiki have no common seed"
    assert found["documents"].difference and found["documents"].difference.pairs == 4


def test_every_part_of_a_mean_has_the_same_seeds(make_study: MakeStudy) -> None:
    """Else a part with more of them would weigh more, and the mean could lie on the other side of the grid's."""
    scores: dict[str, list[list[float | None]]] = {**SCORES, "documents, reviews": [[0.95], [0.97], []]}
    variants, _ = compare(make_study, CROSSED, scores)
    of_documents = compare_together(variants, score_all(variants))[1]
    wanted = (0.95 - 0.80 + 0.97 - 0.82 + 0.79 - 0.70 + 0.81 - 0.73) / 4
    assert of_documents.difference and of_documents.difference.pairs == 4
    assert of_documents.difference.mean == pytest.approx(wanted)
    one_seed = {name: groups[:1] for name, groups in SCORES.items()}
    shutil.rmtree("runs")
    variants, _ = compare(make_study, CROSSED, one_seed, seeds=[1])
    assert compare_together(variants, score_all(variants)) == [], "no seed is repeated"


@pytest.mark.parametrize("link", ["pretraining", "tasks/t"])
def test_combinations_that_share_their_models_are_one_observation(make_study: MakeStudy, link: str) -> None:
    """They share their luck: counted apart, differences would look surer than they are."""
    axes = {"x": ["a", "b"], "y": ["c", "d", "e"]}
    _, cells = make_study(axes, [1, 2, 3])
    folders = {
        (cell.variant, cell.seed): write_run(cell.recipe, [{"a": 0.5, "b": 0.51}[cell.variant[0]] + cell.seed**2 / 900])
        for cell in cells
    }
    for (variant, seed), folder in folders.items():
        x, _, y = variant.partition(", ")
        if y != "c":
            shutil.rmtree(folder / "pretraining")
            (folder / "pretraining").symlink_to(folders[f"{x}, c", seed].resolve() / "pretraining")
            if link != "pretraining":
                shutil.rmtree(folder / link)
                (folder / link).symlink_to(folders[f"{x}, c", seed].resolve() / link)
    variants = read_variants(cells)
    found = [one for one in compare_together(variants, score_all(variants)) if one.axis == "x"]
    assert [one.difference.pairs if one.difference else 0 for one in found] == [3], "as many as there are seeds"


def test_three_axes_hold_both_others_fixed(make_study: MakeStudy) -> None:
    axes = {"x": ["a", "b"], "y": ["c", "d"], "z": ["e", "f"]}
    names = [f"{x}, {y}, {z}" for x in "ab" for y in "cd" for z in "ef"]
    _, found = compare(make_study, axes, {name: [[0.5, 0.6]] for name in names}, seeds=[1])
    assert len(found) == 3 * 4
    last = found[-1]
    assert (last.variant, last.base, last.others) == ("b, d, f", "b, d, e", {"x": "b", "y": "d"})


def test_seeds_of_one_pretrained_model_are_observations_only_among_themselves(make_study: MakeStudy) -> None:
    one = {"a": [[0.8, 0.9, 0.85]], "b": [[0.7, 0.7, 0.9]]}
    variants, (found,) = compare(make_study, {"x": ["a", "b"]}, one, seeds=[1])
    assert scope_of(variants) == "fine-tuning seeds" and found.difference and found.difference.pairs == 3
    several = {"a": [[0.8, 0.9], [0.7, 0.7]], "b": [[0.6, 0.9], [0.5, 0.8]]}
    variants, (found,) = compare(make_study, {"x": ["a", "b"]}, several, seeds=[1, 2])
    assert scope_of(variants) == "pretraining seeds"
    assert found.difference and found.difference.pairs == 2 and found.difference.mean == pytest.approx(-0.075)
    assert list(score_all(variants)[0].values.items()) == [((1,), pytest.approx(0.85)), ((2,), 0.7)]


def test_pairs_are_of_equal_seeds_where_cells_are_missing(make_study: MakeStudy) -> None:
    scores: dict[str, list[list[float]]] = {
        "a": [[0.8], [0.9], []],
        "b": [[], [0.95], [0.99]],
        "c": [[], [], [0.7]],
        "d": [[], [], []],
    }
    variants, found = compare(make_study, {"x": list("abcd")}, scores)
    assert variants[1].missing == [1] and variants[3].missing == [1, 2, 3]
    first = found[0].difference
    assert first is not None and first.pairs == 1 and first.mean == pytest.approx(0.05) and first.p is None
    assert [one.why_not for one in found[1:]] == ["c and a have no common seed", "no cell of d has finished"]
    assert [one.difference for one in found[1:]] == [None, None]
    one_run_is_one_observation = score_all(variants)[2].estimate
    assert one_run_is_one_observation and one_run_is_one_observation.observations == 1


def test_other_pretraining_seeds_are_no_pairs(make_study: MakeStudy) -> None:
    scores = {"a": [[0.8, 0.9], []], "b": [[], [0.7, 0.6]]}
    _, (found,) = compare(make_study, {"x": ["a", "b"]}, scores, seeds=[1, 2])
    assert found.difference is None and found.why_not == "b and a have no common seed"


def test_a_mean_never_leaves_out_the_runs_that_went_wrong(make_study: MakeStudy) -> None:
    scores: dict[str, list[list[float | None]]] = {
        "a": [[0.8, 0.9, 0.85]],
        "b": [[0.99, float("nan"), 0.98]],
        "c": [[0.8, None, 0.9]],
    }
    variants, found = compare(make_study, {"x": ["a", "b", "c"]}, scores, seeds=[1])
    of_b = score_all(variants)[1]
    assert of_b.estimate is None and of_b.scoreless == 1 and list(of_b.values.values()) == [0.99, 0.98]
    assert [one.why_not for one in found] == [
        "no score on t from 1 of 3 runs of b",
        "no score on t from 1 of 3 runs of c",
    ]


def test_what_an_earlier_recipe_left_is_no_result_of_a_cell_that_failed(make_study: MakeStudy) -> None:
    _, cells = make_study({"x": ["a", "b"]})
    write_runs(cells, {"a": [[0.8]], "b": [[0.9]]})
    variants = read_variants(cells, {"s-b-1": "the disk is full"})
    assert variants[1].runs == {} and variants[1].missing == [1]


def test_losses_are_compared_seed_by_seed_and_corrected_for_themselves(make_study: MakeStudy) -> None:
    _, cells = make_study({"x": ["a", "b", "c"]}, [1, 2, 3])
    losses = {"a": [5.0, 5.2, 5.1], "b": [6.0, 6.3, 6.15], "c": [5.0, 5.25, 5.08]}
    for cell in cells:
        write_run(cell.recipe, [0.5], loss=losses[cell.variant][cell.seed - 1])
    found = compare_losses(read_variants(cells))
    wanted = [float(stats.ttest_rel(losses[name], losses["a"]).pvalue) for name in "bc"]
    assert [(one.variant, one.base, one.task, one.unit) for one in found] == [
        ("b", "a", "MLM loss", "nats"),
        ("c", "a", "MLM loss", "nats"),
    ]
    assert [one.difference and one.difference.p for one in found] == pytest.approx(wanted)
    assert found[0].p == pytest.approx(2 * wanted[0]) and found[0].real and not found[1].real
    assert compare_losses(read_variants(cells), within=["x"]) == []


def test_losses_of_questions_that_each_run_asks_itself_are_not_compared(make_study: MakeStudy) -> None:
    """A worse generator of ELECTRA makes the replaced tokens easier to find."""
    _, cells = make_study({"x": ["a", "b"]}, [1, 2, 3])
    for cell in cells:
        file = write_run(cell.recipe, [0.5], loss=5 + cell.seed / 10) / "pretraining" / "metrics.jsonl"
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        both = [line | {"replaced_tokens/loss": line["masked_tokens/loss"] / 7} for line in lines]
        file.write_text("".join(json.dumps(line) + "\n" for line in both), encoding="utf-8")
    variants = read_variants(cells)
    assert len(variants[0].losses("replaced_tokens")) == 3, "it is there"
    assert [one.task for one in compare_losses(variants)] == ["MLM loss"]


def test_a_run_is_not_compared_with_itself(make_study: MakeStudy) -> None:
    """Variants that differ after a stage share it; p of a stage with itself is no evidence, and would cost others."""
    _, cells = make_study({"x": ["a", "b", "c"]}, [1, 2])
    folders = {(cell.variant, cell.seed): write_run(cell.recipe, [0.5 + cell.seed / 10]) for cell in cells}
    for seed in (1, 2):
        for link in ("pretraining", "tasks/t"):
            shutil.rmtree(folders["b", seed] / link)
            (folders["b", seed] / link).symlink_to(folders["a", seed].resolve() / link)
    variants = read_variants(cells)
    scored, losses = compare_all(variants, score_all(variants)), compare_losses(variants)
    assert [(one.variant, one.why_not) for one in scored] == [("b", "b and a share their runs of t"), ("c", "")]
    assert [one.variant for one in losses] == ["c"]


def test_losses_of_one_seed_are_not_compared(make_study: MakeStudy) -> None:
    _, cells = make_study({"x": ["a", "b"]}, [1])
    write_runs(cells, {"a": [[0.5, 0.6]], "b": [[0.5, 0.7]]})
    assert compare_losses(read_variants(cells)) == []


@pytest.mark.parametrize(
    ("settings", "alike"),
    [
        ({"masking": {"copies": 3}}, True),
        ({"training": {"steps": 7}, "seed": 9, "model": {"activation": "relu"}}, True),
        ({"masking": {"target_frac": 0.3}}, False),
        ({"masking": {"unit": "word"}}, False),
        ({"inputs": {"length": 32}}, False),
        ({"data": "elsewhere"}, False),
        ({"start_from": "model"}, False),
        ({"corpus": {"max_documents": 10}}, False),
        ({"tokenizer": {"vocabulary_size": 300}}, False),
        ({"model": {"family": "roberta"}, "inputs": {"format": "full-sentences"}}, False),
    ],
)
def test_losses_compare_where_they_are_means_over_the_same_tokens(settings: dict[str, object], alike: bool) -> None:
    assert losses_compare(Recipe.model_validate({"name": "a", **settings}), Recipe(name="b")) is alike
