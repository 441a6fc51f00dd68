"""The inputs of benchmarks/corpus.py: the same generated articles in each form that a corpus comes in.

The articles are those of corpus_memory.py, so no two are equal. MediaWiki's, HTML's and Markdown's markup is made from
them: a few constructs of each, as often as Namuwiki's have them.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import random
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from corpus_memory import articles

from cloze.corpus.namumark import plain_text

BLOCK = re.compile(r"\{\{\{(?:#!folding \[[^\]]*\]|#\w+)?\s?|\}\}\}")
COPIED_FRAC, REPLACED_FRAC = 0.2, 0.05
"""Of the documents for deduplication: copies of others, and how much of a copy is other words."""


def write_inputs(folder: Path, size: int) -> dict[str, int]:
    """Write each input with about `size` bytes of text into `folder`; the bytes of UTF-8 text in each, by file name.

    Texts for markup are a tenth of that, for deduplication a twentieth, for splitting, where Kiwi and kss need minutes
    for a megabyte, a hundredth.
    """
    texts = take(size)
    sizes = write_files(folder, texts)
    few = texts[: max(1, len(texts) // 10)]
    plain = [plain_text(text) for text in few]
    lines = dict.fromkeys(line for text in plain[: max(1, len(plain) // 10)] for line in _paragraphs(text))
    for name, made in {
        "namumark": few,
        "mediawiki": [as_mediawiki(text, title) for title, text in enumerate(few)],
        "html": [as_html(text, title) for title, text in enumerate(plain)],
        "markdown": [as_markdown(text, title) for title, text in enumerate(plain)],
        "prose": list(lines),  # each once, as kss remembers what it was given
        "documents": with_copies(plain[: max(1, len(plain) // 2)]),
    }.items():
        (folder / name).write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
        sizes[name] = text_bytes(made)
    return sizes


def take(size: int) -> list[str]:
    """The first articles that have `size` bytes together."""
    texts: list[str] = []
    for text in articles():
        texts.append(text)
        size -= len(text.encode())
        if size <= 0:
            break
    return texts


def text_bytes(texts: Sequence[str]) -> int:
    """Bytes of UTF-8."""
    return sum(len(text.encode()) for text in texts)


def write_files(folder: Path, texts: list[str]) -> dict[str, int]:
    """Files of articles, one for each reader."""
    import py7zr

    pages = [as_mediawiki(text, title) for title, text in enumerate(texts)]
    blocks = ["\n".join(filter(str.strip, plain_text(text).split("\n"))) for text in texts]
    records = [
        {"namespace": "0", "title": f"문서 {number}", "text": text, "contributors": ["user1"]}
        for number, text in enumerate(texts)
    ]
    dump = json.dumps(records, ensure_ascii=False).encode()
    (folder / "namuwiki.json").write_bytes(dump)
    (folder / "namuwiki.json.gz").write_bytes(gzip.compress(dump, 6))
    with py7zr.SevenZipFile(folder / "namuwiki.7z", "w") as archive:
        archive.write(folder / "namuwiki.json", "namuwiki.json")
    xml = as_export(pages).encode()
    (folder / "wikipedia.xml").write_bytes(xml)
    (folder / "wikipedia.xml.bz2").write_bytes(bz2.compress(xml))
    (folder / "text.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    write_tables(folder, texts)
    articles = [{"title": "", "paragraphs": [{"context": text, "qas": []}]} for text in texts]
    (folder / "squad.json").write_text(json.dumps({"data": articles}, ensure_ascii=False), encoding="utf-8")
    sizes = {path.name: text_bytes(texts) for path in folder.iterdir()}
    sizes |= dict.fromkeys(("wikipedia.xml", "wikipedia.xml.bz2"), text_bytes(pages))
    return sizes | {"text.txt": text_bytes(blocks)}


def write_tables(folder: Path, texts: list[str]) -> None:
    """The texts as rows with one column."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with (folder / "table.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text"], *([text] for text in texts)])
    table = pa.table({"text": texts})
    parquet.write_table(table, folder / "table.parquet", row_group_size=1_000)
    with pa.OSFile(str(folder / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=1_000)


def as_export(pages: list[str]) -> str:
    """Pages in MediaWiki's export format."""
    written = "".join(
        f"  <page>\n    <title>문서 {number}</title>\n    <ns>0</ns>\n    <id>{number}</id>\n    <revision>\n"
        f"      <id>{number}</id>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text xml:space="preserve">{escape(page, quote=False)}</text>\n    </revision>\n  </page>\n'
        for number, page in enumerate(pages, start=1)
    )
    space = "http://www.mediawiki.org/xml/export-0.11/"
    return f'<mediawiki xmlns="{space}" version="0.11" xml:lang="ko">\n{written}</mediawiki>\n'


def as_mediawiki(text: str, title: int) -> str:
    """NamuMark's constructs that MediaWiki has otherwise, and a box of facts above them."""
    text = BLOCK.sub("", text)
    text = re.sub(r"\[\* ([^\[\]\n]*(?:\[\[[^\]\n]*\]\][^\[\]\n]*)*)\]", r"<ref>\1</ref>", text)
    text = re.sub(r"^\[(?:include|목차).*\n|^##.*\n", "", text, flags=re.MULTILINE).replace("[br]", "<br />")
    text = re.sub(r"^ \* ", "* ", text, flags=re.MULTILINE)
    text = re.sub(r"(?:^\|\|.*\|\|\n)+", lambda found: _wiki_table(found.group()), text, flags=re.MULTILINE)
    return f"{{{{정보 상자|이름=문서 {title}|그림=[[파일:{title}.jpg]]|나라={{{{국기|대한민국}}}}}}}}\n{text}"


def _wiki_table(rows: str) -> str:
    cells = [re.sub(r"<[^<>]*>", "", row).strip("| ").replace("||", "\n|") for row in rows.splitlines()]
    return '{| class="wikitable"\n|-\n| ' + "\n|-\n| ".join(cells) + "\n|}\n"


def as_html(text: str, title: int) -> str:
    """A page with a menu, a script and paragraphs, in each of which one word is a link and one is bold."""
    marks = ('<a href="/page">{}</a>', "<b>{}</b>")
    paragraphs = "\n".join(f"<p>{_marked(escape(line), *marks)}</p>" for line in _paragraphs(text))
    menu = "".join(f'<li><a href="/{item}">{item}</a></li>' for item in ("대문", "바뀜", "토론"))
    return (
        f'<!DOCTYPE html>\n<html lang="ko"><head><title>문서 {title}</title>'
        f"<script>var page = {title};</script></head>\n"
        f"<body><nav><ul>{menu}</ul></nav>\n<main><h1>문서 {title}</h1>\n{paragraphs}\n</main></body></html>\n"
    )


def as_markdown(text: str, title: int) -> str:
    """A heading, and paragraphs marked as those of `as_html` are."""
    paragraphs = (_marked(line, "[{}](https://example.com/page)", "**{}**") for line in _paragraphs(text))
    return f"# 문서 {title}\n\n" + "\n\n".join(paragraphs) + "\n"


def _paragraphs(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _marked(line: str, *forms: str) -> str:
    words = line.split(" ")
    for place, form in enumerate(forms):
        if place < len(words):
            words[place] = form.format(words[place])
    return " ".join(words)


def with_copies(texts: list[str]) -> list[str]:
    """The texts, and behind them copies of some with a few words replaced."""
    draws, copied = random.Random(1), []
    for text in draws.choices(texts, k=int(COPIED_FRAC * len(texts))):
        words = text.split(" ")
        for place in range(len(words)):
            if draws.random() < REPLACED_FRAC:
                words[place] = draws.choice(words)
        copied.append(" ".join(words))
    return texts + copied
