"""The token store: documents > sentences > ids, in one memory-mapped Arrow file a split.

train.arrow and validation.arrow are Arrow IPC files with one column, `documents: list<list<uint16>>` (uint32 when the
vocabulary has more than 65,535 entries), uncompressed; a record batch is a *shard* of `shard_documents` documents. The
schema's metadata name the vocabulary. A sentence without tokens and a document without sentences are left out, counted.

Axes: T tokens, S sentences, D documents, P spans.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloze.corpus.corpus import SPLITS
from cloze.errors import ClozeError, DamagedError
from cloze.tokens.encoder import IdType, id_dtype
from cloze.tokens.store_workers import EncodedDocuments, encode_corpus
from cloze.tokens.tokenizer import Tokenizer
from cloze.workers import available_cores

if TYPE_CHECKING:
    from cloze.corpus.corpus import Corpus
    from cloze.progress import Progress
    from cloze.recipe import StoreSettings

_FINGERPRINT = b"vocabulary_fingerprint"
_SIZE = b"vocabulary_size"


def build_store(
    corpus: Corpus, tokenizer_folder: Path, settings: StoreSettings, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Encode both splits into `folder` and return counts by split. The files do not depend on `settings.processes`.

    Workers encode the corpus's record batches; this process puts them in order and writes. At any moment a few batches
    and one shard are in memory. `folder` may hold the batches of a run that was killed; they are not encoded again.
    Raises ClozeError if workers keep dying or the training split has no tokens.
    """
    tokenizer = Tokenizer.load(tokenizer_folder)
    processes = settings.processes or available_cores()
    total = sum(corpus.batches(split) for split in SPLITS)
    counts: dict[str, Any] = {}
    with progress.stage("store", total=total, unit="batches") as meter:
        for split in SPLITS:
            with _StoreWriter(folder / f"{split}.arrow", tokenizer, settings.shard_documents) as writer:
                for encoded in encode_corpus(corpus, tokenizer_folder, split, processes, folder / "batches"):
                    writer.add(encoded)
                    meter.advance()
            counts[split] = writer.counts
    shutil.rmtree(folder / "batches", ignore_errors=True)
    if counts["train"]["tokens"] == 0:
        raise ClozeError(
            f"The training split of {corpus.folder} gives no tokens ({counts['train']['empty_sentences']:,} empty "
            "sentences). Check corpus.sources and corpus.validation_frac."
        )
    return counts


