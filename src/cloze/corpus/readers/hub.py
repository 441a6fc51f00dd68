"""A data set of the Hugging Face Hub by its name, a document a row: streamed through `datasets` (the extra `hub`).

`hub:owner/name`, then as needed `/configuration`, `@revision` (a branch, tag or commit) and `:split` (train), as in
hub:wikimedia/wikipedia/20231101.ko:train. No code of a data set is ever run. A revision is looked up once, and that
commit is read; a whole commit of 40 digits needs no look-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.record import drop_record, json_type, markup_of_column
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

_SOURCE = re.compile(
    r"hub:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:/(?P<configuration>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?(?::(?P<split>\w+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(source: Path) -> str:
    """The commit that a source names now. Raises ClozeError if the Hub does not have it or cannot be reached."""
    parts = _parts(source)
    revision = parts["revision"]
    if revision and _COMMIT.fullmatch(revision):
        return revision
    try:
        from huggingface_hub import HfApi
    except ModuleNotFoundError:
        raise _no_extra(source) from None
    try:
        return str(HfApi().dataset_info(str(parts["name"]), revision=revision).sha)
    except Exception as error:  # The library lets those of several HTTP clients through.
        raise _unreachable(source, error) from error


class HubReader:
    """One split of one configuration."""

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its rows. Raises ClozeError for a name, configuration, split or column that is not there, and offline."""
        parts = _parts(self.path)
        name, split = str(parts["name"]), parts["split"] or "train"
        try:
            import datasets
        except ModuleNotFoundError:
            raise _no_extra(self.path) from None
        commit = commit_of(self.path)
        number = 0
        try:
            rows = datasets.load_dataset(name, parts["configuration"], split=split, revision=commit, streaming=True)
            for number, row in enumerate(rows, start=1):
                if number == 1:
                    self._check(row)
                text = row.get(self.settings.text_column)
                if not isinstance(text, str):
                    problem = f"{self.settings.text_column} is {json_type(text)}"
                    drop_record(counts, self.settings, self.path, number, problem)
                    continue
                title = row.get(self.settings.title_column) if self.settings.title_column else ""
                markup = markup_of_column(self.settings)
                yield RawDocument(f"{self.path}:{number}", str(title or ""), text, markup)
        except ClozeError:
            raise
        except Exception as error:  # The library lets those of its file formats and HTTP clients through.
            raise _unreachable(self.path, error, f" after row {number:,}") from error

    def _check(self, row: dict[str, object]) -> None:
        for key, column in (
            ("text_column", self.settings.text_column),
            ("title_column", self.settings.title_column),
        ):
            if column is not None and column not in row:
                raise ClozeError(
                    f"{self.path} has no column {column!r}; it has {', '.join(map(repr, row))}. Set corpus.{key} to "
                    "one of these."
                )


def _parts(source: Path) -> dict[str, str | None]:
    match = _SOURCE.fullmatch(source.as_posix())
    if match is None:
        raise ClozeError(
            f"The corpus source {source} is no name on the Hub. Expected hub:owner/name, then as needed "
            "/configuration, @revision and :split, as in hub:wikimedia/wikipedia/20231101.ko:train."
        )
    return match.groupdict()


def _no_extra(source: Path) -> ClozeError:
    return ClozeError(
        f"The corpus source {source} needs datasets, which is not installed. Run: pip install 'cloze[hub]'"
    )


def _unreachable(source: Path, error: Exception, place: str = "") -> ClozeError:
    said = " ".join(str(error).split())[:300]
    return ClozeError(
        f"{source} cannot be read{place} ({type(error).__name__}: {said}). Check the name, the configuration, the "
        "split and the network; a private data set needs `hf auth login`. Offline, save it beforehand "
        "with save_to_disk and name the folder."
    )
