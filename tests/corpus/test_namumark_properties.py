"""NamuMark to text on any input: nothing raised, nothing invented, nothing lost that is no markup, and linear time."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.namumark import plain_text
from cloze.recipe import MarkupSettings

OPTIONS = (
    MarkupSettings(),
    MarkupSettings(headings="keep", tables="text", strike_through="keep"),
    MarkupSettings(headings="keep", tables="drop", strike_through="drop"),
)
UNITS = (
    *("[[", "[[가|", "[[가#", "[[[", "[", "[*가 ", "[*", "[* [", "[*a\n", "[[ [[a]]", "]", "]]"),
    *("[ruby(", "[ruby(a", "[include([[", "[include(a\n\n", "[a(", '["', '["a" ', "[http://a ", "[wiki:a ", "[[a(b)"),
    *("{{{", "{{{#red ", "{{{#!wiki\n", '{{{#!wiki a="', "{{{#!folding [", "{{{#!if a ", "{{{#!html <b", "{{{|", "}}}"),
    *("||", "||a", "||<width ", "||<#a", "||{{{#!folding a\n", "||\n", "||a\n\n", "|a|", "|[[a", "||[[a|"),
    *("'''", "'", "~~a", "--a--", "__ -- ~~ ^^ ,, ", "~~[*a]", "<math>", "<math>\n\n", "http://", "http://a.png"),
    *("= ", "= a =\n", " ", " > ", " * ", " 1.", "\\", "##", "##\n", "\n", "----\n", "#redirect ", "#redirect\n"),
    *('attachment:"', 'wiki:"', "attachment:a", "\t\n", "a " * 8),
)
NESTS = (
    *(("[[", "]]"), ("[[x|", "]]"), ("[[", "|b]]"), ("[*a ", "]"), ("[[[*", "]"), ("[[https://a|", "]]")),
    *(
        ("{{{#red ", "}}}"),
        ("{{{", "}}}"),
        ("{{{#!folding [", "}}}"),
        ("{{{#!wiki a='", "}}}"),
        ("{{{#red\n[*a", "}}}]"),
        ("{{{#!folding a\n||", "||\n}}}"),
    ),
    *(("[[{{{#red ", "|}}}"), ("[*{{{#red ", "}}}"), ("[include(", ")]"), ("[ruby(", ")]"), ("[include([", "])]")),
    *(
        ("||{{{#!wiki\n", "}}}||\n"),
        ("~~[[", "]]~~"),
        ("{{{#!if a\n'''", "'''}}}"),
        ("= ", " ="),
        ("{{{#!html <b>", "}}}"),
    ),
)
WRAPPED = (
    *(
        ("{{{#!html ", "<", "}}}"),
        ("{{{#!html ", "&a", "}}}"),
        ("{{{#!wiki ", "a=1 ", "}}}"),
        ("{{{#!folding [", "a", "}}}"),
    ),
    *(
        ("||<", "width ", ""),
        ("||<", ":", ""),
        ("||<#", "v", ""),
        ("||", "<:", "||"),
        ("|", "[[a", "|"),
        ("|", "[[a]]", ""),
    ),
    *(("[[", "#", "]]"), ("[[", "가 ", "]]"), ("[[", "http://", "]]"), ("[[가|", "'' ", "]]"), ("[[../", "../", "]]")),
    *(
        ("[* ", "[", "]"),
        ("[ruby(", "\\,", ")]"),
        ("[include(", "[[a]]", ")]"),
        ('["', "a ", ""),
        ("[http://a ", "a ", ""),
    ),
    *(("== ", "= ", "=="), ("#redirect", "\n ", ""), (" ", "> ", "a"), (" ", "* ", ""), ("== ", "[[", " ==")),
)
"""Beginning, what is repeated, end."""
ADVERSARIES = [*UNITS, *NESTS, *WRAPPED]
Adversary = str | tuple[str, str] | tuple[str, str, str]
PARTS = [
    *UNITS,
    ")]",
    "가나다",
    "틀:",
    "파일:",
    "#",
    "*",
    "-",
    "~~",
    "<|2>",
    "[목차]",
    "== 가 ==\n",
    "</math>",
    "|",
    "#s-1",
    "<b>",
]
MARKUP = st.lists(st.sampled_from(PARTS)).map("".join)
ANY = MARKUP | st.text()
WORDS = st.text(alphabet="가나다라마바사아자차카타파하abcABC123", min_size=1, max_size=6)


def put_between(before: str, after: str, part: tuple[str, str]) -> tuple[str, str]:
    return before + part[0] + after, part[1]


def spaces_apart(parts: list[tuple[str, str]]) -> tuple[str, str]:
    return " ".join(markup for markup, _ in parts), " ".join(text for _, text in parts)


def inline_of(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """(markup, its text) of a construct within a line, around what `inner` gives."""
    around = (
        *(("'''", "'''"), ("__ ", " __"), ("{{{#red ", "}}}"), ("{{{+1 ", "}}}")),
        *(("[[문서|", "]]"), ("[[https://a.b/c_d|", "]]"), ("[[분류:가]]", ""), ("", "[include(틀:나, 다=[[라]])]")),
    )
    wrapped = [inner.map(partial(put_between, before, after)) for before, after in around]
    return st.one_of(*wrapped, st.lists(inner, min_size=1, max_size=3).map(spaces_apart))


WORD = WORDS.map(lambda word: (word, word))
STRUCK = st.sampled_from(["~~", "--"]).flatmap(lambda mark: WORDS.map(lambda word: (f"가{mark}{word}{mark}", "가")))
LINK = WORDS.map(lambda word: (f"[[{word}#s-1]]", word))
LINE = st.recursive(WORD | STRUCK | LINK, inline_of, max_leaves=8)
ROW = st.lists(LINE, min_size=1, max_size=3).map(
    lambda cells: ("||<-2>" + "||".join(markup for markup, _ in cells) + "||", " ".join(text for _, text in cells))
)
BLOCK = st.one_of(
    LINE,
    ROW,
    *(LINE.map(partial(put_between, before, "")) for before in (" * ", "  1. ", ">", "> > ", " ")),
    LINE.map(partial(put_between, "{{{#!folding [ 접기 ]\n", "}}}")),
    WORDS.map(lambda word: (f"== {word} ==", "")),
    WORDS.map(lambda word: (f"## {word}", "")),
)
PAGE = st.lists(BLOCK, max_size=6)


@given(PAGE)
def test_well_formed_markup_gives_its_text(page: list[tuple[str, str]]) -> None:
    text = plain_text("\n".join(markup for markup, _ in page))
    want = [line for _, line in page if line]
    assert [line.split() for line in text.split("\n")] == [line.split() for line in want or [""]]
    assert plain_text(text) == text, "what is left has no markup to take out"


@given(ANY, st.sampled_from(OPTIONS))
def test_any_text_gives_lines_without_blanks(markup: str, options: MarkupSettings) -> None:
    text = plain_text(markup, options)
    assert all(line == line.strip() and line for line in text.split("\n")) or text == ""


@given(ANY, st.sampled_from(OPTIONS))
def test_nothing_is_invented(markup: str, options: MarkupSettings) -> None:
    """Every character comes from the markup, and in its order unless a footnote moved; but white space may be new."""
    text = "".join(plain_text(markup, options).split())
    assert Counter(text) <= Counter(markup)
    if "[*" not in markup:
        rest = iter(markup)
        assert all(character in rest for character in text), "a subsequence"


@given(st.text(alphabet=st.characters(categories=["L", "N"], include_characters=" .?!,()\"'%&+/:;@~\n")))
def test_text_without_markup_is_kept(text: str) -> None:
    text = text.replace("''", "'").replace("~~", "~").replace(",,", ",")
    lines = (line.strip() for line in text.split("\n"))
    assert plain_text(text) == "\n".join(line for line in lines if line)


@given(MARKUP)
def test_markup_behind_a_line_changes_nothing_before_it(markup: str) -> None:
    """A link, a colour and a bold mark around text change nothing of it."""
    assert plain_text("[[가|'''{{{#red 나}}}''']]\n\n" + markup).startswith("나")


@pytest.mark.parametrize("unit", ADVERSARIES, ids=repr)
def test_steps_grow_linearly(unit: Adversary) -> None:
    """Twice the text takes about twice the calls; quadratic behaviour would take four times."""
    for options in OPTIONS:
        few, many = calls(unit, 100, options), calls(unit, 200, options)
        assert many <= 2.2 * few + 100


@pytest.mark.parametrize("unit", ADVERSARIES, ids=repr)
def test_time_grows_linearly_up_to_100_000_characters(unit: Adversary) -> None:
    """What calls do not show: the time within the standard library."""
    assert_linear(unit, 100_000 // len(repeated(unit, 1)))


@pytest.mark.parametrize(
    "unit", ["{{{", "[[", "||", "[*", "[[가|", "{{{#!wiki\n", ("{{{#red ", "}}}"), ("[[{{{#red ", "|}}}")], ids=repr
)
def test_time_grows_linearly_up_to_100_000_repeats(unit: Adversary) -> None:
    assert_linear(unit, 100_000)


def assert_linear(unit: Adversary, count: int) -> None:
    """Eight times the text takes about eight times as long; quadratic: 64 times. The bound is generous."""
    measured = []
    for _ in range(3):  # the best of three counts, for a machine that does other things
        measured.append((elapsed_s(repeated(unit, count // 8)), elapsed_s(repeated(unit, count))))
        few, many = measured[-1]
        if many <= 20 * few + 0.01:
            return
    raise AssertionError(f"seconds for {count // 8} and {count} repeats: {measured}")


def repeated(unit: Adversary, count: int) -> str:
    if isinstance(unit, str):
        return unit * count
    if len(unit) == 3:
        return unit[0] + unit[1] * count + unit[2]
    return unit[0] * count + "가" + unit[1] * count


def elapsed_s(markup: str) -> float:
    """Processor time without the garbage collector, whose cost is that of everything else in the process."""
    gc.collect()
    gc.disable()
    try:
        started_at = time.process_time()
        plain_text(markup)
        return time.process_time() - started_at
    finally:
        gc.enable()


def calls(unit: Adversary, count: int, options: MarkupSettings) -> int:
    markup = repeated(unit, count)
    counted = 0

    def counter(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        plain_text(markup, options)
    finally:
        sys.setprofile(before)
    return counted
