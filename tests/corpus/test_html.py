"""HTML and Markdown to text: what is kept, what is dropped, and that any input is taken in little time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus import html, markdown
from cloze.corpus.counts import Counts
from cloze.corpus.markup import plain_text
from cloze.recipe import MarkupSettings

PAGE = (
    "<!DOCTYPE html><html><head><title> 밤의\n정원 </title><style>p {}</style></head><body><nav>메뉴</nav><h1>제목</h1>"
    "<p>가<b>나</b> <a href=x>다</a><br>라 &amp; <s>마</s>바</p><script>a < b</script><!-- c -->"
    "<table><tr><th>1<td>2<tr><td>3</table><ul><li>하나<li>둘</ul><pre>코드</pre><footer>끝</footer></body></html>"
)
MARKDOWN = (
    "---\ntitle: 가\n---\n# 제목\n\n가 **나** [링크](http://a) ![그림](x.png) `코드` ~~삭제~~ &amp; <b>굵게</b>\n"
    "다음 줄  \n끝\n\n"
    "```\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n* 하나\n* 둘\n\n> 인용\n\n<div>안<script>x</script></div>\n"
)
KEEP = MarkupSettings(headings="keep", strike_through="keep")
WORDS = st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=1)


def test_html() -> None:
    assert html.plain_text(PAGE) == "가나 다\n라 & 바\n1  2\n3\n하나\n둘"
    assert html.plain_text(PAGE, KEEP) == "제목\n가나 다\n라 & 마바\n1  2\n3\n하나\n둘"
    assert html.plain_text(PAGE, MarkupSettings(tables="drop")) == "가나 다\n라 & 바\n하나\n둘"


def test_markdown() -> None:
    assert markdown.plain_text(MARKDOWN) == ("가 나 링크  코드  & 굵게 다음 줄\n끝\na b\n1 2\n하나\n둘\n인용\n안")
    kept = markdown.plain_text(MARKDOWN, KEEP)
    assert kept.startswith("제목\n가 나") and "삭제" in kept
    assert "1 2" not in markdown.plain_text(MARKDOWN, MarkupSettings(tables="drop"))


@given(st.text())
def test_any_text_is_accepted(text: str) -> None:
    for plain in (html.plain_text(text), markdown.plain_text(text)):
        assert all(line and line == line.strip() for line in plain.split("\n")) or plain == ""


@given(WORDS)
def test_words_pass_unchanged(words: list[str]) -> None:
    assert html.plain_text(" ".join(words)).split() == words
    assert markdown.plain_text(" ".join(words)).split() == words


@pytest.mark.parametrize("unit", ["<div>", "<font><div>", "<b><p>", "<p>", "<table><td>", "<select>", "<b a=", "<!--"])
def test_html_that_does_not_close(unit: str) -> None:
    counts = Counts()
    assert plain_text(f"{unit * 20_000}가", "html", MarkupSettings(), counts, "나쁜 쪽") in ("가", "")
    deep = unit in ("<div>", "<font><div>", "<b><p>", "<table><td>", "<select>")
    assert ("markup that does not close, taken out roughly" in counts.changed) == (deep or unit == "<b a=")


def test_styles_that_every_block_would_open_again_are_taken_out_roughly() -> None:
    """The parser adds what was not closed to each block behind: fourteen kilobytes would become 400,000 elements."""
    page = "".join(f"<font color={number}>" for number in range(1_500)) + "</p><p>가" * 1_000
    counts = Counts()
    assert plain_text(page, "html", MarkupSettings(), counts, "나쁜 쪽").split() == ["가"] * 1_000
    assert "markup that does not close, taken out roughly" in counts.changed
    assert not html.is_too_deep("<p><b>가</b> <i>나</i>" * 50_000)


def test_wide_tables_of_short_rows_are_read_as_lines() -> None:
    table = "|a" * 1_000 + "\n" + "|-" * 1_000 + "\n" + "|가\n" * 64 + "\n\n"
    assert not markdown.has_endless_tables(table) and not markdown.has_endless_tables(MARKDOWN)
    assert not markdown.has_endless_tables("-" * 1_000_000 + "x"), "a long line of hyphens takes no time"
    counts = Counts()
    text = plain_text(table * 20, "markdown", MarkupSettings(), counts, "나쁜 쪽")
    assert text.count("가") == 20 * 64
    assert "markup that does not close, taken out roughly" in counts.changed


def test_a_long_page_is_not_deep() -> None:
    assert not html.is_too_deep("<div><p>가<p>나<ul><li>다</ul></div>" * 10_000)


@pytest.mark.parametrize("unit", ["[", "[a](", "*a ", "**a _", "`", "<a", "![", "> ", "* ", "|a", "~~a", "<!--", "]("])
def test_markdown_that_does_not_close(unit: str) -> None:
    text = markdown.plain_text(unit * 3_000)
    assert len(text) <= len(unit) * 3_000 and set(text) <= {*unit, "\n"}
