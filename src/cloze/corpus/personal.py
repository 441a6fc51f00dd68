"""Personal data replaced by what it is: [전자우편], [전화번호], [주민등록번호].

What is taken for one. An e-mail address: a domain that ends in letters behind the @, so no version (`pkg@1.2.3`) and no
handle (`@name`). A Korean phone number: 01x, the area codes 02 and 03x-06x, 070, 080 and 050x, in groups that hyphens
or dots part (a mobile number also with spaces, or with nothing between), or +82 in place of the first zero; a number
within an area begins with 2-9. Numbers of companies (1588-1234) are nobody's and look like years. A resident
registration number: a date of birth that exists in the century that the seventh digit names (1-4 Koreans, 5-8
foreigners), and a hyphen; since October 2020 the last digits are random, so the older check digit is asked for only
where the hyphen is missing. A number must begin and end where no other digit touches it, across a hyphen or dot either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import date

from cloze.corpus.counts import Counts

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_FREE_BEFORE, _FREE_BEHIND = r"(?<![0-9])(?<![0-9][-–.,/])", r"(?![-–.,/]?[0-9])"
_DASH = r" ?[-–.] ?"
_PHONE = re.compile(
    rf"{_FREE_BEFORE}(?:\+82(?:{_DASH}| )?(?:\(0\) ?)?|\(?0)(?:"
    rf"1[016-9]\)?(?:(?:{_DASH}| )[0-9]{{3,4}}(?:{_DASH}| )|[0-9]{{3,4}})[0-9]{{4}}"
    rf"|(?:2|[3-6][1-5]|70|80|50[2-8]?)(?:\) ?-?|{_DASH})[2-9][0-9]{{2,3}}{_DASH}[0-9]{{4}}"
    rf"){_FREE_BEHIND}"
)
_RESIDENT = re.compile(rf"{_FREE_BEFORE}([0-9]{{6}})( ?[-–] ?)?([1-8])([0-9]{{6}}){_FREE_BEHIND}")
_DIGITS = re.compile("[0-9]{4}")  # Both numbers have them: most lines need no closer look.
_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


def mask(text: str, kinds: Collection[str], counts: Counts) -> str:
    """Replace personal data of the given kinds; how many characters it had is entered into `counts`, it itself not."""
    masked: dict[str, int] = {}
    before = ""
    while text != before:  # Beside what was replaced another one may end now: an address that a number touched.
        before = text
        for kind, (name, pattern, is_one) in _KINDS.items():
            if kind in kinds and ("@" in text if kind == "email" else _DIGITS.search(text)):
                found = [match for match in pattern.finditer(text) if is_one(match)]
                ends = [0, *(match.end() for match in found)]
                between = [text[end : match.start()] for end, match in zip(ends, found, strict=False)]
                if found:
                    text = name.join([*between, text[ends[-1] :]])
                    masked[name] = masked.get(name, 0) + sum(len(match.group()) for match in found)
    for name, characters in masked.items():
        counts.change(f"masked {name}", characters=characters, example=text)
    return text


def _is_resident_number(match: re.Match[str]) -> bool:
    birth, hyphen, kind, rest = match.groups()
    try:
        date((1900 if kind in "1256" else 2000) + int(birth[:2]), int(birth[2:4]), int(birth[4:]))
    except ValueError:
        return False
    digits = [int(digit) for digit in birth + kind + rest]
    weighted = sum(weight * digit for weight, digit in zip(_WEIGHTS, digits[:-1], strict=True))
    # A foreigner's check digit is greater by two.
    return bool(hyphen) or (11 - weighted % 11 + (2 if kind in "5678" else 0)) % 10 == digits[-1]


_KINDS: dict[str, tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]]] = {
    "email": ("[전자우편]", _EMAIL, bool),
    "resident_number": ("[주민등록번호]", _RESIDENT, _is_resident_number),
    "phone": ("[전화번호]", _PHONE, bool),
}
"""In the order in which they are looked for: what stands in place, the pattern, and whether a match of it is one."""
