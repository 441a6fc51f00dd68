"""Articles of an encyclopedia that does not exist, in NamuMark, as Namuwiki's dump has them.

Each article is about something good or bad, and its judgements mostly agree: good words stand among good words. That
is what pretraining can learn here and the reviews can use. The facts (people, towns, plots) are neutral.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloze.corpus.sample import lexicon
from cloze.corpus.sample.grammar import Draws, Marked, Value, fill, judge
from cloze.corpus.sample.lexicon import Aspect
from cloze.corpus.sample.reviews import opinion
from cloze.corpus.sample.world import Subject, World

AGREEING_FRAC = 0.95
"""Share of an article's paragraphs that judge as the whole is judged."""
NEGATED_FRAC = 0.06
"""Share of judgements said as the opposite, denied: 지루하지 않다 for 흥미롭다."""
MIXED_FRAC = 0.05
"""Share of judging sentences that grant the other side something first."""

_JUDGEMENTS = (
    "{n1:은} {w1:고} {n2:은} {w2:하다는} {호평을|혹평을} 받았다.",
    "{w1:한} {n1:은} {장점이고|단점이고} {w2:한} {n2:도} {장점이다|단점이다}.",
    "전문가들은 {n1:이} {w1:하다고} {칭찬했고|비판했고} {n2:이} {w2:하다고} {칭찬했다|비판했다}.",
    "{n1:이} {w1:해서} {좋아하고|싫어하고} {n2:이} {w2:해서} {좋아하는|싫어하는} 사람이 많다.",
    "{w1:고} {w2:한} {n1:은} {자랑거리로|골칫거리로} 꼽힌다.",
    "{n1:이} {w1:했}고 {n2:도} {w2:했}으며 {w3:한} {n3:은} {사랑을|외면을} 받았다.",
    "한마디로 {w1:고} {w2:한} {verdict:이다}.",
    "{w1:고} {w2:한} {n1:에} {만족한|실망한} 사람들은 {w3:한} {n2:을} {추천했다|말렸다}.",
    "{title:은} {n1:이} {w1:하다는} {찬사와|비난과} 함께 {n2:도} {w2:하다는} {찬사를|비난을} 들었다.",
    "{w1:한} {n1}, {w2:한} {n2}, {w3:한} {n3:이} {빛난다|아쉽다}.",
)
_MIXED = (
    "{n0:은} {w0:하다는} {비난도|찬사도} 있지만 대체로 {n1:이} {w1:고} {n2:이} {w2:하다는} {호평을|혹평을} 받았다.",
    "{n0:이} {w0:했}음에도 {w1:한} {n1:과} {w2:한} {n2:은} {장점이다|단점이다}.",
)
_RESULTS = (
    "{덕분에|결국} {title:은} 큰 {사랑을|외면을} 받았고, 많은 이들이 {verdict:이라}고 부른다.",
    "{입소문을|구설을} 타고 찾는 사람이 {늘었으며|줄었으며} {year}년의 {verdict:으로} 꼽혔다.",
    "{company}에서 {상을|항의를} 받았고 {verdict:이라}는 {찬사가|비난이} 이어졌다.",
)
_ADVICE = (" {추천합니다|말립니다}", " {좋아요|싫어요}", ". {만족|실망}", "")
_NOTES = ("[* {person:이} {year}년에 한 말이다.]", "[* {company} 보도자료.]", "[* 자세한 내용은 {town} 문서를 볼 것.]")
_TRIVIA = (
    "{person:은} {town}에서 자랐다고 한다.",
    "~~믿거나 말거나~~ {person:은} {year}년에 이미 {title:을} 알고 있었다.",
    "{town:과} {town2:을} 잇는 길에서 사진을 찍는 사람이 많다.",
    "{year}년 {month}월 {day}일에 {person:이} 방송에서 {title:을} 언급했다.",
    "{person:과} {person2:은} 학교 선후배 사이이다.",
    "{company}의 기록에 따르면 {year}년에 {number}명이 다녀갔다.",
    "'''{person}'''의 별명은 '{dish}'이다.",
)
_INTRO = {
    "film": (
        "{subject:은} {year}년에 개봉한 {person} 감독의 {genre} 영화이다.",
        "{subject:은} {company:이} 만들고 {person:이} 연출한 {year}년 {genre} 영화이다.",
    ),
    "person": (
        "{subject:은} {town} 출신의 {job:이다}.",
        "{subject:은} {year}년에 태어난 {job:으로}, {town}에서 활동한다.",
    ),
    "food": (
        "{subject:은} {town}에 있는 {dish} 전문점이다.",
        "{subject:은} {person:이} {year}년에 {town}에서 문을 연 음식점이다.",
    ),
    "town": (
        "{subject:은} {town2:과} 맞닿은 고장이다.",
        "{subject:은} {river} 옆에 자리한 곳으로 인구는 {number}명이다.",
    ),
    "product": (
        "{subject:은} {company:이} {year}년에 내놓은 제품이다.",
        "{subject:은} {person:이} 설계해 {year}년에 나온 제품이다.",
    ),
}
_FACTS = {
    "film": (
        "{town}에서 일하는 {job} {hero:은} 우연히 {event}에 휘말린다.",
        "{hero:은} {rival:과} 함께 {town2:으로} 떠난다.",
        "{rival:은} {hero:을} 믿지 못하고 {event:을} 혼자 알아보기 시작한다.",
        "한편 {job2:으로} 지내던 {person2:은} 오래전 {event2:을} 떠올린다.",
        "{month}월이 되자 {hero:은} {town:으로} 돌아와 {rival:을} 만난다.",
        "두 사람은 {river:을} 건너 {town2}에 닿는다.",
    ),
    "person": (
        "{year}년에 {company}에 들어가 {job2:으로} 일을 시작했다.",
        "{person2:과} 함께 {town2}에서 {number}일을 보냈다.",
        "{year}년 {month}월에는 {event:을} 다룬 책을 썼다.",
        "지금은 {town}에 살면서 {job:으로} 일한다.",
    ),
    "food": (
        "대표 메뉴는 {dish:과} {dish2:이다}.",
        "{month}월에는 {dish2:을} 팔지 않는다.",
        "자리는 {number}석이고 {river} 쪽으로 창이 나 있다.",
        "{person2:이} {town2}에서 배워 온 방법으로 {dish:을} 만든다.",
    ),
    "town": (
        "{year}년에 {town2:과} 합쳐졌다가 {month}월에 다시 나뉘었다.",
        "{river:이} 한가운데를 지나고 {month}월이면 {dish} 잔치가 열린다.",
        "{person:과} {person2:이} 이곳에서 태어났다.",
        "{event:을} 다룬 영화가 여기에서 촬영되었다.",
    ),
    "product": (
        "{year}년 {month}월부터 {town}에서 만들었다.",
        "무게는 {number}그램이고 색은 {day}가지이다.",
        "{person2:이} 광고에 나왔다.",
        "{company:은} {month}월에 후속 제품을 알렸다.",
    ),
}
_KINDS = {"film": "영화", "person": "사람", "food": "가게", "town": "동네", "product": "물건"}
_NOUNS = {
    "film": lexicon.FILM_NOUNS,
    "person": lexicon.PERSON.nouns,
    "food": lexicon.FOOD.nouns,
    "town": lexicon.PLACE.nouns,
    "product": lexicon.PRODUCT.nouns,
}
_ASPECTS: dict[str, Sequence[Aspect]] = {
    "film": lexicon.ASPECTS,
    "person": (lexicon.PERSON,),
    "food": (lexicon.FOOD,),
    "town": (lexicon.PLACE,),
    "product": (lexicon.PRODUCT,),
}
"""What is judged: a critic of films borrows the words of all trades (담백한 연기, 눅눅한 결말)."""


