"""Raw text to report through the real command line, and what comes after: use, repeat, break."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.end_to_end.workplace import TINY, Workplace, flags

pytestmark = pytest.mark.xdist_group("end_to_end")

STAGES = ("corpus", "tokenizer", "store", "pretraining", "tasks/reviews")


def stamps(folder: Path) -> dict[str, int]:
    """Every file of the finished stages and when it was written."""
    files = (folder / "runs" / "stages").glob("[!.]*/**/*")
    return {str(path): path.stat().st_mtime_ns for path in files if path.is_file()}


def test_a_run_leaves_every_stage_with_its_manifest(finished: Workplace) -> None:
    run = finished.folder / "runs" / "quickstart"
    for stage in STAGES:
        manifest = json.loads((run / stage / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["counts"], stage
        assert manifest["files"], stage
    assert not list((finished.folder / "runs" / "stages").glob("*.partial"))
    rows = json.loads((run / "pretraining" / "manifest.json").read_text(encoding="utf-8"))["rows"]
    assert rows["train"]["rows"] > rows["validation"]["rows"] > 0
    assert {"truncated_tokens", "truncated_random_tokens"} <= rows["train"].keys()
    lines = (run / "pretraining" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"train", "validation"}
    guesses = [json.loads(line) for line in (run / "pretraining" / "guesses.jsonl").read_text().splitlines()]
    assert {line["step"] for line in guesses} == {0, 3, 6}
    results = json.loads((run / "tasks" / "reviews" / "results.json").read_text(encoding="utf-8"))
    assert results["pretrained"]["mean"]["test"]["accuracy"] > 0
    assert results["random_weights"]["mean"]["test"]["accuracy"] > 0
    assert "torch" in json.loads((run / "run.json").read_text(encoding="utf-8"))["versions"]


def test_a_run_ends_with_the_tables_and_the_report(finished: Workplace) -> None:
    printed = (finished.folder / "run.out").read_text(encoding="utf-8")
    assert "NSP" in printed and "MLM" in printed
    assert "synthetic" in printed
    path = printed.splitlines()[-1].removeprefix("Report: ")
    assert (finished.folder / path).stat().st_size > 10_000


def test_a_second_run_makes_nothing_again(finished: Workplace) -> None:
    before = stamps(finished.folder)
    done = finished.run()
    assert done.returncode == 0, done.stderr
    assert stamps(finished.folder) == before
    assert "pretraining" not in done.stderr


def test_a_kill_in_the_first_checkpoint_does_not_lose_the_start_from_counts(
    finished: Workplace, tmp_path: Path
) -> None:
    """What a kill leaves there is no checkpoint, so training begins again, and from the same weights."""

    def losses(runs: Path) -> list[float]:
        lines = (runs / "quickstart" / "pretraining" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [x["masked_tokens/loss"] for x in map(json.loads, lines)]

    first = finished.folder / "runs"
    stages = tmp_path / "stages"
    shutil.copytree(first / "stages", stages, ignore=lambda folder, names: [n for n in names if n.startswith("task-")])
    pretraining = stages / (first / "quickstart" / "pretraining").resolve().name
    manifest = json.loads((pretraining / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["model"]["initialisation"] == "ppmi" and manifest["initialisation"]["counted_tokens"]
    shutil.rmtree(pretraining)
    half = stages / f"{pretraining.name}.partial" / "checkpoints" / "step-00000003.partial"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half a file")
    done = finished.run(output=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path) == losses(first)


def test_a_mistake_in_labelled_text_shows_before_anything_is_made(finished: Workplace, tmp_path: Path) -> None:
    sample = finished.folder / "data" / "sample"
    data = tmp_path / "data"
    shutil.copytree(sample, data)
    reviews = next(data.glob("*test*"))
    reviews.write_text("id\tdocument\tlabel\n1\t좋다\tunheard of\n", encoding="utf-8")
    done = finished.run(data=str(data), output=str(tmp_path / "runs"))
    assert done.returncode == 2 and "line 2: the label 'unheard of' never occurs" in done.stderr
    assert not (tmp_path / "runs" / "stages").exists()


def test_a_longer_training_shares_what_comes_before_it(finished: Workplace) -> None:
    before = stamps(finished.folder)
    done = finished.run(training__steps="8", name="longer")
    assert done.returncode == 0, done.stderr
    after = stamps(finished.folder)
    assert {name: after[name] for name in before} == before
    new = {
        Path(name).relative_to(finished.folder / "runs" / "stages").parts[0].split("-")[0]
        for name in after.keys() - before.keys()
    }
    assert new == {"pretraining", "task"}


def test_the_models_are_used_from_the_command_line(finished: Workplace) -> None:
    filled = finished.cloze("fill", "runs/quickstart/pretraining/model", "이 영화 정말 [MASK]", "--top", "3")
    assert filled.returncode == 0, filled.stderr
    assert len(filled.stdout.splitlines()) == 3
    predicted = finished.bash(
        "printf '정말 재미있다\\n\\n지루하다\\n' | cloze predict runs/quickstart/tasks/reviews/model"
    )
    assert predicted.returncode == 0, predicted.stderr
    rows = [line.split("\t") for line in predicted.stdout.splitlines()]
    assert [row[2] for row in rows] == ["정말 재미있다", "", "지루하다"]
    assert {row[0] for row in rows} <= {"0", "1"}
    wrong = finished.cloze("predict", "runs/quickstart", "recipes/quickstart.yaml")
    assert wrong.returncode == 2
    assert "tasks/reviews/model" in wrong.stderr


def test_rows_are_shown(finished: Workplace) -> None:
    shown = finished.cloze("inspect", "recipes/quickstart.yaml", *flags(), "--step", "2", "--rows", "3")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("tokens ·") == 3
    assert "[CLS]" in shown.stdout and "→[MASK]" in shown.stdout


def test_the_report_can_be_written_again(finished: Workplace) -> None:
    path = finished.folder / "runs" / "quickstart" / "report.html"
    path.unlink()
    done = finished.cloze("report", "runs/quickstart")
    assert done.returncode == 0, done.stderr
    assert path.exists()


def test_a_roberta_with_byte_level_bpe_goes_the_same_way(workplace: Workplace) -> None:
    done = workplace.run(
        "recipes/roberta-base.yaml",
        corpus__sources="[corpus/reviews.txt.gz]",
        data="../shared/data",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    model = "runs/roberta-base/pretraining/model"
    assert '"ByteLevel"' in (workplace.folder / model / "tokenizer.json").read_text(encoding="utf-8")
    filled = workplace.cloze("fill", model, "이 영화 정말 <mask>")
    assert filled.returncode == 0 and len(filled.stdout.splitlines()) == 5


RECIPES = {
    "bert-base": {"corpus.validation_frac": "0.2"},
    "study-bert": {"corpus.kind": "text", "corpus.validation_frac": "0.2"},
    "nsmc": {},
    "nsmc-record": {"tasks.0.seeds": "[1, 2]", "tasks.1.seeds": "[1]", "tasks.1.epochs": "0.01", "tasks.1.length": "9"},
    "albert-base": {"tokenizer.vocabulary_size": "1000", "model.embedding_width": "8", "masking.longest_ngram": "2"},
    "electra-small": {"model.embedding_width": "8", "model.generator_frac": "0.5"},
    "spanbert-base": {},
    "modernbert-base": {"model.layers": "2", "model.global_every": "2", "model.local_window": "8"},
}
"""The other recipes, and what makes each of them tiny."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_goes_the_same_way(workplace: Workplace, recipe: str) -> None:
    """From text to a classifier, and the pretrained model fills gaps."""
    changes = {key.replace(".", "__"): value for key, value in RECIPES[recipe].items()}
    changes |= {"corpus__sources": "[corpus/reviews.txt.gz]", "data": "../shared/data"}
    done = workplace.run(f"recipes/{recipe}.yaml", **changes)
    assert done.returncode == 0, done.stdout + done.stderr
    filled = workplace.cloze("fill", f"runs/{recipe}/pretraining/model", "이 영화 정말 [MASK]")
    assert filled.returncode == 0, filled.stderr
    assert len(filled.stdout.splitlines()) == 5


