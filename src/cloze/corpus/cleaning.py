"""Lines and documents that nobody should learn from, by `corpus.cleaning`. A line is a sentence of the document."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import compress

from cloze.corpus.counts import Counts
from cloze.corpus.document import Document
from cloze.corpus.languages import is_in
from cloze.recipe import CorpusSettings

_COPYING = "(?:전재|복제|배포|재배포|게재|도용|사용|수집|이용|DB ?화|AI ?학습)"
_RESERVED = re.compile(
    # 무단 전재 및 재배포 금지
    rf"무단 ?{_COPYING}(?:[ ,·/&-]|및|와|과|또는|등|{_COPYING}){{0,20}}(?:을|를)? ?금(?:지|지함|합니다|지합니다)\W*$"
)
_LINE = re.compile(
    # Who wrote it, and the address: 홍길동 기자 hong@news.co.kr
    r"\W{0,3}(?:\S{1,12} ){0,3}\S{0,8}(?:기자|특파원)\W{1,4}(?:[\w.+-]+@[\w.-]+|전자우편])\W*$"
    # Whose it is.
    r"|\W{0,3}저작권자? ?(?:\(c\)|[ⓒ©:<〈(])"
    r"|\W{0,3}copyright ?(?:\(c\)|[ⓒ©]|[12][0-9]{3})"
    r"|.{0,80}all rights? reserved\W*$"
    # Licences and notices of wikis.
    r"|이 저작물은 .{0,80}에 따라 이용할 수 있습니다"
    r"|이 문서의 내용 중 전체 또는 일부는 .{0,200}가져왔습니다"
    r"|기여하신 문서의 저작권은 각 기여자에게|나무위키는 백과사전이 아니며 검증되지 않았거나"
    r"|이 문서는 .{0,80}토막글입니다"
    r"|원본 주소 .{0,3}https?://"
    # Where else to go.
    r"|[▶☞◆■\[] ?.{0,60}(?:바로 ?가기|구독하기|기사 ?보기|더 ?보기|다운로드|클릭)\W*$"
    r"|(?:본문|주요 ?메뉴|메뉴) ?바로 ?가기\W*$",
    re.IGNORECASE,
)
_HANGUL = re.compile("[가-힣ㄱ-ㆎ]+")


def drop_lines(document: Document, settings: CorpusSettings, counts: Counts) -> Document:
    """The document without boilerplate and without lines that stand in it too often."""
    cleaning, sentences = settings.cleaning, document.sentences
    finders = [re.compile(pattern).search for pattern in cleaning.boilerplate_lines]
    finders += [_LINE.match, _RESERVED.search] if cleaning.korean_boilerplate else []
    if finders:
        flags = [any(find(sentence) for find in finders) for sentence in sentences]
        sentences = drop(sentences, flags, "boilerplate line", counts)
    if cleaning.repeated_lines is not None:
        times, flags = Counter[str](), []
        for sentence in sentences:
            times[sentence] += 1
            flags.append(times[sentence] > cleaning.repeated_lines)
        sentences = drop(sentences, flags, "repeated line", counts)
    return replace(document, sentences=sentences)


def drop(sentences: list[str], flags: list[bool], reason: str, counts: Counts) -> list[str]:
    """The sentences without those that are flagged, which are entered into `counts`."""
    for sentence in compress(sentences, flags):
        counts.drop(reason, sentences=1, characters=len(sentence), example=sentence)
    return [sentence for sentence, flagged in zip(sentences, flags, strict=True) if not flagged]


def repeats_itself(document: Document, settings: CorpusSettings) -> bool:
    """Whether too many of its lines repeat an earlier one (Rae et al. 2021, arXiv:2112.11446, A.1.1)."""
    lines = len(document.sentences)
    return lines - len(set(document.sentences)) > settings.cleaning.max_repeated_frac * lines


def unwanted(document: Document, settings: CorpusSettings) -> str:
    """Why a document is not kept, by its length, language and letters; empty if it is."""
    cleaning, characters = settings.cleaning, document.characters
    if not document.sentences:
        return "empty"
    if characters < settings.min_characters:
        return f"shorter than {settings.min_characters:,} characters"
    if settings.max_characters is not None and characters > settings.max_characters:
        return f"longer than {settings.max_characters:,} characters"
    if settings.languages and not is_in(settings.languages, document.sentences):
        return "not in corpus.languages"
    if cleaning.min_hangul_frac > 0.0:
        text = "".join(document.sentences)
        rest = _HANGUL.sub("", text)
        hangul = len(text) - len(rest)
        if hangul < cleaning.min_hangul_frac * (hangul + sum(map(str.isalpha, rest))):
            return f"less than {cleaning.min_hangul_frac:.0%} Hangul"
    return ""
