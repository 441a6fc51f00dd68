"""Wikitext that mwparserfromhell must not be given, found in linear time, and a rough way to its text.

For each construct that never closes the parser reads on to the end in vain, and then again from the next one: its time
grows with the square of the length. Pages with a few mistakes are no problem; a hostile one would take hours.
"""

from __future__ import annotations

import html
import re

_COSTLY_CHARACTERS = 4_000_000
"""Read in vain on this page, at most; the parser needs about a microsecond for each."""
_DEPTH = 40
"""Constructs within each other that the parser follows (its MAX_DEPTH); more are read in vain."""
_BRACKET = re.compile(
    r"<!--|\{\||\{{2,}|\}{2,}|\[{2,}|\[(?=//|[a-z]+:)|\]+|\n[ \t:]*\|\}(?!\})"
    r"|<(?P<end>/?)(?P<name>[a-z][a-z0-9]*)(?:\s[^<>]*|/)?>|<[a-z]",
    re.IGNORECASE,
)
_RAW_TAGS = frozenset(
    (
        "categorytree",
        "ce",
        "chem",
        "gallery",
        "graph",
        "hiero",
        "imagemap",
        "inputbox",
        "math",
        "nowiki",
        "pre",
        "score",
        "section",
        "source",
        "syntaxhighlight",
        "templatedata",
        "timeline",
    )
)
"""What stands in them is no markup for the parser."""
_SINGLE_TAGS = frozenset(("br", "wbr", "hr", "meta", "link", "img", "li", "dt", "dd", "th", "td", "tr"))
"""They need no end."""


def is_costly(markup: str) -> bool:
    """Whether the parser would take more than a few seconds longer than a text of this length needs."""
    if len(markup) ** 2 < _COSTLY_CHARACTERS:
        return False
    return _Brackets(markup).characters_in_vain() > _COSTLY_CHARACTERS


class _Brackets:
    """What is open; something closes only what was opened last."""

    def __init__(self, markup: str) -> None:
        self._markup = markup
        self._open: list[tuple[str, int]] = []
        self._too_deep = 0
        self._no_end: set[str] = set()
        """Ends that do not come any more."""

    def characters_in_vain(self) -> int:
        """Sum of what is left of the text behind each construct that never closes, or stands too deep."""
        place = 0
        while match := _BRACKET.search(self._markup, place):
            place = self._bracket(match)
        return self._too_deep + sum(len(self._markup) - place for _, place in self._open)

    def _bracket(self, match: re.Match[str]) -> int:
        """Where to go on."""
        found, start = match.group(), match.start()
        if found == "<!--":
            return self._raw("<!--", "-->", match)
        if name := (match["name"] or "").lower():
            if match["end"]:
                self._close(name)
            elif not found.endswith("/>") and name not in _SINGLE_TAGS:
                if name in _RAW_TAGS:
                    return self._raw(name, f"</{match['name']}", match)
                self._push(name, start)
        elif found[0] == "<":
            self._push("<", start)
        elif found == "{|":
            self._push("{|", start)
        elif found[-2:] == "|}":
            self._close("{|")
        elif found[0] in "{[":
            for pair in range(max(1, len(found) // 2)):
                self._push(found[:2], start + 2 * pair)
        elif found[0] == "}":
            for _ in range(len(found) // 2):
                self._close("{{")
        else:
            left = len(found)
            while left and self._open and self._open[-1][0] in ("[", "[[") and len(self._open[-1][0]) <= left:
                left -= len(self._open.pop()[0])
        return match.end()

    def _push(self, kind: str, place: int) -> None:
        if len(self._open) >= _DEPTH:
            self._too_deep += len(self._markup) - place
        self._open.append((kind, place))

    def _close(self, kind: str) -> None:
        if self._open and self._open[-1][0] == kind:
            self._open.pop()

    def _raw(self, kind: str, end: str, match: re.Match[str]) -> int:
        place = -1 if end in self._no_end else self._markup.find(end, match.end())
        if place < 0:
            self._no_end.add(end)
            self._push(kind, match.start())
            return match.end()
        return place + len(end)


_ROUGH = re.compile(
    r"<[^<>\n]{0,500}>|\[\[(?:[^\[\]|\n]{0,300}\|)?|\]\]|\{{2,}|\}{2,}|'{2,}|https?://\S+|^[ \t]*[*#:;|!{}+=-]+|={2,}$",
    re.MULTILINE,
)


def rough_text(markup: str) -> str:
    """The text with all that looks like markup taken out, sign by sign: words of templates and notes stay in it."""
    lines = (line.strip() for line in html.unescape(_ROUGH.sub(" ", markup)).split("\n"))
    return "\n".join(line for line in lines if line)
