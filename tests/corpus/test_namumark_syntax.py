"""What NamuMark's headings, links and HTML show."""

from __future__ import annotations

import pytest

from cloze.corpus.namumark_syntax import BRACES, heading, html_text, link_text, matching


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("= 가 =", " 가 "),
        ("====== 가 ======  ", " 가 "),
        ("==# 가 #==", " 가 "),
        ("==# 가 ==", "# 가 "),
        ("======= 가 =======", None),
        ("== 가 =", None),
        ("==가==", None),
        ("====", None),
        ("가", None),
        ("", None),
    ],
)
def test_heading(line: str, title: str | None) -> None:
    assert heading(line) == title


@pytest.mark.parametrize(
    ("target", "label", "text"),
    [
        ("가", None, "가"),
        ("가", "나", "나"),
        ("가", "", ""),
        ("가", "'''나'''", None),
        ("가--나", "다", "다"),
        ("가#s-1", None, "가"),
        ("file:가.png", "나", ""),
        ("https://a.b/c--d", None, ""),
        ("https://a.b", "#", ""),
        ("가", "#", "#"),
        ("YouTube(a)", None, ""),
        ("Date(밴드)", None, "Date(밴드)"),
        ("br", None, " "),
    ],
)
def test_link(target: str, label: str | None, text: str | None) -> None:
    assert link_text(target, label) == text


def test_html() -> None:
    assert html_text(" <b style='가'>나</b>다<br>라&nbsp;마 <") == "나다 라 마 <"
    assert html_text("<STYLE>가</STYLE>나") == ""


def test_matching_braces_are_those_that_close() -> None:
    assert matching(BRACES, "{{{", r"{{{ {{{ \{{{ }}} }}} }}} {{{", 0, 29) == {4: 13, 0: 17}
