"""Dump to token store with `datasets`, in three stages, for benchmarks/corpus.py: what one writes without cloze.

namu-wiki-extractor takes the markup out, a WordPiece of the same size is trained with the tokenizers library on as many
characters, and Transformers' tokenizer makes ids of whole documents. Nothing is cleaned, split into sentences,
compared with other documents, kept for validation or counted, as cloze does: the peer has less to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpus_memory import STAGES, VOCABULARY, Stage

BATCH = 1_000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_datasets_corpus(folder: Path, processes: int, sample_characters: int) -> None:
    """Articles without markup, in an Arrow file."""
    import datasets

    datasets.disable_progress_bars()
    # Its cache stays in the folder, so that no round finds the work of another.
    cache = str(folder / "datasets_corpus" / "cache")
    rows = datasets.load_dataset("json", data_files=str(folder / "dump.json"), split="train", cache_dir=cache)
    rows = rows.map(_extract, num_proc=processes, remove_columns=rows.column_names)
    rows.save_to_disk(folder / "datasets_corpus" / "rows")


def _extract(row: dict[str, Any]) -> dict[str, str]:
    from namuwiki.extractor import extract_text

    return {"plain": extract_text(row["text"]) if row["namespace"] == "0" else ""}


def make_datasets_tokenizer(folder: Path, processes: int, sample_characters: int) -> None:
    """The first documents, up to so many characters, to a tokenizer."""
    import datasets
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    rows = datasets.load_from_disk(folder / "datasets_corpus" / "rows")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, min_frequency=5, limit_alphabet=6_000, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(_sample(rows, sample_characters), trainer)
    tokenizer.save(str(folder / "datasets_tokenizer" / "tokenizer.json"))


def _sample(rows: Any, characters: int) -> Iterator[str]:
    for batch in rows.iter(BATCH):
        yield from batch["plain"]
        characters -= sum(map(len, batch["plain"]))
        if characters <= 0:
            return


def make_datasets_store(folder: Path, processes: int, sample_characters: int) -> None:
    """Ids of each document in an Arrow file."""
    import datasets
    from transformers import PreTrainedTokenizerFast

    datasets.disable_progress_bars()
    rows = datasets.load_from_disk(folder / "datasets_corpus" / "rows")
    file = str(folder / "datasets_tokenizer" / "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, unk_token="[UNK]", model_max_length=1 << 30)

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        encoded = tokenizer(
            batch["plain"], add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False
        )
        return {"input_ids": encoded["input_ids"]}

    features = datasets.Features({"input_ids": datasets.Sequence(datasets.Value("uint16"))})
    rows = rows.map(encode, batched=True, num_proc=processes, remove_columns=["plain"], features=features)
    rows.save_to_disk(folder / "datasets_store" / "rows")


WHOLE: dict[str, dict[str, Stage]] = {
    "cloze": STAGES,
    "datasets": {
        "corpus": make_datasets_corpus,
        "tokenizer": make_datasets_tokenizer,
        "store": make_datasets_store,
    },
}
"""The stages of each."""
