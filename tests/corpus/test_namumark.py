"""NamuMark to text: each construct, the options, and the older syntax of Rigveda Wiki."""

from __future__ import annotations

import pytest

from cloze.corpus.counts import Counts
from cloze.corpus.document import RawDocument
from cloze.corpus.namumark import plain_text
from cloze.corpus.prepare import prepare
from cloze.recipe import CorpusSettings, MarkupSettings

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
    "marks in marks": ("__밑줄 ''기울임'' ^^위^^__", "밑줄 기울임 위"),
    "bold over lines": ("'''여러\n줄'''", "여러\n줄"),
    "mixed strikes": ("~~가-- 나", "~~가-- 나"),
    "strikes in cells do not meet": ("||~~가||나~~||", "~~가 나~~"),
    "struck footnote": ("~~가[* 나]~~ 다[* 라]", "다\n라"),
    "link to a section": ("[[위키#s-1.2]] [[#s-3]] [[#개요]] [[C#]]", "위키  개요 C#"),
    "link to pages around": ("[[../]][[/심화]] [[문서:/가]] [[가/나]]", "심화 가 가/나"),
    "link with escapes": (r"[[\#1 노래]] [[[12:00\]]] [[가\|나]]", "#1 노래 [12:00] 가|나"),
    "link with markup and a section": ("[[가|나 '''다''']] [['''라''']]", "나 다 라"),
    "link with two bars": ("[[가|나|다]]", "나|다"),
    "citation": ("그렇다.[[https://a.b/c|#]][[http://a.b|▶]] [[가|★]]", "그렇다. ★"),
    "address with marks": ("[[https://a.b/c__d__e--f|'''라벨''']]", "라벨"),
    "address in the text": ("http://a.b/c__d__e--f--g 참고", "http://a.b/c__d__e--f--g 참고"),
    "mail": ("[[mailto:a@b.c]][[mailto:a@b.c|편지]]", "편지"),
    "picture as label": ("[[https://a.b|[[파일:가.png|width=20]]]] [[가|[[파일:나.svg]]나]]", "나"),
    "category with an option": ("[[분류:가#blur]][[분류:나|다]]라", "라"),
    "named footnote": ("가[*ㄱ 나] 다[*ㄱ]", "가 다\n나"),
    "footnote with brackets": ("가[* 나 [속보] 다[1] [다라]] 마", "가 마\n나 [속보] 다[1] [다라]"),
    "footnote over lines": ("가[* 나\n다] 라\n\n마", "가 라\n나\n다\n마"),
    "footnote that ends with its paragraph": ("가[* 나\n다\n\n라] 마", "가[* 나\n다\n라] 마"),
    "footnotes in a cell": ("||가[* 나]||다[* 라]||\n마", "가 다\n나\n라\n마"),
    "footnote with a list": ("가[* {{{#!wiki\n * 나\n * 다}}}]", "가\n나\n다"),
    "macro with brackets": ("[include(틀:가, 나=[[다(라)]])]마 [include(틀:가, 나=a:[)]바", "마 바"),
    "macro over an empty line": ("[include(틀:가\n\n나)]", "[include(틀:가\n나)]"),
    "macros without text": (
        "가[age(2000-01-01)][dday(2000-01-01)][anchor(나)][clearfix][pagecount(가)][datetime]",
        "가",
    ),
    "ruby with marks": (r"[ruby('''漢字''', ruby=한자, color=red)] [ruby(가\, 나, ruby=다)]", "漢字 가, 나"),
    "ruby with brackets": ("[ruby(漢[a(b)]字, ruby=한자)]", "漢[a(b)]字"),
    "unknown macro": ("[loremipsum(10)]가 [MV(영상)] [가수(배우)] [Chorus]", "가 [MV(영상)] [가수(배우)] [Chorus]"),
    "formula": ("가 [math(\\frac{1}{2})]와 <math>x^2__</math>", "가 와"),
    "no formula": ("<math> 가\n\n</math>", "<math> 가\n</math>"),
    "headings that are none": ("==가==\n== 가 == 나\n======= 다 =======", "==가==\n== 가 == 나\n======= 다 ======="),
    "rule lengths": ("----------\n---\n---- 가", "---\n---- 가"),
    "redirect": ("#redirect 서울특별시", ""),
    "redirect in Korean": ("#넘겨주기 서울특별시#s-1\n", ""),
    "redirect further down is text": ("가\n#redirect 나", "가\n#redirect 나"),
    "comment behind a space is text": ("##@ 고정\n ## 가", "## 가"),
    "escapes": (r"\'''가\''' \[[나\]] \{{{#red 다\}}} \~~라~~ \\ C:\가", "'가' [[나]] {{{#red 다}}} ~~라~~ \\ C:가"),
    "escapes at the beginning of a line": ("\\== 가 ==\n\\## 나\n\\||다\\||\n\\> 라", "== 가 ==\n## 나\n||다||\n> 라"),
    "list in all numbers": (" 1. 가\n A. 나\n i. 다\n I.#3 라\n  * 마\n* 바", "가\n나\n다\n라\n마\n* 바"),
    "quote of a table": ("> ||가||나||\n> 다", "가 나\n다"),
    "indented": (" 가\n  나", "가\n나"),
    "cell options": (
        "||<tablealign=center><table bordercolor=#fff,#000><width=30%>가||<^|2><(>나||<#EEE:>다||<rowbgcolor=red>라||",
        "가 나 다 라",
    ),
    "cell options of today": (
        "||<tablewidth=100%><colkeepall><nopad>가||<color#fff>나||<table textalign=left>다||",
        "가 나 다",
    ),
    "text like cell options": ("||<3>||<#서울>||<Class>||", "<3> <#서울> <Class>"),
    "cells over columns": ("|||| 가 ||\n||||||나||", "가\n나"),
    "cell with empty lines": ("||가\n\n나\n\n- 다||\n라 || 마", "가\n나\n- 다\n라 || 마"),
    "row that never ends": ("||가\n나\n\n||다||\n라", "가\n나\n다\n라"),
    "list in a cell": ("||\n * 가\n * 나||다||", "가\n나 다"),
    "caption with a link": ("|[[가|제목]] '''둘'''|나||다||", "제목 둘\n나 다"),
    "table in a styled block": ('{{{#!wiki style="a"\n||가||\n||나||}}}다', "가\n나 다"),
    "nested styles": ("{{{+1 {{{#fff,#000 '''가'''}}}}}}{{{#888,red 나}}}", "가나"),
    "size out of range is literal": ("{{{+6 가}}}{{{#888, #fff 나}}}", "+6 가#888, #fff 나"),
    "literal of several lines": ("{{{\n가\n== 나 ==\n * 다\n}}}", "가\n== 나 ==\n* 다"),
    "wiki block on one line": ("{{{#!wiki style=\"a: b\" dark-style='c' 가 '''나'''}}}다", "가 나다"),
    "wiki block without quotes": ("{{{#!wiki style=margin:0\n가}}}", "가"),
    "wiki block with a quote that does not end": ('{{{#!wiki style="a\n가}}}', "가"),
    "folding on one line": ("{{{#!folding [접기] 가}}}{{{#!folding 나}}}", "가나"),
    "folding with its label": ("{{{#!folding [ 펼치기 · 접기 ]\n가}}}", "가"),
    "if": ("{{{#!if 나 != null || 다\n가}}}{{{#!if 라}}}", "가"),
    "html": ("가 {{{#!html <b class='나'>다</b>라<br>마&nbsp;바}}}{{{#!html <script>x</script>}}}", "가 다라 마 바"),
    "text box": ("{{|가 '''나'''|}}", "가 나"),
    "one unclosed mark hides nothing": ("'''가 [[나 {{{다 ||라 [* 마", "가 [[나 다 ||라 [* 마"),
}
OLD_CASES = {
    "title in quotes": ('["서울 특별시"]와 ["서울" 수도]', "서울 특별시와 수도"),
    "wiki:": ('wiki:"서울 특별시" [wiki:서울 수도] [wiki:"부산 시" 항구] [wiki:인천]', "서울 특별시 수도 항구 인천"),
    "address with a label": ("[http://a.b/c__d 가 '''나'''] [http://a.b #][https://a.b]다", "가 나 다"),
    "attachment": ('attachment:가.png?width=300 나 attachment:"다 라.jpg" [attachment:마.zip 바]', "나  바"),
    "picture by its address": ("http://a.b/c.jpg?width=3 가 http://a.b/c.png나", "가 나"),
    "macros": ("[[BR]]가[[br]]나\n[[목차]]\n[[TableOfContents]]\n[[각주]]", "가 나"),
    "macros with arguments": ("[[Include(틀:가)]][[YouTube(a_b)]][[Date(2010-01-01T00:00:00)]][[HTML(<b>)]]나", "나"),
    "titles like macros": ("책의 [[목차]]를 본다. [[Anchor(밴드)]] [[날짜]]", "책의 목차를 본다. Anchor(밴드) 날짜"),
    "camel case": ("FrontPage와 WikiWikiWeb", "FrontPage와 WikiWikiWeb"),
    "processing instructions": ("#format wiki\n#title 가\n#keywords 나\n다", "다"),
    "contents and redirect": ("#redirect 가\n나", "나"),
    "cell options": (
        '||<:> 가 ||<|2)> 나 ||<20%> 다 ||<-2:#eee> 라 ||<tablestyle="a:b"> 마 ||',
        "가   나   다   라   마",
    ),
    "sizes": ("{{{+1 가}}}{{{-2 나}}}", "가나"),
    "single brackets are text": ("[레드 오션]과 [1]", "[레드 오션]과 [1]"),
}
KEEP = MarkupSettings(headings="keep", tables="text", strike_through="keep")
DROP_TABLES = MarkupSettings(tables="drop")
OPTION_CASES = {
    "headings": (KEEP, "= 가 =\n나\n==# [[다|라]] '''마'''[anchor(ㄱ)] #==\n=== [목차] ===\n바", "가\n나\n라 마\n바"),
    "heading with a footnote": (KEEP, "== 가[* 나] ==\n다", "가\n나\n다"),
    "heading in a heading is text": (KEEP, "= == 가 == =", "== 가 =="),
    "struck": (KEEP, "가 ~~나 [[다]]~~ --라-- 마", "가 나 다 라 마"),
    "struck footnote": (KEEP, "~~가[* 나]~~", "가\n나"),
    "table": (DROP_TABLES, "가\n||<-2> 나 || 다 ||\n|| 라[* 마] ||\n바", "가\n바"),
    "table with caption": (DROP_TABLES, "|제목|가||나||\n다", "다"),
    "table with blocks": (DROP_TABLES, "||{{{#!wiki\n||가||\n나}}}||\n다\n||{{{#!folding a\n * 라\n}}}||", "다"),
    "cell of several lines": (DROP_TABLES, "||가[* 나]\n\n다||\n라", "라"),
    "row that never ends": (DROP_TABLES, "||가\n나\n\n||다||\n라", "가\n나\n라"),
    "table in a quote": (DROP_TABLES, "> 가\n> ||나||\n다", "가\n다"),
    "list in a cell": (DROP_TABLES, "||\n * 가\n * 나||다||\n라", "라"),
    "table at the end": (DROP_TABLES, "가\n||나||", "가"),
    "table in a styled block": (DROP_TABLES, "{{{#!wiki\n가\n||나||\n다}}}", "가\n다"),
    "footnote before a table": (DROP_TABLES, "가[* 나]\n||다[* 라]||\n마[* 바]", "가\n나\n마\n바"),
}


@pytest.mark.parametrize(("markup", "want"), CASES.values(), ids=CASES)
def test_construct(markup: str, want: str) -> None:
    assert plain_text(markup) == want


@pytest.mark.parametrize(("markup", "want"), OLD_CASES.values(), ids=OLD_CASES)
def test_construct_of_rigveda_wiki(markup: str, want: str) -> None:
    assert plain_text(markup) == want


@pytest.mark.parametrize(("options", "markup", "want"), OPTION_CASES.values(), ids=OPTION_CASES)
def test_option(options: MarkupSettings, markup: str, want: str) -> None:
    assert plain_text(markup, options) == want


def test_the_recipe_decides_what_is_kept() -> None:
    raw = RawDocument("a:1", "가", "== 나 ==\n~~다~~ 라\n||마||", "namumark")
    for markup, want in ((MarkupSettings(), ["라", "마"]), (KEEP, ["나", "다 라", "마"]), (DROP_TABLES, ["라"])):
        assert prepare(raw, CorpusSettings(markup=markup), Counts()).document.sentences == want
