"""The generated sample: its shape, that it repeats, and that it can be learnt from."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.corpus.sample import EMPTY_REVIEWS, write_sample
from cloze.corpus.sample.korean import conjugate
from cloze.corpus.sample.lexicon import ASPECTS, VERDICTS
from cloze.progress import Silent
from cloze.recipe import CorpusSettings
from cloze.tasks.datasets import read_table


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def records(files: dict[str, Path]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(files["articles"].read_bytes())
    return records


@pytest.fixture(scope="module")
def corpus(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    build_corpus(CorpusSettings(sources=[files["articles"]]), folder, folder, Silent())
    return Corpus(folder)


def test_the_dump_is_one_line_with_the_records_of_a_real_one(
    files: dict[str, Path], records: list[dict[str, Any]]
) -> None:
    assert b"\n" not in files["articles"].read_bytes()
    assert {tuple(record) for record in records} == {("namespace", "title", "text", "contributors")}
    articles = [record for record in records if record["namespace"] == "0"]
    redirects = [record for record in articles if record["text"].startswith("#redirect ")]
    assert len(articles) - len(redirects) >= 2_000
    assert len(redirects) >= 100
    assert {record["namespace"] for record in records} == {"0", "1", "2", "3"}
    assert len({record["title"] for record in records}) == len(records)


@pytest.mark.parametrize(
    "markup", ["== ", "[[", "||", "[* ", "'''", "[[분류:", "\n * ", "~~", "[include(", "{{{#!folding", "\n> "]
)
def test_articles_have_the_markup_of_real_ones(records: list[dict[str, Any]], markup: str) -> None:
    assert sum(markup in record["text"] for record in records) >= 100


def test_no_markup_is_left_in_the_corpus(corpus: Corpus) -> None:
    left = re.compile(r"\[\[|\]\]|\|\||'''|\{\{\{|\}\}\}|==|~~\w|\{\w+|분류:|목차")
    assert [sentence for sentence in corpus.sentences("train") if left.search(sentence)] == []


def test_reviews_are_in_nsmc_format(files: dict[str, Path]) -> None:
    train, test = (read_table(files[name], "document", "label") for name in ("reviews_train", "reviews_test"))
    assert (len(train.texts), len(test.texts)) == (5_000, 1_000)
    assert train.counts["empty"] + test.counts["empty"] == len(EMPTY_REVIEWS)
    assert train.counts["recomposed"] == 0
    assert len({*train.ids, *test.ids}) == 6_000
    assert 0.47 < train.labels.count("1") / 5_000 < 0.53
    assert len({*train.texts} & {*test.texts}) < 20
    small = read_table(files["reviews_small"], "document", "label")
    assert small.texts == train.texts[:500]


def test_same_seed_same_bytes_other_seed_other_text(tmp_path: Path) -> None:
    first, again, other = (
        write_sample(tmp_path / name, seed, articles=60, reviews=60)
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    )
    for name in first:
        assert first[name].read_bytes() == again[name].read_bytes() != other[name].read_bytes()


def test_small_sample_is_the_beginning_of_the_large_one(tmp_path: Path, files: dict[str, Path]) -> None:
    """A review is a function of (seed, place), not of how many there are."""
    few = write_sample(tmp_path, articles=60, reviews=12)["reviews_train"].read_text("utf-8").splitlines()
    assert few == files["reviews_train"].read_text("utf-8").splitlines()[:11]


def test_words_tell_the_label(files: dict[str, Path]) -> None:
    """Who knows each word's side and negation knows the label."""
    sides = _sides()
    known = re.compile(r"(?<![가-힣])(?:" + "|".join(sorted(map(re.escape, sides), key=len, reverse=True)) + ")")
    test = read_table(files["reviews_test"], "document", "label")
    right = 0
    for text, label in zip(test.texts, test.labels, strict=True):
        votes = [sides[word] for word in known.findall(text)] or [0]
        right += int(label) == (sum(votes) > 0 or (sum(votes) == 0 and votes[-1] > 0))
    assert right >= 980


def test_few_labels_do_not_show_all_words_but_the_articles_do(files: dict[str, Path], corpus: Corpus) -> None:
    small = "\n".join(read_table(files["reviews_small"], "document", "label").texts)
    articles = "\n".join(corpus.sentences("train"))
    words = [word for aspect in ASPECTS for word in aspect.good + aspect.bad]
    stems = [conjugate(word, "고")[:-1] for word in words]
    assert sum(small.count(stem) <= 1 for stem in stems) > len(stems) / 3
    assert all(articles.count(stem) >= 20 for stem in stems)


def test_good_words_stand_among_good_words(corpus: Corpus) -> None:
    """What pretraining can learn: two judging words of one sentence are mostly on one side."""
    sides = _sides()
    known = re.compile(r"(?<![가-힣])(?:" + "|".join(sorted(map(re.escape, sides), key=len, reverse=True)) + ")")
    same = pairs = 0
    for sentence in list(corpus.sentences("train"))[:5_000]:
        votes = [sides[word] for word in known.findall(sentence)]
        pairs += max(len(votes) - 1, 0)
        same += sum(one == other for one, other in pairwise(votes))
    assert pairs > 2_000
    assert same / pairs > 0.9


def _sides() -> dict[str, int]:
    """Form -> 1 good, -1 bad; with negation."""
    sides = {word: 1 if good else -1 for good, words in VERDICTS.items() for word in words}
    for aspect in ASPECTS:
        for side, words in ((1, aspect.good), (-1, aspect.bad)):
            for word in words:
                for form in ("고", "한", "해서", "했", "하다", "하다는", "하다고", "하네"):
                    sides[conjugate(word, form)] = side
                    sides[conjugate(word, form, negated=True)] = -side
    return sides
