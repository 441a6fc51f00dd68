"""A study's result in one paragraph: which differences are real at its budget, and which are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloze.study.budget import Budget
from cloze.study.comparisons import Comparison, Scope
from cloze.study.tables import amount, fixed, is_crossed, p_value
from cloze.study.variants import Split

NAMED = 16
"""Differences of a kind are named while they are no more than this; the table has all."""
NOT_EQUAL = "That is not evidence that they are equal: more seeds would show smaller differences."


def in_words(
    comparisons: Sequence[Comparison],
    scope: Scope,
    budget: Budget,
    losses: Sequence[Comparison] = (),
    split: Split = "test",
) -> str:
    """The paragraph, first of scores, then of validation losses. It never says that two variants are equal: a test
    can't show that."""
    if not comparisons and not losses:
        return "Nothing was compared: there is one variant, or no task."
    parts: list[str] = []
    for prefix, kind in (("", comparisons), ("Losses of validation: ", losses)):
        if found := [one for one in kind if one.p is not None]:
            first, *more = _tested(found, kind[0])
            parts += [prefix + first, *more]
            if not all(one.real for one in found) and NOT_EQUAL not in parts:
                parts.append(NOT_EQUAL)
        parts += _untested(kind) if kind else ()
    tested = [one for one in (*comparisons, *losses) if one.p is not None]
    if tested and scope == "fine-tuning seeds":
        parts.append(
            "Each variant was pretrained once, so none of this says what another seed of pretraining would give."
        )
    if tested and budget.words:
        parts.append(f"All of it is for {budget.words} of pretraining; with more the order may be another.")
    if comparisons and split == "development":
        parts.append("Scores are of development sets, in the epoch that these chose, which flatters them.")
    return " ".join(parts)


def _tested(tested: Sequence[Comparison], first: Comparison) -> Iterator[str]:
    """Which differences are real, and which are not."""
    real = [one for one in tested if one.real]
    rest = [one for one in tested if not one.real]
    if len(real) > NAMED:
        largest = sorted(real, key=lambda one: -abs(one.difference.mean if one.difference else 0.0))[: NAMED // 2]
        yield f"{len(real)} of {len(tested)} differences are larger than chance explains, the largest of them:"
        yield "; ".join(map(_real, largest)) + "."
    elif real:
        yield "; ".join(map(_real, real)) + "."
    else:
        yield f"No difference{'' if is_crossed(tested) else f' from {first.base}'} is distinguishable from chance."
    if real and rest:
        named = f": {_listed(rest)}" if len(rest) <= NAMED else ""
        are = "is" if len(rest) == 1 else "are"
        yield f"The other {len(rest)} of {len(tested)} differences {are} not distinguishable from chance{named}."


def _untested(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What could not be tested, or rests on fewer seeds, and why."""
    absent = [one for one in comparisons if one.difference is None]
    paired = [one for one in comparisons if one.difference]
    counts = [one.difference.pairs for one in paired if one.difference]
    alone = [one for one, count in zip(paired, counts, strict=True) if count < 2]
    level = [one for one in paired if one.p is None and one not in alone]
    if len(alone) == len(comparisons):
        against = "" if is_crossed(comparisons) else f" against {comparisons[0].base}"
        yield f"Nothing was tested{against}: a test needs two seeds or more on both sides."
    elif alone:
        yield f"Not tested, with one pair of seeds: {_listed(alone)}."
    if level:
        yield f"Not tested, since all pairs of seeds differ by the same amount: {_listed(level)}."
    if absent:
        reasons = "; ".join(dict.fromkeys(one.why_not for one in absent))
        yield f"{len(absent)} of {len(comparisons)} comparisons could not be made: {reasons}."
    if counts and min(counts) < max(counts):
        yield f"Not all rest on the same seeds: they have {min(counts)} to {max(counts)} pairs."


def _real(one: Comparison) -> str:
    assert one.difference is not None
    side = "above" if one.difference.mean > 0 else "below"
    size, p = f"{amount(one).lstrip('+-')} {one.unit}", p_value(one.p, "= ")
    task = f"{'in' if one.unit == 'nats' else 'on'} {one.task}"
    if not one.others:
        return f"{one.variant} is {size} {side} {one.base} {task} (p {p})"
    return f"{one.value} is {size} {side} {one.base_value} {task} with {fixed(one)} (p {p})"


def _listed(rest: Sequence[Comparison]) -> str:
    """The compared, gathered by what they have in common."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in rest:
        groups.setdefault((one.base_value if one.others else "", one.task, fixed(one)), []).append(one.value)
    return "; ".join(
        f"{_joined(values)}{f' against {base}' if base else ''} on {task}{f' with {others}' if others else ''}"
        for (base, task, others), values in groups.items()
    )


def _joined(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