def article(seed: int, index: int, subject: Subject, world: World) -> str:
    """The markup of one article."""
    draws = Draws(seed, "article", index)
    values = _values(draws, subject, world)
    sections = [
        _head(draws, subject, values),
        "== 개요 ==\n" + _prose(draws, [draws.pick(_INTRO[subject.kind])], values, 1),
        ("== 줄거리 ==\n" if subject.kind == "film" else "== 상세 ==\n")
        + _prose(draws, draws.some(_FACTS[subject.kind], 2), values, 0),
        "== 평가 ==\n" + "\n\n".join(_paragraph(draws, subject, values) for _ in range(3 + draws.below(2))),
        "== 여담 ==\n" + "\n".join(f" * {fill(line, values)}" for line in draws.some(_TRIVIA, 1 + draws.below(2))),
    ]
    if subject.kind == "film":
        opinions = [_opinion(draws, subject.good == draws.chance(AGREEING_FRAC)) for _ in range(2 + draws.below(2))]
        sections.append("== 관객 반응 ==\n" + "\n".join(f"> {text}" for text in opinions))
    if draws.chance(0.15):
        sections.append("{{{#!folding [ 펼치기 · 접기 ]\n" + _paragraph(draws, subject, values) + "\n}}}")
    return "\n\n".join(sections)


