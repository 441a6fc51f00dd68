"""The small tokenizer and the empty folder of the parity tests."""

from __future__ import annotations

from tests.parity.conftest import folder, tokenizer

__all__ = ["folder", "tokenizer"]
