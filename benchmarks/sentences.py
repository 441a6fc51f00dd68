"""Splitters of Korean sentences beside each other: precision, recall and F1 of the ends they find, MB/s, and memory.

Sets with marked ends: cloze's own (tests/corpus/sentences_gold.txt), whose development half the rules were made on, and
45 novels (KoCoNovel) of the shared data, when they are at hand. Sentences are joined by spaces; ends inside of a
paragraph or novel count. kss is so slow that it gets no novels.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common import SHARED_DATA, Table, command, write_result

from cloze.corpus.sentences import sentence_splitter
from cloze.recipe import CorpusSettings

GOLD = Path(__file__).resolve().parents[1] / "tests" / "corpus" / "sentences_gold.txt"
FINAL_MARK = re.compile(r"[.!?…][\"'”’)]*$")
MEGABYTES = {"regular expression": 3.0, "rules": 3.0, "kiwi": 0.1, "kss": 0.002}
"""Text of the novels whose splitting is timed in each round."""
ROUNDS = 5
Splitter = Callable[[str], list[str]]
Paragraph = list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the tables in benchmarks/results/sentences.md")
    parser.add_argument("--memory-of", choices=MEGABYTES, help=argparse.SUPPRESS)  # this program's own child
    options = parser.parse_args()
    if options.memory_of:
        print(peak_bytes(options.memory_of))
        return
    splitters, notes = load_splitters()
    tables = [quality("development half", paragraphs("development"), splitters)]
    tables.append(quality("held-out half", paragraphs("test"), splitters))
    novels = novel_paragraphs()
    if novels:
        everyone = {name: splitter for name, splitter in splitters.items() if name != "kss"}
        tables.append(quality("45 novels", novels, everyone))
    tables.append(speed_and_memory(splitters, novels or paragraphs("")))
    text = "\n\n".join(map(str, tables))
    notes.append(
        f"MB/s: median of {ROUNDS} rounds in which the splitters take turns, processor time of one thread, MB of 10^6 "
        f"bytes; megabytes of text a round: {', '.join(f'{name} {size:g}' for name, size in MEGABYTES.items())}. "
        "Memory: a process that does nothing but load the splitter and split that text, at its peak."
    )
    print(f"{text}\n\n{' '.join(notes)}")
    if options.write:
        packages = [name for name, key in (("kiwipiepy", "kiwi"), ("kss", "kss")) if key in splitters]
        print(write_result("sentences", text, command(), packages=packages, notes=" ".join(notes)))


def load_splitters() -> tuple[dict[str, Splitter], list[str]]:
    """Those that are installed, and why the others are left out."""
    loaded, absent = {}, []
    for name in MEGABYTES:
        try:
            loaded[name] = load_splitter(name)
        except Exception as error:  # a package may be missing or not work with this Python: both are told
            absent.append(f"{name} is left out: {' '.join(str(error).split())[:200]}.")
    return loaded, absent


def load_splitter(name: str) -> Splitter:
    if name == "kss":
        import kss

        return lambda text: list(kss.split_sentences(text, backend="auto", num_workers=1))
    if name == "regular expression":
        return re.compile(r"(?<=[.!?…])\s+").split
    return sentence_splitter(CorpusSettings.model_validate({"sentences": name}))


def paragraphs(half: str) -> list[Paragraph]:
    blocks = [block.split("\n") for block in GOLD.read_text(encoding="utf-8").strip().split("\n\n")]
    return [lines for header, *lines in blocks if header.startswith(f"# {half}")]


def novel_paragraphs() -> list[Paragraph]:
    path = SHARED_DATA / "corpus" / "novels.txt"
    novels = path.read_text(encoding="utf-8").split("\n\n") if path.exists() else []
    return [lines for novel in novels if (lines := [line for line in novel.split("\n") if line.strip()])]


def ends(sentences: list[str]) -> set[int]:
    """Where sentences end, counted in characters that are no white space; the last one left out."""
    places, place = set(), 0
    for sentence in sentences[:-1]:
        place += len("".join(sentence.split()))
        places.add(place)
    return places


def quality(title: str, texts: list[Paragraph], splitters: dict[str, Splitter]) -> Table:
    """Ends found and ends marked; recall also of those with and without a final mark before them."""
    with_mark = [ends_before(text, marked=True) for text in texts]
    without = [ends_before(text, marked=False) for text in texts]
    counts = f"{sum(map(len, with_mark)):,} with a mark, {sum(map(len, without)):,} without"
    table = Table([f"{title} ({counts})", "precision", "recall", "F1", "recall, mark", "recall, no mark"])
    for name, split in splitters.items():
        found = [ends(split(" ".join(text))) for text in texts]
        hits = [sum(len(f & w) for f, w in zip(found, wanted, strict=True)) for wanted in (with_mark, without)]
        marked = [sum(map(len, with_mark)), sum(map(len, without))]
        precision, recall = sum(hits) / max(sum(map(len, found)), 1), sum(hits) / sum(marked)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        shares = [precision, recall, f1, *(hit / max(all_of, 1) for hit, all_of in zip(hits, marked, strict=True))]
        table.rows.append([name, *(f"{share:.3f}" for share in shares)])
    return table


def ends_before(text: Paragraph, *, marked: bool) -> set[int]:
    """The ends of sentences with a final mark, or of those without."""
    places = sorted(ends(text))
    return {place for place, line in zip(places, text[:-1], strict=True) if bool(FINAL_MARK.search(line)) is marked}


def timed_texts(name: str, texts: list[Paragraph], round_number: int = 0) -> list[str]:
    """About as much text as the splitter is timed on, in pieces of at most 500 characters, as paragraphs are.

    Each round begins elsewhere, as kss remembers what it was given.
    """
    pieces = [" ".join(text[start : start + 15]) for text in texts for start in range(0, len(text), 15)]
    pieces = pieces[97 * round_number :] + pieces[: 97 * round_number]
    taken, size = [], 0
    while size < MEGABYTES[name] * 1e6:
        for piece in pieces:
            if size < MEGABYTES[name] * 1e6:
                cut = piece[:500]
                taken.append(cut)
                size += len(cut.encode())
    return taken


def speed_and_memory(splitters: dict[str, Splitter], texts: list[Paragraph]) -> Table:
    speeds: dict[str, list[float]] = {name: [] for name in splitters}
    for round_number in range(ROUNDS):
        for name, split in splitters.items():
            timed = timed_texts(name, texts, round_number)
            started_at = time.process_time()
            for text in timed:
                split(text)
            elapsed_s = time.process_time() - started_at
            speeds[name].append(sum(len(text.encode()) for text in timed) / 1e6 / elapsed_s)
    table = Table(["speed and memory", "MB/s", "peak memory, MiB"])
    for name in splitters:
        child = [sys.executable, __file__, "--memory-of", name]
        peak = subprocess.run(child, capture_output=True, text=True, check=True, env=os.environ.copy()).stdout
        table.rows.append([name, f"{statistics.median(speeds[name]):.3g}", f"{int(peak.split()[-1]) / 2**20:,.0f}"])
    return table


def peak_bytes(name: str) -> int:
    """Memory at its peak of this process, after splitting with the one splitter it has loaded. Linux."""
    split = load_splitter(name)
    for text in timed_texts(name, novel_paragraphs() or paragraphs("")):
        split(text)
    # Not ru_maxrss, which begins at what the parent had when it forked.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024


if __name__ == "__main__":
    main()