def test_a_study_runs_its_cells_and_goes_on(finished: Workplace) -> None:
    """Two variants and a pair task; what is there is not made again."""
    folder = finished.folder
    reviews = (folder / "data" / "sample" / "reviews_train.txt").read_text(encoding="utf-8").splitlines()[1:120]
    pairs = [f"{line.split(chr(9))[1]}\t{line.split(chr(9))[1]}\t{place % 5}" for place, line in enumerate(reviews)]
    (folder / "pairs.tsv").write_text("\n".join(["a\tb\tscore", *pairs]) + "\n", encoding="utf-8")
    task = f"{{name: pairs, kind: regression, train: {folder}/pairs.tsv, test: {folder}/pairs.tsv, text_column: a, "
    task += "second_text_column: b, label_column: score, epochs: 0.5, length: 32, seeds: [1, 2]}"
    (folder / "study.yaml").write_text(
        "name: tiny\nbase: recipes/quickstart.yaml\nbudget: equal steps\n"
        f"settings: {{tasks: [{task}]}}\n"
        "axes: {masks: {dynamic: {}, fixed: {masking.copies: 1}}}\n",
        encoding="utf-8",
    )
    own = {f"--{key}": value for key, value in TINY.items() if not key.startswith("tasks")}
    words = shlex.join([word for pair in own.items() for word in pair])
    planned = finished.bash(f"cloze study study.yaml {words} --dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "tiny-fixed-1" in planned.stdout
    done = finished.bash(f"cloze study study.yaml {words}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 cells" in done.stdout and "pretrained once" in " ".join(done.stdout.split())
    results = json.loads((folder / "runs" / "studies" / "tiny" / "results.json").read_text(encoding="utf-8"))
    assert {score["measure"] for score in results["scores"]} == {"spearman"}
    before = stamps(folder)
    again = finished.bash(f"cloze study study.yaml {words}")
    assert again.returncode == 0 and stamps(folder) == before
    (folder / "runs" / "tiny-fixed-1" / "run.json").unlink()
    so_far = finished.bash(f"cloze study study.yaml {words} --so-far")
    assert so_far.returncode == 0 and "1 of 2 cells" in so_far.stdout, so_far.stderr
    assert not (folder / "runs" / "tiny-fixed-1" / "run.json").exists(), "it runs nothing"
    table = folder / "runs" / "studies" / "tiny" / "table.md"
    assert "Not finished: tiny-fixed-1." in table.read_text(encoding="utf-8")
    failed = finished.bash(f"cloze study study.yaml {words} --data nowhere --output elsewhere")
    assert failed.returncode == 2 and "2 of 2 cells failed" in failed.stderr
    assert "tiny-fixed-1: the recipe names files that are not there" in failed.stderr
    model = "runs/tiny-fixed-1/tasks/pairs/model"
    scored = finished.bash(f"printf '좋다\\t좋다\\n' | cloze predict {model} --pairs")
    assert scored.returncode == 0, scored.stderr
    assert math.isfinite(float(scored.stdout.split("\t")[0]))
    wrong = finished.bash(f"echo 좋다 | cloze predict {model} --pairs")
    assert wrong.returncode == 2 and "line 1 has 0 tabs, expected one between two texts" in wrong.stderr


def test_a_search_finds_a_recipe_that_runs(finished: Workplace) -> None:
    """Two trials on the pretrained model that is there; the best recipe makes nothing anew."""
    (finished.folder / "search.yaml").write_text(
        "name: rates\nbase: recipes/quickstart.yaml\n"
        "settings: {tasks.0.development_frac: 0.2, tasks.0.from_random_weights: false}\n"
        "search:\n  space: {tasks.0.peak_learning_rate: {low: 1e-4, high: 1e-2, scale: log}}\n"
        "  maximise: reviews\n  trials: 2\n",
        encoding="utf-8",
    )
    planned = finished.cloze("study", "search.yaml", *flags(), "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "0 trials finished, 0 begun, 2 to come" in planned.stdout
    so_far = finished.cloze("study", "search.yaml", *flags(), "--so-far")
    assert so_far.returncode == 2 and "--so-far is for grids" in so_far.stderr
    done = finished.cloze("study", "search.yaml", *flags())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is the best of 2" in " ".join(done.stdout.split())
    before = stamps(finished.folder)
    best = finished.cloze("run", "runs/studies/rates/best.yaml")
    assert best.returncode == 0, best.stdout + best.stderr
    assert stamps(finished.folder) == before


def test_a_users_own_file_needs_no_recipe(finished: Workplace) -> None:
    reviews = (finished.folder / "data" / "sample" / "reviews_train.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t")[1:] for line in reviews[1:200]]
    table = "review,stars\n" + "".join(f'"{text}",{label}\n' for text, label in rows)
    (finished.folder / "my.csv").write_text(table, encoding="utf-8")
    command = "cloze finetune runs/quickstart/pretraining/model --data my.csv --text review --label stars --seeds 1"
    done = finished.bash(f"{command} --epochs 0.2 --length 32")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "classification of texts" in done.stdout and "a tenth, chosen by a hash" in " ".join(done.stdout.split())
    assert "Not finished" not in done.stdout
    folder = finished.folder / done.stdout.splitlines()[-1].removeprefix("Report: ").removesuffix("/report.html")
    predicted = finished.bash(f"echo 좋다 | cloze predict {folder}/tasks/my/model")
    assert predicted.returncode == 0, predicted.stderr
    for extra, told in (
        ("--epochs -1", "  --epochs: -1.0 is not a number (above 0); unit: epochs"),
        ("--second third", "no column 'third'"),
    ):
        wrong = finished.bash(f"{command} {extra}")
        assert wrong.returncode == 2 and told in wrong.stderr, wrong.stderr


def test_two_ranks_make_one_run_with_the_same_numbers(finished: Workplace, tmp_path: Path) -> None:
    settings = shlex.join(flags(output=str(tmp_path)))
    launch = f'"{sys.executable}" -m torch.distributed.run --standalone --nproc-per-node 2'
    done = finished.bash(f"{launch} -m cloze run recipes/quickstart.yaml {settings}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Report: ") == 1

    def losses(runs: Path) -> list[float]:
        text = (runs / "quickstart" / "pretraining" / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line)["masked_tokens/loss"] for line in text.splitlines()]

    assert losses(tmp_path) == pytest.approx(losses(finished.folder / "runs"), abs=1e-4)


def test_a_store_of_another_tokenizer_is_refused(finished: Workplace, tmp_path: Path) -> None:
    """The folders' names prevent it; somebody who copies folders by hand gets told."""
    shutil.copytree(finished.folder / "runs", tmp_path / "runs", symlinks=True)
    store = (tmp_path / "runs" / "quickstart" / "store").resolve()
    changed = flags(tokenizer__vocabulary_size="1400", output=str(tmp_path / "other"))
    other = finished.cloze("inspect", "recipes/quickstart.yaml", *changed)
    assert other.returncode == 0, other.stderr
    shutil.rmtree(store)
    (foreign,) = (tmp_path / "other" / "stages").glob("store-*")
    shutil.copytree(foreign, store)
    refused = finished.run(output=str(tmp_path / "runs"), training__steps="9")
    assert refused.returncode == 2
    assert refused.stderr.count("Traceback") == 0
    assert "vocabulary" in refused.stderr


def test_a_corpus_smaller_than_one_row_is_refused(finished: Workplace) -> None:
    refused = finished.cloze("inspect", "recipes/quickstart.yaml", *flags(inputs__length="1000000"))
    assert refused.returncode == 2
    assert "error: the corpus has " in refused.stderr
    assert "fewer than one row of inputs.length 1,000,000" in refused.stderr


@pytest.mark.parametrize(("limit_blocks", "stage"), [("30", "corpus"), ("150", "")])
def test_a_disk_that_takes_no_more_is_one_message_and_nothing_is_taken_for_whole(
    workplace: Workplace, tmp_path: Path, limit_blocks: str, stage: str
) -> None:
    """`ulimit -f` (blocks of 1 KiB) stands in for a full disk: writes fail in the same way, wherever they are."""
    settings = shlex.join(flags(output=str(tmp_path)))
    done = workplace.bash(f"trap '' XFSZ; ulimit -f {limit_blocks}; cloze run recipes/quickstart.yaml {settings}")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert str(tmp_path / "stages" / stage) in done.stderr
    resumed = workplace.run(output=str(tmp_path))
    assert resumed.returncode == 0, resumed.stderr


def test_the_sample_is_the_same_for_the_same_seed(workplace: Workplace, tmp_path: Path) -> None:
    done = workplace.cloze("sample", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for path in (workplace.folder / "data" / "sample").iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_run_goes_on_from_the_model_of_another(finished: Workplace, tmp_path: Path) -> None:
    """Its tokenizer, its sizes and its weights: the losses begin where the other run ended."""

    def losses(runs: Path) -> list[float]:
        text = (runs / "quickstart" / "pretraining" / "metrics.jsonl").read_text(encoding="utf-8")
        return [x["masked_tokens/loss"] for x in map(json.loads, text.splitlines()) if x["kind"] == "validation"]

    first = finished.folder / "runs"
    changes = flags(output=str(tmp_path), tokenizer__vocabulary_size="1400", model__layers="3")
    start = str(first / "quickstart" / "pretraining" / "model")
    done = finished.cloze("run", "recipes/quickstart.yaml", *changes, "--from", start)
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path)[0] < losses(first)[0]
    for name in ("tokenizer/tokenizer.json", "pretraining/model/tokenizer.json"):
        ours, theirs = (runs / "quickstart" / name for runs in (tmp_path, first))
        assert ours.read_bytes() == theirs.read_bytes()
    config = json.loads((tmp_path / "quickstart" / "pretraining" / "model" / "config.json").read_text())
    assert config["num_hidden_layers"] == 1
    assert "layers: 1 " in (tmp_path / "quickstart" / "recipe.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", [None, "reviews"])
def test_a_model_is_exported_with_its_card(finished: Workplace, tmp_path: Path, task: str | None) -> None:
    import yaml
    from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path / "exported"
    flag = [] if task is None else ["--task", task]
    command = ("export", "runs/quickstart", str(folder), *flag, "--licence", "cc0-1.0")
    done = finished.cloze(*command)
    assert (done.returncode, done.stdout.strip()) == (0, str(folder)), done.stderr
    kind = AutoModelForMaskedLM if task is None else AutoModelForSequenceClassification
    assert kind.from_pretrained(folder).config.num_hidden_layers == 1
    assert AutoTokenizer.from_pretrained(folder).mask_token == "[MASK]"
    card = (folder / "README.md").read_text(encoding="utf-8")
    _, head, text = card.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc0-1.0"
    said = ("synthetic", "reviews: From the pretrained model", "Validation by step", "width: 16 ", "| Test | ")
    for words in (*said, "licence not recorded"):
        assert words in text, words
    refused = finished.cloze(*command)
    assert refused.returncode == 2
    assert "exists, and an export replaces nothing" in refused.stderr


def test_what_cannot_be_exported(finished: Workplace, tmp_path: Path) -> None:
    for command, message in (
        (("runs/quickstart", "x", "--task", "news"), "has no task 'news'; it has reviews"),
        (("runs", "x"), "is not the folder of a run"),
        ((str(tmp_path), "x"), "is not the folder of a run"),
    ):
        refused = finished.cloze("export", *command)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert not (finished.folder / "x").exists()
