"""What benchmarks/corpus.py measures: for each input, cloze's way through it and those of its peers.

A road takes the input's path, does what is not to be timed (imports, reading texts that are no part of the measured
thing) and returns the function that is. That returns how many things it gave: documents, texts, sentences.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

Run = Callable[[], int]
Road = Callable[[Path], Run]
MODULES = {
    "datasets, streamed": ("datasets", "datasets"),
    "ijson": ("ijson", "ijson"),
    "json": ("json", "json"),
    "py7zr to disk, ijson": ("py7zr", "py7zr"),
    "wikiextractor": ("wikiextractor", "wikiextractor"),
    "pandas": ("pandas", "pandas"),
    "namu-wiki-extractor": ("namuwiki", "namu-wiki-extractor"),
    "mwparserfromhell.strip_code": ("mwparserfromhell", "mwparserfromhell"),
    "BeautifulSoup.get_text": ("bs4", "beautifulsoup4"),
    "Markdown, BeautifulSoup.get_text": ("bs4", "beautifulsoup4"),
    "kiwipiepy": ("kiwipiepy", "kiwipiepy"),
    "kss": ("kss", "kss"),
    "datasketch": ("datasketch", "datasketch"),
    "rensa": ("rensa", "rensa"),
    "datatrove": ("datatrove", "datatrove"),
}
"""Of each peer: the module that it needs, and the package that has it."""


def cloze_reader(path: Path) -> Run:
    """The corpus stage's reader, chosen by the file's content."""
    from cloze.corpus.counts import Counts
    from cloze.corpus.readers import open_reader
    from cloze.corpus.sources import source_files
    from cloze.recipe import CorpusSettings

    settings = CorpusSettings(sources=[path])

    def documents() -> Iterator[object]:
        for file in source_files(settings, path.parent):
            yield from open_reader(file, settings).read(Counts())

    next(documents())  # loads what the reader needs
    return lambda: sum(1 for _ in documents())


def datasets_reader(builder: str, path: Path, **options: Any) -> Run:
    """`load_dataset(..., streaming=True)` of a file of one of its own formats."""
    import datasets

    def rows() -> Iterator[object]:
        yield from datasets.load_dataset(builder, data_files=str(path), split="train", streaming=True, **options)

    next(rows())  # loads what it needs, which takes two seconds
    return lambda: sum(1 for _ in rows())


def ijson_reader(path: Path) -> Run:
    """ijson's fastest backend, plain or through gzip."""
    import gzip

    import ijson

    def run() -> int:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            return sum(1 for _ in ijson.items(file, "item"))

    return run


def json_reader(path: Path) -> Run:
    """The standard library's, all of the file at once; of SQuAD's format the paragraphs."""

    def run() -> int:
        with path.open(encoding="utf-8") as file:
            found = json.load(file)
        if isinstance(found, dict):
            return sum(len(article["paragraphs"]) for article in found["data"])
        return len(found)

    return run


def seven_zip_reader(path: Path) -> Run:
    """py7zr unpacks to disk, ijson reads that."""
    import py7zr

    def run() -> int:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            with py7zr.SevenZipFile(path) as archive:
                archive.extractall(folder)
            return ijson_reader(Path(folder) / "namuwiki.json")()

    return run


def wikiextractor_reader(path: Path) -> Run:
    """The loop over a dump's lines that wikiextractor's program has."""
    import bz2

    from wikiextractor import WikiExtractor

    WikiExtractor.templateNamespace = (
        "틀:"  # as it does itself from the dump's header; while empty, it fits every title
    )

    def run() -> int:
        with (bz2.open if path.suffix == ".bz2" else open)(path, "rt", encoding="utf-8") as file:
            return sum(1 for _ in WikiExtractor.collect_pages(file))

    return run


def pandas_reader(path: Path) -> Run:
    """pandas: JSON lines and CSV in pieces of 1,000 rows, Parquet at once."""
    import pandas

    def run() -> int:
        if path.suffix == ".parquet":
            return len(pandas.read_parquet(path)["text"].tolist())
        if path.suffix == ".csv":
            return sum(len(piece["text"].tolist()) for piece in pandas.read_csv(path, chunksize=1_000))
        return sum(len(piece["text"].tolist()) for piece in pandas.read_json(path, lines=True, chunksize=1_000))

    return run


def each(function: Callable[[str], Any], path: Path) -> Run:
    """A function of one text, for all texts of an input."""
    texts = json.loads(path.read_text(encoding="utf-8"))

    def run() -> int:
        for text in texts:
            function(text)
        return len(texts)

    return run


def split(function: Callable[[str], Iterable[Any]], path: Path) -> Run:
    """A splitter, for all lines of the texts."""
    texts = json.loads(path.read_text(encoding="utf-8"))
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    return lambda: sum(1 for line in lines for _ in function(line))


def cloze_markup(path: Path) -> Run:
    """What the corpus stage does with a text of the markup that the input is named by."""
    from cloze.corpus.counts import Counts
    from cloze.corpus.markup import plain_text
    from cloze.recipe import MarkupSettings

    markup: Any = path.name
    return each(lambda text: plain_text(text, markup, MarkupSettings(), Counts(), ""), path)


def namuwiki_markup(path: Path) -> Run:
    """namu-wiki-extractor with its defaults."""
    from namuwiki.extractor import extract_text

    return each(extract_text, path)


def mwparserfromhell_markup(path: Path) -> Run:
    """`strip_code` with its defaults."""
    import mwparserfromhell

    return each(lambda text: mwparserfromhell.parse(text).strip_code(), path)


