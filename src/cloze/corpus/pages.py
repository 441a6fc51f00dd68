"""Which documents are wanted, by what a source says of them: namespace (known to readers of wikis) and title."""

from __future__ import annotations

import re

from cloze.recipe import CorpusSettings

NOT_AN_ARTICLE = "not an article"
"""Why a page is dropped whose namespace is not asked for."""

_ARTICLES = {"0", "문서", "(main)"}
"""Names of one namespace: its number, and what Namuwiki and MediaWiki call it."""


class Namespaces:
    """Those that `corpus.namespaces` names, by number or by name, whichever the dump has."""

    def __init__(self, settings: CorpusSettings) -> None:
        wanted = {name.strip().casefold() for name in settings.namespaces}
        self._wanted = wanted | _ARTICLES if wanted & _ARTICLES else wanted

    def has(self, *names: str) -> bool:
        """Whether a namespace of these names (empty ones mean nothing) is asked for."""
        return any(name and name.casefold() in self._wanted for name in names)


def unwanted_title(title: str, settings: CorpusSettings) -> str:
    """Why a document of this title is not wanted; empty if it is."""
    if settings.titles is not None and not re.search(settings.titles, title):
        return "title does not match corpus.titles"
    if settings.exclude_titles is not None and re.search(settings.exclude_titles, title):
        return "title matches corpus.exclude_titles"
    return ""
