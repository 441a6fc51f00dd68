"""Which function takes which markup out of a text."""

from __future__ import annotations

from cloze.corpus import namumark
from cloze.corpus.counts import Counts
from cloze.corpus.document import Markup
from cloze.recipe import MarkupSettings

_ROUGHLY = "markup that does not close, taken out roughly"


def plain_text(text: str, markup: Markup, options: MarkupSettings, counts: Counts, where: str) -> str:
    """The text without its markup, a paragraph on a line. `where` is named where a document needed the rough way."""
    match markup:
        case "namumark":
            return namumark.plain_text(text, options)
        case "mediawiki":
            return _mediawiki(text, options, counts, where)
        case "html":
            from cloze.corpus import html

            if html.is_too_deep(text):
                counts.change(_ROUGHLY, documents=1, characters=len(text), example=where)
            return html.plain_text(text, options)
        case "markdown":
            from cloze.corpus import markdown

            if markdown.has_endless_tables(text):
                counts.change(_ROUGHLY, documents=1, characters=len(text), example=where)
            return markdown.plain_text(text, options)
        case _:
            return text


def _mediawiki(text: str, options: MarkupSettings, counts: Counts, where: str) -> str:
    from cloze.corpus import mediawiki, mediawiki_guard

    if not mediawiki_guard.is_costly(text):
        try:
            return mediawiki.plain_text(text, options)
        except ValueError:
            pass
    counts.change(_ROUGHLY, documents=1, characters=len(text), example=where)
    return mediawiki_guard.rough_text(text)
