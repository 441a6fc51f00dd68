"""Bring a data set of the catalogue into the data folder: from a mirror if there is one, else from its publisher.

A file stands under its name only when its content is the catalogue's, by git's blob id; until then it is a `.partial`.
SOURCE.json beside the files says whose they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.corpus import catalogue
from cloze.corpus.catalogue import DataFile, DataSet
from cloze.corpus.download import Unreachable, discard, download
from cloze.corpus.licences import write_source
from cloze.errors import ClozeError
from cloze.files import PARTIAL, finish_file, git_blob_id, open_lock, os_errors

if TYPE_CHECKING:
    from cloze.progress import Progress

MIRROR = "CLOZE_DATA_MIRROR"
"""Environment variable with a mirror's folder or address: a property of the machine, not of a recipe."""


def fetch(data_set: DataSet, data: Path, progress: Progress, mirror: str | None = None) -> list[Path]:
    """Bring what is missing of a data set into <data>/<name>; returns the files that came.

    What is there already is checked, and left as it is. `mirror` is a folder or an address that holds the files as
    <repository>/<commit>/<path> or <name>/<file>. Raises ClozeError for a file with other content than the catalogue
    says, here or there, and for one that can't be had, saying where it was looked for.
    """
    folder = data / data_set.name
    if not data_set.files:
        raise ClozeError(
            f"{data_set.name} can only be fetched by hand, for no checksum of it is published: get it from "
            f"{data_set.address} and put it into {folder}. Licence: {data_set.licence}."
        )
    fetched = []
    with os_errors(folder, "--data"), open_lock(folder / ".lock") as lock:
        if not lock.take(wait=False):
            with progress.stage(f"waiting for process {lock.holder()}, which fetches {data_set.name}"):
                lock.take(wait=True)
        here = [file for file in data_set.files if _is_here(file, folder)]
        write_source(data_set, here, folder)
        for file in data_set.files:
            if file not in here:
                _bring(data_set, file, folder, progress, mirror)
                fetched.append(folder / file.name)
                write_source(data_set, [file], folder)
    return fetched


def present(data_set: DataSet, data: Path) -> int:
    """How many of its files are in the data folder, whatever they hold."""
    return sum((data / data_set.name / file.name).is_file() for file in data_set.files)


def _is_here(file: DataFile, folder: Path) -> bool:
    path = folder / file.name
    if not path.exists():
        return False
    if path.is_file() and (found := git_blob_id(path)) == file.blob_id:
        return True
    what = f"has git blob id {found}" if path.is_file() else "is no file"
    raise ClozeError(
        f"{path} {what}, but the catalogue's {file.name} has {file.blob_id}. It was left as it is: move it away to "
        "fetch the published one, or name another data folder with --data."
    )


def _bring(data_set: DataSet, file: DataFile, folder: Path, progress: Progress, mirror: str | None) -> None:
    """Put one file under its name. Raises ClozeError."""
    final = folder / file.name
    partial = final.with_name(final.name + PARTIAL)
    places = [data_set.place(file), f"{data_set.name}/{file.name}"]
    origin = f"{catalogue.ORIGIN}/{places[0]}"
    roots = [] if mirror is None else [f"{mirror.rstrip('/')}/{place}" for place in places]
    tried = []
    for address in (*roots, origin):
        is_url = address.startswith(("http://", "https://"))
        try:
            if is_url:
                _download(address, file, partial, progress, f"{data_set.name}/{file.name}")
            else:
                _copy(Path(address).expanduser(), file, partial)
        except Unreachable as error:
            tried.append(f"{address}: {error}")
            continue
        finish_file(partial, final)
        discard(partial)
        return
    raise _nowhere(final, origin, mirror, tried)


def _download(address: str, file: DataFile, partial: Path, progress: Progress, name: str) -> None:
    """Raises Unreachable; ClozeError if all of it came and is not what the catalogue says."""
    if partial.exists() and git_blob_id(partial) == file.blob_id:
        return  # The process that fetched it ended just before it could give it its name.
    pieced = download(address, partial, progress, name)
    if git_blob_id(partial) != file.blob_id and pieced:  # The first part may be of another content, or ill-written.
        discard(partial)
        download(address, partial, progress, name)
    _check(address, file, partial)


def _copy(source: Path, file: DataFile, partial: Path) -> None:
    """`_download` from a folder."""
    if not source.is_file():
        raise Unreachable("not there")
    discard(partial)
    shutil.copyfile(source, partial)
    _check(str(source), file, partial)


def _check(address: str, file: DataFile, partial: Path) -> None:
    found, size = git_blob_id(partial), partial.stat().st_size
    if found != file.blob_id:
        discard(partial)
        raise ClozeError(
            f"{address} gave {size:,} bytes with git blob id {found}, but the catalogue's {file.name} has "
            f"{file.blob_id}: they were changed on the way or where they lie. Nothing of it was kept. Try "
            "again, or another mirror (--mirror)."
        )


def _nowhere(final: Path, origin: str, mirror: str | None, tried: Sequence[str]) -> ClozeError:
    lines = [f"{final} could not be fetched. Tried:", *(f"  {line}" for line in tried)]
    with suppress(OSError):
        if kept := final.with_name(final.name + PARTIAL).stat().st_size:
            lines.append(f"The {kept:,} bytes that arrived are kept: the same command goes on behind them.")
    lines.append(
        f"Without a network, give a mirror (--mirror FOLDER_OR_ADDRESS, or {MIRROR}), or fetch {origin} on another "
        f"machine, put it at {final} and run this again: it is then checked and recorded."
    )
    if mirror is not None and not mirror.startswith(("http://", "https://")) and not Path(mirror).expanduser().is_dir():
        lines.append(f"The mirror {mirror} is neither a folder here nor an address (http://, https://).")
    return ClozeError("\n".join(lines))
