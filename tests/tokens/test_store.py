"""What is stored is what the tokenizer gives, for any number of processes; offsets and spans; what goes wrong."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.corpus.corpus import Corpus, Split
from cloze.errors import ClozeError, DamagedError
from cloze.progress import Silent
from cloze.recipe import StoreSettings
from cloze.tokens import store_workers
from cloze.tokens.special import Kind
from cloze.tokens.store import Store, build_store
from cloze.tokens.store_workers import EncodedDocuments, encode_corpus
from cloze.tokens.tokenizer import Tokenizer

from .conftest import write_corpus


def build(corpus: Corpus, tokenizer_folder: Path, folder: Path, **options: int) -> dict[str, dict[str, int]]:
    folder.mkdir()
    options = {"processes": 1, "shard_documents": 700} | options
    return build_store(corpus, tokenizer_folder, StoreSettings(**options), folder, Silent())


@pytest.fixture(scope="module")
def store_folder(
    korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("store") / "store"
    build(korean_corpus, tokenizer_folders["wordpiece"], folder)
    return folder


@pytest.fixture(scope="module")
def store(store_folder: Path) -> Store:
    return Store.open(store_folder, "train")


def test_documents_sentences_and_ids(
    korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], store_folder: Path
) -> None:
    tokenizer = Tokenizer.load(tokenizer_folders["wordpiece"])
    for split in ("train", "validation"):
        store = Store.open(store_folder, split, tokenizer)
        documents = list(korean_corpus.documents(split))
        expected = tokenizer.encode(list(korean_corpus.sentences(split)))
        assert store.tokens == sum(map(len, expected))
        assert np.diff(store.sentence_offsets).tolist() == [len(sentence) for sentence in expected]
        assert np.diff(store.document_offsets).tolist() == [len(document.sentences) for document in documents]
        ids = store.take(np.array([0]), np.array([store.tokens]))
        assert ids.dtype == store.sentence_offsets.dtype == store.document_offsets.dtype == np.int64
        assert ids.tolist() == [number for sentence in expected for number in sentence]


def test_the_file_is_what_the_page_says(store_folder: Path, korean_corpus: Corpus) -> None:
    with pa.memory_map(str(store_folder / "train.arrow")) as file:
        reader = pa.ipc.open_file(file)
        assert reader.schema.field(0).name == "documents"
        assert reader.schema.types == [pa.list_(pa.list_(pa.uint16()))]
        assert [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)] == [700, 700, 700, 400]
        assert reader.schema.metadata[b"vocabulary_size"] == b"160"
    tokens = Store.open(store_folder, "train").tokens
    assert (store_folder / "train.arrow").stat().st_size < 2 * tokens + 4 * (12_000 + 2_600) + 8_192


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_take_any_spans(data: st.DataObject, store: Store) -> None:
    everything = store.take(np.array([0]), np.array([store.tokens]))
    spans = data.draw(st.lists(st.tuples(st.integers(0, store.tokens), st.integers(0, 400)), max_size=12))
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    lengths = np.array([min(length, store.tokens - start) for start, length in spans], dtype=np.int64)
    expected = [everything[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    np.testing.assert_array_equal(store.take(starts, lengths), np.concatenate([np.zeros(0, np.int64), *expected]))


@pytest.mark.parametrize(("start", "length"), [(-1, 3), (0, -1), (10**9, 1)])
def test_spans_outside_are_refused(start: int, length: int, store: Store) -> None:
    with pytest.raises(IndexError, match="leave a store of"):
        store.take(np.array([start]), np.array([length]))


def test_ids_are_a_view_of_the_file(store: Store) -> None:
    assert not store._ids.flags.owndata
    assert not store._ids.flags.writeable


@pytest.mark.parametrize("shard_documents", [1, 1_000, 20_000])
def test_shards_change_nothing_but_the_file(
    shard_documents: int, store: Store, korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], tmp_path: Path
) -> None:
    build(korean_corpus, tokenizer_folders["wordpiece"], tmp_path / "store", shard_documents=shard_documents)
    other = Store.open(tmp_path / "store", "train")
    np.testing.assert_array_equal(other.sentence_offsets, store.sentence_offsets)
    np.testing.assert_array_equal(other.document_offsets, store.document_offsets)
    starts, lengths = store.sentence_offsets[:-1:3], np.diff(store.sentence_offsets)[::3]
    np.testing.assert_array_equal(other.take(starts, lengths), store.take(starts, lengths))


def test_processes_change_nothing(
    korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], store_folder: Path, tmp_path: Path
) -> None:
    one = build(korean_corpus, tokenizer_folders["wordpiece"], tmp_path / "one")
    two = build(korean_corpus, tokenizer_folders["wordpiece"], tmp_path / "two", processes=2)
    assert one == two
    for name in ("train.arrow", "validation.arrow"):
        assert (tmp_path / "two" / name).read_bytes() == (store_folder / name).read_bytes()


def test_what_is_empty_is_left_out_and_counted(tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    documents = [["영화", "\u200b", "뷁 배우"], ["\u200b"], ["감독"], []]
    corpus = write_corpus(tmp_path / "corpus", {"train": documents})
    counts = build(corpus, tokenizer_folders["wordpiece"], tmp_path / "store")
    store = Store.open(tmp_path / "store", "train")
    assert store.document_offsets.tolist() == [0, 2, 3]
    assert counts["train"]["documents"] == 2
    assert counts["train"]["sentences"] == 3
    assert counts["train"]["tokens"] == store.tokens
    assert counts["train"]["empty_documents"] == 2
    assert counts["train"]["empty_sentences"] == 2
    assert counts["train"]["unknown_tokens"] == 1
    assert counts["train"]["shards"] == 1
    empty = Store.open(tmp_path / "store", "validation")
    assert (empty.tokens, empty.sentence_offsets.tolist(), empty.document_offsets.tolist()) == (0, [0], [0])
    assert empty.take(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_four_bytes_for_a_large_vocabulary(tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    small = Tokenizer.load(tokenizer_folders["wordpiece"])
    entries = "".join(f',\n"더미{number}": {number}' for number in range(small.vocabulary_size, 65_540))
    text = small.text.replace(f": {small.vocabulary_size - 1}\n", f": {small.vocabulary_size - 1}{entries}\n")
    Tokenizer(text).save(tmp_path)
    corpus = write_corpus(tmp_path / "corpus", {"train": [["영화 더미65539"], ["더미65535 더미65536"]]})
    build(corpus, tmp_path, tmp_path / "store", shard_documents=1)
    store = Store.open(tmp_path / "store", "train", Tokenizer.load(tmp_path))
    assert store.take(np.array([store.tokens - 2]), np.array([2])).tolist() == [65_535, 65_536]
    assert 65_539 in store.take(np.array([0]), np.array([store.tokens]))


def test_another_tokenizer_is_refused(store_folder: Path, tokenizer_folders: dict[Kind, Path]) -> None:
    other = Tokenizer.load(tokenizer_folders["byte-bpe"])
    with pytest.raises(ClozeError, match=r"\(160 entries\), but the tokenizer is .* \(400 entries\)"):
        Store.open(store_folder, "train", other)


def test_a_corpus_without_tokens(tokenizer_folders: dict[Kind, Path], tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"validation": [["영화"]]})
    with pytest.raises(ClozeError, match="gives no tokens"):
        build(corpus, tokenizer_folders["wordpiece"], tmp_path / "store")


def test_a_damaged_or_missing_file_is_named(store_folder: Path, korean_corpus: Corpus, tmp_path: Path) -> None:
    content = (store_folder / "train.arrow").read_bytes()
    for damaged in (b"", b"text", content[: len(content) // 2], (korean_corpus.folder / "train.arrow").read_bytes()):
        (tmp_path / "train.arrow").write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"train\.arrow can't be read as a token store"):
            Store.open(tmp_path, "train")
    with pytest.raises(DamagedError, match=r"validation\.arrow can't be read"):
        Store.open(tmp_path, "validation")


def test_an_id_beyond_the_vocabulary_is_named(store_folder: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(store_folder / "train.arrow", tmp_path))
    store = Store.open(store_folder, "train")
    ids = store.take(np.zeros(1, dtype=np.int64), np.full(1, 20))
    content = path.read_bytes()
    place = content.index(ids.astype(np.uint16).tobytes())
    path.write_bytes(content[:place] + b"\xff\xff" + content[place + 2 :])
    with pytest.raises(DamagedError, match=r"train\.arrow holds the id 65,535, and its vocabulary has 160 entries"):
        Store.open(tmp_path, "train").take(np.zeros(1, dtype=np.int64), np.full(1, 20))


def test_an_empty_file_of_a_batch_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.npz").touch()
    with pytest.raises(DamagedError, match=r"0\.npz cannot be read"):
        EncodedDocuments.load(tmp_path / "0.npz")


def test_a_worker_that_dies_is_replaced(
    korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], store_folder: Path, tmp_path: Path
) -> None:
    def kill_one() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    build(korean_corpus, tokenizer_folders["wordpiece"], tmp_path / "store", processes=2)
    killer.join()
    assert (tmp_path / "store" / "train.arrow").read_bytes() == (store_folder / "train.arrow").read_bytes()
    assert not multiprocessing.active_children()


def die(*arguments: object) -> EncodedDocuments:
    os._exit(1)


def test_a_batch_that_kills_its_workers_is_named(
    korean_corpus: Corpus, tokenizer_folders: dict[Kind, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_workers, "_encode_in_worker", die)
    with pytest.raises(ClozeError, match=r"Record batch 0 of .*train\.arrow was not encoded: 3 workers died"):
        build(korean_corpus, tokenizer_folders["wordpiece"], tmp_path / "store", processes=2)
    assert not multiprocessing.active_children()


def test_a_killed_run_encodes_only_what_is_not_there(
    korean_corpus: Corpus,
    tokenizer_folders: dict[Kind, Path],
    store_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer_folder, kept = tokenizer_folders["wordpiece"], tmp_path / "batches"
    first = next(encode_corpus(korean_corpus, tokenizer_folder, "train", 1, kept))
    assert len(first.document_sentences)
    encoded = []
    encode = store_workers._encode_here

    def noted(index: int, split: Split, corpus_folder: Path, folder: Path) -> EncodedDocuments:
        encoded.append((split, index))
        return encode(index, split, corpus_folder, folder)

    monkeypatch.setattr(store_workers, "_encode_here", noted)
    build_store(korean_corpus, tokenizer_folder, StoreSettings(processes=1, shard_documents=700), tmp_path, Silent())
    batches = korean_corpus.batches("train")
    assert encoded == [*(("train", index) for index in range(1, batches)), ("validation", 0)]
    assert batches > 1
    for name in ("train.arrow", "validation.arrow"):
        assert (tmp_path / name).read_bytes() == (store_folder / name).read_bytes()
    assert not kept.exists()


def test_workers_never_load_torch() -> None:
    command = "import sys, cloze.tokens.store, cloze.tokens.quality; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command]).returncode == 0
