"""A small Korean corpus and labelled reviews from our own seeded grammar, so that the first run needs no download.

The text is synthetic and says so. It has what a pipeline must cope with (a dump on one line, markup, redirects,
templates, empty reviews) and a structure worth learning: hundreds of adjectives on a good and a bad side, each side
among its like in the articles, while a few hundred labelled reviews show many of them once or never.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloze.corpus.sample.articles import article
from cloze.corpus.sample.grammar import Draws
from cloze.corpus.sample.reviews import review
from cloze.corpus.sample.world import World, make_world
from cloze.files import write_bytes

SMALL_REVIEWS = 500
EMPTY_REVIEWS = (37, 1_208, 4_444, 5_150, 5_777)
"""Places of reviews without a text, as NSMC has them."""

_ARTICLES, _TEMPLATES, _CATEGORIES, _FILES = "0", "1", "2", "3"


def write_sample(folder: Path, seed: int = 1, articles: int = 2_400, reviews: int = 6_000) -> dict[str, Path]:
    """Write the sample into `folder` and return its files by name: a function of the arguments alone.

    articles: namuwiki.json, a dump of so many articles, with redirects and records of other namespaces among them;
    reviews_train: reviews_train.txt, five of six labelled reviews in NSMC's format; reviews_test: reviews_test.txt,
    the sixth; reviews_small: reviews_small.txt, the first 500 of reviews_train. Raises ClozeError if it cannot write.
    """
    records = _records(seed, make_world(seed, articles))
    lines = [_review_line(seed, index) for index in range(reviews)]
    train = reviews * 5 // 6
    files = {
        "articles": (
            "namuwiki.json",
            "[" + ",".join(json.dumps(record, ensure_ascii=False) for record in records) + "]",
        ),
        "reviews_train": ("reviews_train.txt", _table(lines[:train])),
        "reviews_test": ("reviews_test.txt", _table(lines[train:])),
        "reviews_small": ("reviews_small.txt", _table(lines[: min(SMALL_REVIEWS, train)])),
    }
    for name, text in files.values():
        write_bytes(folder / name, text.encode())
    return {key: folder / name for key, (name, _) in files.items()}


def _records(seed: int, world: World) -> Iterator[dict[str, Any]]:
    for index, subject in enumerate(world.subjects):
        yield _record(seed, index, _ARTICLES, subject.title, article(seed, index, subject, world))
        if index % 15 == 0:
            title = subject.title.replace(" ", "")
            yield _record(seed, index, _ARTICLES, f"{title}(동음이의)", f"#redirect {subject.title}")
        if index % 60 == 0:
            yield _record(seed, index, _TEMPLATES, f"틀:{subject.title}", "||<bgcolor=#eee> '''@top1@''' ||")
            yield _record(seed, index, _CATEGORIES, f"분류:{subject.title}", "[[분류:모든 문서]]")
            yield _record(seed, index, _FILES, f"파일:{subject.title}.jpg", "[[분류:사진]] 직접 찍은 사진.")


def _record(seed: int, index: int, namespace: str, title: str, text: str) -> dict[str, Any]:
    draws = Draws(seed, "contributors", index)
    contributors = [f"user{draws.below(900):03d}" for _ in range(1 + draws.below(3))]
    return {"namespace": namespace, "title": title, "text": text, "contributors": contributors}


def _review_line(seed: int, index: int) -> str:
    text, label = review(seed, index)
    identifier = 1_000_000 + 17 * index + Draws(seed, "review id", index).below(17)
    return f"{identifier}\t{'' if index in EMPTY_REVIEWS else text}\t{label}\n"


def _table(lines: list[str]) -> str:
    return "id\tdocument\tlabel\n" + "".join(lines)
