"""Wikitext to text: each construct, and that nothing is slow, lost or raised on any input."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloze.corpus import mediawiki_guard
from cloze.corpus.counts import Counts
from cloze.corpus.markup import plain_text
from cloze.recipe import MarkupSettings

TABLE = "{| class=wikitable\n|+ 제목\n|-\n! 가 !! 나\n|-\n| style='a' | 다<br>마 || [[라|바]]\n|}\n뒤"
CASES = {
    "styles": ("'''밤'''의 ''정원''은 '''''좋다'''''.", "밤의 정원은 좋다."),
    "apostrophes": ("L''''amour'' it's", "L'amour it's"),
    "links": ("[[서울]]과 [[부산광역시|부산]], [[bus]]es [[#역사]]", "서울과 부산, buses #역사"),
    "files": ("[[파일:가.png|섬네일|[[서울]]의 {{lang|en|view}}]][[File:b.jpg]][[그림:c.png]][[Image:d.png]]끝", "끝"),
    "categories": ("가[[분류:도시]][[Category:City|x]] [[:분류:도시]]", "가 분류:도시"),
    "other languages": (
        "가[[en:Seoul]][[zh-yue:首爾]][[simple:Seoul]] [[:en:Seoul|영어판]] [[DJ:가]]",
        "가 영어판 DJ:가",
    ),
    "other wikis": ("[[wikt:word|낱말]] [[:s:가]]", "낱말 s:가"),
    "addresses": ("[http://a.b 누리집] http://a.b/c [http://a.b] [https://a.b [[나]]] 끝", "누리집   나 끝"),
    "templates": ("{{도시 정보\n| 이름 = [[가]]\n}}서울({{lang|en|Seoul}}){{각주}}", "서울(Seoul)"),
    "templates with text": (
        "{{llang|ja|東京}} {{국기나라|대한민국}} {{nowrap|가 나}} {{lang|en}}",
        "東京 대한민국 가 나",
    ),
    "parameters": ("가{{{1|나}}}다", "가다"),
    "notes": ("가<ref>나 {{서적 인용|a=b}}</ref>다<ref name=x/>라<ref name='y' />\n<references />{{각주}}", "가다라"),
    "comments": ("가<!-- 나\n[[다]] -->라", "가라"),
    "galleries": ("<gallery>\n파일:a.png|가\n</gallery>나", "나"),
    "formulas and code": ("<math>a<b</math>가<syntaxhighlight lang=c>x[[y]]</syntaxhighlight><code>나</code>", "가나"),
    "nowiki": ("<nowiki>[[가]] ''나'' &amp;</nowiki>", "[[가]] 나 &"),
    "lists": ("* 가\n** 나\n# 다\n: 라\n;마: 바", "가\n나\n다\n라\n마   바"),
    "rule and breaks": ("가<br>나<br />다\n----\n라", "가\n나\n다\n라"),
    "entities": ("a&nbsp;b &amp; &#44032; &lt;b&gt; &foo;", "a\u00a0b & 가 <b> &foo;"),
    "switches": ("__NOTOC__가__목차없음__ __snake__", "가 __snake__"),
    "headings": ("== 가 ==\n나 = 다\n=== [[라]] ===\n<h2>마</h2>", "나 = 다"),
    "table": (TABLE, "제목\n가 나\n다 마 바\n뒤"),
    "table of tags": ("<table><tr><th>가</th><td>나</td></tr></table>다", "가 나\n다"),
    "table in a table": ("{|\n| 가\n{|\n| 나\n|}\n| 다\n|}", "가 나 다"),
    "struck": ("가<s>나</s><del>다</del>라", "가라"),
    "ruby": ("<ruby>漢<rp>(</rp><rt>한</rt><rp>)</rp></ruby>字", "漢字"),
    "poem": ("<poem>가\n나</poem>다", "가\n나\n다"),
    "never closed": ("가 [[나 {{다 <b>라 <small>마", "가 [[나 {{다 라 마"),
    "broken table": ("|- style=a\n가\n|}\n{| b", "가"),
    "text": ("3 <x and y> 4, a_b = {x} [속보] 1:2 #해시 * 별", "3 <x and y> 4, a_b = {x} [속보] 1:2 #해시 * 별"),
}
UNITS = (
    *(
        "{{",
        "[[",
        "{{a|",
        "[[a|",
        "{{a|b=",
        "{{{a|",
        "<ref>",
        "<b>",
        '<b a="',
        "<b a='{{",
        "<!--",
        "<nowiki>",
        "[http://a ",
    ),
    *(
        "[//",
        "{|\n|\n",
        "\n{|a\n!",
        "\n==",
        "'''''a",
        "<ref name=",
        "{{a|[[b|}}]]",
        "[[a|{{b|]]}}",
        "<td>",
        "</b>",
        "{{a\n|",
    ),
    *("[[a|[http://b ]]", "<b>{{a|</b>}}", "&", "-{", "''[["),
)


def text_of(markup: str, **options: str) -> str:
    return plain_text(markup, "mediawiki", MarkupSettings.model_validate(options), Counts(), "here")


@pytest.mark.parametrize("name", CASES)
def test_each_construct(name: str) -> None:
    markup, wanted = CASES[name]
    assert text_of(markup) == wanted


def test_options_keep_or_drop() -> None:
    assert text_of("== 가 ==\n나\n<h3>다</h3>", headings="keep") == "가\n나\n다"
    assert text_of(f"앞\n{TABLE}", tables="drop") == "앞\n뒤"
    assert text_of("가<s>나</s>", strike_through="keep") == "가나"


@given(st.text(alphabet=st.sampled_from("[]{}|<>!=*#:;'/&-_\n 가a\"") | st.characters(exclude_categories=["Cs"])))
def test_any_text_is_accepted_and_gives_lines(markup: str) -> None:
    lines = text_of(markup).split("\n")
    assert lines == [""] or all(line and line == line.strip() for line in lines)


@given(st.lists(st.sampled_from([*UNITS, "}}", "]]", "|}", "</b>", "</ref>", "-->", "가 ", "\n", "=="]), max_size=60))
@settings(max_examples=200)
def test_any_order_of_constructs_is_accepted(parts: list[str]) -> None:
    markup = "".join(parts)
    for text in (text_of(markup), mediawiki_guard.rough_text(markup)):
        assert text.count("가") <= markup.count("가"), "nothing is said twice"


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1))
def test_words_pass_unchanged(words: list[str]) -> None:
    assert text_of(" ".join(words)) == " ".join(words)
    assert text_of("[[" + " ".join(words) + "]]").split() == words


@pytest.mark.parametrize("unit", UNITS)
def test_what_never_closes_is_not_given_to_the_parser(unit: str) -> None:
    """50,000 of them would take the parser hours where its time is quadratic."""
    counts = Counts()
    markup = unit * 50_000 if mediawiki_guard.is_costly(unit * 50_000) else unit * 3_000
    plain_text(f"시작 {markup} 끝", "mediawiki", MarkupSettings(), counts, "나쁜 문서")
    if len(markup) >= 50_000 * len(unit):
        assert counts.changed["markup that does not close, taken out roughly"].examples == ["나쁜 문서"]


@pytest.mark.parametrize(("opening", "closing"), [("{{a|", "}}"), ("[[a|", "]]"), ("<b>", "</b>"), ("{|\n|\n", "\n|}")])
def test_deep_nesting_is_taken_out_roughly(opening: str, closing: str) -> None:
    assert mediawiki_guard.is_costly(opening * 20_000 + closing * 20_000)
    assert not mediawiki_guard.is_costly((opening * 20 + closing * 20 + "\n") * 100)


def test_an_article_with_some_mistakes_is_parsed() -> None:
    article = "'''서울'''은 [[도시]]이다.<ref>[http://a.b 가]</ref> {{lang|en|Seoul}}\n* 하나<br>\n" * 2_000
    assert not mediawiki_guard.is_costly(article + "[[ {{ <b> <ref> {|" + article)


def test_the_rough_way_keeps_the_words() -> None:
    assert (
        mediawiki_guard.rough_text("'''가'''는 [[나|다]]{{라|[[마]]<br>\n== 바 ==\n* &lt;")
        == "가 는  다  라| 마\n바\n<"
    )
