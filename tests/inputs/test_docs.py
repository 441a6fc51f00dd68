"""The examples of docs/inputs.md and its Korean version are run, and are the same."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def examples(name: str) -> list[doctest.Example]:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    return doctest.DocTestParser().get_examples("\n".join(blocks), name)


@pytest.mark.parametrize("name", ["inputs.md", "inputs.ko.md"])
def test_examples_give_what_they_show(name: str) -> None:
    shown = examples(name)
    assert len(shown) > 10
    failed, _ = doctest.DocTestRunner().run(doctest.DocTest(shown, {}, name, name, 0, None))
    assert failed == 0


def test_both_languages_show_the_same_results() -> None:
    english, korean = ([example.want for example in examples(name)] for name in ("inputs.md", "inputs.ko.md"))
    assert english == korean