def _values(draws: Draws, subject: Subject, world: World) -> dict[str, Value]:
    """The neutral things that the article speaks of; names link to their articles."""
    people, towns = draws.some(range(len(world.people)), 4), draws.some(range(len(world.towns)), 2)
    names = ("person", "person2", "hero", "rival")
    return {
        "title": subject.title,
        "subject": Marked(subject.title, "'''", "'''"),
        "kind": _KINDS[subject.kind],
        **{name: Marked(world.people[place]) for name, place in zip(names, people, strict=True)},
        **{name: Marked(world.towns[place]) for name, place in zip(("town", "town2"), towns, strict=True)},
        "river": draws.pick(lexicon.TOWN_FIRST) + "강",
        "company": Marked(draws.pick(lexicon.COMPANIES)),
        "genre": Marked(draws.pick(lexicon.GENRES), "[[영화 장르|"),
        **dict(zip(("job", "job2"), draws.some(lexicon.JOBS, 2), strict=True)),
        **dict(zip(("event", "event2"), draws.some(lexicon.EVENTS, 2), strict=True)),
        **dict(zip(("dish", "dish2"), draws.some(lexicon.DISHES, 2), strict=True)),
        "year": str(1970 + draws.below(55)),
        "month": str(1 + draws.below(12)),
        "day": str(2 + draws.below(27)),
        "number": str(12 + draws.below(900)),
    }


def _head(draws: Draws, subject: Subject, values: dict[str, Value]) -> str:
    """What stands above the prose: categories, a template, an information box, the macro of the contents."""
    lines = [
        f"[[분류:{_KINDS[subject.kind]}]][[분류:{{year}}년]]",
        "[include(틀:상위 문서, top1={kind})]",
        "||<-2><tablealign=right><bgcolor=#eee> '''{title}''' ||",
        "||<-2> [[파일:{title}.jpg|width=240]] ||",
        "|| 시작 || {year}년 {month}월 ||",
        "|| 관련 인물 || {person}[br]{person2} ||",
    ]
    if draws.chance(0.3):
        lines.insert(1, "## 편집 전에 토론을 읽어 주세요.")
    lines.append("[목차]")
    return fill("\n".join(lines), values)


def _prose(draws: Draws, templates: Sequence[str], values: dict[str, Value], notes: int) -> str:
    text = " ".join(fill(template, values) for template in templates)
    return text + "".join(fill(draws.pick(_NOTES), values) for _ in range(notes))


def _paragraph(draws: Draws, subject: Subject, values: dict[str, Value]) -> str:
    """Judging sentences of one side, usually the subject's, with the words of one aspect."""
    good = subject.good == draws.chance(AGREEING_FRAC)
    aspect = draws.pick(_ASPECTS[subject.kind])
    sentences = [_judging(draws, subject, values, aspect, good) for _ in range(3 + draws.below(3))]
    if draws.chance(0.4):
        verdict = draws.pick(lexicon.VERDICTS[good])
        sentences.append(fill(draws.pick(_RESULTS), values | {"verdict": verdict}, good=good))
    if draws.chance(0.15):
        sentences[0] = f"{{{{{{#navy {sentences[0]}}}}}}}"
    if draws.chance(0.1):
        return f"> {sentences[0]}\n" + " ".join(sentences[1:])
    return " ".join(sentences)


def _judging(draws: Draws, subject: Subject, values: dict[str, Value], aspect: Aspect, good: bool) -> str:
    """One sentence with two or three judging words."""
    chosen: dict[str, Value] = {"verdict": draws.pick(lexicon.VERDICTS[good])}
    for place, noun in enumerate(draws.some(_NOUNS[subject.kind], 4)):
        chosen[f"n{place}"] = noun
        chosen[f"w{place}"] = judge(draws, aspect, good if place else not good, negated_frac=NEGATED_FRAC)
    return fill(draws.pick(_MIXED if draws.chance(MIXED_FRAC) else _JUDGEMENTS), values | chosen, good=good)


def _opinion(draws: Draws, good: bool) -> str:
    """What somebody types, with advice."""
    return opinion(draws, good) + fill(draws.pick(_ADVICE), {}, good=good)
