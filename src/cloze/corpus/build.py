"""The corpus stage: source files to documents on disk, in one pass and in bounded memory.

Whether a document goes to train or validation is decided by a hash (BLAKE2b) of its sentences: the same text lands on
the same side whatever its file, its place or the texts around it, so nothing that training saw is validated on. The
same hash finds exact duplicates; remembering it takes about 100 bytes a document. At 64 bits, the chance that any two
different texts are taken for one is below 1 in 300,000 among 10 million documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloze.corpus.corpus import SPLITS, Corpus, CorpusWriter, Split
from cloze.corpus.counts import Counts, Tally
from cloze.corpus.prepare import Prepared, Selection, content_hash, prepare
from cloze.corpus.readers import open_reader
from cloze.corpus.sources import ignored_files, source_files
from cloze.errors import ClozeError
from cloze.files import hash_json, sha256_file
from cloze.progress import Meter, Progress
from cloze.recipe import CorpusSettings

__all__ = ["build_corpus", "fingerprint", "source_files"]

_METER_BYTES = 1 << 20


def fingerprint(paths: list[Path]) -> str:
    """Hash of the names (which become part of the documents' ids) and contents of source files, in order."""
    return hash_json([(path.name, sha256_file(path)) for path in paths])


def build_corpus(settings: CorpusSettings, data: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write train.arrow and validation.arrow into `folder`, which must exist; returns the counts (`Counts.to_json`).

    If `validation_frac` is positive and two documents or more are kept, neither split is empty: when the hash sent all
    of them to one side, the one nearest to the border (the smallest hash of train, or the largest of validation) goes
    to the other. A single document is always trained on. `unread_bytes` of the counts: what `max_documents` left
    unread. Raises ClozeError for sources that cannot be read or that
    give no document.
    """
    paths, unread_bytes = source_files(settings, data), 0
    counts = Counts(kept={split: Tally() for split in SPLITS})
    border = settings.validation_frac * 2.0**64
    nearest: dict[Split, int] = {}
    with (
        CorpusWriter(folder, "train") as train,
        CorpusWriter(folder, "validation") as validation,
        progress.stage("corpus", total=sum(path.stat().st_size for path in paths), unit="bytes") as meter,
    ):
        for prepared in _documents(paths, settings, counts, meter):
            document, content = prepared.document, prepared.content
            split: Split = "validation" if content < border else "train"
            (validation if split == "validation" else train).write(document)
            counts.keep(split, document)
            nearest[split] = min(nearest.get(split, content), content, key=lambda hashed: abs(hashed - border))
            if counts.documents == settings.max_documents:
                unread_bytes = max(0, sum(path.stat().st_size for path in paths) - counts.bytes_read)
                break
    if not nearest:
        raise _no_document(paths, counts)
    if "train" not in nearest:
        _move(nearest["validation"], folder, "validation", "train", counts)
    elif "validation" not in nearest and settings.validation_frac > 0.0 and counts.documents > 1:
        _move(nearest["train"], folder, "train", "validation", counts)
    files = {"files": len(paths), "ignored_files": len(ignored_files(settings, data)), "unread_bytes": unread_bytes}
    return counts.to_json() | files


def _documents(paths: list[Path], settings: CorpusSettings, counts: Counts, meter: Meter) -> Iterator[Prepared]:
    """The documents that are kept; no two of one content."""
    selection = Selection()
    shown = 0
    for path in paths:
        for raw in open_reader(path, settings).read(counts):
            if counts.bytes_read - shown >= _METER_BYTES:
                meter.advance(counts.bytes_read - shown)
                meter.note(f"{counts.documents:,} documents")
                shown = counts.bytes_read
            if selection.keeps(prepared := prepare(raw, settings, counts), counts):
                yield prepared
    meter.advance(counts.bytes_read - shown)


def _move(content: int, folder: Path, source: Split, target: Split, counts: Counts) -> None:
    """Make the document of this hash the only one of the empty split `target`, by writing `source` again without it."""
    aside = folder / "moving"
    aside.mkdir()
    with CorpusWriter(aside, source) as rest, CorpusWriter(aside, target) as moved:
        for document in Corpus(folder).documents(source):
            if content_hash(document) == content:
                moved.write(document)
                counts.move(document, source, target)
            else:
                rest.write(document)
    for split in SPLITS:
        (aside / f"{split}.arrow").replace(folder / f"{split}.arrow")
    aside.rmdir()


def _no_document(paths: list[Path], counts: Counts) -> ClozeError:
    shown = ", ".join(str(path) for path in paths[:3]) + (f" and {len(paths) - 3:,} more" if len(paths) > 3 else "")
    reasons = [
        f"{tally.documents:,} {reason}" + (f" ({tally.examples[0]})" if tally.examples else "")
        for reason, tally in sorted(counts.dropped.items())
        if tally.documents
    ]
    found = f"dropped: {', '.join(reasons)}" if reasons else "they hold no text"
    return ClozeError(
        f"No document was kept from {shown}; {found}. Expected at least one. Check corpus.sources, corpus.kind and "
        "corpus.min_characters."
    )
