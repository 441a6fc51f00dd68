"""Parquet and Arrow files, a document a row; only the columns that are wanted are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.readers.record import drop_record, markup_of_column
from cloze.errors import ClozeError
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1_000


class ParquetReader:
    """A Parquet file, as `datasets` publishes them."""

    what = "a Parquet file"

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its rows. Raises ClozeError for a column that is missing or holds no text, and for a damaged file."""
        number, size, before = 0, self.path.stat().st_size, 0
        with self._errors():
            for batch, frac in self._batches():
                texts = batch.column(self.settings.text_column).to_pylist()
                title_column = self.settings.title_column
                titles = [""] * len(texts) if title_column is None else batch.column(title_column).to_pylist()
                counts.bytes_read += int(size * frac) - before
                before = int(size * frac)
                for title, text in zip(titles, texts, strict=True):
                    number += 1
                    if text is None:
                        problem = f"{self.settings.text_column} is null"
                        drop_record(counts, self.settings, self.path, number, problem)
                    else:
                        yield RawDocument(
                            f"{self.path.name}:{number}", str(title or ""), text, markup_of_column(self.settings)
                        )
        counts.bytes_read += size - before

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, float]]:
        """Rows, and the share of the file that is read with them."""
        from pyarrow import parquet

        with parquet.ParquetFile(self.path) as file:
            columns = self._wanted(file.schema_arrow)
            done = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                done += len(batch)
                yield batch, done / file.metadata.num_rows

    def _wanted(self, schema: pa.Schema) -> list[str]:
        import pyarrow as pa

        columns = []
        for key, column in (("text_column", self.settings.text_column), ("title_column", self.settings.title_column)):
            if column is None:
                continue
            if column not in schema.names:
                raise ClozeError(
                    f"{self.path} has no column {column!r}; it has {', '.join(map(repr, schema.names))}. Set "
                    f"corpus.{key} to one of these."
                )
            kind = schema.field(column).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise ClozeError(f"{self.path}: column {column!r} holds {kind}, expected text. Set corpus.{key}.")
            columns.append(column)
        return columns

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What pyarrow says of a file, as an error to act on."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError) as error:
            said = " ".join(str(error).split())[:200]
            raise ClozeError(f"{self.path} cannot be read as {self.what} ({said}). Fetch or write it again.") from None


class ArrowReader(ParquetReader):
    """An Arrow IPC file or stream, as `Dataset.save_to_disk` leaves them."""

    what = "an Arrow file"

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, float]]:
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as source:
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            columns = self._wanted(reader.schema)
            count = reader.num_record_batches if is_file else 0
            batches = map(reader.get_batch, range(count)) if is_file else iter(reader)
            for place, batch in enumerate(batches):
                # `datasets` writes batches of 1,000 rows, others a whole table: rows become Python's a few at a time.
                for start in range(0, len(batch), BATCH_ROWS):
                    frac = place / count if is_file else source.tell() / source.size()
                    yield batch.select(columns).slice(start, BATCH_ROWS), frac
