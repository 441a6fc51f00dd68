"""The corpus stage: source files to documents on disk, in one pass and in bounded memory.

`shards` prepares the documents, on as many cores as there are; this file takes them in the source's order, selects,
and writes. The result depends on neither the number of workers nor on whether a run was killed and went on.

Whether a document goes to train or validation is decided by a hash (BLAKE2b) of its sentences: the same text lands on
the same side whatever its file, its place or the texts around it, so nothing that training saw is validated on. The
same hash finds exact duplicates. At 64 bits, the chance that any two different texts are taken for one is below 1 in
300,000 among 10 million documents.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cloze.corpus.contamination import TestTexts, read_test_texts
from cloze.corpus.corpus import SPLITS, Corpus, CorpusWriter, Split
from cloze.corpus.counts import Counts, Tally
from cloze.corpus.prepare import Prepared, Selection, content_hash
from cloze.corpus.shards import prepared_shards
from cloze.corpus.sources import fingerprint, ignored_files, ignored_members, packed_bytes, source_files
from cloze.errors import ClozeError, some
from cloze.progress import Meter, Progress
from cloze.recipe import CorpusSettings

__all__ = ["build_corpus", "fingerprint", "source_files"]


def build_corpus(
    settings: CorpusSettings,
    data: Path,
    folder: Path,
    progress: Progress,
    test_files: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Write train.arrow and validation.arrow into `folder`, which must exist; returns the counts (`Counts.to_json`).

    `folder` may hold the shards of a run of the same settings and sources that was killed; they are not made again.

    If `validation_frac` is positive and two documents or more are kept, neither split is empty: when the hash sent all
    of them to one side, the one nearest to the border (the smallest hash of train, or the largest of validation) goes
    to the other. A single document is always trained on. `unread_bytes` of the counts: what `max_documents` left
    unread. `test_files`: by their names in the counts, the files whose texts must not be in the corpus. Raises
    ClozeError for files that cannot be read, for sources that give no document, and if workers keep dying.
    """
    tests = read_test_texts(test_files, settings.cleaning) if test_files else None
    paths = source_files(settings, data)
    total_bytes = packed_bytes(paths)
    counts = Counts(kept={split: Tally() for split in SPLITS})
    ignored = len(ignored_files(settings, data)) + ignored_members(paths, settings, counts)
    border = settings.validation_frac * 2.0**64
    nearest: dict[Split, int] = {}
    with (
        CorpusWriter(folder, "train") as train,
        CorpusWriter(folder, "validation") as validation,
        progress.stage("corpus", total=total_bytes, unit="bytes") as meter,
        closing(_documents(paths, settings, tests, folder / "shards", counts, meter)) as documents,
    ):
        for prepared in documents:
            document, content = prepared.document, prepared.content
            split: Split = "validation" if content < border else "train"
            (validation if split == "validation" else train).write(document)
            counts.keep(split, document)
            nearest[split] = min(nearest.get(split, content), content, key=lambda hashed: abs(hashed - border))
    if not nearest:
        raise _no_document(paths, counts)
    if "train" not in nearest:
        _move(nearest["validation"], folder, "validation", "train", counts)
    elif "validation" not in nearest and settings.validation_frac > 0.0 and counts.documents > 1:
        _move(nearest["train"], folder, "train", "validation", counts)
    shutil.rmtree(folder / "shards")
    unread_bytes = max(0, total_bytes - counts.bytes_read) if counts.documents == settings.max_documents else 0
    files = {"files": len(paths), "ignored_files": ignored, "unread_bytes": unread_bytes}
    return counts.to_json() | files


def _documents(
    paths: list[Path],
    settings: CorpusSettings,
    tests: TestTexts | None,
    shards: Path,
    counts: Counts,
    meter: Meter,
) -> Generator[Prepared]:
    """The documents that are kept, whoever iterates entering them into `counts`; `max_documents` of them at most."""
    selection = Selection(tests)
    with closing(prepared_shards(paths, settings, shards, tests)) as made:
        for documents, of_shard in made:
            counts.merge(of_shard)
            for prepared in documents:
                if counts.documents == settings.max_documents:
                    reason, document = "read after max_documents were kept", prepared.document
                    sentences, characters = len(document.sentences), document.characters
                    counts.drop(reason, documents=1, sentences=sentences, characters=characters, example=document.id)
                elif selection.keeps(prepared, counts):
                    yield prepared
            meter.advance(of_shard.bytes_read)
            meter.note(f"{counts.documents:,} documents")
            if counts.documents == settings.max_documents:
                return


def _move(content: int, folder: Path, source: Split, target: Split, counts: Counts) -> None:
    """Make the document of this hash the only one of the empty split `target`, by writing `source` again without it."""
    aside = folder / "moving"
    shutil.rmtree(aside, ignore_errors=True)  # left by a run that was killed here
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
    shown = some(paths, 3)
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
