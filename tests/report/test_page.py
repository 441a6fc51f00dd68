from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cloze.errors import ClozeError
from cloze.report.page import render, write_report
from cloze.report.run import SYNTHETIC, read_run

MakeRun = Callable[..., Path]


class Page(HTMLParser):
    """What a browser would take from a page: tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.styles = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "style":
            self.styles += data
        else:
            self.text += f"{data} "

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_page_shows_every_part(make_run: MakeRun) -> None:
    text = words(page_of(make_run()))
    for part in (
        "88.31 ± 0.12",
        "84.02 from random weights",
        "Pretraining adds 4.29 points",
        "20.7 min",
        "16.4 M",
        "7.41 M",
        "4.659",  # final MLM validation loss
        "80.45",  # final NSP validation accuracy
        "재밌 41.0",
        "Dropped: redirect 310",
        "넘겨주기 문서",
        "Unknown share 0.21% 0.34%",
        "어벤져스인피니티워",
        "Token store Documents 181,204",
        "Truncated tokens 1,204 17",
        "319 GFLOP/s",
        "30.2%",
        "1,432 MiB",
        "Task 영화평 5.0 min",
        "format: segment-pair",
        "Torch 2.13.0",
    ):
        assert part in text, part
    assert "Not finished" not in text and "Not readable" not in text


def test_page_loads_nothing(make_run: MakeRun) -> None:
    page = page_of(make_run())
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not page.values("src") and not page.values("srcset") and not page.values("xlink:href")
    assert all(target.startswith("#") for target in page.values("href"))
    assert not re.search(r"@import|url\((?!#)", page.styles + " ".join(value for _, value in page.attributes))
    assert "http://" not in page.styles and "https://" not in page.styles


def test_ids_are_unique_and_every_reference_has_its_target(make_run: MakeRun) -> None:
    page = page_of(make_run())
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    inner = [m[1] for _, value in page.attributes for m in re.finditer(r"url\(#([^)]+)\)", value)]
    assert {target[1:] for target in page.values("href")} | set(inner) <= set(ids)


def test_long_run_stays_small(make_run: MakeRun) -> None:
    assert write_report(make_run(log_lines=4_000)).stat().st_size < 1_000_000


def test_the_same_run_gives_the_same_page(make_run: MakeRun) -> None:
    folder = make_run(log_lines=400)
    first, second = (re.sub(r"Written by cloze, .*?\.", "", render(read_run(folder))) for _ in range(2))
    assert first == second


def test_everything_is_escaped(make_run: MakeRun) -> None:
    folder = make_run()
    evil = "--></style><script>alert(1)</script>&amp;$x$"
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".yaml"):
            text = path.read_text(encoding="utf-8")
            for word in (
                "재밌",
                "사랑",
                "굿",
                "redirect",
                "영화평",
                "wordpiece",
                "어벤져스",
                "A small",
                "정말",
                "부정",
            ):
                text = text.replace(word, evil)
            path.write_text(text, encoding="utf-8")
    with (folder / "recipe.yaml").open("a", encoding="utf-8") as file:
        file.write(f"- name: '{evil}'\n")
    (folder / "run.json").write_text(json.dumps({"notes": [evil], "versions": {evil: evil}}), encoding="utf-8")
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags and "<script" not in html
    assert page.tags.count("style") == 1
    assert page.text.count("<script>alert(1)</script>&amp;") > 15


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("corpus/manifest.json", "The corpus stage has not finished."),
        ("corpus/manifest.json", "The corpus has not been built"),
        ("tokenizer/manifest.json", "The tokenizer has not been trained"),
        ("pretraining/manifest.json", "Pretraining has not finished: step 4,000 of 4,000."),
        ("pretraining", "Pretraining has not started."),
        ("pretraining/guesses.jsonl", "No guesses were recorded"),
        ("pretraining/metrics.jsonl", "Pretraining has logged nothing yet."),
        ("tasks", "Fine-tuning on 영화평 has not finished."),
        ("recipe.yaml", "no readable recipe.yaml"),
        ("run.json", "88.31"),
        ("tasks/영화평/metrics.jsonl", "88.31"),
        ("tasks/영화평/manifest.json", "88.31"),
    ],
)
def test_missing_parts_are_said(make_run: MakeRun, missing: str, said: str) -> None:
    folder = make_run()
    if (folder / missing).is_dir():
        shutil.rmtree(folder / missing)
    else:
        (folder / missing).unlink()
    assert said in words(page_of(folder))


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: begun\ntasks: []\n", encoding="utf-8")
    text = words(page_of(tmp_path))
    assert (
        "begun" in text and "Pretraining has not started." in text and "This recipe has no fine-tuning tasks." in text
    )


@pytest.mark.usefixtures("undrawn")
def test_no_pairs_and_no_validation_are_said(make_run: MakeRun) -> None:
    folder = make_run(pairs=False)
    metrics = folder / "pretraining" / "metrics.jsonl"
    lines = [line for line in metrics.read_text(encoding="utf-8").splitlines() if '"train"' in line]
    metrics.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = words(page_of(folder))
    assert "No NSP: rows of format full-sentences carry no sentence pairs." in text
    assert "No validation: only training has figures." in text and "this run has no validation" in text
    assert "NSP loss" not in text and "MLM loss" in text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "damaged",
    ["corpus/manifest.json", "run.json", "tasks/영화평/results.json", "recipe.yaml", "pretraining/manifest.json"],
)
def test_damaged_files_are_named_and_hide_nothing_else(make_run: MakeRun, damaged: str) -> None:
    folder = make_run()
    (folder / damaged).write_bytes(b"{ not: [json \xff")
    text = words(page_of(folder))
    assert f"Not readable. {folder / damaged}" in text and "재밌 41.0" in text


def test_numbers_of_the_wrong_kind_do_not_stop_the_page(make_run: MakeRun) -> None:
    folder = make_run()
    for path in folder.rglob("*.json*"):
        path.write_text(re.sub(r": -?\d+\.\d+", ": NaN", path.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "corpus" / "manifest.json").write_text('{"counts": [1, 2]}', encoding="utf-8")
    (folder / "tokenizer" / "manifest.json").write_text('{"counts": {"a": null}, "quality": "good"}', encoding="utf-8")
    (folder / "store" / "manifest.json").write_text("[]", encoding="utf-8")
    assert "holds list, expected an object" in words(page_of(folder))


def test_only_an_end_of_line_ends_a_line(make_run: MakeRun) -> None:
    """Guesses hold what a corpus holds, U+2028 too."""
    folder = make_run()
    with (folder / "pretraining" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "other", "text": "a\u2028b\x85c"}\n')
    assert read_run(folder).problems == []


@pytest.mark.usefixtures("undrawn")
def test_half_a_line_at_the_end_is_a_run_that_goes_on(make_run: MakeRun) -> None:
    folder = make_run()
    with (folder / "pretraining" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "train", "st')
    assert read_run(folder).problems == []
    with (folder / "pretraining" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert "1 of 221 lines are not JSON objects" in words(page_of(folder))


@pytest.mark.usefixtures("undrawn")
def test_synthetic_text_is_said_at_the_top(make_run: MakeRun) -> None:
    folder = make_run()
    assert SYNTHETIC not in words(page_of(folder))
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("A small", "Synthetic text; a small"), encoding="utf-8"
    )
    text = words(page_of(folder))
    assert text.index(SYNTHETIC) < text.index("88.31")
    (folder / "run.json").write_text('{"notes": ["All text is synthetic."]}', encoding="utf-8")
    text = words(page_of(folder))
    assert "All text is synthetic." in text and SYNTHETIC not in text


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="not the folder of a run"):
        write_report(tmp_path)
    with pytest.raises(ClozeError, match="is not a folder"):
        write_report(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_shares_of_the_training_examples_are_a_curve_and_a_table(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "tasks" / "영화평" / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    scores = {"mean": {"test": {"accuracy": 0.7654}}, "std": {"test": {"accuracy": None}}}
    results["shares"] = [{"share": 0.1, "rows": 15_000, "pretrained": scores, "random_weights": scores}]
    path.write_text(json.dumps(results), encoding="utf-8")
    page = page_of(folder)
    assert "10.0% 76.54 76.54 100.0% 88.31 ± 0.12 84.02 ± 0.12" in words(page)
    assert "영화평: Accuracy of the test, %, over share of the training examples, %" in page.values("aria-label")


@pytest.mark.usefixtures("undrawn")
def test_mistakes_are_shown_as_text(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "tasks" / "영화평" / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    mistake = {"id": "7", "text": "<img src=x> 최고", "label": "부정", "predicted": "긍정", "probability": 0.998}
    results["pretrained"]["seeds"][0]["test"]["mistakes"] = [mistake]
    path.write_text(json.dumps(results), encoding="utf-8")
    page = page_of(folder)
    assert "img" not in page.tags
    assert "Most confident mistakes Text Label Predicted Probability, % <img src=x> 최고 부정 긍정 99.8" in words(page)
