"""A study's result in one paragraph: which differences are real at its budget, and which are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloze.study.budget import Budget
from cloze.study.comparisons import Comparison, Scope
from cloze.study.tables import amount, fixed, is_crossed, p_value, sides
from cloze.study.variants import Split

NAMED = 16
"""Real differences are named while they are no more than this; the table has all."""
REST_NAMED = 6
"""The same of the others."""
NOT_EQUAL = "That is not evidence that they are equal: more seeds would show smaller differences."


def in_words(
    comparisons: Sequence[Comparison],
    scope: Scope,
    budget: Budget,
    losses: Sequence[Comparison] = (),
    split: Split = "test",
    together: Sequence[Comparison] = (),
) -> str:
    """The paragraph: of scores, of these over other axes `together`, of validation losses. It never says that two
    variants are equal: a test can't show that."""
    if not comparisons and not losses:
        return "Nothing was compared: there is one variant, or no task."
    parts: list[str] = []
    several = "axis" if all(len(one.over) == 1 for one in together) else "axes"
    kinds = (("", comparisons), (f"Over the other {several} together: ", together), ("Losses of validation: ", losses))
    for prefix, kind in kinds:
        if found := [one for one in kind if one.p is not None]:
            first, *more = _tested(found, kind[0])
            parts += [prefix + first, *more]
            if not all(one.real for one in found) and NOT_EQUAL not in parts:
                parts.append(NOT_EQUAL)
        # What is missing from those together is missing from their parts, which say it.
        parts += _level(kind) if kind is together else _untested(kind) if kind else ()
    tested = [one for one in (*comparisons, *together, *losses) if one.p is not None]
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
        yield _real(largest, tested)
    elif real:
        yield _real(real, tested)
    else:
        yield f"No difference{'' if is_crossed(tested) else f' from {first.base}'} is distinguishable from chance."
    if real and rest:
        named = f": {_listed(rest, tested)}" if len(rest) <= REST_NAMED else ""
        are = "is" if len(rest) == 1 else "are"
        yield f"The other {len(rest)} of {len(tested)} differences {are} not distinguishable from chance{named}."


def _untested(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What could not be tested, or rests on fewer seeds, and why."""
    absent = [one for one in comparisons if one.difference is None]
    paired = [one for one in comparisons if one.difference]
    counts = [one.difference.pairs for one in paired if one.difference]
    alone = [one for one, count in zip(paired, counts, strict=True) if count < 2]
    if len(alone) == len(comparisons):
        against = "" if is_crossed(comparisons) else f" against {comparisons[0].base}"
        yield f"Nothing was tested{against}: a test needs two seeds or more on both sides."
    elif alone:
        yield f"Not tested, with one pair of seeds: {_listed(alone, comparisons)}."
    yield from _level(comparisons)
    if absent:
        reasons = "; ".join(dict.fromkeys(one.why_not for one in absent))
        yield f"{len(absent)} of {len(comparisons)} comparisons could not be made: {reasons}."
    if counts and min(counts) < max(counts):
        yield f"Not all rest on the same seeds: they have {min(counts)} to {max(counts)} pairs."


def _level(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What could not be tested because it is everywhere the same."""
    level = [one for one in comparisons if one.p is None and one.difference and one.difference.pairs > 1]
    if level:
        yield f"Not tested, since all pairs of seeds differ by the same amount: {_listed(level, comparisons)}."


def _real(comparisons: Sequence[Comparison], among: Sequence[Comparison]) -> str:
    """Differences, each with its size; of one value from one base on one task, in one sentence."""
    groups: dict[tuple[str, str, str, bool], list[Comparison]] = {}
    for one in comparisons:
        above = one.difference is not None and one.difference.mean > 0
        groups.setdefault((*sides(one, among), one.task, above), []).append(one)
    return "; ".join(_of_one_kind(*kind, group) for kind, group in groups.items()) + "."


def _of_one_kind(ours: str, base: str, task: str, above: bool, group: Sequence[Comparison]) -> str:
    """Differences of one value from one base on one task and to one side."""
    side = f"{'above' if above else 'below'} {base} {'in' if group[0].unit == 'nats' else 'on'} {task}"
    sizes = [amount(one).lstrip("+-") for one in group]
    sizes[0] += f" {group[0].unit}"
    where = [f"{_with(fixed(one))} (p {p_value(one.p, '= ')})" for one in group]
    if len(group) == 1:
        return f"{ours} is {sizes[0]} {side}{where[0]}"
    return f"{ours} is {side}, by {_joined([size + at for size, at in zip(sizes, where, strict=True)])}"


def _listed(rest: Sequence[Comparison], among: Sequence[Comparison]) -> str:
    """The compared, gathered by what they have in common."""
    values: dict[tuple[str, str, str], list[str]] = {}
    for one in rest:
        ours, base = sides(one, among)
        values.setdefault((base if is_crossed([one]) else "", one.task, fixed(one)), []).append(ours)
    alike: dict[tuple[str, str, str], list[str]] = {}
    for (base, task, others), names in values.items():
        alike.setdefault((base, task, _joined(names)), []).append(others)
    return "; ".join(
        f"{names}{f' against {base}' if base else ''} on {task}{_with(_joined(others, 'or'))}"
        for (base, task, names), others in alike.items()
    )


def _with(others: str) -> str:
    return f" with {others}" if others else ""


def _joined(names: Sequence[str], word: str = "and") -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
