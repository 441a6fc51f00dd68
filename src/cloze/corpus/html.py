"""HTML to plain text, with the browser's own parsing rules (lexbor, through selectolax).

Kept: the text of paragraphs, lists, quotations and links, each block on a line of its own. Kept or dropped by
`MarkupSettings`: headings, tables (a row a line), struck-through text. Dropped: scripts, styles, code blocks, forms,
embedded media, and the page's furniture: navigation, header, footer, asides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloze.recipe import MarkupSettings

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_DEFAULTS = MarkupSettings()
_SKIPPED = frozenset(
    (
        "head",
        "title",
        "script",
        "style",
        "noscript",
        "template",
        "iframe",
        "object",
        "embed",
        "svg",
        "math",
        "canvas",
        "audio",
        "video",
        "nav",
        "header",
        "footer",
        "aside",
        "menu",
        "dialog",
        "form",
        "button",
        "select",
        "textarea",
        "pre",
        "rt",
        "rp",
        "_comment",
        "-comment",
        "!--",
    )
)
_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_STRUCK = frozenset(("s", "strike", "del"))
_CELLS = frozenset(("td", "th"))
_BLOCKS = _HEADINGS | frozenset(
    (
        "html",
        "body",
        "p",
        "div",
        "section",
        "article",
        "main",
        "blockquote",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "br",
        "hr",
        "table",
        "caption",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "figure",
        "figcaption",
        "address",
        "center",
        "details",
        "summary",
        "fieldset",
        "hgroup",
        "search",
        "option",
        "optgroup",
    )
)
_HEAD_CHARACTERS = 10_000
"""Where a page says its title."""
_SPACE = re.compile(r"\s+")

_DEPTH = 2_000
"""Elements within each other, at most; the parser's time grows with the square of it."""
_NESTING_TAG = re.compile(
    r"<(/?)(?!(?:p|li|d[td]|t[drh]|br|hr|img|input|link|meta|wbr|option)[\s/>])[a-z]", re.IGNORECASE
)
"""Beginning and end of elements that hold others of their own kind."""
_OPENED_AGAIN = 1_000_000
_STYLE_OR_BLOCK = re.compile(
    r"<(/?)(?:(a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)|p|div|li|d[dt]|t[dhr]|h[1-6])[\s/>]",
    re.IGNORECASE,
)
"""Beginning and end of the elements that the parser opens again where they were not closed, and of blocks."""
_ANY_TAG = re.compile(r"</?[a-z][^<>]*>?", re.IGNORECASE)


def plain_text(markup: str, options: MarkupSettings = _DEFAULTS) -> str:
    """The text of a page or of a part of one: lines, none empty, joined by line breaks. Takes any string."""
    from selectolax.lexbor import LexborHTMLParser

    skipped = set(_SKIPPED)
    skipped |= _HEADINGS if options.headings == "drop" else set()
    skipped |= {"table"} if options.tables == "drop" else set()
    skipped |= _STRUCK if options.strike_through == "drop" else set()
    root = LexborHTMLParser(_ANY_TAG.sub("\n", markup) if is_too_deep(markup) else markup).root
    text = "" if root is None else "".join(_pieces(root, skipped))
    return "\n".join(stripped for line in text.split("\n") if (stripped := line.strip()))


def is_too_deep(markup: str) -> bool:
    """Whether a page opens thousands of elements and does not close them, or styles that a million blocks would have;
    then its tags are only line breaks."""
    depth = 0
    for match in _NESTING_TAG.finditer(markup):
        depth = max(0, depth - 1) if match[1] else depth + 1
        if depth > _DEPTH:
            return True
    return _opened_again(markup) > _OPENED_AGAIN


def _opened_again(markup: str) -> int:
    """How many elements the parser adds, at most: a style that is not closed is opened again in every block behind."""
    styles = added = 0
    for match in _STYLE_OR_BLOCK.finditer(markup):
        if not match[2]:
            added += styles
        else:
            styles = max(0, styles - 1) if match[1] else styles + 1
    return added


def title(markup: str) -> str:
    """What <title> says; empty without one."""
    from selectolax.lexbor import LexborHTMLParser

    head = markup[:_HEAD_CHARACTERS]
    node = LexborHTMLParser(head).css_first("title")
    return "" if node is None else " ".join(node.text().split())


def _pieces(root: LexborNode, skipped: set[str]) -> list[str]:
    """The text of a tree, blocks between line breaks. No recursion: pages may be nested as deeply as they like."""
    pieces: list[str] = []
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        tag = str(node.tag)
        child = None
        if tag == "-text":
            pieces.append(_SPACE.sub(" ", node.text_content or ""))
        elif tag in skipped:
            pieces.append("\n" if tag in _BLOCKS else "")
        else:
            pieces.append(_around(tag))
            child = node.first_child
        if child is not None:
            node, depth = child, depth + 1
            continue
        while depth and node.next is None:
            parent = node.parent
            if parent is None:
                break
            node, depth = parent, depth - 1
            pieces.append(_around(str(node.tag)))
        node = node.next if depth else None
    return pieces


def _around(tag: str) -> str:
    return "\n" if tag in _BLOCKS else " " if tag in _CELLS else ""
