"""What each step of the corpus dropped and left, and the test texts that stood in it."""

from __future__ import annotations

from cloze.report.cells import Table, as_list, as_object, cell
from cloze.report.run import RunData, dig
from cloze.report.wording import humanised

_UNITS = ("documents", "sentences", "characters")


def funnel_table(run: RunData) -> Table | None:
    """Steps x what they dropped and what was left behind them; a dash for 0, since a step acts on one or two units."""
    steps = [as_object(step) for step in as_list(run.counts("corpus").get("funnel"))]
    rows = [
        (
            humanised(str(step.get("step"))),
            *(cell(unit, dig(step, "dropped", unit) or None) for unit in _UNITS),
            *(cell(unit, dig(step, "left", unit)) for unit in _UNITS),
        )
        for step in steps
    ]
    columns = ("", *(f"{humanised(unit)} dropped" for unit in _UNITS), *(f"{humanised(unit)} left" for unit in _UNITS))
    note = (
        "Sentences are counted once text has been split: what goes before that has characters only. "
        "Text that was changed counts in its new form."
    )
    return Table("From what was read to what is kept", columns, rows, note) if len(rows) > 1 else None


def test_sets_table(run: RunData) -> Table | None:
    """Test sets x the texts that were looked for in the corpus and those found."""
    sets = as_object(run.counts("corpus").get("tests"))
    rows = [(name, cell("", dig(found, "texts")), cell("", dig(found, "found"))) for name, found in sets.items()]
    done = dig(run.recipe, "corpus", "cleaning", "decontaminate")
    note = f"The {done} of the corpus that overlap with them were dropped. " if done else ""
    note += "Texts of less than 20 letters are not looked for."
    return Table("Test texts in the corpus", ("", "Looked for", "Found"), rows, note) if rows else None
