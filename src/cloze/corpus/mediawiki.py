"""Wikitext, the markup of MediaWiki (Wikipedia and most other wikis), to plain text, with mwparserfromhell.

The parser gives the tree, this file says what of it is text. Kept: the words of links and styles, lists, quotations and
poems, `nowiki`, the text of the few templates in `_TEXT_OF_TEMPLATE`. Kept or dropped by `MarkupSettings`: headings,
tables (infoboxes are templates, so no tables), struck-through text. Dropped: all other templates, template parameters,
notes, comments, files with their captions, categories, links to the article in other languages, galleries, formulas,
code, ruby annotations, addresses without a label and behaviour switches (__NOTOC__).

The parser takes time with the square of the length where much is opened and never closed (4,000 times `{{a|`: minutes),
and cannot be interrupted. `mediawiki_guard` finds such text beforehand.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from cloze.recipe import MarkupSettings

if TYPE_CHECKING:
    from mwparserfromhell.nodes import Tag, Template, Wikilink
    from mwparserfromhell.wikicode import Wikicode

_DEFAULTS = MarkupSettings()

_TEXT_OF_TEMPLATE = {
    **{"lang": 2, "llang": 2, "언어": 2},  # {{lang|en|Seoul}}
    **{"nihongo": 1, "국기나라": 1, "국기": 1, "flag": 1, "flagcountry": 1},  # {{국기나라|대한민국}}
    **{
        "nowrap": 1,
        "small": 1,
        "루비": 1,
        "ruby": 1,
        "인용문": 1,
        "quote": 1,
        "blockquote": 1,
        "시": 1,
        "poemquote": 1,
    },
}
"""Template, in small letters -> number of the parameter that is its text. Templates without which a sentence of the
Korean or English Wikipedia would have a hole; all others are boxes, notes or computed."""

_SKIPPED_TAGS = frozenset(
    (
        "ref",
        "references",
        "gallery",
        "math",
        "chem",
        "ce",
        "score",
        "timeline",
        "syntaxhighlight",
        "source",
        "pre",
        "imagemap",
        "templatedata",
        "graph",
        "mapframe",
        "maplink",
        "hiero",
        "categorytree",
        "inputbox",
        "section",
        "rt",
        "rp",
        "style",
        "script",
        "includeonly",
        "indicator",
        "templatestyles",
    )
)
_STRUCK_TAGS = frozenset(("s", "strike", "del"))
_HEADING_TAGS = frozenset(f"h{level}" for level in range(1, 7))
_LINE_TAGS = frozenset(
    ("br", "hr", "p", "div", "center", "blockquote", "poem", "ul", "ol", "dl", "li", "dt", "section", "table", "tr")
)
"""Text before, inside and after them stands on lines of its own."""

_NO_TEXT_LINK = re.compile(
    r"\s*(?:file|image|category|media|파일|그림|이미지|분류|미디어|ファイル|画像|カテゴリ|文件|图像|檔案|分类|分類"
    r"|datei|bild|kategorie|fichier|catégorie|archivo|categoría|файл|категория)\s*:",
    re.IGNORECASE,
)
# Codes of two or three letters, some with a part behind a dash (zh-yue), and two that are longer. With a colon in
# front, [[:en:Seoul]], or a capital, [[DJ:가]], it is a link in the text.
_OTHER_LANGUAGE = re.compile(r"\s*(?:[a-z]{2,3}(?:-[a-z]{2,})*|simple|tarask)\s*:(?!//)")
_SWITCH = re.compile(r"__(?:[A-Z]+|목차(?:없음|숨김|강제|보임)?)__")
# Tags that never close stay in the text when the tree is made. The names are written out: 3 <b and c> 4 is no tag.
_LOOSE_TAG = re.compile(
    r"</?(?:[bipsu]|em|strong|small|big|span|font|div|center|su[bp]|ref|references|nowiki|blockquote|code|tt|t[drh]|table"
    r"|caption|ul|ol|li|d[ltd]|br|hr|del|ins|strike|poem|gallery|ruby|r[bpt]|noinclude|onlyinclude|includeonly|cite|abbr"
    r"|section)(?:\s[^<>]{0,500})?/?>",
    re.IGNORECASE,
)
_LOOSE_TABLE = re.compile(r"^[ \t:*]*(?:\{\||\|-|\|\}(?!\})).*$", re.MULTILINE)
_APOSTROPHES = re.compile(r"'{2,}")
_MARK = re.compile(r"[\[\]{}<>&=*#:;|_]|''|://|----")


def plain_text(markup: str, options: MarkupSettings = _DEFAULTS) -> str:
    """The text of an article: lines without markup, none empty, joined by line breaks.

    Ask `mediawiki_guard.is_costly` first. Raises ValueError for text that the parser gives up on.
    """
    import mwparserfromhell
    from mwparserfromhell.parser import ParserError

    if not _MARK.search(markup):
        return _lines(markup)
    # Italic and bold go beforehand: their pairs are half of the parser's time, and the costly half.
    markup = _APOSTROPHES.sub(lambda run: "'" if len(run.group()) == 4 else "", markup)
    try:
        code = mwparserfromhell.parse(markup, skip_style_tags=True)
    except ParserError as error:
        raise ValueError(str(error)) from None
    return _lines(_Walk(options).text(code))


def _lines(text: str) -> str:
    return "\n".join(stripped for line in text.split("\n") if (stripped := line.strip()))


class _Walk:
    """The text of a tree. The parser's trees are at most 40 deep."""

    def __init__(self, options: MarkupSettings) -> None:
        self._options = options

    def text(self, code: Wikicode | None) -> str:
        from mwparserfromhell import nodes

        pieces: list[str] = []
        for node in code.nodes if code is not None else ():
            match node:
                case nodes.Text():
                    pieces.append(_loose_markup_removed(node.value))
                case nodes.Wikilink():
                    pieces.append(self._link(node))
                case nodes.Tag():
                    pieces.append(self._tag(node))
                case nodes.Template():
                    pieces.append(self._template(node))
                case nodes.ExternalLink() if node.brackets and node.title is not None:
                    pieces.append(self.text(node.title))
                case nodes.HTMLEntity():
                    pieces.append(html.unescape(str(node)))
                case nodes.Heading():
                    pieces.append(self._heading(node.title))
        return "".join(pieces)

    def _heading(self, title: Wikicode) -> str:
        return f"\n{' '.join(self.text(title).split())}\n" if self._options.headings == "keep" else "\n"

    def _link(self, link: Wikilink) -> str:
        title = str(link.title)
        if _NO_TEXT_LINK.match(title) or _OTHER_LANGUAGE.match(title):
            return ""
        label = self.text(link.text)
        return label if label.strip() else self.text(link.title).strip().removeprefix(":")

    def _template(self, template: Template) -> str:
        place = _TEXT_OF_TEMPLATE.get(str(template.name).strip().lower().replace("_", " "))
        if place is None or not template.has(str(place)):
            return ""
        return self.text(template.get(str(place)).value)

    def _tag(self, tag: Tag) -> str:
        name = str(tag.tag).strip().lower()
        if name in _SKIPPED_TAGS or (name in _STRUCK_TAGS and self._options.strike_through == "drop"):
            return ""
        if name == "nowiki":
            return html.unescape(str(tag.contents))
        if name == "table":
            return "\n".join(["", *self._rows(tag.contents), ""]) if self._options.tables == "text" else "\n"
        if name in _HEADING_TAGS:
            return self._heading(tag.contents)
        inner = self.text(tag.contents)
        if name in ("dd", "td", "th"):  # `;word: explanation` is one line; cells without a table are broken ones
            return f" {inner} "
        return f"\n{inner}\n" if name in _LINE_TAGS and tag.wiki_markup is None else inner

    def _rows(self, code: Wikicode) -> list[str]:
        """A line for each row of a table; cells that stand before the first row are one."""
        from mwparserfromhell import nodes

        rows: list[str] = []
        first: list[str] = []
        for node in code.nodes if code is not None else ():
            if not isinstance(node, nodes.Tag):
                continue
            match str(node.tag).strip().lower():
                case "td" | "th" | "caption":
                    cell = " ".join(self.text(node.contents).split())
                    caption = node.wiki_markup == "|" and str(node.contents).startswith("+")
                    if caption and cell.removeprefix("+").strip():
                        rows.append(cell.removeprefix("+").strip())
                    elif cell and not caption:
                        first.append(cell)
                case "tr" | "tbody" | "thead" | "tfoot":
                    rows += self._rows(node.contents)
        return [*rows, " ".join(first)] if first else rows


def _loose_markup_removed(text: str) -> str:
    """What the parser leaves in the text because it closes nowhere, or knows nothing of."""
    if "__" in text:
        text = _SWITCH.sub("", text)
    if "<" in text:
        text = _LOOSE_TAG.sub("", text)
    return _LOOSE_TABLE.sub("", text) if "|" in text else text
