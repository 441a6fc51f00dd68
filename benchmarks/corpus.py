"""Readers, markup, sentences, near duplicates, and dump to store as a whole: MB/s and peak memory, beside their peers.

All inputs are generated. Each measurement runs in a process of its own; cloze and its peers take turns, round after
round. Peers that are not installed are named and left out; `pip install 'cloze[benchmarks]'` has most of them, kss is
found if it is installed, or its folder is in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from common import Table, command, write_result
from corpus_inputs import write_inputs
from corpus_memory import VOCABULARY, measure, peak_mib, write_dump
from corpus_roads import MODULES, ROADS
from corpus_whole import WHOLE

from cloze.workers import available_cores

T = TypeVar("T")

LEAST_S = 0.5
"""A measurement that ends sooner is repeated until it has run so long."""
NAMUWIKI_MB = 8_300
"""The dump of 2021, unpacked."""
CORES = 2
LEAST_BUSY = 0.85
WHOLE_PART = "whole"
PACKAGES = ("pyarrow", "tokenizers", *sorted({package for _, package in MODULES.values()} - {"json"}), "transformers")


@dataclass(frozen=True)
class Measured:
    """One round of one road."""

    gives: int
    elapsed_s: float
    cpu_s: float
    before_mib: int
    """Peak memory when the clock starts, after the imports."""
    peak_mib: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=[*ROADS, WHOLE_PART], default=[*ROADS, WHOLE_PART])
    parser.add_argument("--megabytes", type=int, default=20, help="of text for each reader; other parts have less")
    parser.add_argument("--dump-megabytes", type=int, default=200, help="of the dump that goes to the store")
    parser.add_argument("--dump-rounds", type=int, default=1, help="of the dump to the store")
    parser.add_argument("--sample-characters", type=int, default=50_000_000, help="for the tokenizer of the whole")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where inputs and stages go (default: a temporary folder)")
    parser.add_argument("--write", action="store_true", help="keep the tables in benchmarks/results/corpus.md")
    options = parser.parse_args()
    started_at, sections = time.perf_counter(), []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        os.environ |= {"HF_HOME": str(folder / "huggingface"), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        if parts := [part for part in ROADS if part in options.parts]:
            (folder / "inputs").mkdir()
            print(f"writing inputs of {options.megabytes:,} MB", flush=True)
            sizes = apart(write_inputs, folder / "inputs", options.megabytes * 1_000_000)
            sections = [section for part in parts for section in measure_part(part, folder / "inputs", sizes, options)]
        if WHOLE_PART in options.parts:
            sections += measure_whole(folder, options)
    tables = "\n\n".join(sections)
    notes = (
        "Each measurement is a process of its own; the roads take turns; median and range; rounds, but for the last "
        f"table: {options.rounds}. MB are 10^6 bytes of UTF-8: of the texts in the input, whatever else the file has, "
        "or of the whole dump in the last table. CPU is processor time for each second. Peak MiB is the peak of the "
        "resident set (VmHWM; ru_maxrss of a child would begin with what its parent had), before: its value when the "
        "clock starts; all have the modules of this script, and so cloze's, loaded. Not timed: imports; reading the "
        "texts for markup, sentences and duplicates; a first document, which cloze and datasets read before the clock "
        "starts. "
        f"The whole took {(time.perf_counter() - started_at) / 60:.1f} minutes."
    )
    print(f"\n{tables}\n\n{notes}")
    if options.write:
        print(write_result("corpus", tables, command(), packages=[*installed(PACKAGES)], notes=notes))


def measure_part(part: str, inputs: Path, sizes: dict[str, int], options: argparse.Namespace) -> Iterator[str]:
    """A table for the roads of a part, and a line for each peer that is missing or failed."""
    table = Table([part, "road", "gives", "MB/s", "range", "CPU", "peak MiB", "before"])
    missed: dict[str, str] = {}
    for name, roads in ROADS[part].items():
        present = [road for road in roads if road == "cloze" or importlib.util.find_spec(MODULES[road][0])]
        missed |= {road: f"{MODULES[road][1]} is not installed" for road in roads if road not in present}
        rounds: dict[str, list[Measured]] = {road: [] for road in present}
        for _ in range(options.rounds):
            for road in present:
                found = measure_road(part, name, road, inputs / name)
                if isinstance(found, Measured):
                    rounds[road].append(found)
                else:
                    missed[f"{road}, {name}"] = found
        for road, measured in rounds.items():
            if measured:
                table.rows.append(row(name, road, sizes[name] / 1e6, measured))
                print(table.rows[-1], flush=True)
    skipped = "".join(f"\n- Left out: {road}: {reason}" for road, reason in missed.items())
    print(skipped, flush=True)
    yield f"{table}\n{skipped}".rstrip()


def row(name: str, road: str, megabytes: float, rounds: list[Measured]) -> list[str]:
    """A line of a part's table."""
    speeds = [megabytes / measured.elapsed_s for measured in rounds]
    busy = statistics.median(measured.cpu_s / measured.elapsed_s for measured in rounds)
    shown = [f"{rounds[0].gives:,}", f"{statistics.median(speeds):.2f}", f"{min(speeds):.2f}-{max(speeds):.2f}"]
    peak, before = (max(values) for values in zip(*((one.peak_mib, one.before_mib) for one in rounds), strict=True))
    return [f"{name}, {megabytes:.1f} MB", road, *shown, f"{busy:.2f}", f"{peak:,}", f"{before:,}"]


