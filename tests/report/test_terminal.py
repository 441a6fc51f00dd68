"""Tables on a terminal: words stay whole, whatever its width."""

from __future__ import annotations

import io

from rich.console import Console

from cloze.report.cells import Table
from cloze.report.terminal import as_rich

TABLE = Table(
    "Six families [ko]",
    ("", *(f"measure {number}" for number in range(12))),
    [(name, *(f"84.5{number} [84.08, 85.01]" for number in range(12))) for name in ("BERT", "ModernBERT")],
    "Intervals of 95%.",
)


def printed(table: Table, width: int) -> list[str]:
    Console(file=(file := io.StringIO()), width=width).print(as_rich(table))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_wide_terminal_gets_a_table() -> None:
    lines = printed(TABLE, 400)
    assert any("measure 0" in line and "measure 11" in line for line in lines)
    assert [line.split()[0] for line in lines if "84.511" in line] == ["BERT", "ModernBERT"]


def test_a_narrow_one_gets_every_row_as_a_list() -> None:
    lines = printed(TABLE, 80)
    assert lines[0] == "Six families [ko]" and lines[-1] == "Intervals of 95%."
    assert lines.count("  measure 11: 84.511 [84.08, 85.01]") == 2
    assert "ModernBERT" in lines


def test_long_text_in_a_cell_goes_on_in_the_next_line() -> None:
    lines = printed(Table("", ("what", "example"), [("dropped", "긴 예문 " * 40)]), 60)
    assert len(lines) > 5 and max(map(len, lines)) <= 60 and sum("dropped" in line for line in lines) == 1
