"""What is taken out of the corpus beyond white space and exact copies. Every step is counted; all but one are off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cloze.recipe.base import Count, Frac, Settings, refuse

Similarity = Annotated[float, Field(gt=0.0, lt=1.0, strict=True, allow_inf_nan=False)]
PersonalData = Literal["email", "phone", "resident_number"]


class CleaningSettings(Settings):
    """Steps in the order in which they are taken. A line is a sentence of the finished document."""

    repair_encodings: bool = True
    """Hangul that was read as Latin letters (UTF-8 or EUC-KR taken for Latin-1 or CP1252) becomes Hangul again, line
    by line, where only one reading is possible. Unit: yes/no. Source: cloze (docs/corpus.md)."""
    mask_personal_data: list[PersonalData] = []
    """Put [전자우편], [전화번호] and [주민등록번호] in place of e-mail addresses, Korean phone numbers and resident
    registration numbers. Unit: names. Source: cloze."""
    korean_boilerplate: bool = False
    """Drop lines that news sites and wikis put under every text: reporter and e-mail, copyright, licence. Unit: yes/no.
    Source: cloze."""
    boilerplate_lines: list[str] = []
    """Drop lines in which one of these is found; ^ and $ stand for a line's ends. Unit: regular expressions. Source:
    cloze."""
    max_repeated_frac: Frac = 1.0
    """Drop documents in which a larger share of the lines repeat an earlier one; 1: none. Unit: share of lines. Source:
    Gopher A.1.1, arXiv:2112.11446 (0.3)."""
    repeated_lines: Count | None = None
    """Keep a line at most this many times in a document; null: always. Unit: times. Source: cloze."""
    decontaminate: Literal["no", "lines", "documents"] = "no"
    """What to drop where the corpus overlaps with a test file of the recipe's tasks or with `decontaminate_against`.
    Unit: name. Source: GPT-3 C, arXiv:2005.14165."""
    decontaminate_against: list[Path] = []
    """Further files whose texts must not be in the corpus, relative to `data`. Unit: paths. Source: cloze."""
    overlap_letters: Annotated[int, Field(ge=20, strict=True)] = 50
    """An overlap is this many letters and digits in a row, or a whole shorter text that has at least 20. Unit: letters.
    Source: GPT-4 C, arXiv:2303.08774 (50)."""
    min_hangul_frac: Frac = 0.0
    """Documents with a smaller share of Hangul among their letters are dropped. Unit: share of letters. Source:
    cloze."""
    near_duplicates: Similarity | None = None
    """Drop documents whose sets of five-letter sequences have about this Jaccard similarity, or a higher one, with
    those of an earlier document; null: none. Unit: Jaccard similarity. Source: FineWeb, arXiv:2406.17557 (0.75)."""
    minhash_permutations: Count = 112
    """Hash functions of the estimate: more of them cut sharper and take longer. Unit: functions. Source: FineWeb
    (112)."""

    @model_validator(mode="after")
    def _settings_fit(self) -> CleaningSettings:
        wrong: list[tuple[str, str]] = []
        for place, pattern in enumerate(self.boilerplate_lines):
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                wrong.append((f"boilerplate_lines.{place}", f"{pattern!r} is no regular expression: {error}"))
        if self.decontaminate_against and self.decontaminate == "no":
            message = "decontaminate_against names files, but decontaminate is no: set it to lines or documents"
            wrong.append(("decontaminate", message))
        refuse(wrong)
        return self
