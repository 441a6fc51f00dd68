"""What stands further on in a text of NamuMark: each stretch is searched once for each sign, however often one asks."""

from __future__ import annotations

from cloze.corpus import namumark_syntax as syntax


class Lookahead:
    """Of one text, for a reader that never goes back."""

    def __init__(self, markup: str) -> None:
        self.braces = syntax.matching(syntax.BRACES, "{{{", markup, 0, len(markup)) if "{{{" in markup else {}
        """Place of each {{{ that closes -> place of its }}}."""
        self._markup = markup
        self._found: dict[str, int] = {}
        self._brackets: dict[int, int] = {}  # of the paragraph that ends at:
        self._brackets_end = -1

    def find(self, sign: str, place: int) -> int:
        """The next occurrence, or the end of the text."""
        found = self._found.get(sign, -1)
        if found < place:
            found = self._markup.find(sign, place)
            self._found[sign] = found = found if found >= 0 else len(self._markup)
        return found

    def in_paragraph(self, sign: str, place: int) -> int | None:
        """The next occurrence that no empty line parts from `place`."""
        end = self.find(sign, place)
        return None if end == len(self._markup) or self.find("\n\n", place) < end else end

    def end_of_argument(self, bracket: int, place: int) -> int | None:
        """Where the argument that begins at `place` ends in )], the latter that of `bracket`; None: it never does."""
        end = self.in_paragraph(")]", place)
        if end is None or "[" not in self._markup[place:end]:
            return end
        paragraph = self.find("\n\n", place)  # [include(name, a=[[b(c)]])]
        if self._brackets_end != paragraph:
            self._brackets = syntax.matching(syntax.BRACKETS, "[", self._markup, bracket, paragraph)
            self._brackets_end = paragraph
        last = self._brackets.get(bracket, 0) - 1
        return last if place <= last < paragraph and self._markup[last] == ")" else end
