"""What NamuMark looks like: the patterns of its constructs, and what a heading, a link and HTML show.

None of them makes reading slower than linear: each stops at the next character that could begin the same construct, or
takes what it has read away.
"""

from __future__ import annotations

import re

BRACES = re.compile(r"\\.|\{\{\{|\}\}\}", re.DOTALL)
BRACKETS = re.compile(r"\\.|\[|\]", re.DOTALL)
_PREFIX = r"(?:[ \t]*>)*(?:[ \t]+(?:\*+|[1aAiI]\.(?=[ \t#]))(?:#\d+)?)*[ \t]*"
_CELL_OPTIONS = (
    r"(?i:(?:[ \t]*<(?:(?:-\d+|[v^]?\|\d+|[:()v^]|#[\dA-Za-z,# ]+|\d+%|[ ,])++"
    r"|(?:table ?|row|col)?(?:(?:align|textalign|bgcolor|bordercolor|color|width|height|style|class|id|span)"
    r"[ \t]*[=#:][^<>\n]*|nopad|keepall))>)*+)"
)
_ANY_OLD_NAME = "include|youtube|nicovideo|html|wikicommons|math|tableofcontents|pagecount"
_DATED_OLD_NAME = "date|datetime|anchor|footnote|age|dday"
_OLD_NAME = rf"(?i:{_ANY_OLD_NAME}|{_DATED_OLD_NAME})"
# Each alternative begins with a character of its own: so the engine skips prose by a set of them, twice as fast.
TOKEN = re.compile(
    rf"\n{_PREFIX}"
    rf"|\[\[(?:(?:https?:)?[^\[\]|\n{{}}\\:]*\|)?((?!{_OLD_NAME}\()[^\W_][^\[\]|\n{{}}\\#:'_~^,<-]*)\]\]"
    r"|\[\[(?:파일|분류):[^\[\]\n{}\\]*()\]\]|\[(?:목차|각주|clearfix)()\]|\[(?:\[|\*[^\s\[\]{}|']*)?|\]"
    rf"|\|(?:\}}\}}(?!\}})|\|+{_CELL_OPTIONS})?"
    r"|''+|\{\{(?:\{(?:#[A-Za-z0-9]+(?:,#?[A-Za-z0-9]+)?\s|[+-][1-5]\s)?|\|)|\}\}\}|__+|--+|~~+|\^\^+|,,+|\\[^\n]|<math>"
    r"|https?://[!#-&(-+\--;=?-Z_a-z]*|attachment:(?:\"[^\"\n]*\"|[^\s|\[\]{}\"']+)|wiki:\"([^\"\n]*)\"",
)
"""The next sign that may mean something, with what belongs to it; the group that matched: what a plain link shows."""
PREFIX = re.compile(_PREFIX)
CELL_OPTIONS = re.compile(_CELL_OPTIONS)
PAIR = re.compile(r"''|__|--|~~|\^\^|,,|<math>|attachment:|wiki:\"|https?://")
DIRECTIVES = re.compile(
    r"(?:\s*#(?:redirect|넘겨주기|format|title|language|keywords?|pragma|acl|noindex|action|postit)\b[^\n]*)+", re.I
)
WIKI = re.compile(r"#!wiki(?:[ \t]+[\w-]+[ \t]*=[ \t]*(?:\"[^\"\n]*\"?|'[^'\n]*'?|[^\s\"'{}]+))*+[ \t]*\n?", re.I)
FOLDING = re.compile(r"#!folding[ \t]*(?:\[[^\[\]{}\n]*\])?[ \t]*", re.I)
_TAG = re.compile(r"<[^<>]*>|&#?\w{1,10};")
_GAP = re.compile(r"&|</?(?:br|p|div|li|t[dr])\b", re.I)
_CODE = re.compile(r"<(?:script|style)\b", re.I)
LINE_MARKUP = frozenset("=#-|")
RULE = re.compile(r"-{4,}[ \t]*(?=\n|$)")
PARAGRAPH_END = re.compile(r"\n[ \t]*(?:\n|=|$)|$")
CAPTION = re.compile(r"\|(?=[^|])(?:\[\[[^\[\]\n]*\]\]|[^|\n])++(?=\|)")
MACRO = re.compile(
    r"\[(?:(?i:(?P<name>목차|각주|tableofcontents|toc|footnote|br|date|datetime|timestamp|age|dday|include|youtube|kakaotv"
    r"|nicovideo|vimeo|navertv|anchor|ruby|math|pagecount|clearfix|wikicommons))(?P<next>[\](])|[a-z]+\()"
)
FIRST_ARGUMENT = re.compile(r"(?:\\.|[^,\\])*", re.DOTALL)
OLD_LINK = re.compile(  # ["title" label], [wiki:title label], [http://address label], [attachment:file label]
    r"\[(?:(?:wiki:)?\"(?P<title>[^\"\n\[\]]+)\"|wiki:(?P<name>[^\s\[\]\"]+)|(?:https?|ftp)://[^\s\[\]]+"
    r"|attachment:(?:\"[^\"\n\[\]]*\"|[^\s\[\]\"]+))(?:[ \t]+(?P<label>(?=[^\n\[\]]+\])))?"
)
OLD_MACRO = re.compile(rf"(?:{_ANY_OLD_NAME})\(.*\)|(?:{_DATED_OLD_NAME})\([\x20-\x7e]*\)", re.I)
"""Some names are also those of articles, Anchor(밴드): so their argument must be in ASCII."""
OLD_BREAKS = frozenset(["br", "Br", "BR"])
OLD_CONTENTS = frozenset(["목차", "TableOfContents", "tableofcontents", "각주", "FootNote", "footnote"])
LINK = re.compile(r"\[\[([^\[\]|\n{}\\]*)(?:\|([^\[\]|\n{}\\]*))?\]\]")
FILE = re.compile(r"\s*(?:파일|분류|file|category|이미지|image):", re.I)
ADDRESS = re.compile(r"\s*(?:https?|ftp)://|\s*mailto:", re.I)
IMAGE = re.compile(r"\.(?:jpe?g|png|gif|bmp|svg|webp)(?:\?|$)", re.I)
LETTER = re.compile(r"[^\W_]")