def measure_road(part: str, name: str, road: str, path: Path) -> Measured | str:
    """One measurement in a process of its own; what went wrong, if something did."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_timed, args=(theirs, part, name, road, path))
    process.start()
    theirs.close()
    try:
        found: Measured | str = mine.recv()
    except EOFError:
        process.join()
        found = f"its process died with exit code {process.exitcode}"
    process.join()
    return found


def _timed(result: Connection, part: str, name: str, road: str, path: Path) -> None:
    try:
        run = ROADS[part][name][road](path)
        before = peak_mib(os.getpid())
        started_at, used_s, runs, elapsed_s = time.perf_counter(), _cpu_s(), 0, 0.0
        while elapsed_s < LEAST_S:
            gives = run()
            runs += 1
            elapsed_s = time.perf_counter() - started_at
        used_s = _cpu_s() - used_s
        result.send(Measured(gives, elapsed_s / runs, used_s / runs, before, peak_mib(os.getpid())))
    except Exception as error:
        result.send(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _cpu_s() -> float:
    return sum(os.times()[:4])


def measure_whole(folder: Path, options: argparse.Namespace) -> list[str]:
    """Dump to store by each, stage by stage, and how long Namuwiki would take."""
    print(f"writing a dump of {options.dump_megabytes:,} MB", flush=True)
    size = apart(write_dump, folder / "dump.json", options.dump_megabytes * 1_000_000)
    cores = min(CORES, available_cores())
    missing = [name for name in ("datasets", "namuwiki", "transformers") if not importlib.util.find_spec(name)]
    roads = [road for road in WHOLE if road == "cloze" or not missing]
    rounds: dict[tuple[str, str], list[tuple[float, float, int, int]]] = {}
    failed = [f"- Left out: datasets: {', '.join(missing)} not installed"] if missing else []
    for _ in range(options.dump_rounds):
        for road in list(roads):
            for title, stage in WHOLE[road].items():
                try:
                    measured = measure(stage, folder, CORES, options.sample_characters)
                except (AssertionError, EOFError) as error:
                    failed.append(f"- Left out: {road}: its stage {title} failed ({error})")
                    roads.remove(road)
                    break
                rounds.setdefault((road, title), []).append(measured)
                print(road, title, *(f"{value:.1f}" for value in measured), flush=True)
            for made in ("corpus", "tokenizer", "store"):
                shutil.rmtree(folder / (made if road == "cloze" else f"{road}_{made}"), ignore_errors=True)
    table = Table(["dump to store", "stage", "seconds", "MB/s", "range", "busy", "peak MiB, first process", "a worker"])
    for (road, title), values in rounds.items():
        table.rows.append(whole_row(road, title, size, cores, values))
    for road in roads:
        sums = [
            (sum(stage[0] for stage in one), sum(stage[1] for stage in one), 0, 0) for one in _by_round(rounds, road)
        ]
        table.rows.append(whole_row(road, "together", size, cores, sums))
        if road == "cloze":
            said = in_words(size, cores, sums)
    setting = (
        f"A generated dump of {size / 1e6:,.0f} MB in Namuwiki's form, {CORES} processes on {cores} cores, WordPiece "
        f"of {VOCABULARY:,} entries on at most {options.sample_characters:,} characters; "
        f"rounds: {options.dump_rounds}."
    )
    return [str(table), " ".join([setting, *([said] if "cloze" in roads else [])]), *failed]


def _by_round(
    rounds: dict[tuple[str, str], list[tuple[float, float, int, int]]], road: str
) -> list[tuple[tuple[float, float, int, int], ...]]:
    """The stages of a road, round by round."""
    return list(zip(*(values for (name, _), values in rounds.items() if name == road), strict=True))


def whole_row(road: str, title: str, size: int, cores: int, values: list[tuple[float, float, int, int]]) -> list[str]:
    """A line of the last table. Busy: processor time, as a share of the time that the cores had."""
    seconds = [elapsed_s for elapsed_s, *_ in values]
    speeds = [size / 1e6 / elapsed_s for elapsed_s in seconds]
    busy = statistics.median(cpu_s / elapsed_s / cores for elapsed_s, cpu_s, *_ in values)
    peaks = [max(own for *_, own, _ in values), max(worker for *_, worker in values)]
    shown = [f"{statistics.median(speeds):.2f}", f"{min(speeds):.2f}-{max(speeds):.2f}", f"{busy:.0%}"]
    return [road, title, f"{statistics.median(seconds):.1f}", *shown, *(f"{peak:,}" if peak else "" for peak in peaks)]


def in_words(size: int, cores: int, sums: list[tuple[float, float, int, int]]) -> str:
    """What the whole of Namuwiki takes at the rate measured, and whether the cores were as busy as wanted."""
    elapsed_s = statistics.median(elapsed_s for elapsed_s, *_ in sums)
    busy = statistics.median(cpu_s / one_s / cores for one_s, cpu_s, *_ in sums)
    minutes = NAMUWIKI_MB / (size / 1e6) * elapsed_s / 60
    return (
        f"At {size / 1e6 / elapsed_s:.1f} MB/s, Namuwiki's {NAMUWIKI_MB / 1e3:.1f} GB take {minutes:.0f} minutes from "
        f"dump to store, {'under' if minutes < 60 else 'not under'} an hour; every stage is taken to grow with the "
        "dump, though the tokenizer's training stops growing at its sample. The cores were busy for "
        f"{busy:.0%} of the time, {'at least' if busy >= LEAST_BUSY else 'less than'} {LEAST_BUSY:.0%}."
    )


def apart(function: Callable[..., T], *arguments: object) -> T:
    """Call it in a process of its own: memory that it used does not count here."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def installed(packages: tuple[str, ...]) -> Iterator[str]:
    """Those of the packages that are there, to name their versions."""
    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            continue
        yield package


if __name__ == "__main__":
    main()
