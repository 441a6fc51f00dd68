r"""NamuMark, the markup of Namuwiki, to plain text in one pass.

Kept: prose, the text of links, list items, quotes, table cells (a row is a line), the content of coloured, sized,
folded and styled blocks, literal text, and footnotes, each as a line of its own behind the line it belongs to.
Dropped: headings, struck-through text, comments, files, categories, bare addresses, macros, code and HTML.

The time is linear in the length of the text, whatever stands in it. A stack of open constructs takes the place of
recursion, and the output is a list of pieces: closing a construct only cuts or blanks pieces at its end, so that each
is joined at most once for a link's target or a footnote. What never closes is text, and ends with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from cloze.recipe import MarkupSettings

_DEFAULTS = MarkupSettings()
_BRACES = re.compile(r"\\.|\{\{\{|\}\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\\(?=[^\n])|\n|\{\{\{|\}\}\}|\{\{\||\|\}\}(?!\})|\[\[|\[\*|\[(?=[A-Za-z가-힣])|\]|\|+|'{2,}|__+|--+|~~+|\^\^+|,,+"
)
_STYLE = re.compile(r"#!(?:wiki|folding)[^\n]*\n?|#[A-Za-z0-9]+(?:,#[A-Za-z0-9]+)?\s|[+-][1-5]\s")
_FOOTNOTE_NAME = re.compile(r"[^\s\[\]{}|']*")
_PREFIX = re.compile(r"(?:[ \t]*>)*(?:[ \t]+(?:\*+|[1aAiI]\.(?=[ \t#]))(?:#\d+)?)*[ \t]*")
_RULE = re.compile(r"-{4,9}[ \t]*(?=\n|$)")
_CAPTION = re.compile(r"\|([^|\n]+)\|")
_CELL_OPTIONS = re.compile(
    r"(?:[ \t]*<(?:-\d+|[v^]?\|\d+|[:()]|#[\w,# ]+|(?:table ?|row|col)?"
    r"(?:align|bgcolor|bordercolor|color|width|height|nopad|keepall)[^<>\n]*)>)*",
    re.IGNORECASE,
)
_MACRO = re.compile(
    r"\[(?P<name>목차|각주|tableofcontents|toc|footnote|br|date|datetime|age|dday|include|youtube|kakaotv|nicovideo|vimeo"
    r"|navertv|anchor|ruby|math|pagecount|clearfix)(?P<next>[\](])",
    re.IGNORECASE,
)
_MACRO_CHARACTERS = 2_000
_NO_TEXT = re.compile(r"\s*(?:파일|분류|file|category|이미지|image):|\s*https?://", re.IGNORECASE)
_NO_LABEL = re.compile(r"\s*(?:파일|분류|file|category|이미지|image):", re.IGNORECASE)
_STRIKES = ("--", "~~")
_INLINE = ("link", "footnote")


def plain_text(markup: str, options: MarkupSettings = _DEFAULTS) -> str:
    """The text of an article: lines without markup, none empty, joined by line breaks. Takes any string."""
    lines = (line.strip() for line in _Parser(markup, options).run().split("\n"))
    return "\n".join(line for line in lines if line)


@dataclass(slots=True)
class _Open:
    """A construct that has begun; `first` is the place of its beginning in the pieces."""

    kind: Literal["text", "braces", "link", "footnote"]
    first: int
    target: str | None = None
    """Link: what stands before the first |."""
    outer_table: bool = False
    """Braces: whether they stand in a table."""
    marks: dict[str, int] = field(default_factory=dict)
    """Open __ -- ~~ ^^ ,, -> their place in the pieces; those of earlier lines mean nothing."""


class _Parser:
    def __init__(self, markup: str, options: MarkupSettings) -> None:
        self._markup = markup
        self._options = options
        self._place = 0
        self._pieces: list[str] = []
        self._stack = [_Open("text", 0)]
        self._notes: list[str] = []
        self._inline = 0  # links and footnotes on the stack
        self._line = 0  # place in the pieces where the current line begins
        self._table = False
        self._cell = -1  # place in the markup where the newest cell of the line begins
        self._macro_end = -1
        self._braces = _matching_braces(markup)
        self._ends: list[int] = []  # where the open braces close

    def run(self) -> str:
        markup, pieces = self._markup, self._pieces
        self._begin_line()
        while match := _TOKEN.search(markup, self._place):
            pieces.append(markup[self._place : match.start()])
            self._place = match.end()
            self._token(match.group(), match.start())
        pieces.append(markup[self._place :])
        self._place = len(markup)
        while len(self._stack) > 1:
            self._abandon()
        self._end_line()
        return "".join(pieces)

    def _token(self, token: str, start: int) -> None:
        match token[0]:
            case "\\":
                self._pieces.append(self._markup[self._place])
                self._place += 1
            case "\n":
                self._end_line()
                self._pieces.append("\n")
                self._line = len(self._pieces)
                self._begin_line()
            case "[" if token == "[[":
                self._open("link", token)
            case "[" if token == "[*":
                name = _FOOTNOTE_NAME.match(self._markup, self._place)
                self._place = name.end() if name else self._place
                self._open("footnote", self._markup[start : self._place])
            case "[":
                self._macro(start)
            case "]":
                self._close_bracket()
            case "|" if token[-1] == "|":
                self._bars(token)
            case "{" if token == "{{{":
                self._open_braces(start)
            case "}":
                self._close_braces(start)
            case "_" | "-" | "~" | "^" | ",":
                self._mark(token)
            case _:
                pass  # '' and ''' (italic, bold), {{| and |}} (text box)

    # Lines

    def _begin_line(self) -> None:
        """Take what means something at the beginning of a line only."""
        markup, start = self._markup, self._place
        end = markup.find("\n", start)
        line = markup[start : end if end >= 0 else len(markup)]
        if line.startswith("##") or _is_heading(line) or _RULE.match(line):
            self._place += len(line)
            return
        prefix = _PREFIX.match(markup, start)
        self._place = prefix.end() if prefix else start
        if markup.startswith("||", self._place):
            self._table = True
        elif caption := _CAPTION.match(markup, self._place):
            self._table = True
            self._pieces += (caption.group(1), "\n")
            self._begin_cell(caption.end())

    def _end_line(self) -> None:
        while self._stack[-1].kind in _INLINE:
            self._abandon()
        if not self._inline:
            for note in self._notes:
                self._pieces += ("\n", note)
            self._notes.clear()
        row_ended = self._cell >= 0 and not self._markup[self._cell : self._place].strip()
        if row_ended or self._markup.startswith("\n", self._place):
            self._table = False
        self._cell = -1

    # Links, footnotes, macros

    def _open(self, kind: Literal["link", "footnote"], text: str) -> None:
        self._stack.append(_Open(kind, len(self._pieces)))
        self._pieces.append(text)  # blanked when it closes
        self._inline += 1

    def _abandon(self) -> None:
        """The newest construct never closes: what began it is text."""
        construct = self._stack.pop()
        self._inline -= construct.kind in _INLINE
        if construct.target is not None:
            self._pieces[construct.first] += f"{construct.target}|"

    def _close_bracket(self) -> None:
        newest = self._stack[-1]
        if newest.kind == "footnote":
            self._notes.append("".join(self._pieces[newest.first + 1 :]))
            del self._pieces[newest.first :]
        elif newest.kind == "link" and self._markup.startswith("]", self._place):
            self._place += 1
            self._close_link(newest)
        else:
            self._pieces.append("]")
            return
        self._stack.pop()
        self._inline -= 1

    def _close_link(self, link: _Open) -> None:
        """Leave the label, or the target where there is none; nothing of files, categories and bare addresses."""
        pieces = self._pieces
        target = link.target if link.target is not None else "".join(pieces[link.first + 1 : link.first + 2])
        if (_NO_LABEL if link.target is not None else _NO_TEXT).match(target):
            del pieces[link.first :]
            return
        pieces[link.first] = ""
        if link.target is None and target.startswith(":"):  # [[:분류:...]]: a link to the category itself
            pieces[link.first + 1] = target[1:]

    def _macro(self, start: int) -> None:
        macro = _MACRO.match(self._markup, start)
        if macro is None:
            self._pieces.append("[")
            return
        name = macro["name"].lower()
        if macro["next"] == "]":
            self._pieces.append(" " if name == "br" else "")
            self._place = macro.end()
            return
        if self._macro_end < macro.end():  # looked for once for all macros before it, so that it stays linear
            found = self._markup.find(")]", macro.end())
            self._macro_end = found if found >= 0 else len(self._markup) + _MACRO_CHARACTERS
        argument = self._markup[macro.end() : min(self._macro_end, macro.end() + _MACRO_CHARACTERS)]
        if self._macro_end - macro.end() >= _MACRO_CHARACTERS or "\n\n" in argument:
            self._pieces.append("[")
            return
        self._pieces.append(argument.split(",")[0] if name == "ruby" else "")
        self._place = self._macro_end + len(")]")

    # Tables

    def _bars(self, token: str) -> None:
        """| and ||: the end of a cell, or the end of a link's target, or text."""
        if self._table and len(token) > 1:
            while self._stack[-1].kind in _INLINE:
                self._abandon()
            self._pieces.append(" ")
            self._begin_cell(self._place)
        elif self._stack[-1].kind == "link" and self._stack[-1].target is None:
            link = self._stack[-1]
            link.target = "".join(self._pieces[link.first + 1 :])
            link.marks.clear()
            del self._pieces[link.first + 1 :]
            self._pieces.append(token[1:])
        else:
            self._pieces.append(token)

    def _begin_cell(self, place: int) -> None:
        options = _CELL_OPTIONS.match(self._markup, place)
        self._place = self._cell = options.end() if options else place

    # Braces

    def _open_braces(self, start: int) -> None:
        end = self._braces.get(start)
        if end is None:
            return
        if style := _STYLE.match(self._markup, self._place, end):
            self._stack.append(_Open("braces", len(self._pieces), outer_table=self._table))
            self._ends.append(end)
            self._table = False
            self._place = style.end()
            if style.group().endswith("\n"):
                self._begin_line()
            return
        if not self._markup.startswith("#!", self._place):  # {{{#!html, {{{#!syntax and the like are no prose
            self._pieces.append(self._markup[self._place : end])
        self._place = end + len("}}}")

    def _close_braces(self, start: int) -> None:
        if not self._ends or self._ends[-1] != start:
            return
        self._ends.pop()
        while self._stack[-1].kind in _INLINE:
            self._abandon()
        self._table = self._stack.pop().outer_table

    # Pairs of __ -- ~~ ^^ ,,

    def _mark(self, token: str) -> None:
        """The second mark of a pair within a line takes both away, and between dashes or tildes what they strike."""
        marks = self._stack[-1].marks
        if len(token) != 2 or marks.get(token, -1) < self._line:
            if len(token) == 2:
                marks[token] = len(self._pieces)
            self._pieces.append(token)
            return
        first = marks.pop(token)
        if token in _STRIKES:
            del self._pieces[first:]
            for mark in [mark for mark, place in marks.items() if place > first]:
                del marks[mark]
        else:
            self._pieces[first] = ""


def _matching_braces(markup: str) -> dict[int, int]:
    """Place of each {{{ that closes -> place of its }}}."""
    matching: dict[int, int] = {}
    begun: list[int] = []
    for match in _BRACES.finditer(markup):
        if match.group() == "{{{":
            begun.append(match.start())
        elif match.group() == "}}}" and begun:
            matching[begun.pop()] = match.start()
    return matching


def _is_heading(line: str) -> bool:
    """From one to six = on both sides, as many, with spaces or # (folded) between them and the title."""
    line = line.rstrip()
    level = len(line) - len(line.lstrip("="))
    if not 1 <= level <= 6 or len(line) <= 2 * level or not line.endswith("=" * level):
        return False
    return line[level] in " #" and line[-level - 1] in " #"
