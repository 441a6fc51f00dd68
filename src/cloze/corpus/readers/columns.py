"""Parquet and Arrow files, a document a row; only the columns that are wanted are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.corpus.archives import archive_of
from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.encoding import decode
from cloze.corpus.readers.record import MAX_DOCUMENT_BYTES, drop_record, markup_of_column
from cloze.corpus.streams import PACKED, source_name
from cloze.errors import ClozeError, SourceDamaged
from cloze.recipe import CorpusSettings

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1_000
_BUFFER_BYTES = 1 << 20


class ParquetReader:
    """A Parquet file, as `datasets` publishes them."""

    what = "a Parquet file"

    def __init__(self, path: Path, settings: CorpusSettings) -> None:
        self.path, self.settings = path, settings

    def read(self, counts: Counts) -> Iterator[RawDocument]:
        """Its rows. Raises ClozeError for a column that is missing or holds no text, and for a damaged file."""
        self._check_place()
        number, size, before = 0, self.path.stat().st_size, 0
        column, name, markup = self.settings.text_column, source_name(self.path), markup_of_column(self.settings)
        with self._errors():
            for batch, frac in self._batches():
                texts, titles = (
                    self._values(batch, name) for name in (self.settings.text_column, self.settings.title_column)
                )
                counts.bytes_read += int(size * frac) - before
                before = int(size * frac)
                for title, text in zip(titles, texts, strict=True):
                    number += 1
                    found, problem = self._text(text, counts, f"{name}, record {number:,}")
                    if problem:
                        drop_record(counts, self.settings, self.path, number, f"{column} is {problem}")
                    else:
                        heading = self._text(title, counts, f"{name}, record {number:,}")[0]
                        yield RawDocument(f"{name}:{number}", heading, found, markup)
        counts.bytes_read += size - before

    def _check_place(self) -> None:
        """Raises ClozeError for a file that is packed: its end is read first, which needs a file of its own."""
        packed = archive_of(self.path) is not None
        if not packed:
            with self._errors(), self.path.open("rb") as file:
                packed = file.read(6).startswith(PACKED)
        if packed:
            raise ClozeError(f"{self.path} is {self.what} that is packed once more. Unpack it first.")

    def _text(self, value: pa.Scalar, counts: Counts, where: str) -> tuple[str, str]:
        """The text of a cell, or what is wrong with it. Writers need not check that what they call text is UTF-8."""
        if not value.is_valid:
            return "", "null"
        data = value.as_buffer()
        if data.size > MAX_DOCUMENT_BYTES:
            return "", f"longer than {MAX_DOCUMENT_BYTES:,} bytes"
        text = decode(data.to_pybytes(), "auto", counts, where)
        return ("", "neither UTF-8 nor, for certain, CP949") if text is None else (text, "")

    def _values(self, batch: pa.RecordBatch, column: str | None) -> pa.Array:
        """The bytes of a column of text. They are checked before they are looked at: a file may say anything."""
        import pyarrow as pa

        if column is None:
            return pa.nulls(len(batch), pa.binary())
        values = batch.column(column)
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            values.validate(full=True)
        values = values.cast(pa.large_binary() if pa.types.is_large_string(values.type) else pa.binary())
        values.validate(full=True)
        return values

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, float]]:
        """Rows, and the share of the file that is read with them."""
        from pyarrow import parquet

        with parquet.ParquetFile(self.path, buffer_size=_BUFFER_BYTES) as file:
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
            if schema.names.count(column) > 1:
                count = schema.names.count(column)
                raise ClozeError(f"{self.path} has {count} columns {column!r}. Give each a name of its own.")
            kind = schema.field(column).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            if kind not in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()):
                raise ClozeError(f"{self.path}: column {column!r} holds {kind}, expected text. Set corpus.{key}.")
            columns.append(column)
        return list(dict.fromkeys(columns))  # One may be title and text.

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What pyarrow says of a file, as an error to act on."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            said = " ".join(str(error).split())[:200]
            raise SourceDamaged(
                f"{self.path} cannot be read as {self.what} ({said}). Fetch or write it again."
            ) from None


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