class Store:
    """One split of a token store, memory-mapped: opening reads the file's footer only. Make one with `Store.open`.

    A token's *position* counts all tokens of the split; a span is a position and a length.
    """

    def __init__(self, path: Path) -> None:
        """Use `Store.open`, which turns what goes wrong here into a message."""
        self.path = path
        self._file = pa.memory_map(str(path)).read_buffer()
        reader = pa.ipc.open_file(self._file)
        metadata = reader.schema.metadata or {}
        self.vocabulary_fingerprint: str = metadata[_FINGERPRINT].decode()
        """Fingerprint of the tokenizer that made the ids."""
        self.vocabulary_size = int(metadata[_SIZE])
        """Entries of its vocabulary."""
        dtype = id_dtype(self.vocabulary_size)
        if reader.schema.types != [_type(dtype)]:
            raise pa.ArrowInvalid(f"its columns are {reader.schema.types}, expected {_type(dtype)}")
        self._documents: list[pa.ListArray] = [reader.get_batch(i).column(0) for i in range(reader.num_record_batches)]
        sentences = [documents.values for documents in self._documents]
        shard_tokens = [len(part.values) for part in sentences]
        self._shard_starts = np.cumsum([0, *shard_tokens])
        self.tokens = int(self._shard_starts[-1])
        """Tokens in all."""
        # One view over the whole file makes `take` one gather, however many shards its spans lie in: a shard's ids
        # begin at _shard_places, counted in ids from the file's first byte.
        self._ids = np.frombuffer(self._file, dtype=dtype, count=self._file.size // np.dtype(dtype).itemsize)
        addresses = [
            part.values.buffers()[1].address if n else 0 for part, n in zip(sentences, shard_tokens, strict=True)
        ]
        places = (np.array(addresses, dtype=np.int64) - self._file.address) // self._ids.itemsize
        self._shifts = places - self._shard_starts[:-1]

    @classmethod
    def open(cls, folder: Path, split: str, tokenizer: Tokenizer | None = None) -> Store:
        """Open a split. Raises DamagedError for a broken file, ClozeError if `tokenizer` did not make its ids."""
        path = Path(folder) / f"{split}.arrow"
        try:
            store = cls(path)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise DamagedError(
                f"{path} can't be read as a token store ({error}). Delete the folder {folder} and run again."
            ) from None
        if tokenizer is not None and store.vocabulary_fingerprint != tokenizer.fingerprint:
            made_by, given = store.vocabulary_fingerprint[:8], tokenizer.fingerprint[:8]
            raise ClozeError(
                f"{path} holds ids of vocabulary {made_by} ({store.vocabulary_size:,} entries), but the tokenizer is "
                f"{given} ({tokenizer.vocabulary_size:,} entries). Ids would name the wrong tokens. Use the tokenizer "
                "that the store was built with, or build the store again."
            )
        return store

    @cached_property
    def sentence_offsets(self) -> NDArray[np.int64]:
        """int64 [S+1]: position of each sentence's first token; the last is `tokens`."""
        return _joined([documents.values.offsets for documents in self._documents])

    @cached_property
    def document_offsets(self) -> NDArray[np.int64]:
        """int64 [D+1]: number of each document's first sentence; the last is S."""
        return _joined([documents.offsets for documents in self._documents])

    def take(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ids of spans, end to end: int64 [sum of lengths], from int64 [P] positions and lengths.

        Raises IndexError if a span leaves the store, DamagedError for an id beyond the vocabulary.
        """
        ends = starts + lengths
        if len(starts) and (starts.min() < 0 or lengths.min() < 0 or ends.max() > self.tokens):
            raise IndexError(f"spans from {starts.min():,} to {ends.max():,} leave a store of {self.tokens:,} tokens")
        if not lengths.any():
            return np.zeros(0, dtype=np.int64)
        shards = self._shards(starts)
        if np.any(ends > self._shard_starts[shards + 1]):  # a span over two shards: every token is a span of its own
            starts, lengths = _places(starts, lengths), np.ones(int(lengths.sum()), dtype=np.int64)
            shards = self._shards(starts)
        ids: NDArray[np.int64] = self._ids[_places(starts + self._shifts[shards], lengths)].astype(np.int64)
        if ids.max() >= self.vocabulary_size:
            raise DamagedError(
                f"{self.path} holds the id {ids.max():,}, and its vocabulary has {self.vocabulary_size:,} entries: the "
                f"file was changed. Delete the folder {self.path.parent} and run again."
            )
        return ids

    def _shards(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._shard_starts[1:-1], positions, side="right")


class _StoreWriter:
    """Collects encoded documents and writes every `shard_documents` of them as one record batch."""

    def __init__(self, path: Path, tokenizer: Tokenizer, shard_documents: int) -> None:
        self._path = path
        self._dtype = id_dtype(tokenizer.vocabulary_size)
        self._unknown_id = tokenizer.unknown_id
        self._shard_documents = shard_documents
        metadata = {_FINGERPRINT: tokenizer.fingerprint, _SIZE: str(tokenizer.vocabulary_size)}
        self._schema = pa.schema([("documents", _type(self._dtype))], metadata=metadata)
        self._writer = pa.ipc.new_file(str(path), self._schema)
        self._waiting: list[EncodedDocuments] = []
        self.counts = dict.fromkeys(
            ("documents", "sentences", "tokens", "unknown_tokens", "longest_sentence_tokens", "shards"), 0
        ) | {"empty_documents": 0, "empty_sentences": 0}

    def __enter__(self) -> _StoreWriter:
        return self

    def __exit__(self, error_class: type[BaseException] | None, *error: object) -> None:
        if error_class is None:
            while self._waiting:
                self._write_shard()
        self._writer.close()

    def add(self, encoded: EncodedDocuments) -> None:
        """Append documents; whole shards are written."""
        counts = self.counts
        counts["documents"] += len(encoded.document_sentences)
        counts["sentences"] += len(encoded.sentence_tokens)
        counts["tokens"] += len(encoded.ids)
        counts["unknown_tokens"] += int(np.count_nonzero(encoded.ids == self._unknown_id))
        longest = int(encoded.sentence_tokens.max(initial=0))
        counts["longest_sentence_tokens"] = max(counts["longest_sentence_tokens"], longest)
        counts["empty_documents"] += encoded.empty_documents
        counts["empty_sentences"] += encoded.empty_sentences
        self._waiting.append(encoded)
        while sum(len(part.document_sentences) for part in self._waiting) >= self._shard_documents:
            self._write_shard()

    def _write_shard(self) -> None:
        shard, rest = EncodedDocuments.concatenate(self._waiting).split(self._shard_documents)
        self._waiting = [rest] if len(rest.document_sentences) else []
        if not len(shard.document_sentences):
            return
        if len(shard.ids) >= 1 << 31:
            raise ClozeError(
                f"{self._path}: {len(shard.document_sentences):,} documents hold {len(shard.ids):,} tokens, more than "
                "the 2,147,483,647 of one record batch. Set store.shard_documents lower."
            )
        sentences = pa.ListArray.from_arrays(_offsets(shard.sentence_tokens), pa.array(shard.ids))
        documents = pa.ListArray.from_arrays(_offsets(shard.document_sentences), sentences)
        self._writer.write_batch(pa.record_batch([documents], schema=self._schema))
        self.counts["shards"] += 1


def _type(dtype: IdType) -> pa.DataType:
    return pa.list_(pa.list_(pa.from_numpy_dtype(dtype)))


def _offsets(lengths: NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _joined(shards: list[pa.Array]) -> NDArray[np.int64]:
    """Offsets of one list after those of all the lists before it: int64, beginning with 0."""
    parts, end = [np.zeros(1, dtype=np.int64)], 0
    for shard in shards:
        parts.append(shard.to_numpy()[1:] + np.int64(end))
        end = int(parts[-1][-1])
    return np.concatenate(parts, dtype=np.int64)


def _places(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every place of the spans, end to end: starts [2, 9], lengths [3, 1] -> [2, 3, 4, 9]."""
    ends = np.cumsum(lengths)
    shifts: NDArray[np.int64] = np.repeat(starts - (ends - lengths), lengths)
    shifts += np.arange(len(shifts))
    return shifts
