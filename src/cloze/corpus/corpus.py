"""The corpus on disk: documents of two splits, read batch by batch.

`train.arrow` and `validation.arrow` are Arrow IPC files (zstd) with the columns id: string, title: string,
sentences: list<string>; a record batch has at most 1,000 documents and about 8 million characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cloze.corpus.document import Document
from cloze.errors import DamagedError
from cloze.files import MANIFEST, read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

_BATCH_DOCUMENTS = 1_000
_BATCH_CHARACTERS = 8_000_000


@dataclass(frozen=True)
class Corpus:
    """A corpus folder. It holds a path only, so worker processes can be handed it; files are opened to be read."""

    folder: Path

    @property
    def counts(self) -> dict[str, Any]:
        """What was kept and dropped (`Counts.to_json`), from the folder's manifest. Raises DamagedError without one."""
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise DamagedError(f"{self.folder} has no {MANIFEST}: it was never finished. Delete it and run again.")
        counts: dict[str, Any] = manifest.get("counts", {})
        return counts

    def batches(self, split: str) -> int:
        """Number of record batches. Raises DamagedError, as all that follow, for a missing or damaged file."""
        with self._open(split) as file:
            return int(file.num_record_batches)

    def read_batch(self, split: str, index: int) -> list[Document]:
        """The documents of one record batch."""
        with self._open(split) as file:
            return documents_of(file.get_batch(index))

    def record_batches(self, split: str) -> Iterator[pa.RecordBatch]:
        """All record batches in order, one in memory at a time."""
        with self._open(split) as file:
            for index in range(file.num_record_batches):
                yield file.get_batch(index)

    def documents(self, split: str) -> Iterator[Document]:
        """All documents in order, one batch in memory at a time."""
        for batch in self.record_batches(split):
            yield from documents_of(batch)

    def sentences(self, split: str) -> Iterator[str]:
        """All sentences in order."""
        for document in self.documents(split):
            yield from document.sentences

    @contextmanager
    def _open(self, split: str) -> Iterator[pa.RecordBatchFileReader]:
        import pyarrow as pa

        path = self.folder / f"{split}.arrow"
        try:
            with pa.OSFile(str(path)) as source:
                yield pa.ipc.open_file(source)
        except (OSError, pa.ArrowInvalid) as error:
            raise DamagedError(
                f"{path} cannot be read as a corpus ({error}). Delete the folder {self.folder} and run again."
            ) from error


class CorpusWriter:
    """Writes one split, batch by batch. Close it, or use it in a `with` block."""

    def __init__(self, folder: Path, split: str) -> None:
        import pyarrow as pa

        self._schema = pa.schema({"id": pa.string(), "title": pa.string(), "sentences": pa.list_(pa.string())})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_file(str(folder / f"{split}.arrow"), self._schema, options=options)
        self._waiting: list[Document] = []
        self._characters = 0

    def write(self, document: Document) -> None:
        """Append a document."""
        self._waiting.append(document)
        self._characters += document.characters
        if len(self._waiting) >= _BATCH_DOCUMENTS or self._characters >= _BATCH_CHARACTERS:
            self._flush()

    def close(self) -> None:
        """Write what is waiting, and the file's end."""
        self._flush()
        self._writer.close()

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            columns = zip(
                *((document.id, document.title, document.sentences) for document in self._waiting), strict=True
            )
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
            self._waiting, self._characters = [], 0


def documents_of(batch: pa.RecordBatch) -> list[Document]:
    """The documents of a record batch."""
    columns = (batch.column(name).to_pylist() for name in ("id", "title", "sentences"))
    return [Document(*values) for values in zip(*columns, strict=True)]
