"""Korean sentences that end without a mark: which last words close a sentence, and which next words carry it on.

Korean closes a sentence with an ending of its verb, so a space behind 갔습니다 or 좋아요 parts two sentences although
no full stop says so. Few endings only close; most look like something else at times:

    갔다        하다 보니    바다        a final ending; "while"; a noun
    좋아요      필요         저는요      a final ending; a noun; a polite particle inside of a sentence
    했음        마음         있음 직하다 the noun form that ends a note; a noun; a noun form that something leans on

So an ending counts only where it is nearly always the end, behind a past tense (ㅆ) for example: a sentence cut in two
is worse than two left together. That leaves out what both closes and connects in familiar speech (먹고 있어, 같아).
"""

from __future__ import annotations

import re

_CHARACTERS = 12
"""How much of the sentence before a space is looked at."""


_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINAL_CONSONANTS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"


def _syllables(finals: str, vowels: str = _VOWELS) -> str:
    """The syllables with one of these final consonants, " " for none, and one of these vowels (Unicode, 3.12)."""
    rests = [28 * _VOWELS.index(vowel) + _FINAL_CONSONANTS.index(final) for vowel in vowels for final in finals]
    return "".join(chr(first + rest) for first in range(ord("가"), ord("힣") + 1, 28 * 21) for rest in rests)


_PAST = _syllables("ㅆ")
_FREQUENT = "다요죠음임함됨옴감봄짐"
_OTHER = "까어게라야아것마네걸대오냐나"
LAST_SYLLABLES = _FREQUENT + _OTHER
"""A word that closes a sentence ends with one of these."""
LIKELY = rf"(?:(?<=[{_FREQUENT}])|(?<=[{_PAST}{_syllables('ㄹ')}니거꺼더잖해봐줘둬아어여말시구 ][{_OTHER}]))"
"""The same for a regular expression that goes on to look at what precedes them: most 게 and 라 are no such ending."""

# Only adjectives: of verbs with 하다 the form in 다 means "while" (공부하다 잠들었다).
_ADJECTIVES = (
    "중요|필요|조용|훌륭|강|약|편|심|친절|가능|유명|다양|비슷|충분|부족|이상|행복|미안|죄송|답답|궁금|심심|안전|위험|복잡|화려"
    "|단순|간단|건조|따뜻|시원|깨끗|지루|유치|완벽|대단|특별|평범|진부|식상|황당|불쌍|허무|억울|한심|착|독특|탄탄|솔직|뻔|신기"
    "|엉성|씁쓸|섬뜩|흔|귀|진|연|순|선명|튼튼|당연|확실|분명|적당|적절|동일|진지|어색|든든|뿌듯|쓸쓸"
)
# Behind a vowel nouns with the copula look like verbs (최고다, 마시다).
_VOWEL_NOUNS = "거|꺼|째|정도|문제|이유|영화|이야기|하나|전부|차례|최고|최대|최초|최악"
_CLOSING = [
    # 다: tenses, then adjectives, then the copula but for verbs in 이다 (보이다).
    rf"[{_PAST}{_syllables('ㄴㄶㅀㅄ')}니]다|[{_syllables('ㅂ')}]시다",
    rf"(?![돕줍눕굽뽑잡입씹집접업꼽])[{_syllables('ㅂ')}]다",
    r"[좋렇떻얗겋싶높깊같맞늦낮낫작적짧넓얇떫밝맑굵붉젊길프쁘크]다",
    rf"(?:힘들|멀|아니|다르|빠르|푸르|느리|흐리|비싸|{_VOWEL_NOUNS}|(?:{_ADJECTIVES})하)다",
    r"(?![보쌓줄높먹끓죽직울모붙들숙속놓녹섞꺾닦묶])[가-힣]이다",
    # Polite and formal ones.
    rf"[{_syllables(' ', 'ㅏㅐㅓㅔㅕㅖㅘㅙㅝ')}지군구고걸든]요|[가-힣]죠",
    rf"[{_syllables('ㅂ')}]니까|[십하마]시오|지 말 것",
    # Familiar ones.
    rf"[{_PAST}][네대냐]|(?!있)[{_PAST}]어|[가-힣](?:더라|잖아)|[거꺼][야냐]|[{_PAST}는렇하이]구나",
    r"[해봐줘둬]라|[가-힣][아어여]라|지 마라?",
    rf"[할갈올볼줄릴낼둘을킬칠]게|[{_syllables('ㄹ')}]걸",
    # Noun forms, as notes have them.
    rf"[{_PAST}없않많같좋싫짧적높낮깊맞받찍넓얇밝찮]음|됨|나옴|[나어라]감|[게고못안나] ?봄",
    r"[려껴아어해빠늘멋]짐|(?:[로고야] |(?:못|안) ?|(?:^|[^가-힣])[가-힣]{2,5})함",
    r"(?![타다라게레직설프쓰들줄속붙꾸책모담])[가-힣0-9]임",
]
_CLOSES = re.compile(rf"(?:{'|'.join(_CLOSING)})$")
_NOT_CLOSING = [
    r"(?:르완|우간|베란|콘|혼|린)다|(?:^| )(?:(?:대왕)?판|냅|이렇)다|(?:뭐|무어)라|(?:^| )[아어]라",
    rf"(?:^| )고요|개요|(?<![{_syllables('ㄴ')}나어아라려])가요|(?:그래서|근데|그런데|그리고|저기)요",
    r"(?:잠수|천안|사물|보관|우편|투표|수납|구축|순양|항공모|포|명|결|군|전|성)함",
    r"(?:^| )(?:부|취|위|해|연|전|후|선|주|신|방|불|피|재|소|상|운)임",
    # Two in turn: 왔다 갔다, 웃었다 울었다, 뜨겁다 뜨겁다.
    rf"(?:^| )[가-힣]*[{_PAST}]다 [가-힣]{{0,3}}[{_PAST}]다|렇다 저렇다|(?:^| )(?P<word>[가-힣]+) (?P=word)",
]
_NOT_CLOSES = re.compile(rf"(?:{'|'.join(_NOT_CLOSING)})$")

