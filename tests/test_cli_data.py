"""`cloze data` from the command line, with a mirror in place of the network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloze.corpus import catalogue
from cloze.corpus.catalogue import read_catalogue
from tests.corpus.test_fetch import TEST, TOYS, TRAIN
from tests.test_cli import call


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with the toys, which the catalogue knows, and no network."""
    known = {**read_catalogue(), "toys": TOYS}
    monkeypatch.setattr(catalogue, "read_catalogue", lambda: known)
    monkeypatch.setattr(catalogue, "ORIGIN", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mirror" / "toys"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_bytes(TRAIN)
    (folder / "test.txt").write_bytes(TEST)
    return folder.parent


@pytest.mark.parametrize("command", ["data", "data list", "data get"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*command.split(), "--help") == 0
    assert f"Usage: cloze {command}" in capsys.readouterr().out


def test_the_list_fits_a_terminal_and_says_what_is_here(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/toys").mkdir(parents=True)
    Path("data/toys/train.txt").write_bytes(TRAIN)
    assert call("data", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line for line in lines if line.split()}
    assert rows["toys"].split()[-3:] == ["1", "of", "2"]
    assert "CC BY-SA 4.0" in rows["korsts"] and rows["korsts"].split()[-1] == "no"
    assert "by hand" in rows["race"]
    assert "…" not in "".join(lines)


def test_licence_and_citation_are_shown_before_the_first_use(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "get", "toys", "--mirror", str(mirror)) == 0
    out = capsys.readouterr().out
    shown, done = out.split("data/toys: 2 files, 2 fetched, all checked.")
    for said in ("CC BY-SA 4.0, https://example.org/by-sa", "A. Author: Toys. 2020.", "https://example.org/toys"):
        assert said in shown
    assert done == " Licence: CC BY-SA 4.0.\n"
    assert call("data", "get", "toys") == 0
    assert capsys.readouterr().out == "data/toys: 2 files, all here already, and checked. Licence: CC BY-SA 4.0.\n"


def test_the_mirror_may_stand_in_the_environment(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOZE_DATA_MIRROR", str(mirror))
    assert call("data", "get", "toys", "--data", "elsewhere") == 0
    assert Path("elsewhere/toys/train.txt").read_bytes() == TRAIN


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["no data set is named"]),
        (["toy"], ["no data set 'toy'. Did you mean toys?"]),
        (["toys", "korsst"], ["Did you mean korsts"]),
        (["race"], ["by hand", "research only"]),
        (["toys"], ["Tried:", "no connection", "--mirror", "CLOZE_DATA_MIRROR"]),
        (["toys", "--mirror", "gone"], ["The mirror gone is neither"]),
    ],
)
def test_wrong_input_is_one_message(
    mirror: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], messages: list[str]
) -> None:
    assert call("data", "get", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    for message in messages:
        assert message in error
    assert not list(Path().glob("data/*/*.txt"))


def test_an_interrupt_says_that_what_arrived_is_kept(
    mirror: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cloze.corpus.fetch.fetch", interrupt)
    assert call("data", "get", "toys") == 130
    assert "error: interrupted. What arrived is kept: run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "said"), [([], ""), (["--data", "d"], " --data d")])
def test_a_file_of_a_recipe_that_the_catalogue_knows(
    mirror: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    recipe = {
        "name": "a",
        "corpus": {"sources": ["hate-speech-unlabelled", "mine.txt"]},
        "tasks": [{"name": "n", "train": "nsmc/ratings_train.txt", "test": "nsmc/ratings_test.txt"}],
    }
    Path("r.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    assert call("run", "r.yaml", *flags) == 2
    error = capsys.readouterr().err
    assert f"\n`cloze data get hate-speech-unlabelled{said}` fetches hate-speech-unlabelled.\n" in error
    assert error.count(f"`cloze data get nsmc{said}`") == 1
    assert error.count("cloze data get") == 2
