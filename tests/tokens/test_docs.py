"""The Python of docs/tokenizer.md and docs/store.md runs, and both languages show the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloze.corpus.corpus import Corpus
from cloze.progress import Silent
from cloze.recipe import StoreSettings, TokenizerSettings
from cloze.tokens.special import Kind
from cloze.tokens.store import build_store

DOCS = Path(__file__).parents[2] / "docs"


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("name", ["tokenizer.md", "tokenizer.ko.md"])
def test_tokenizer_page(name: str, tokenizer_folders: dict[Kind, Path], capsys: pytest.CaptureFixture[str]) -> None:
    exec("\n".join(blocks(name, "python")), {"folder": tokenizer_folders["wordpiece"]})
    assert "재미!!" in capsys.readouterr().out.replace(" ", "")


@pytest.mark.parametrize("name", ["store.md", "store.ko.md"])
def test_store_page(
    name: str,
    korean_corpus: Corpus,
    tokenizer_folders: dict[Kind, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokenizer_folder = tokenizer_folders["wordpiece"]
    build_store(korean_corpus, tokenizer_folder, StoreSettings(processes=1), tmp_path, Silent())
    exec("\n".join(blocks(name, "python")), {"folder": tmp_path, "tokenizer_folder": tokenizer_folder})
    assert "'documents': [[[" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["tokenizer", "store"])
def test_settings_shown_are_the_defaults(name: str) -> None:
    import yaml

    shown = [yaml.safe_load(block) for block in (*blocks(f"{name}.md", "yaml"), *blocks(f"{name}.ko.md", "yaml"))]
    defaults = {"tokenizer": TokenizerSettings(), "store": StoreSettings()}[name].model_dump()
    assert shown == [{name: defaults}] * 2
