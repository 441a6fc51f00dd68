r"""NamuMark, the markup of Namuwiki, to plain text in one pass; with it the older syntax of Rigveda Wiki (MoniWiki).

Kept: prose, the text of links, list items, quotes, table cells (a row is a line), the content of coloured, sized,
folded, conditional and styled blocks, the text between HTML tags, literal text ({{{ }}} without a name), and footnotes,
each as a line of its own behind the line it belongs to. Kept or dropped by `MarkupSettings`: headings, tables,
struck-through text. Dropped: comments, redirects, files, categories, addresses without a label, macros (for each reader
they say something else: templates, dates, videos), formulas, and code ({{{#!syntax), which is no prose. A bracket that
names no macro, [속보], is text, as on the site; [name(...)] in small Latin letters is taken for a macro that is new.

The time is linear in the length of the text, whatever stands in it. A stack of open constructs takes the place of
recursion, and the output is a list of pieces: closing a construct only cuts or blanks pieces at its end, so that each
is joined at most once for a footnote, and for a link's target only when that is short. What is looked for further on is
looked for once (`Lookahead`). What never closes is text, and ends with its line; a footnote ends with its paragraph.

Rules: Namuwiki's help on its syntax (나무위키:문법 도움말, with its pages 심화 and 개발); MoniWiki's HelpOnFormatting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cloze.corpus import namumark_syntax as syntax
from cloze.corpus.namumark_lookahead import Lookahead
from cloze.recipe import MarkupSettings

_DEFAULTS = MarkupSettings()
_TARGET_CHARACTERS = 1_000
_STRIKES = ("--", "~~")
_OLD_WORDS = syntax.OLD_CONTENTS | syntax.OLD_BREAKS
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
    start: int = 0
    """Place in the markup behind what began it."""
    target: str | None = None
    """Link: what stands before the first |."""
    literal: bool = False
    """Link: has an escaped character, so that # : and / of its target mean themselves."""
    brackets: int = 0
    """Footnote: brackets that are text and wait for theirs."""
    outer_row: tuple[int, int] | None = None
    """Braces: the row of the table that they stand in."""
    marks: dict[str, tuple[int, int]] | None = None
    """Open __ -- ~~ ^^ ,, -> their place in the pieces and in the notes; those of earlier lines mean nothing."""


