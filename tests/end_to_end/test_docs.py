"""The docs' pieces of Python are run as they stand, on a tiny run in place of those that they name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import cloze
from cloze.corpus.counts import Counts
from cloze.recipe import CorpusSettings
from tests.end_to_end.workplace import REPOSITORY, TINY, Workplace
from tests.pages import fenced

pytestmark = pytest.mark.xdist_group("end_to_end")

INSTEAD = {"runs/nsmc/tasks/nsmc": "runs/quickstart/tasks/reviews", "runs/nsmc": "runs/quickstart"}


def pieces(name: str) -> list[str]:
    """The blocks of Python of a page of the docs, but for what is said at a prompt (it has tests of its own)."""
    blocks = [block for block in fenced(REPOSITORY / "docs" / name, "python") if not block.startswith(">>>")]
    for run, tiny in INSTEAD.items():
        blocks = [block.replace(run, tiny) for block in blocks]
    return blocks


def run(block: str, folder: Path, **names: Any) -> dict[str, Any]:
    with chdir(folder):
        exec(compile(block, "docs", "exec"), names)
    return names


@pytest.mark.parametrize("end", ["md", "ko.md"])
def test_the_python_of_the_docs_runs(
    finished: Workplace, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run_short = finished.folder, cloze.run
    documents, _, _ = pieces(f"corpus.{end}")
    run(documents, folder)
    assert len(capsys.readouterr().out.splitlines()) > 1

    predict, elsewhere = pieces(f"finetuning.{end}")
    found = run(predict, folder)
    assert found["vectors"].shape == (1, int(TINY["model.width"]))
    assert len(capsys.readouterr().out.splitlines()) == 2 + 5  # two texts, five guesses
    run(elsewhere, folder)

    def short(recipe: str, overrides: Mapping[str, Any]) -> Path:
        return run_short(recipe, {**overrides, **TINY, "name": f"from-python-{end.split('.')[0]}"})

    monkeypatch.setattr(cloze, "run", short)
    (whole_road,) = pieces(f"recipes.{end}")
    assert (folder / run(whole_road, folder, __name__="__main__")["folder"] / "report.html").is_file()

    (report,) = pieces(f"report.{end}")
    assert (folder / run(report, folder)["path"]).is_file()


@pytest.mark.parametrize("end", ["md", "ko.md"])
def test_the_reader_of_the_docs_reads(tmp_path: Path, end: str) -> None:
    reader, naming = pieces(f"corpus.{end}")[1:]
    assert "SubtitlesReader" in naming
    film = tmp_path / "film.srt"
    film.write_text("1\n00:00:01,000 --> 00:00:02,000\nA door.\n\n2\n00:00:03,000 --> 00:00:04,000\nIt opens.\n")
    counts = Counts()
    # As a module's: its annotations are text, and a piece on its own has no name.
    made = run(reader, tmp_path, __name__="subtitles")["SubtitlesReader"](film, CorpusSettings(sources=[film]))
    (document,) = made.read(counts)
    assert (document.title, document.text) == ("film", "A door. It opens.")
    assert counts.dropped["numbers and times"].characters > 0


def test_the_number_of_the_ideas_is_the_same_in_any_order() -> None:
    import numpy as np

    from cloze.inputs.hashing import uniform

    (line,) = {block.partition("  #")[0] for name in ("ideas.md", "ideas.ko.md") for block in pieces(name)}
    names: dict[str, Any] = {"uniform": uniform, "seed": 1, "copy": 2, "row": 3}
    forwards = eval(line, {**names, "place": np.arange(5)})
    backwards = eval(line, {**names, "place": np.arange(5)[::-1]})
    assert forwards.tolist() == backwards[::-1].tolist() and len(set(forwards.tolist())) == 5
