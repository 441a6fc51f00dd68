"""What every benchmark says about itself: the machine, the versions, the command and the date beside the table.

A benchmark builds a `Table`, prints it, and with `--write` keeps it as benchmarks/results/<name>.md.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
"""Folder of the committed tables."""
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real data beside the checkout, when there is any."""


@dataclass
class Table:
    """Rows of text under a header; numbers are formatted by whoever measured them."""

    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def __str__(self) -> str:
        """The table as Markdown: the first column to the left, the others to the right."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> dict[str, str]:
    """CPU model, cores that this process may use, memory, GPU (when torch is loaded and sees one), system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    described = {
        "CPU": f"{cpu_name()}, {cores} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        described["GPU"] = torch.cuda.get_device_name(0)
    return described


def versions(*packages: str) -> dict[str, str]:
    """Python's version and those of the packages named."""
    return {"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def command() -> str:
    """The command line that started this process, as one would type it in the repository's root."""
    script = Path(sys.argv[0]).resolve()
    root = RESULTS.parents[1]
    shown = script.relative_to(root).as_posix() if script.is_relative_to(root) else script.name
    return shlex.join(["python", shown, *sys.argv[1:]])


def write_result(
    name: str,
    table: str | Table,
    command: str,
    *,
    packages: Sequence[str] = ("torch", "numpy"),
    notes: str = "",
    folder: Path = RESULTS,
) -> Path:
    """Write <folder>/<name>.md: table, notes, machine, versions of `packages`, command, date."""
    facts = {**machine(), "versions": ", ".join(f"{key} {value}" for key, value in versions(*packages).items())}
    lines = [f"# {name}", "", str(table), ""]
    lines += [notes, ""] if notes else []
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += [f"- command: `{command}`", f"- date: {datetime.date.today().isoformat()}", ""]
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.md"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def cpu_name() -> str:
    """The processor's model; of AMD's, whose virtual machines keep the model to themselves, its generation, too."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in cpuinfo.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or platform.processor() or platform.machine()
    generation = {"25": "Zen 4" if "avx512f" in facts.get("flags", "") else "Zen 3", "26": "Zen 5"}
    zen = generation.get(facts.get("cpu family", "")) if "AMD" in name else None
    return f"{name} ({zen})" if zen else name
