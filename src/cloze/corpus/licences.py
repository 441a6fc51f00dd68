"""Whose the data are: SOURCE.json beside them, from there into run.json, from there into the model card.

SOURCE.json is written when a data set is fetched, and anyone may write one by hand for a corpus of their own: name,
licence and citation are texts, `files` maps the names it speaks of to their blob ids; without `files` it speaks of all
files in its folder and below. Of a file that no SOURCE.json speaks of nothing is known, and nothing is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloze.corpus.catalogue import DataFile, DataSet
from cloze.errors import ClozeError
from cloze.files import git_blob_id, write_json

SOURCE_FILE = "SOURCE.json"
START = "corpus of the start"
"""Purpose of what the model was pretrained on that a run went on from."""
SHOWN_FILES = 10
"""Files without a SOURCE.json that are named; of more, only the number is kept."""
_TEXTS = ("name", "title", "address", "commit", "licence", "licence_address", "citation")


@dataclass(frozen=True, slots=True)
class Source:
    """One SOURCE.json."""

    folder: Path
    texts: Mapping[str, str]
    """name and licence; title, address, commit, licence_address and citation where they are known."""
    files: Mapping[str, str | None] | None
    """Path below the folder -> blob id, None if it is not recorded; None for all files of the folder."""


def write_source(data_set: DataSet, files: Iterable[DataFile], folder: Path) -> None:
    """Enter files of a data set, whose content was checked, into the folder's SOURCE.json. Raises ClozeError."""
    path = folder / SOURCE_FILE
    before = _read_object(path) if path.exists() else {}
    listed = before.get("files")
    entries: dict[str, Any] = dict(listed) if isinstance(listed, dict) else {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for file in files:
        if not isinstance(old := entries.get(file.name), dict) or old.get("blob_id") != file.blob_id:
            entries[file.name] = {"path": file.path, "blob_id": file.blob_id, "checked": now}
    known = {key: text for key in _TEXTS if (text := getattr(data_set, key))}
    if entries and (after := {**known, "files": entries}) != before:
        write_json(path, after)


def read_source(folder: Path) -> Source | None:
    """The SOURCE.json of a folder, None if it has none. Raises ClozeError for one that makes no sense."""
    path = folder / SOURCE_FILE
    if not path.is_file():
        return None
    record = _read_object(path)
    texts = {key: record[key] for key in _TEXTS if isinstance(record.get(key), str)}
    for key in ("name", "licence"):
        if not texts.get(key, "").strip():
            raise ClozeError(f"{path} has no text under {key!r}. Write it, or delete the file.")
    listed = record.get("files")
    if not isinstance(listed, dict | None):
        raise ClozeError(f"{path}: files holds {type(listed).__name__}, expected an object from names to blob ids.")
    if listed is None:
        return Source(folder, texts, None)
    blob_ids = {name: entry.get("blob_id") if isinstance(entry, dict) else entry for name, entry in listed.items()}
    return Source(folder, texts, {name: blob_id or None for name, blob_id in blob_ids.items()})


def sources_of(files: Mapping[str, Iterable[Path]], data: Path) -> list[dict[str, Any]]:
    """What is known of the files that each purpose ("corpus", "task nsmc") reads, for run.json.

    A record for each SOURCE.json that speaks of one of them: its texts, "used_for", and "changed", the files that are
    no longer what was fetched. Then one of what no SOURCE.json speaks of: "used_for", "count", and the first of its
    "files". Raises ClozeError.
    """
    read: dict[Path, Source | None] = {}
    records: dict[Path, dict[str, Any]] = {}
    unknown: dict[str, list[str]] = {}
    for purpose, paths in files.items():
        for path in dict.fromkeys(paths):
            source, name = _source_of(path, data, read)
            shown = _below(path, data)
            if source is None:
                unknown.setdefault(shown, []).append(purpose)
                continue
            record = records.setdefault(source.folder, {**source.texts, "used_for": [], "changed": []})
            record["used_for"] += [purpose] if purpose not in record["used_for"] else []
            if (blob_id := (source.files or {}).get(name)) and git_blob_id(path) != blob_id:
                record["changed"] += [shown] if shown not in record["changed"] else []
    used_for = list(dict.fromkeys(purpose for purposes in unknown.values() for purpose in purposes))
    rest = {"used_for": used_for, "count": len(unknown), "files": list(unknown)[:SHOWN_FILES]}
    return [*records.values(), *([rest] if unknown else [])]


def sources_of_start(start: Path) -> list[dict[str, Any]]:
    """What a run of ours, <run>/pretraining/model, recorded of the texts its model saw; empty for any other model."""
    try:
        listed = json.loads((start.parent.parent / "run.json").read_bytes())["sources"]
        seen = [record for record in listed if {"corpus", START} & set(record["used_for"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [{**record, "used_for": [START]} for record in seen] if start.parent.name == "pretraining" else []


def _source_of(path: Path, data: Path, read: dict[Path, Source | None]) -> tuple[Source | None, str]:
    """The nearest SOURCE.json at or above a file, but not above the data folder, that speaks of it."""
    for folder in path.parents:
        if folder not in read:
            read[folder] = read_source(folder)
        source, name = read[folder], path.relative_to(folder).as_posix()
        if source and (source.files is None or name in source.files):
            return source, name
        if folder == data or not folder.is_relative_to(data):
            break
    return None, ""


def _below(path: Path, data: Path) -> str:
    return (path.relative_to(data) if path.is_relative_to(data) else path).as_posix()


def _read_object(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ClozeError(
            f"{path} is no JSON ({error}). Mend it, or delete it and run `cloze data get` again."
        ) from None
    if not isinstance(record, dict):
        raise ClozeError(f"{path} holds {type(record).__name__}, expected an object. Mend it or delete it.")
    return record
