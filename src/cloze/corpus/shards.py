"""The costly part of the corpus stage, cut into shards that are made apart, in any process, and kept until the end.

A shard is a run of raw documents, about 4 million characters, whatever the number of workers. Made, it is a file:
shards/00012.arrow, the prepared documents and in its metadata what preparing them dropped and changed. Files are
written whole or not at all, by the process that reads the sources, so nothing but raw documents goes out to workers and
nothing but bytes comes back: they need no disk. A killed run reads its sources again, which costs little, and makes the
shards that are not there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from cloze.corpus.contamination import TestTexts
from cloze.corpus.counts import Counts, Tally
from cloze.corpus.document import Document, Markup, RawDocument
from cloze.corpus.prepare import Prepared, prepare
from cloze.corpus.readers import open_reader
from cloze.errors import ClozeError, DamagedError, SourceDamaged
from cloze.files import write_bytes
from cloze.recipe import CorpusSettings
from cloze.workers import Callers, Here, WorkerDied, Workers, available_cores, in_order

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_CHARACTERS = 4_000_000
"""Of raw text, about: a shard ends with the document that fills it. Some seconds of work; 8 MB of Korean."""
SHARD_DOCUMENTS = 20_000
_FEWEST_DOCUMENTS = 100
"""A shard has no more documents than `max_documents`, but not fewer than these for that reason."""

_NAME = b"documents"
_COUNTS = b"counts"

_MARKS = {field.name: str(field.type) for field in fields(Prepared) if field.name != "document"}
"""What `Prepared` says of its document, and the types of it."""

Packed = list[tuple[str, str, str, Markup]]
"""Raw documents as tuples, which travel between processes five times faster."""


@dataclass(slots=True)
class Shard:
    """Raw documents that are prepared together."""

    number: int
    name: str
    """What is in it, for errors and to know its file by: the first document's id and the last one's."""
    raw: Packed
    counts: Counts
    """What the reader entered while it read them, and from the file what preparing them added."""


def prepared_shards(
    paths: list[Path], settings: CorpusSettings, folder: Path, tests: TestTexts | None = None
) -> Generator[tuple[list[Prepared], Counts]]:
    """The documents of the sources, shard by shard, and what was read, dropped and changed on the way to them.

    Shards that are not yet in `folder` are made. Raises ClozeError for a source that cannot be read, a document that
    cannot be prepared, and workers that die of one shard again and again. Close the iterator to end the workers early.
    """
    reading = read_shards(paths, settings)
    first = list(islice(reading, 2))
    # Starting workers would take longer than a single shard.
    callers = open_callers(settings, tests) if len(first) == 2 else Here(settings, tests)

    def finish(shard: Shard) -> Shard:
        path = _path(folder, shard)
        if not _is_made(path, shard):
            write_bytes(path, _made(shard, callers))
        shard.raw = []
        return shard

    with closing(in_order(callers, finish, chain(first, reading))) as finished:
        for shard in finished:
            documents, counts = _load(_path(folder, shard))
            shard.counts.merge(counts)
            yield documents, shard.counts


def open_callers(settings: CorpusSettings, tests: TestTexts | None = None) -> Callers:
    """What makes shards, as `corpus.engine` and `corpus.processes` say. Raises ClozeError without a cluster."""
    if settings.engine == "ray":
        from cloze.corpus.cluster import RayTasks

        return RayTasks(settings, tests)
    processes = settings.processes or available_cores()
    return Workers(processes, settings, tests) if processes > 1 else Here(settings, tests)


def read_shards(paths: list[Path], settings: CorpusSettings) -> Iterator[Shard]:
    """The sources, cut into shards; the last one also has the reader's last counts, and may have no document."""
    most = max(_FEWEST_DOCUMENTS, settings.max_documents or SHARD_DOCUMENTS)
    counts, number, characters = Counts(), 0, 0
    raw: Packed = []
    for path in paths:
        for document in _read(path, settings, counts):
            raw.append((document.id, document.title, document.text, document.markup))
            characters += len(document.text)
            if characters >= SHARD_CHARACTERS or len(raw) >= min(most, SHARD_DOCUMENTS):
                yield _shard(number, raw, counts)
                number, raw, characters = number + 1, [], 0
    yield _shard(number, raw, counts)


