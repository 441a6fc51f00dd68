"""What stands further on is found where a plain search finds it, in one search for each stretch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.namumark_lookahead import Lookahead

MARKUP = "[가(나 [[다(라)]])] 마\n\n[바(사)] </math>"


class Counted(str):
    """A text that counts the characters which are searched."""

    searched = 0

    def find(self, sign: str, start: int = 0) -> int:  # type: ignore[override]
        found = super().find(sign, start)
        self.searched += (len(self) if found < 0 else found + len(sign)) - start
        return found


@given(st.text("a]\n", max_size=40), st.sampled_from(["]", "\n\n", ")]"]), st.data())
def test_it_finds_what_a_plain_search_finds(markup: str, sign: str, data: st.DataObject) -> None:
    ahead = Lookahead(markup)
    for place in sorted(data.draw(st.lists(st.integers(0, len(markup))))):
        found = markup.find(sign, place)
        assert ahead.find(sign, place) == (found if found >= 0 else len(markup))


def test_no_stretch_is_searched_twice() -> None:
    markup = Counted("a" * 1_000 + "]" + "a" * 1_000)
    ahead = Lookahead(markup)
    for place in range(len(markup)):
        ahead.find("]", place)
    assert markup.searched == len(markup)


def test_an_argument_ends_with_its_own_bracket_and_in_its_paragraph() -> None:
    def argument(markup: str) -> str | None:
        place = markup.index("(") + 1
        end = Lookahead(markup).end_of_argument(0, place)
        return None if end is None else markup[place:end]

    assert argument(MARKUP) == "나 [[다(라)]]"
    assert argument("[가(나)] [다(라)]") == "나"
    assert argument("[가(나 [다)] 라") == "나 [다", "a bracket that never closes is text"
    assert argument("[가(나\n\n다)]") is None
    assert argument("[가(나") is None


def test_only_what_stands_in_the_paragraph_counts() -> None:
    ahead = Lookahead(MARKUP)
    assert ahead.in_paragraph("</math>", 0) is None
    assert ahead.in_paragraph("</math>", MARKUP.index("바")) == MARKUP.index("</math>")


def test_braces_are_paired_from_within() -> None:
    assert Lookahead("{{{ {{{가}}} 나 }}} {{{").braces == {4: 8, 0: 14}