def wikiextractor_markup(path: Path) -> Run:
    """wikiextractor's cleaner, without templates to fill in."""
    from wikiextractor.extract import Extractor

    return each(lambda text: Extractor("1", "1", "", "문서", [text]).clean_text(text, expand_templates=False), path)


def soup_markup(path: Path) -> Run:
    """BeautifulSoup with Python's own parser, which needs nothing else."""
    from bs4 import BeautifulSoup

    return each(lambda text: BeautifulSoup(text, "html.parser").get_text(), path)


def markdown_markup(path: Path) -> Run:
    """Python-Markdown to HTML, and that to text."""
    import markdown
    from bs4 import BeautifulSoup

    return each(lambda text: BeautifulSoup(markdown.markdown(text), "html.parser").get_text(), path)


def cloze_sentences(path: Path) -> Run:
    """The rules."""
    from cloze.corpus.sentences import split_sentences

    return split(split_sentences, path)


def kiwi_sentences(path: Path) -> Run:
    """Kiwi on one thread, as the others are."""
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=1)
    kiwi.split_into_sents("준비한다.")
    return split(kiwi.split_into_sents, path)


def kss_sentences(path: Path) -> Run:
    """kss with its backend that needs no analyser."""
    from kss import split_sentences

    split_sentences("준비한다.", backend="fast")
    return split(partial(split_sentences, backend="fast"), path)


def near_duplicates(name: str, path: Path) -> Run:
    """cloze's, datasketch's and rensa's as benchmarks/duplicates.py uses them; how many documents are kept."""
    import duplicates

    texts = json.loads(path.read_text(encoding="utf-8"))
    duplicates.ROADS[name](texts[:2])  # imports
    return lambda: duplicates.ROADS[name](texts).count(False)


def datatrove_duplicates(path: Path) -> Run:
    """The four steps of datatrove's MinHash, in one process; 14 buckets of 8 over five words, as its defaults are.

    Words are cut at white space: its Korean tokenizer, an analyser, would take nearly all of the time. SHA-1, as its
    xxhash does not work with version 4 of that package.
    """
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.word_tokenizers import WordTokenizer
    from loguru import logger

    class Words(WordTokenizer):  # type: ignore[misc]  # datatrove has no types
        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        def sent_tokenize(self, text: str) -> list[str]:
            raise NotImplementedError

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            raise NotImplementedError

    logger.remove()
    texts = json.loads(path.read_text(encoding="utf-8"))
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]

    def run() -> int:
        config = minhash.MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            signatures, pairs, removed = (f"{folder}/{name}" for name in ("signatures", "pairs", "removed"))
            minhash.MinhashDedupSignature(signatures, config, language=Words()).run(iter(documents))
            for bucket in range(config.num_buckets):
                step = minhash.MinhashDedupBuckets(signatures, pairs, config=config)
                step.run(None, rank=bucket, world_size=config.num_buckets)
            minhash.MinhashDedupCluster(pairs, removed, config).run(None, 0, 1)
            return sum(1 for _ in minhash.MinhashDedupFilter(removed).run(iter(documents)))

    return run


def _datasets(builder: str, **options: Any) -> Road:
    return partial(datasets_reader, builder, **options)


_STREAMED = "datasets, streamed"

ROADS: dict[str, dict[str, dict[str, Road]]] = {
    "readers": {
        "namuwiki.json": {
            "cloze": cloze_reader,
            "ijson": ijson_reader,
            "json": json_reader,
            _STREAMED: _datasets("json"),
        },
        "namuwiki.json.gz": {"cloze": cloze_reader, "ijson": ijson_reader, _STREAMED: _datasets("json")},
        "namuwiki.7z": {"cloze": cloze_reader, "py7zr to disk, ijson": seven_zip_reader},
        "wikipedia.xml": {"cloze": cloze_reader, "wikiextractor": wikiextractor_reader},
        "wikipedia.xml.bz2": {"cloze": cloze_reader, "wikiextractor": wikiextractor_reader},
        "text.txt": {"cloze": cloze_reader, _STREAMED: _datasets("text", sample_by="paragraph")},
        "table.jsonl": {"cloze": cloze_reader, _STREAMED: _datasets("json"), "pandas": pandas_reader},
        "table.csv": {"cloze": cloze_reader, _STREAMED: _datasets("csv"), "pandas": pandas_reader},
        "table.parquet": {"cloze": cloze_reader, _STREAMED: _datasets("parquet"), "pandas": pandas_reader},
        "table.arrow": {"cloze": cloze_reader, _STREAMED: _datasets("arrow")},
        "squad.json": {"cloze": cloze_reader, "json": json_reader, _STREAMED: _datasets("json", field="data")},
    },
    "markup": {
        "namumark": {"cloze": cloze_markup, "namu-wiki-extractor": namuwiki_markup},
        "mediawiki": {
            "cloze": cloze_markup,
            "mwparserfromhell.strip_code": mwparserfromhell_markup,
            "wikiextractor": wikiextractor_markup,
        },
        "html": {"cloze": cloze_markup, "BeautifulSoup.get_text": soup_markup},
        "markdown": {"cloze": cloze_markup, "Markdown, BeautifulSoup.get_text": markdown_markup},
    },
    "sentences": {"prose": {"cloze": cloze_sentences, "kiwipiepy": kiwi_sentences, "kss": kss_sentences}},
    "duplicates": {
        "documents": {
            **{name: partial(near_duplicates, name) for name in ("cloze", "datasketch", "rensa")},
            "datatrove": datatrove_duplicates,
        }
    },
}
"""By part and input."""