def _read(path: Path, settings: CorpusSettings, counts: Counts) -> Iterator[RawDocument]:
    """The documents of a source; of one that is cut off those before that, if `corpus.tolerate` says so."""
    try:
        yield from open_reader(path, settings).read(counts)
    except SourceDamaged as error:
        if settings.tolerate != "cut files":
            raise SourceDamaged(f"{error} corpus.tolerate: cut files would go on with what came before.") from None
        counts.drop("the rest of a source that is cut off or damaged", example=str(error))


def make_shard(raw: Packed, name: str, settings: CorpusSettings, tests: TestTexts | None = None) -> bytes:
    """A shard's file, a function of the arguments alone. Raises ClozeError for a document that cannot be prepared."""
    import pyarrow as pa

    counts, rows = Counts(), []
    for record in raw:
        try:
            prepared = prepare(RawDocument(*record), settings, counts, tests)
        except ClozeError:
            raise
        except Exception as error:
            raise ClozeError(
                f"{record[0]} ({record[1] or 'no title'}) cannot be prepared ({type(error).__name__}: {error}). This "
                "is a mistake of cloze's: please report it with the text of this document. To go on, take it out."
            ) from error
        document = prepared.document
        rows.append((document.id, document.title, document.sentences, *(getattr(prepared, name) for name in _MARKS)))
    schema = _schema().with_metadata({_NAME: name, _COUNTS: json.dumps(asdict(counts))})
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    file = io.BytesIO()
    with pa.ipc.new_file(file, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    return file.getvalue()


def _schema() -> pa.Schema:
    """The fields of `Document`, then the others of `Prepared`, in their order."""
    import pyarrow as pa

    types = {"str": pa.string(), "int": pa.uint64(), "bytes": pa.binary()}
    document = {"id": pa.string(), "title": pa.string(), "sentences": pa.list_(pa.string())}
    return pa.schema(document | {name: types[kind] for name, kind in _MARKS.items()})


def _shard(number: int, raw: Packed, counts: Counts) -> Shard:
    """What was read so far; the reader goes on with empty books."""
    mine = Counts(dropped=counts.dropped, changed=counts.changed, bytes_read=counts.bytes_read)
    counts.dropped, counts.changed, counts.bytes_read = {}, {}, 0
    return Shard(number, f"{raw[0][0]} to {raw[-1][0]}" if raw else "no document", raw, mine)


def _path(folder: Path, shard: Shard) -> Path:
    return folder / f"{shard.number:05d}.arrow"


def _made(shard: Shard, callers: Callers) -> bytes:
    try:
        return callers.call(make_shard, shard.raw, shard.name)
    except WorkerDied as error:
        raise ClozeError(
            f"Shard {shard.number:,} of the corpus ({shard.name}) was not made: {error}. Most often the machine ran "
            "out of memory: set corpus.processes lower or free some memory, and run again; finished shards are kept. "
            'A Python script that runs cloze must do so under `if __name__ == "__main__":`, because workers import it.'
        ) from None


def _is_made(path: Path, shard: Shard) -> bool:
    """Whether the file is there, whole, and that of this shard."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            metadata: dict[bytes, bytes] = pa.ipc.open_file(source).schema.metadata
            return metadata[_NAME].decode() == shard.name
    except (OSError, KeyError, pa.ArrowException):
        return False


def _load(path: Path) -> tuple[list[Prepared], Counts]:
    """The documents of a shard's file, and its counts. Raises DamagedError."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            file = pa.ipc.open_file(source)
            columns = [column.to_pylist() for column in file.get_batch(0).columns]
            sums = json.loads(file.schema.metadata[_COUNTS])
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DamagedError(f"{path} cannot be read as a shard ({error}). Delete it and run again.") from None
    dropped, changed = (
        {reason: Tally(**tally) for reason, tally in sums[kind].items()} for kind in ("dropped", "changed")
    )
    counts = Counts(dropped=dropped, changed=changed)
    return [Prepared(Document(*values[:3]), *values[3:]) for values in zip(*columns, strict=True)], counts
