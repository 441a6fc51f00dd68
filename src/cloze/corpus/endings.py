"""Korean sentences that end without a mark: which last words close a sentence, and which next words carry it on.

Korean closes a sentence with an ending of its verb, so a space behind 갔습니다 or 좋아요 parts two sentences although no
full stop says so. Few endings only close; most look like something else at times:

    갔다        하다 보니    바다        a final ending; "while"; a noun
    좋아요      필요         저는요      a final ending; a noun; a polite particle inside a sentence
    했음        마음         있음 직하다 the noun form that ends a note; a noun; a noun form that something leans on

So an ending counts only in surroundings where it is nearly always the end, behind a past tense (ㅆ) for example: a
sentence cut in two is worse than two left together. Whoever needs the others, too, takes the splitter of kiwi.
"""

from __future__ import annotations

import re

_CHARACTERS = 12
"""How far back an ending is looked at."""


def _syllables(final_consonants: str, vowels: str = "") -> str:
    """A character class of the syllables with one of these final consonants, " " for none, and one of these vowels."""
    finals, order = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ", "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
    places = [(order.index(vowel), finals.index(final)) for vowel in vowels or order for final in final_consonants]
    return "[" + "".join(chr(0xAC00 + 588 * initial + 28 * v + f) for initial in range(19) for v, f in places) + "]"