def matching(pattern: re.Pattern[str], opening: str, markup: str, start: int, end: int) -> dict[int, int]:
    """Place of each opening that closes between `start` and `end` -> place of what closes it."""
    matching: dict[int, int] = {}
    begun: list[int] = []
    for match in pattern.finditer(markup, start, end):
        if match.group() == opening:
            begun.append(match.start())
        elif begun and match.group()[0] != "\\":
            matching[begun.pop()] = match.start()
    return matching


def heading(line: str) -> str | None:
    """The title, if there are one to six = on both sides, as many, with spaces or # (folded) between."""
    if line[:1] != "=":
        return None
    line = line.rstrip()
    level = len(line) - len(line.lstrip("="))
    if not 1 <= level <= 6 or len(line) <= 2 * level or not line.endswith("=" * level):
        return None
    if line[level] not in " #" or line[-level - 1] not in " #":
        return None
    title = line[level:-level]
    return title[1:-1] if title[0] == title[-1] == "#" and len(title) > 1 else title


def link_text(target: str, label: str | None) -> str | None:
    """What a link shows: its label, or its target where there is none; nothing for files, categories and addresses.

    None if there is markup in it. A label without a letter goes with its address: [[https://...|#]] is how Namuwiki
    cites.
    """
    if ":" in target:
        if FILE.match(target):
            return ""
        if ADDRESS.match(target) and (label is None or not LETTER.search(label)):
            return ""
    if PAIR.search(target if label is None else label):
        return None
    if label is not None:
        return label
    if target in OLD_BREAKS:
        return " "
    if target.endswith(")") and OLD_MACRO.fullmatch(target):
        return ""
    return shown_title(target)


def shown_title(target: str) -> str:
    """The name of an article in a link to it: without section, and without the marks for upper and lower pages."""
    name, number_sign, section = target.rpartition("#")
    if number_sign and section:
        target = name or ("" if section.startswith("s-") else section)
    return target.removeprefix(":").removeprefix("문서:").removeprefix("../").removeprefix("/")


def html_text(html: str) -> str:
    """What stands between tags; nothing if there is a script or a style. A named or numbered character is a space."""
    if _CODE.search(html):
        return ""
    return _TAG.sub(lambda tag: " " if _GAP.match(tag.group()) else "", html).strip()
