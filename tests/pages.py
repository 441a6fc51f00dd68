"""What tests read out of the docs."""

from __future__ import annotations

import re
from pathlib import Path


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of a page of Markdown that are of `language`, in order."""
    text = page.read_text(encoding="utf-8")
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return found
