"""Prose to sentences by rules, for Korean and English: fast, deterministic, and no character is changed.

A sentence ends behind . ! ? … (and 。！？), with the quotes, brackets, laughter (ㅋㅋ, ㅠㅠ, ^^) and emoji that
follow, if white space comes next. Two more ends have no mark: laughter (꿀잼 ㅋㅋ), unless the words before it are only
on their way to a verb, and a Korean ending that nearly always closes (좋아요, 갔습니다; see `endings`). A full stop
between a final ending and a syllable counts, too (했다.그래서). What looks like an end and is none: a full stop in a
number, date, initial, abbreviation or letter of a list; a mark before a small letter, or before a quoting particle
("갔다." 하고); any mark between a pair of quotes or brackets that closes within 500 characters.

How often that is right, and how fast it is, beside other splitters: benchmarks/results/sentences.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cloze.corpus.endings import LAST_SYLLABLES, LIKELY, closes
from cloze.recipe import CorpusSettings

Splitter = Callable[[str], list[str]]
"""A text to its sentences; joined they are the text again."""

_PAIRS = dict(zip("“‘「『《〈([\"'", "”’」』》〉)]\"'", strict=True))
_PAIR_CHARACTERS = 500
_ENDS = frozenset(".!?…。！？")
_LAUGHTER = "ㅋㅎㅠㅜ^"
_EMOJI = "\u2600-\u27bf\U0001f300-\U0001faff\ufe0f\u200d♡"

# One class in front: the regular expression engine skips to the next such character at memory speed. Endings count at
# the end of a word only.
_MARK = re.compile(
    rf"[\n“‘「『《〈(\[\"'.!?…。！？ㅋㅎㅠㅜ^{LAST_SYLLABLES}]"
    rf"(?:(?<![{LAST_SYLLABLES}])|(?=[\sㅋㅎㅠㅜ^;~{_EMOJI}]){LIKELY})"
)
_RUN = re.compile(r"[.!?…。！？]+|[ㅋㅎㅠㅜ]+|\^+|\n")
# Closing quotes and brackets, then laughter and the like, also behind a space if nothing else stands in that word.
_TAIL = re.compile(
    rf"[\"'”’」』》〉)\]]*"
    rf"(?: ?(?:[ㅋㅎㅠㅜ]+|\^{{2,}}|;{{2,}}|~+|[.!?…]+|[{_EMOJI}]+)(?![^\sㅋㅎㅠㅜ^;~.!?…{_EMOJI}]))*"
)
_SPACE = re.compile(r"\s*")
_BEFORE_LAUGHTER = re.compile(r"(?:[^가-힣]|[은는이가을를에서로도의와과고며만면데]|진짜|정말|완전|너무|역시|[아와헐])$")
_QUOTING = re.compile(
    r"(?:이?라고|이?라는|이?라며|이?라면서|하고[는서]?|하며|하는|하자|하면서|고|며|는|란|라)(?![가-힣])"
)
_PARTICLES = "은는을를에의로며면서데"
_LIST_LETTERS = "가나다라마바사아자차카타파하"
_WORD = re.compile(r"[A-Za-z0-9.]*$")
_WORD_CHARACTERS = 12
_DATE = re.compile(r"\d\. ?\d+$")
_ABBREVIATION = re.compile(
    r"mrs?|ms|dr|prof|st|[js]r|vs|etc|e\.g|i\.e|cf|al|ca|no|vol|pp|fig|eq|inc|ltd|co|corp|dept|approx|feat|ft|gen|col|sgt|capt"
    r"|rev|hon|u\.[sk]|[ap]\.m|ph\.d|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec",
    re.IGNORECASE,
)


def sentence_splitter(settings: CorpusSettings) -> Splitter:
    """The splitter that the recipe names. Raises ClozeError if it needs a package that is not installed."""
    if settings.sentences == "kiwi":
        from cloze.corpus.kiwi import kiwi_splitter

        return kiwi_splitter()
    return split_sentences


def split_sentences(text: str) -> list[str]:
    """The sentences of `text`; joined they are `text` again, as white space stays at the end of the sentence before it.

    Linear in the length of the text.
    """
    sentences: list[str] = []
    start = place = 0
    while match := _MARK.search(text, place):
        first = match.start()
        if match.group() in LAST_SYLLABLES:
            place = match.end()
            if end := _unmarked_boundary(text, start, place):
                sentences.append(text[start:end])
                start = place = end
            continue
        if match.group() in _PAIRS:
            closing = _closing(text, first)
            if closing == -1 or text[closing - 1] not in _ENDS:
                place = first + 1 if closing == -1 else closing + 1
                continue
            first, last = closing - 1, closing
        else:
            last = _matched(_RUN, text, first)
        place = last if match.group() == "\n" else _matched(_TAIL, text, last)
        if end := _boundary(text, start, first, last, place):
            sentences.append(text[start:end])
            start = place = end
    return [*sentences, text[start:]] if start < len(text) else sentences


def _closing(text: str, opening: int) -> int:
    """Where the quote or bracket at `opening` closes; -1 if it does not, within 500 characters of its line."""
    if text[opening] in "\"'" and opening and not text[opening - 1].isspace():
        return -1  # behind a word it closes, or means inches, or is an apostrophe
    end = text.find(_PAIRS[text[opening]], opening + 1, opening + _PAIR_CHARACTERS)
    while text[opening] == "'" and end != -1 and text[end + 1 : end + 2].isalpha() and text[end + 1] < "가":
        end = text.find("'", end + 1, opening + _PAIR_CHARACTERS)  # the one just found is an apostrophe
    return -1 if end == -1 or "\n" in text[opening:end] else end


def _boundary(text: str, start: int, first: int, last: int, tail: int) -> int:
    """Where the sentence from `start` ends, if the mark text[first:last], with its tail, ends it; otherwise 0."""
    mark = text[first:last]
    end = _matched(_SPACE, text, tail)
    if end == len(text) or "\n" in text[first:end]:
        return end
    if end == tail:
        return end if mark == "." and tail == last and _glued(text, first) else 0
    if first == start or "a" <= text[end] <= "z" or (tail > last and _QUOTING.match(text, end)):
        return 0
    if mark[0] in _LAUGHTER and _ENDS.isdisjoint(text[last:tail]):
        words = text[max(start, first - 4) : first].rstrip(" ")
        return end if len(mark) > 1 and words and not _BEFORE_LAUGHTER.search(words) else 0
    if mark == "…" and tail == last and text[first - 1] in _PARTICLES:
        return 0
    return 0 if mark == "." and _unfinished(text, start, first, end) else end


def _unmarked_boundary(text: str, start: int, place: int) -> int:
    """Where the sentence from `start` ends if its last word ends at `place`, with laughter behind it; otherwise 0."""
    tail = _matched(_TAIL, text, place)
    end = _matched(_SPACE, text, tail)
    return end if end > tail and (end == len(text) or closes(text, start, place, end)) else 0


def _matched(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Where a match of `pattern` at `place` ends; `place` if there is none."""
    match = pattern.match(text, place)
    return match.end() if match else place


def _glued(text: str, stop: int) -> bool:
    """A full stop between 다, 요 or 죠 and another syllable."""
    return stop > 0 and text[stop - 1] in "다요죠" and "가" <= text[stop + 1] <= "힣"


def _unfinished(text: str, start: int, stop: int, following: int) -> bool:
    """A full stop that belongs to a number, date, initial, abbreviation or letter of a list (가. 나.)."""
    if text[max(stop - 1, 0)] >= "가":
        return stop - start == 1 and text[start] in _LIST_LETTERS
    match = _WORD.search(text, max(start, stop - _WORD_CHARACTERS), stop)
    word = match.group() if match else ""
    if word.isdigit():
        in_date = text[following].isdigit() or _DATE.search(text, max(start, stop - _WORD_CHARACTERS), stop)
        return bool(in_date) or not text[start : stop - len(word)].strip()
    return (len(word) == 1 and word.isupper()) or bool(_ABBREVIATION.fullmatch(word))
