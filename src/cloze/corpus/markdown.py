"""Markdown (CommonMark with tables and ~~struck-through~~ text) to plain text, from the tokens of markdown-it-py.

Kept: paragraphs, lists, quotations, the words of links and styles, code within a line. Kept or dropped by
`MarkupSettings`: headings, tables (a row a line), struck-through text. Dropped: code blocks, images, front matter,
tags; what stands in blocks of HTML is read as HTML.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from cloze.recipe import MarkupSettings

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_DEFAULTS = MarkupSettings()
_CELLS = 1_000_000
_DELIMITERS = "|:- \t"
"""All that is in the row below a table's header."""
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(?:(?!\1[ \t]*$).*\n)*?\1[ \t]*(?:\n|\Z)", re.MULTILINE)


def plain_text(markup: str, options: MarkupSettings = _DEFAULTS) -> str:
    """The text of a document: lines, none empty, joined by line breaks. Takes any string."""
    text = _Tokens(options).text(_parser(tables=not has_endless_tables(markup)).parse(_FRONT_MATTER.sub("", markup)))
    return "\n".join(stripped for line in text.split("\n") if (stripped := line.strip()))


def has_endless_tables(markup: str) -> bool:
    """Whether short rows under wide headers would be filled up to a million cells; then tables are read as lines."""
    cells = columns = 0
    for line in markup.split("\n"):
        row = line.strip()
        if "-" in row and "|" in row and not row.strip(_DELIMITERS):
            columns = row.count("|") + 1
        elif not row:
            columns = 0
        cells += columns
    return cells > _CELLS


@cache
def _parser(*, tables: bool) -> MarkdownIt:
    """Making one takes a millisecond; it keeps nothing of what it parsed."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"] if tables else ["strikethrough"])


class _Tokens:
    """Tokens to text; what stands between the opening and the closing token of something dropped is left out."""

    def __init__(self, options: MarkupSettings) -> None:
        self._options = options
        dropped = {"heading": options.headings, "table": options.tables, "s": options.strike_through}
        self._dropped = {kind for kind, choice in dropped.items() if choice == "drop"}

    def text(self, tokens: list[Token]) -> str:
        pieces: list[str] = []
        within = 0
        for token in tokens:
            kind, _, side = token.type.rpartition("_")
            if kind in self._dropped and side in ("open", "close"):
                within += 1 if side == "open" else -1
            elif not within:
                pieces.append(self._piece(token))
        return "".join(pieces)

    def _piece(self, token: Token) -> str:
        match token.type:
            case "inline":
                return self.text(token.children or [])
            case "text" | "code_inline" | "text_special":
                return token.content
            case "softbreak" | "td_close" | "th_close":
                return " "
            case "html_block":
                from cloze.corpus.html import plain_text as from_html

                return f"\n{from_html(token.content, self._options)}\n"
            case "td_open" | "th_open" | "fence" | "code_block" | "image" | "html_inline":
                return ""
            case "hardbreak":
                return "\n"
            case _:
                return "\n" if token.block else ""
