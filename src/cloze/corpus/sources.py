"""Source files: which ones there are, and what their content is known by.

A source is a file, a folder, or a pattern (wiki/*.json.gz, **/*.txt); the files of a .7z or .zip archive are sources of
their own, written as paths below it.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from cloze.corpus.archives import archive_of, members
from cloze.corpus.counts import Counts
from cloze.corpus.licences import SOURCE_FILE
from cloze.corpus.streams import is_hub, source_name, unreadable
from cloze.errors import ClozeError, SourceDamaged, some
from cloze.files import hash_json, sha256_file
from cloze.recipe import CorpusSettings

ENDINGS = (
    *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow"),
    *(".gz", ".zst", ".bz2", ".xz", ".7z", ".zip"),
)
"""Files with these endings are taken from a folder; a file that is named itself may have any name."""

_DATASET_FILES = ("dataset_info.json", "state.json", "dataset_dict.json")
"""What `save_to_disk` of `datasets` writes beside its Arrow files."""
_PATTERN = frozenset("*?[")


def source_files(settings: CorpusSettings, data: Path) -> list[Path]:
    """The files of `settings.sources` in order, each once; a folder stands for its text files, at any depth, sorted by
    path, a pattern for the files and folders that fit it, and an archive for the files in it.

    Hidden files are left out. Raises ClozeError for a source that is missing or has no text file, for no sources, and
    for an archive that cannot be opened.
    """
    if not settings.sources:
        raise ClozeError(
            "corpus.sources is empty: name at least one file or folder of text, relative to `data`. To only fine-tune "
            "a model there is, set start_from to its folder and leave corpus out."
        )
    found = [path for source in settings.sources for match in _matches(data, source) for path in _text_files(match)]
    return [path for place in dict.fromkeys(found) for path in _unpacked(place, settings)]


def fingerprint(paths: list[Path]) -> str:
    """Hash of the names (which become part of the documents' ids) and contents of source files, in order."""
    content = {place: _content(place) for place in {on_disk(path) for path in paths}}
    return hash_json([(source_name(path), content[on_disk(path)]) for path in paths])


def packed_bytes(paths: list[Path]) -> int:
    """What source files take on the disk; an archive counts once, and what is on the Hub counts nothing."""
    return sum(place.stat().st_size for place in {on_disk(path) for path in paths} if not is_hub(place))


def is_pattern(data: Path, source: Path) -> bool:
    """Whether a source stands for all that fits it; a file may be called like a pattern."""
    return not _PATTERN.isdisjoint(str(source)) and not (data / source).exists()


def on_disk(path: Path) -> Path:
    """The file that a source file is, or is in."""
    return path if is_hub(path) else archive_of(path) or path


def _content(path: Path) -> str:
    """What a source's content is known by: the SHA-256 of a file, the commit of a data set of the Hub."""
    if is_hub(path):
        from cloze.corpus.readers.hub import commit_of

        return commit_of(path)
    try:
        return sha256_file(path)
    except OSError as error:
        raise unreadable(path, error) from error


def ignored_files(settings: CorpusSettings, data: Path) -> list[Path]:
    """Files in source folders that `source_files` leaves out."""
    taken = set(source_files(settings, data))
    taken |= {on_disk(path) for path in taken}
    folders = (match for source in settings.sources if not is_hub(source) for match in _matches(data, source))
    return [path for folder in folders if folder.is_dir() for path in _files(folder) if path not in taken]


def ignored_members(paths: list[Path], settings: CorpusSettings, counts: Counts) -> int:
    """Files in the archives of `paths` that are not among them: the hidden ones are counted, those whose names lead out
    of their archive entered into `counts`. Raises ClozeError for the latter if `corpus.tolerate` lets nothing pass.
    """
    ignored = 0
    for archive in dict.fromkeys(archive for path in paths if not is_hub(path) and (archive := archive_of(path))):
        inside = members(archive)
        for name in inside.outside if inside else []:
            if settings.tolerate == "nothing":
                raise ClozeError(f"{archive} holds {name}, which leads out of it: no honest archive has such a file.")
            counts.drop("file that leads out of its archive", example=f"{source_name(archive)}: {name}")
        ignored += len(inside.hidden) + len(inside.outside) if inside else 0
    return ignored


def _matches(data: Path, source: Path) -> list[Path]:
    """What a source names, or all that fits its pattern, sorted. Raises ClozeError if nothing does."""
    if is_hub(source):
        return [source]
    if not is_pattern(data, source):
        return [data / source]
    if ".." in source.parts:
        raise ClozeError(f"The corpus source {source} is a pattern with `..`. Name the folder from the root instead.")
    root, pattern = (Path("/"), source.relative_to("/")) if source.is_absolute() else (data, source)
    try:
        matches = [match for match in root.glob(str(pattern)) if match.name != SOURCE_FILE]
    except ValueError as error:
        raise ClozeError(
            f"The corpus source {source} is no pattern ({error}). For files at any depth write `**/*.txt`, say."
        ) from None
    inside = data / Path(*itertools.takewhile(lambda part: _PATTERN.isdisjoint(part), source.parts))
    found = sorted(match for match in matches if not _hidden(match, inside))
    if not found:
        raise ClozeError(
            f"The corpus source {source} fits nothing in {inside}, which {_listed(inside)}. Check corpus.sources; a "
            "relative one starts from `data`."
        )
    return found


def _unpacked(path: Path, settings: CorpusSettings) -> list[Path]:
    """A file itself, or the files in it if it is an archive. One that is damaged stands for itself if it is to be let
    pass: whoever reads it hears of it.
    """
    if is_hub(path):
        return [path]
    try:
        inside = members(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except SourceDamaged:
        if settings.tolerate != "cut files":
            raise
        inside = None
    if inside is None:
        return [path]
    if not inside.files:
        left_out = [*inside.outside, *inside.hidden][:3]
        held = f"no file but {', '.join(left_out)}, which are not read" if left_out else "no file"
        raise ClozeError(f"The archive {path} holds {held}. Check corpus.sources.")
    return inside.files


def _listed(folder: Path) -> str:
    """What a folder holds, in words."""
    if not folder.is_dir():
        return "is not there"
    names = sorted(path.name for path in folder.iterdir())
    return f"holds {some(names, 5) or 'nothing'}"


def _text_files(source: Path) -> list[Path]:
    if is_hub(source) or source.is_file():
        return [source]
    if not source.exists():
        raise ClozeError(
            f"The corpus source {source} does not exist. Check corpus.sources; a relative path starts from `data`."
        )
    found = _files(source)
    taken = [path for path in found if path.name.lower().endswith(ENDINGS) and not _hidden(path, source)]
    if any(path.suffix == ".arrow" for path in taken):
        taken = [path for path in taken if path.name not in _DATASET_FILES]
    if not taken:
        names = some([path.relative_to(source).as_posix() for path in found], 5) or "no file at all"
        raise ClozeError(
            f"The folder {source} has no text files ({', '.join(ENDINGS)}); it holds {names}. "
            "Name a file itself to read it whatever its ending."
        )
    return taken


def _files(folder: Path) -> list[Path]:
    """All but what says whose they are, each folder once, and behind links those that stand nowhere else. Raises
    ClozeError for a folder that cannot be listed, unless it is hidden."""

    def refuse(error: OSError) -> None:
        if not _hidden(place := Path(error.filename), folder):
            raise unreadable(place, error)

    found: list[Path] = []
    known: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        for place, folders, names in os.walk(waiting.pop(0), onerror=refuse):
            folders.sort()  # A folder that several links lead to is found at the first.
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in known:  # A link may lead back to where it stands.
                folders.clear()
                continue
            known.add((status.st_dev, status.st_ino))
            waiting += [link for name in sorted(folders) if name[0] != "." and (link := Path(place, name)).is_symlink()]
            found += [path for name in names if (path := Path(place, name)).is_file() and name != SOURCE_FILE]
    return sorted(found)


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