# Words that say that those before were quoted, supposed, denied or a cause. Whole words first, then beginnings.
_GOING_ON = re.compile(
    r"(?:이?라[고는며]?|이?라면서|[고며는란]|해[도서]|한(?:들|다[고면]?)|함(?:은|이|을|보다)[가-힣]*"
    r"|할지라도|할 (?:때|뿐|수)[가-힣]*|했[다던을][가-힣]*|쳐도|치(?:고|자|더라도)|보[니면]|말고|그려"
    r"|하(?:고[는서도]?|[며는자면니되였]|면서|더니|더라도|여도?|자고|시[니고며]|리만큼|지(?=,))"
    r"|하(?:기(?:보다|도|는)|였[가-힣]*)|직[하한][가-힣]*|생각[하했한할][가-힣]*|[등및])(?![가-힣])"
    r"|싶|않|못[하한할해했 ]|아니[하한]|가정[하해합]|하겠|합시|칩시|처럼|켜|좋겠|때문|속에|없이|자체"
)
_MOVING_ON = re.compile(r"들어|돌아|[와오올온]|대고|저리|또 ")
_PAST_TENSE = re.compile(rf"[가-힣]{{0,3}}[{_PAST}]다(?:가|는|던)?(?![가-힣])")
_NO_BEGINNINGS = frozenset("([,·/:;~-–—=)]}…→%")


def closes(text: str, start: int, end: int, following: int) -> bool:
    """Whether the word that ends at `end`, of a sentence from `start`, closes it without a mark.

    `following` is where the next word begins.
    """
    words = text[max(start, end - _CHARACTERS) : end]
    return bool(
        _CLOSES.search(words)
        and not _NOT_CLOSES.search(words)
        and text[following] not in _NO_BEGINNINGS
        and not _GOING_ON.match(text, following)
        and not text.startswith(words[-3:], following)
        and not (words.endswith("걸") and text.startswith("그랬", following))
        and not (words.endswith("게") and text[following] in "많없있")  # 할 게 많다, with a space left out
        and not (words.endswith(("갔다", "왔다")) and _MOVING_ON.match(text, following))
        and not (words.endswith("다") and _PAST_TENSE.match(text, following))
    )