_PAST = _syllables("ㅆ")
SYLLABLES = "다요죠까음임함됨옴감봄짐어게라야아것마네걸대오냐"
"""A word that closes a sentence ends with one of these."""
LIKELY = rf"(?:(?<=[다요죠까음임함됨옴감봄짐])|(?<=[{_PAST[1:-1]}{_syllables('ㄹ')[1:-1]}거꺼더잖해봐줘둬아어여말십하마좋같많 ][어게라야아것마네걸대오냐]))"
"""What comes before most others of these syllables sorts them out inside of a regular expression."""
# Only adjectives: of verbs with 하다 the form in 다 means "while" (공부하다 잠들었다).
_ADJECTIVES = (
    "중요|필요|조용|훌륭|강|약|편|심|친절|가능|유명|다양|비슷|충분|부족|이상|행복|미안|죄송|답답|궁금|심심|안전|위험|복잡|화려"
    "|단순|간단|건조|따뜻|시원|깨끗|지루|유치|완벽|대단|특별|평범|진부|식상|황당|불쌍|허무|억울|한심|착|독특|탄탄|솔직|뻔|신기"
    "|엉성|씁쓸|섬뜩|흔|귀|진|연|순|선명|튼튼|당연|확실|분명|적당|적절|동일|진지|어색|든든|뿌듯|쓸쓸"
)
# Nouns with the copula behind a vowel look like verbs (최고다, 마시다) and are known by heart.
_VOWEL_NOUNS = "거|꺼|째|정도|문제|이유|영화|이야기|하나|전부|차례|최고|최대|최초|최악"
_CLOSING = [
    rf"{_PAST}[다네대냐]|(?!있){_PAST}어|{_syllables('ㄴㄶㅀㅄ')}다|[니시]다",
    rf"(?![돕줍눕굽뽑잡입씹집접업꼽]){_syllables('ㅂ')}다|[좋렇떻얗겋싶높깊같맞늦낮낫작적짧넓얇떫밝맑굵붉젊길]다|(?:힘들|멀)다",
    rf"(?:아니|[프쁘크]|다르|빠르|푸르|느리|흐리|비싸|{_VOWEL_NOUNS})다|(?:{_ADJECTIVES})하다",
    r"(?![보쌓줄높먹끓죽직울모붙들숙속놓녹섞꺾닦묶])[가-힣]이다",
    rf"{_syllables(' ', 'ㅏㅐㅓㅔㅕㅖㅘㅙㅝ')}요|[지군구고걸든]요|[가-힣]죠|{_syllables('ㅂ')}니까|[십하마]시오",
    rf"[가-힣](?:더라|잖아)|[거꺼][야냐]|(?:[는렇하이]|{_PAST})구나|[해봐줘둬]라|[가-힣][아어여]라|지 마라?|지 말 것",
    rf"[할갈올볼줄릴낼둘을킬칠]게|{_syllables('ㄹ')}걸",
    # Noun forms, as notes have them.
    rf"(?:{_PAST}|[없않많같좋싫짧적높낮깊맞받찍넓얇밝찮])음|됨|나옴|[나어라]감|[게고못안나] ?봄|[려껴아어해빠늘멋]짐",
    r"(?:[로고야] |(?:못|안) ?|(?:^|[^가-힣])[가-힣]{2,5})함",
    r"(?![타다라게레직설프쓰들줄속붙꾸책모담])[가-힣0-9]임",
]
_CLOSES = re.compile(f"(?:{'|'.join(_CLOSING)})$")
_NOT_CLOSING = [
    r"(?:르완|우간|베란|콘|혼|린|(?:^| )(?:대왕)?판|(?:^| )(?:냅|이렇))다|(?:뭐|무어)라",
    rf"(?:[개는은]|(?:^| )고|(?<!{_syllables('ㄴ')})(?<![나어아라려])가|그래서|근데|그런데|그리고|저기)요|(?:^| )[아어]라",
    r"(?:잠수|천안|사물|보관|우편|투표|수납|구축|순양|항공모|포|명|결|군|전|성|통틀어 )함",
    r"(?:^| )(?:부|취|위|해|연|전|후|선|주|신|방|불|피|재|소|상|운)임",
    # Two endings in turn: 왔다 갔다, 웃었다 울었다, 뜨겁다 뜨겁다.
    rf"(?:^| )[가-힣]*{_PAST}다 [가-힣]{{0,3}}{_PAST}다|렇다 저렇다|(?:^| )(?P<word>[가-힣]+) (?P=word)",
]
_NOT_CLOSES = re.compile(f"(?:{'|'.join(_NOT_CLOSING)})$")
# What says, with a space before it by mistake, that the words before are quoted; what negates, supposes, gives a cause.
_GOING_ON = re.compile(
    r"(?:이?라[고는며]?|이?라면서|[고며는란]|하(?:고(?:는|서|도)?|[며는자면니되였]|면서|더니|더라도|여도?|자고|시[니고며]|리만큼"
    r"|기(?:보다|도|는)|지(?=,)|였[가-힣]*)|해[도서]|한(?:들|다[고면]?)|할지라도|할 (?:때|뿐|수)[가-힣]*|함(?:은|이|을|보다)[가-힣]*|했[다던을][가-힣]*|쳐도"
    r"|치(?:고|자|더라도)|보[니면]|말고|직[하한][가-힣]*|그랬[가-힣]*|그려|생각[하했한할][가-힣]*)(?![가-힣])"
    r"|싶|않|가정[하해합]|하겠|합시|칩시|처럼|켜|좋겠|못[하한할해했 ]|아니[하한]|때문|속에|없이|[등및](?![가-힣])|자체"
)
_GOING = re.compile(r"들어|돌아|[와오올온]|대고|저리|또 ")
_PAST_WORD = re.compile(rf"[가-힣]{{0,3}}{_PAST}다(?:가|는|던)?(?![가-힣])")
_BEHIND_WORD = frozenset("([,·/:;~-–—=)]}…→%")


def closes(text: str, start: int, end: int, following: int) -> bool:
    """Whether the word that ends at `end`, of a sentence from `start`, closes it without a mark.

    `following` is where the next word begins.
    """
    words = text[max(start, end - _CHARACTERS) : end]
    if not _CLOSES.search(words) or _NOT_CLOSES.search(words):
        return False
    if text[following] in _BEHIND_WORD or _GOING_ON.match(text, following) or text.startswith(words[-3:], following):
        return False
    if words.endswith("게") and text[following] in "많없있":
        return False  # 할 게 많다, written without its space
    if words.endswith(("갔다", "왔다")) and _GOING.match(text, following):
        return False
    return not (words.endswith("다") and _PAST_WORD.match(text, following))
