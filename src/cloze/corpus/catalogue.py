"""The catalogue of published data sets: where each file is, what it must hold, whose it is and under what licence.

catalogue.yaml, beside this file, is the catalogue. A file of it is one revision of a file on GitHub, and its checksum
is git's own name for its content (`cloze.files.git_blob_id`), so nobody has to trust the road it came by. The files of
the set NAME lie in <data>/NAME/, where the recipes look for them. `cloze.corpus.fetch` brings them there;
`cloze.corpus.licences` says which of them a run was trained on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from cloze.errors import ClozeError

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
ORIGIN = "https://raw.githubusercontent.com"
"""A file stands at <ORIGIN>/<repository>/<commit>/<path>."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a data set."""

    path: str
    """Its path in the repository."""
    blob_id: str
    """Git's name for its content, 40 hexadecimal digits."""
    bytes: int | None = None
    """Its size, where it was measured."""

    @property
    def name(self) -> str:
        """Its name in the set's folder."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One data set, as a user asks for it."""

    name: str
    title: str
    task: str
    """What it is for, in words."""
    language: str
    licence: str
    licence_address: str
    """Where the licence's text stands; empty if the licence is not one of the usual ones."""
    citation: str
    address: str
    """Its page, for people."""
    repository: str = ""
    commit: str = ""
    files: tuple[DataFile, ...] = ()
    """Empty for a set that can only be fetched by hand: no checksum of it is known."""

    @property
    def bytes(self) -> int | None:
        """The size of all files, None if that of one is unknown."""
        sizes = [file.bytes for file in self.files]
        return None if not sizes or None in sizes else sum(size for size in sizes if size is not None)

    def place(self, file: DataFile) -> str:
        """The end of a file's address, and its place in a mirror: <repository>/<commit>/<path>."""
        return f"{self.repository}/{self.commit}/{file.path}"


@cache
def read_catalogue() -> dict[str, DataSet]:
    """Every data set by its name, in the catalogue's order; those that are fetched by hand come last."""
    content: dict[str, Any] = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    licences = content["licences"]
    sets = {}
    for name, entry in (*content["sets"].items(), *content["by_hand"].items()):
        files = tuple(DataFile(**file) for file in entry.pop("files", ()))
        address = entry.pop("address", None) or f"https://github.com/{entry['repository']}"
        licence = licences.get(entry["licence"], "")
        sets[name] = DataSet(name=name, files=files, address=address, licence_address=licence, **entry)
    return sets


def find(name: str) -> DataSet:
    """The data set of this name. Raises ClozeError that names the nearest one."""
    sets = read_catalogue()
    if name in sets:
        return sets[name]
    near = difflib.get_close_matches(name.lower(), sets, 3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`cloze data list` shows those there are."
    raise ClozeError(f"the catalogue has no data set {name!r}. {hint}")


def sets_of(paths: Iterable[Path]) -> list[str]:
    """Names of the data sets that some paths of a recipe belong to: a set's folder, or one of its files in it."""
    found: dict[str, None] = {}
    for path in paths:
        for name, file in ((path.name, None), (path.parent.name, path.name)):
            data_set = read_catalogue().get(name)
            if data_set and data_set.files and file in (None, *(known.name for known in data_set.files)):
                found[name] = None
    return list(found)


def terms(name: str, licence: str) -> list[str]:
    """Plain sentences on what a licence forbids, or that nothing can be said of it."""
    said = []
    if re.search(r"\bNC\b|non-?commercial|research", licence, re.IGNORECASE):
        said.append(
            f"{name} is licensed for non-commercial use ({licence}): ask its owners before a model trained on it is "
            "used commercially."
        )
    if re.search(r"\bND\b|no-?deriv", licence, re.IGNORECASE):
        said.append(f"The licence of {name} ({licence}) does not allow changed versions of the data to be passed on.")
    if licence in ("see repository", "differs by task"):
        said.append(f"The catalogue knows no licence of {name} ({licence}): read what its publisher says before use.")
    return said
