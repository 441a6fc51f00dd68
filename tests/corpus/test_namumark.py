"""NamuMark to text: each construct, nesting, and that nothing is slow, lost or raised on any input."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.namumark import plain_text

CASES = {
    "bold": ("'''밤의 정원'''은 ''좋은'' '''''영화'''''다.", "밤의 정원은 좋은 영화다."),
    "other marks": ("__밑줄__ H,,2,,O x^^2^^", "밑줄 H2O x2"),
    "struck": ("좋은 ~~나쁜~~ --싫은-- 영화", "좋은   영화"),
    "marks that stay": (
        "안녕~~ 좋다^^ 1990--95 snake__case ,, ----- ~~~~",
        "안녕~~ 좋다^^ 1990--95 snake__case ,, ----- ~~~~",
    ),
    "marks end with the line": ("안녕~~\n반가워~~", "안녕~~\n반가워~~"),
    "struck marks": ("~~가 __ 나~~ 다 __ 라", "다 __ 라"),
    "link": ("[[서울]]과 [[부산광역시|부산]]에 [[문서#s-1|갔다]].", "서울과 부산에 갔다."),
    "link with marks": ("[[가|'''나''' {{{#red 다}}}]]", "나 다"),
    "address": ("[[https://a.b/c]][[https://a.b|누리집]]", "누리집"),
    "file and category": ("[[파일:가.png|width=30]][[분류:영화]][[file:b.jpg]]끝[[:분류:영화]]", "끝분류:영화"),
    "file with a link": ("[[파일:가.png|[[서울]] 사진]]끝", "끝"),
    "footnote": ("그는[* 본명은 [[김|철수]]다.] 갔다.[*가 또] 왔다.[*가]", "그는 갔다. 왔다.\n본명은 철수다.\n또"),
    "footnote in a footnote": ("가[* 나[* 다]라]마", "가마\n다\n나라"),
    "footnote in a link": ("[[가|나[* 다]]]라", "나라\n다"),
    "macros": ("[목차][date][include(틀:가, 나=[[다]])][math(x[0])]가[br]나[youtube(abc)][각주]", "가 나"),
    "ruby": ("[ruby(漢字, ruby=한자)]", "漢字"),
    "macro over lines": ("[include(틀:가\n, 나=다)]라", "라"),
    "no macro": ("[속보] [a] [include(", "[속보] [a] [include("),
    "headings": ("= 가 =\n== 나 ==\n==# 다 #==\n라 = 마\n== 바 =\n====", "라 = 마\n== 바 =\n===="),
    "list": (" * 가\n  * 나\n 1. 다\n a.#3 라\n1.5배", "가\n나\n다\n라\n1.5배"),
    "quote": ("> 가\n>> 나\n> * 다", "가\n나\n다"),
    "rule and comment": ("가\n----\n## 주석\n나", "가\n나"),
    "table": ("||<-2><#fff> '''가''' ||\n|| 나 ||<|2> [[다|라]] ||\n뒤", "가\n나   라\n뒤"),
    "caption": ("|제목|가||나||", "제목\n가 나"),
    "title in brackets is no option": ("||<기생충>||", "<기생충>"),
    "cell of several lines": ("|| 가\n나 || 다 ||\n라 || 마", "가\n나   다\n라 || 마"),
    "table in a folded block in a table": (
        "||{{{#!folding [ 펼치기 ]\n||가||나||\n}}}||다||\n라||마",
        "가 나\n다\n라||마",
    ),
    "literal": ("{{{'''가''' [[나]]}}} {{{a{{{b}}}c}}}", "'''가''' [[나]] a{{{b}}}c"),
    "styles": ('{{{#red 가}}}{{{+2 나}}}{{{#fff,#000 다}}}{{{#!wiki style="a"\n== 라 ==\n * 마}}}', "가나다\n마"),
    "code": ("가{{{#!syntax python\nprint('''x''')\n}}}나{{{#!html <b>}}}다", "가나다"),
    "escape": ("\\[[가]] \\'''나 \\\\ 다\\", "[[가]] '나 \\ 다\\"),
    "unclosed link": ("[[가|나\n다]]", "[[가|나\n다]]"),
    "unclosed footnote": ("가[* 나\n다", "가[* 나\n다"),
    "unclosed braces": ("{{{#red 가 {{{나", "#red 가 나"),
    "stray ends": ("가]] 나}}} 다] 라|", "가]] 나 다] 라|"),
    "crossed": ("{{{#red [[가}}}]] [[나 [* 다]] 라]", "[[가]] [[나 ] 라]\n다"),
    "link cut by a cell": ("|| [[가 || 나]] ||", "[[가   나]]"),
}
UNITS = (
    *(
        "[[",
        "[[가|",
        "[*가 ",
        "[*",
        "{{{",
        "{{{#red ",
        "}}}",
        "[ruby(",
        "[ruby(a",
        "||",
        "||a",
        "||<width ",
        "'''",
        "~~a",
        "--a--",
    ),
    *(
        "__ -- ~~ ^^ ,, ",
        "= ",
        " ",
        " > ",
        "\\",
        "{{{#!wiki\n",
        "||{{{#!folding a\n",
        "|a|",
        "##",
        "\n",
        "[*a\n",
        "[[ [[a]]",
    ),
)
NESTS = (
    ("[[", "]]"),
    ("[[x|", "]]"),
    ("[[", "|b]]"),
    ("[*a ", "]"),
    ("{{{#red ", "}}}"),
    ("[[[*", "]"),
    ("{{{#red\n[*a", "}}}]"),
)
MARKUP = st.lists(
    st.sampled_from(
        [
            *UNITS,
            "]",
            "]]",
            "}}}",
            "|",
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
            "== 가 ==",
        ]
    )
).map("".join)


@pytest.mark.parametrize(("markup", "want"), CASES.values(), ids=CASES)
def test_construct(markup: str, want: str) -> None:
    assert plain_text(markup) == want


@given(MARKUP | st.text())
def test_any_text_gives_lines_without_blanks(markup: str) -> None:
    text = plain_text(markup)
    assert all(line == line.strip() and line for line in text.split("\n")) or text == ""
    if "\\" not in markup:
        assert len(text) <= len(markup) + markup.count("[*"), "footnotes move; nothing is added but their line breaks"


@given(st.text(alphabet=st.characters(categories=["L", "N"], include_characters=" .?!\n")))
def test_text_without_markup_is_kept(text: str) -> None:
    lines = (line.strip() for line in text.split("\n"))
    assert plain_text(text) == "\n".join(line for line in lines if line)


@given(MARKUP)
def test_every_letter_outside_of_dropped_constructs_survives(markup: str) -> None:
    """A link, a colour and a bold mark around text change nothing of it."""
    assert plain_text("[[가|'''{{{#red 나}}}''']]\n\n" + markup).startswith("나")


@pytest.mark.parametrize("unit", [*UNITS, *NESTS], ids=repr)
def test_steps_grow_linearly(unit: str | tuple[str, str]) -> None:
    """Twice the text takes about twice the calls; quadratic behaviour would take four times."""
    few, many = _calls(unit, 200), _calls(unit, 400)
    assert many <= 2.2 * few + 100


@pytest.mark.parametrize("unit", [*UNITS, *NESTS], ids=repr)
def test_long_adversarial_text_finishes(unit: str | tuple[str, str]) -> None:
    assert isinstance(plain_text(_repeated(unit, 4_000)), str)


def _repeated(unit: str | tuple[str, str], count: int) -> str:
    return unit * count if isinstance(unit, str) else unit[0] * count + "가" + unit[1] * count


def _calls(unit: str | tuple[str, str], count: int) -> int:
    markup = _repeated(unit, count)
    calls = 0

    def counter(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        plain_text(markup)
    finally:
        sys.setprofile(before)
    return calls