class _Parser:
    def __init__(self, markup: str, options: MarkupSettings) -> None:
        self._markup = markup
        self._options = options
        directives = syntax.DIRECTIVES.match(markup)
        self._place = directives.end() if directives else 0
        self._pieces: list[str] = []
        self._stack = [_Open("text", 0)]
        self._notes: list[str] = []
        self._inline = 0  # links and footnotes on the stack
        self._line = 0  # place in the pieces where the current line begins
        self._row: tuple[int, int] | None = None  # in a table: where its row begins in the pieces and in the notes
        self._row_start = -1  # place in the markup of the bars that begin the row
        self._cell = -1  # where the newest cell of the line begins, but for the first one of the row
        self._caption_end = -1
        self._old_link_end = -1
        self._ahead = Lookahead(markup)
        self._ends: list[int] = []  # where the open braces close
        self._handlers = {
            "\\": self._escape,
            "\n": self._break,
            "{": self._open_braces,
            "}": self._close_braces,
            "[": self._open_bracket,
            "]": self._close_bracket,
            "|": self._bars,
            "<": self._formula,
            "h": self._address,
            **dict.fromkeys("_-~^,", self._mark),
        }

    def run(self, *, title: bool = False) -> str:
        """The text; `title`: the markup is that of a heading, where nothing means anything by beginning a line."""
        markup, pieces, handlers = self._markup, self._pieces, self._handlers
        if not title:
            self._begin_line()
        place, jumped = self._place, True
        while jumped:
            jumped = False
            for match in syntax.TOKEN.finditer(markup, place):
                start, end = match.span()
                if start > place:
                    pieces.append(markup[place:start])
                place = end
                if match.lastindex and (shown := match[match.lastindex]) not in _OLD_WORDS:
                    pieces.append(shown)
                elif handler := handlers.get(markup[start]):  # none for '' ''' attachment:file and {{|: they go
                    self._place = end
                    handler(match.group(), start)
                    place = self._place
                    if place != end:
                        jumped = True
                        break
        pieces.append(markup[place:])
        self._place = len(markup)
        while len(self._stack) > 1:
            self._abandon()
        self._end_line(len(markup))
        return "".join(pieces)

    # Lines

    def _begin_line(self) -> None:
        """Take what means something at the beginning of a line only."""
        start = self._place
        if prefix := syntax.PREFIX.match(self._markup, start):
            self._place = prefix.end()
        self._begin_block(indented=self._place > start)

    def _begin_block(self, indented: bool) -> None:
        markup, start = self._markup, self._place
        if markup.startswith("|", start):
            self._begin_row()
        elif indented:
            return
        elif markup.startswith("##", start):
            self._place = self._ahead.find("\n", start)
        elif rule := syntax.RULE.match(markup, start):
            self._place = rule.end()
        elif markup.startswith("=", start):
            end = self._ahead.find("\n", start)
            if (title := syntax.heading(markup[start:end])) is not None:
                if self._options.headings == "keep":
                    self._pieces.append(_Parser(title, self._options).run(title=True))
                self._row = None
                self._place = end

    def _begin_row(self) -> None:
        if self._markup.startswith("||", self._place):
            if self._row is None:
                self._row = (len(self._pieces), len(self._notes))
                self._row_start = self._place
        elif caption := syntax.CAPTION.match(self._markup, self._place):
            self._row = (len(self._pieces), len(self._notes))
            self._caption_end = caption.end()
            self._place += 1

    def _break(self, token: str, start: int) -> None:
        if self._row or self._notes or len(self._stack) > 1:
            self._end_line(start)
        pieces, place = self._pieces, self._place
        pieces.append("\n")
        self._line = len(pieces)
        if self._markup[place : place + 1] in syntax.LINE_MARKUP:
            self._begin_block(indented=len(token) > 1)

    def _end_line(self, end: int) -> None:
        markup, stack = self._markup, self._stack
        footnotes_end = len(stack) > 1 and syntax.PARAGRAPH_END.match(markup, end)
        while stack[-1].kind == "link" or (stack[-1].kind == "footnote" and footnotes_end):
            self._abandon()
        if self._row is not None:
            if self._cell >= 0 and not markup[self._cell : end].strip():
                self._end_row()
            elif markup.startswith("\n\n", end):  # a cell may have empty lines; a row that never ends is none
                bars = self._ahead.find("||", end)
                if bars == len(markup) or markup[bars - 1] == "\n":
                    self._row = None
        self._cell = self._caption_end = -1
        if self._notes and not self._inline:
            for note in self._notes:
                self._pieces += ("\n", note)
            self._notes.clear()
            if self._row:
                self._row = (self._row[0], 0)

    def _escape(self, token: str, start: int) -> None:
        self._pieces.append(token[1])
        self._stack[-1].literal = True

    # Links, footnotes, macros

    def _open_bracket(self, token: str, start: int) -> None:
        markup = self._markup
        if token.startswith("[["):
            self._link(start)
        elif token.startswith("[*"):
            self._open("footnote", token)
        elif macro := syntax.MACRO.match(markup, start):
            self._macro(macro, start)
        elif link := syntax.OLD_LINK.match(markup, start):
            self._old_link(link, start)
        else:
            self._bracket_text()

    def _link(self, start: int) -> None:
        markup = self._markup
        link = syntax.LINK.match(markup, start)
        text = syntax.link_text(link[1], link[2]) if link else None
        if link is None or text is None:
            self._open("link", "[[")
            return
        self._place = end = link.end()
        if link[1] in syntax.OLD_CONTENTS:
            alone = markup[start - 1 : start] in ("", "\n") and markup[end : end + 1] in ("", "\n")
            text = "" if alone else text
        self._pieces.append(text)

    def _bracket_text(self) -> None:
        """The bracket is none of markup; in a footnote its ] is not the footnote's."""
        self._pieces.append("[")
        self._stack[-1].brackets += 1

    def _open(self, kind: Literal["link", "footnote"], text: str) -> None:
        self._stack.append(_Open(kind, len(self._pieces), self._place))
        self._pieces.append(text)  # blanked when it closes
        self._inline += 1

    def _abandon(self) -> None:
        """The newest construct never closes: what began it is text."""
        construct = self._stack.pop()
        self._inline -= construct.kind in _INLINE
        if construct.target is not None:
            self._pieces[construct.first] += f"{construct.target}|"

    def _abandon_inline(self) -> None:
        while self._stack[-1].kind in _INLINE:
            self._abandon()

    def _close_bracket(self, token: str, start: int) -> None:
        newest = self._stack[-1]
        if start == self._old_link_end:
            return
        if newest.kind == "footnote" and not newest.brackets:
            self._notes.append("".join(self._pieces[newest.first + 1 :]))
            del self._pieces[newest.first :]
        elif newest.kind == "link" and self._markup.startswith("]", self._place):
            self._place += 1
            self._close_link(newest)
        else:
            newest.brackets -= newest.brackets > 0
            self._pieces.append("]")
            return
        self._stack.pop()
        self._inline -= 1

    def _close_link(self, link: _Open) -> None:
        """As `syntax.link_text`, for a link with markup in it; its pieces are not joined: links may stand in links."""
        pieces, first = self._pieces, link.first
        head = link.target if link.target is not None else "".join(pieces[first + 1 : first + 2])
        if syntax.FILE.match(head) or (link.target is None and syntax.ADDRESS.match(head)):
            del pieces[first:]
            return
        pieces[first] = ""
        if link.target is None and not link.literal and head:
            pieces[first + 1] = syntax.shown_title(head) if len(pieces) == first + 2 else head.removeprefix(":")

    def _old_link(self, link: re.Match[str], start: int) -> None:
        end = link.end()
        if link["label"] is not None:
            self._old_link_end = self._ahead.find("]", end)
            if not syntax.LETTER.search(self._markup, end, self._old_link_end):  # [http://address #]
                end = self._old_link_end
        elif self._markup.startswith("]", end):
            self._old_link_end = end
            self._pieces.append(link["title"] or link["name"] or "")
        else:
            self._bracket_text()
            return
        self._place = end

    def _macro(self, macro: re.Match[str], start: int) -> None:
        name, place = (macro["name"] or "").lower(), macro.end()
        if macro["next"] == "]":
            self._pieces.append(" " if name == "br" else "")
            self._place = place
        elif (end := self._ahead.end_of_argument(start, place)) is None:
            self._bracket_text()
        else:
            if name == "ruby" and (text := syntax.FIRST_ARGUMENT.match(self._markup, place, end)):
                self._pieces.append(text.group().replace("'''", "").replace("\\,", ","))
            self._place = end + len(")]")

    def _formula(self, token: str, start: int) -> None:
        if (end := self._ahead.in_paragraph("</math>", self._place)) is None:
            self._pieces.append(token)
        else:
            self._place = end + len("</math>")

    def _address(self, token: str, start: int) -> None:
        """An address in the text stays, but that of a picture, which old pages show in its place."""
        if not syntax.IMAGE.search(token):
            self._pieces.append(token)

    # Tables

    def _bars(self, token: str, start: int) -> None:
        """| and ||: the end of a cell or a caption, or the end of a link's target, or text."""
        newest = self._stack[-1]
        if token == "|}}":  # the end of a text box
            return
        if (self._row and len(token) > 1) or start == self._caption_end:
            self._abandon_inline()
            self._stack[-1].marks = None
            self._pieces.append(" ")
            self._cell = self._place if start != self._row_start else -1
            if start == self._caption_end and (options := syntax.CELL_OPTIONS.match(self._markup, self._place)):
                self._pieces[-1] = "\n"
                self._place = options.end()
        elif newest.kind == "link" and newest.target is None and start - newest.start <= _TARGET_CHARACTERS:
            newest.target = "".join(self._pieces[newest.first + 1 :])
            newest.marks = None
            del self._pieces[newest.first + 1 :]
            self._pieces.append(token[1:])
        else:
            self._pieces.append(token)

    def _end_row(self) -> None:
        if self._row and self._options.tables == "drop":
            del self._pieces[self._row[0] :]
            del self._notes[self._row[1] :]
        self._row = None

    # Braces

    def _open_braces(self, token: str, start: int) -> None:
        if token == "{{|":
            return
        markup, content, end = self._markup, self._place, self._ahead.braces.get(start)
        if end is None:
            self._place = start + len("{{{")
            return
        if token == "{{{":
            content = self._content(start + len("{{{"), end)
            if content < 0:
                self._place = end + len("}}}")
                return
        self._stack.append(_Open("braces", len(self._pieces), content, outer_row=self._row))
        self._ends.append(end)
        self._row = None
        self._place = content
        if markup[content - 1] == "\n":
            self._begin_line()

    def _content(self, place: int, end: int) -> int:
        """Where the markup of {{{#!name ... begins; -1 if there is none, and its text, if any, is in the pieces."""
        markup = self._markup
        if not markup.startswith("#!", place):
            self._pieces.append(markup[place:end])
            return -1
        name = markup[place : place + len("#!folding")].lower()
        if wiki := syntax.WIKI.match(markup, place, end):
            return wiki.end()
        if name.startswith(("#!folding", "#!if")):
            line_end = self._ahead.find("\n", place)
            if line_end < end:
                return line_end + 1
            folding = syntax.FOLDING.match(markup, place, end)
            return folding.end() if folding else -1
        if name.startswith("#!html"):
            self._pieces.append(syntax.html_text(markup[place + len("#!html") : end]))
        return -1

    def _close_braces(self, token: str, start: int) -> None:
        if not self._ends or self._ends[-1] != start:
            return
        self._ends.pop()
        self._abandon_inline()
        self._row = self._stack.pop().outer_row

    # Pairs of __ -- ~~ ^^ ,,

    def _mark(self, token: str, start: int) -> None:
        """The second mark of a pair within a line takes both away, and between dashes or tildes what they strike."""
        newest = self._stack[-1]
        marks = newest.marks = newest.marks or {}
        if len(token) != 2 or marks.get(token, (-1, 0))[0] < self._line:
            if len(token) == 2:
                marks[token] = (len(self._pieces), len(self._notes))
            self._pieces.append(token)
            return
        first, notes = marks.pop(token)
        if token in _STRIKES and self._options.strike_through == "drop":
            del self._pieces[first:]
            del self._notes[notes:]
            for mark in [mark for mark, (place, _) in marks.items() if place > first]:
                del marks[mark]
        else:
            self._pieces[first] = ""
