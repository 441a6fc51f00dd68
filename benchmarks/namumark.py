"""NamuMark to text: MB/s, markup that is left and letters that are lost, against namu-wiki-extractor.

Two texts: the articles of the generated sample, and the documents of namumark_documents.txt, which use the constructs
of the syntax and have beside them the text that a reader sees, headings, struck-through text and formulas left out.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from common import Table, command, write_result

from cloze.corpus.namumark import plain_text
from cloze.corpus.sample import write_sample

DOCUMENTS = Path(__file__).with_name("namumark_documents.txt")
ROUNDS = 5
COPIES = 100
"""Of the written documents, which are short, for the time."""
UNCLOSED = "{{{#!html "
COUNTS = (1_000, 2_000, 4_000)
MARKUP_LEFT = re.compile(
    r"\[\[|\]\]|\{\{\{|\}\}\}|\|\||'{2,}|~~|__|\^\^|,,"  # links, blocks, cells, pairs of marks
    r"|--(?=\S)|\[\*"
    r"|\[(?:목차|각주|br|clearfix|date|datetime)\]|\[[a-z]+\([^\n\[\]]*\)\]"  # macros
    r"|#!(?:wiki|folding|syntax|html|if)\b|(?:dark-)?style=|<[^<>\n]*=[^<>\n]*>|<(?:[-|^v]?\|?\d+|[:()])>"  # options
    r"|</?[a-z]+\b[^<>\n]*>|(?:파일|분류|attachment|wiki):|https?://\S+"  # HTML, files, categories, addresses
    r"|^(?:[ \t]*\*+ |>+|##|={1,6} )|(?<= )={1,6}$|^-{4,}$|^#(?:redirect|format)\b",  # beginnings and ends of lines
    re.MULTILINE,
)
"""Signs that mean something in NamuMark or in Rigveda Wiki's syntax, and should not be seen by a reader."""
SIGNS = re.compile(r"[\[\]{}|'~_^<>=#*\\$-]|,,|^[ \t]|https?:", re.MULTILINE)
"""A line without any of these is prose, whatever the syntax."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--articles", type=int, default=600, help="articles of the generated sample")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/namumark.md")
    options = parser.parse_args()
    import namuwiki.extractor

    roads: dict[str, Callable[[str], str]] = {
        "cloze": plain_text,
        "namu-wiki-extractor": namuwiki.extractor.extract_text,
    }
    articles = sample_articles(options.articles)
    written, wanted = read_documents()
    table = Table(["text", "extractor", "MB/s", "times", "markup left, per 10,000", "letters lost, per 10,000"])
    for name, texts, copies, want in (
        (f"sample, {len(articles)} articles", articles, 1, [plain_lines(text) for text in articles]),
        (f"written, {len(written)} documents", written, COPIES, wanted),
        ("the same, 20 of each joined to one", ["\n".join(written * 20)], COPIES // 20, ["\n".join(wanted * 20)]),
    ):
        speeds = measure_speed(roads, texts * copies)
        slowest = min(speeds.values())
        for road, speed in speeds.items():
            results = [roads[road](text) for text in texts]
            numbers = [f"{speed:.1f}", f"{speed / slowest:.1f}", f"{markup_left(results, want):.1f}"]
            table.rows.append([name, road, *numbers, f"{letters_lost(results, want):.1f}"])
    unclosed = measure_unclosed(roads)
    notes = (
        f"One process and thread; best of {ROUNDS} rounds of processor time, the extractors taking turns; MB are 10^6 "
        "bytes of UTF-8. Both with their defaults. Markup left: characters that MARKUP_LEFT of the script matches in "
        "what is left, for 10,000 of its characters, but for signs that the wanted text has itself. Letters lost: "
        "letters and digits that should be there and are not, for 10,000 of them; in the sample those of lines without "
        "any sign of markup, in the written documents those of the text that a reader sees. The written documents are "
        "our own and hold every construct close together, a sign every eight characters: they show what is understood. "
        "Unclosed: one run."
    )
    tables = f"{table}\n\n{unclosed}"
    print(f"{tables}\n\n{notes}")
    if options.write:
        print(write_result("namumark", tables, command(), packages=("namu-wiki-extractor",), notes=notes))


def sample_articles(count: int) -> list[str]:
    """The markup of the first articles of the generated dump, redirects left out."""
    with tempfile.TemporaryDirectory() as name:
        write_sample(Path(name))
        dump = Path(name) / "namuwiki.json"
        records = json.loads(dump.read_text(encoding="utf-8"))
    texts = [record["text"] for record in records if str(record["namespace"]) == "0"]
    return [text for text in texts if not text.startswith("#")][:count]


def read_documents() -> tuple[list[str], list[str]]:
    """Markup of the written documents, and the text of each."""
    parts = re.split(r"^%%%% .*\n", DOCUMENTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return parts[::2], parts[1::2]


def plain_lines(text: str) -> str:
    """The lines of an article that are prose, whatever the syntax."""
    return "\n".join(line for line in text.split("\n") if not SIGNS.search(line))


def measure_speed(roads: dict[str, Callable[[str], str]], texts: Sequence[str]) -> dict[str, float]:
    """MB/s of each; they take turns, so that a busy moment of the machine hits all of them."""
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    best = dict.fromkeys(roads, float("inf"))
    for _ in range(ROUNDS):
        for name, road in roads.items():
            started_at = time.process_time()
            for text in texts:
                road(text)
            best[name] = min(best[name], time.process_time() - started_at)
    return {name: megabytes / elapsed_s for name, elapsed_s in best.items()}


def measure_unclosed(roads: dict[str, Callable[[str], str]]) -> Table:
    """Seconds for many blocks that never close: what one article can do to a whole dump."""
    table = Table([f"seconds for so many unclosed {UNCLOSED.strip()}", *(f"{count:,}" for count in COUNTS)])
    for name, road in roads.items():
        row = [name]
        for count in COUNTS:
            started_at = time.process_time()
            road(UNCLOSED * count)
            row.append(f"{time.process_time() - started_at:.3f}")
        table.rows.append(row)
    return table


def markup_left(results: Sequence[str], wanted: Sequence[str]) -> float:
    """Characters of markup for 10,000 characters, without the signs that the wanted texts have themselves."""
    found = 0
    for result, want in zip(results, wanted, strict=True):
        signs = Counter(match.group() for match in MARKUP_LEFT.finditer(result))
        signs -= Counter(match.group() for match in MARKUP_LEFT.finditer(want))
        found += sum(len(sign) * count for sign, count in signs.items())
    return 1e4 * found / max(1, sum(map(len, results)))


def letters_lost(results: Sequence[str], wanted: Sequence[str]) -> float:
    """Letters and digits of the wanted texts that the results have not, for 10,000."""
    lost = total = 0
    for result, want in zip(results, wanted, strict=True):
        letters = Counter(filter(str.isalnum, want))
        lost += (letters - Counter(filter(str.isalnum, result))).total()
        total += letters.total()
    return 1e4 * lost / max(1, total)


if __name__ == "__main__":
    main()
