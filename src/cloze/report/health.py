"""Whether pretraining went well in ways that its losses do not show: ELECTRA's figures, and alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloze.report.cells import Table
from cloze.report.run import Json, RunData, number
from cloze.report.wording import FIGURES, percent, whole
from cloze.training.alarms import raised


def health_table(run: RunData) -> Table | None:
    """Health figures, from the last validation and the last logged training steps; None for a family without any."""
    lines = [lines[-1] if lines else {} for lines in (run.validation, run.train)]
    rows = [
        (f"{title}, % of {of}", *(percent(number(line.get(key))) for line in lines))
        for key, (title, of) in FIGURES.items()
        if any(number(line.get(key)) is not None for line in lines)
    ]
    note = "A dash: nothing could be counted, as for precision when no token is called replaced."
    return Table("Health of pretraining", ("", "Validation", "Training"), rows, note) if rows else None


def alarm_texts(run: RunData) -> list[str]:
    """A sentence for the first time of each alarm; says so if the last train line does not raise it any more."""
    last = run.train[-1] if run.train else {}
    still = raised(_numbers(last), step=math.inf, warmup_steps=0)
    texts: dict[str, str] = {}
    for line in run.alarms:
        name, step = str(line.get("name")), whole(number(line.get("step")))
        over = "" if name in still else " It was over at the last logged step."
        texts.setdefault(name, f"At step {step}, {line.get('text')}.{over}")
    return list(texts.values())


def notes_of(runs: Sequence[RunData]) -> list[tuple[str, str]]:
    """What runs say to their readers, such as that the text is synthetic; each once. Kind and text of each notice."""
    return [("Note", note) for note in dict.fromkeys(note for run in runs for note in run.notes)]


def troubles_of(runs: Sequence[RunData]) -> list[tuple[str, str]]:
    """Alarms of runs, and their files that can't be read: kind and text of each notice."""
    found: list[tuple[str, str]] = []
    for run in runs:
        found += [("Alarm", f"{run.name}: {text}") for text in alarm_texts(run)]
        found += [("Not readable", text) for text in run.problems]
    return found


def _numbers(line: Json) -> dict[str, float]:
    return {key: value for key in line if (value := number(line[key])) is not None}
