"""The READMEs' commands are run, in order, with settings that make them short.

Blocks with the info string `console` count; their lines that begin with `$ ` and call cloze are commands.
"""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.workplace import REPOSITORY, TINY, Workplace
from tests.pages import fenced

pytestmark = pytest.mark.xdist_group("end_to_end")


def commands(page: Path) -> list[str]:
    """The commands of a page; a backslash at the end of a line joins it to the next."""
    lines = "\n".join(fenced(page, "console")).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if re.match(r"\$ (.*\| )?cloze ", line)]


def shortened(command: str) -> str:
    """`cloze run` and `cloze inspect` with tiny settings in place of, and besides, those given."""
    words = shlex.split(command, comments=True)
    if words[0] != "cloze" or words[1] not in ("run", "inspect"):
        return command
    for key, value in TINY.items():
        flag = f"--{key}"
        if flag in words:
            words[words.index(flag) + 1] = value
        else:
            words += [flag, value]
    return shlex.join(words)


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_commands_of_the_readme_work(workplace: Workplace, name: str) -> None:
    found = commands(REPOSITORY / name)
    assert any(command.startswith("cloze run") for command in found)
    shutil.rmtree(workplace.folder / "exported", ignore_errors=True)  # The other page's: an export replaces nothing.
    for command in found:
        done = workplace.bash(shortened(command))
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    (block,) = fenced(REPOSITORY / name, "python")
    names: dict[str, Any] = {}
    with chdir(workplace.folder):
        exec(compile(block, name, "exec"), names)
    assert names["model"].predict(["가"])[0].label in names["model"].classes
    assert names["encoder"].encode(["가", "나"]).shape == (2, int(TINY["model.width"]))


def test_commands_are_found_and_shortened(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ cloze run r.yaml --training.steps 9 \\\n    --seed 2  # why\n0.5 output\n```\n"
        "```\n$ cloze not this\n```\n```console\n$ make run\n$ echo a | cloze predict m\n```\n"
    )
    found = commands(page)
    assert found == ["cloze run r.yaml --training.steps 9      --seed 2  # why", "echo a | cloze predict m"]
    words = shortened(found[0]).split()
    assert words[words.index("--training.steps") + 1] == TINY["training.steps"]
    assert words.count("--training.steps") == 1
    assert "--seed" in words and "#" not in words
    assert shortened(found[1]) == found[1]
