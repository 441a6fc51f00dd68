"""The examples of docs/models.md and its Korean version are run, are the same, and their new family is what it says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from cloze.interop.huggingface import to_huggingface
from tests.parity.conftest import VOCABULARY, make_rows

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["models.md", "models.ko.md"]


def examples(name: str) -> list[doctest.Example]:
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```python\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    return [example for block in blocks for example in doctest.DocTestParser().get_examples(block, name)]


def run(name: str) -> tuple[int, dict[str, Any]]:
    """How many examples failed, and the names that they left behind."""
    test = doctest.DocTest(examples(name), {}, name, name, 0, None)
    return doctest.DocTestRunner().run(test, clear_globs=False).failed, test.globs


@pytest.mark.parametrize("name", PAGES)
def test_examples_give_what_they_show(name: str) -> None:
    assert len(examples(name)) > 25
    assert run(name)[0] == 0


def test_both_languages_show_the_same_results() -> None:
    english, korean = ([example.want for example in examples(name)] for name in PAGES)
    assert english == korean


def test_the_family_of_the_page_is_the_one_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="parity needs the dev extra")
    names = run("models.md")[1]
    config = names["EncoderConfig"](
        vocabulary_size=VOCABULARY,
        layers=2,
        heads=2,
        width=16,
        feed_forward_width=32,
        max_length=40,
        activation="relu",
    )
    ours = names["Ernie"](config).eval()
    names["initialise_normal"](ours, std=0.2, seed=1)
    theirs = transformers.ErnieForMaskedLM(
        transformers.ErnieConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=40,
            hidden_act="relu",
        )
    ).eval()
    tensors = to_huggingface(ours.state_dict(), names["huggingface_names"](2))
    missing = theirs.load_state_dict(tensors, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}  # tied
    rows = make_rows([9, 31, 2], VOCABULARY, 0, segments=True)
    with torch.no_grad():
        found = ours.masked_logits(ours.encoder(rows.flat))
        logits = theirs(input_ids=rows.ids, attention_mask=rows.mask, token_type_ids=rows.segments).logits
    assert (found - rows.unpad(logits)).abs().max() < 1e-5
