"""The command line: help, wrong input, exit codes. Whole runs are in end_to_end."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cloze.pipeline
from cloze.cli import main, parse_overrides
from cloze.errors import ClozeError

REPOSITORY = Path(__file__).resolve().parents[1]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code if isinstance(caught.value.code, int) else -1


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, cloze, cloze.cli, cloze.recipe_file, cloze.pipeline\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib', 'scipy', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "command",
    ["", "run", "recipe", "recipe show", "sample", "inspect", "predict", "fill", "evaluate", "report", "version"],
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*command.split(), "--help") == 0
    assert f"Usage: cloze {command}".strip() in capsys.readouterr().out


def test_overrides_in_both_spellings() -> None:
    assert parse_overrides(["--a.b", "1", "--c=x=y", "--d", "-3"]) == {"a.b": "1", "c": "x=y", "d": "-3"}


@pytest.mark.parametrize(
    "tokens", [["--a"], ["--a", "--b"], ["a"], ["--a", "1", "2"], ["--a", "1", "--a", "2"], ["--"]]
)
def test_overrides_that_make_no_sense(tokens: list[str]) -> None:
    with pytest.raises(ClozeError, match=r"expected|twice"):
        parse_overrides(tokens)


BAD = "name: five\nmodle: {}\nseed: x\nmodel: {heads: 5}\ntraining: {steps: -1}\nmasking: {target_frac: 2}\n"


@pytest.mark.parametrize(
    ("arguments", "content", "messages"),
    [
        (
            ["run", "R"],
            BAD,
            ["5 problems", ":2: modle", ":3: seed", ":4: model.heads", ":5: training.steps", ":6: masking.target_frac"],
        ),
        (["run", "R", "--training.stepz", "3"], "name: a", ["--training.stepz: no such setting"]),
        (["run", "R", "--training.steps"], "name: a", ["--training.steps has no value"]),
        (["run", "R.gone"], "name: a", ["R.gone does not exist. Did you mean"]),
        (["run", "."], "", [". is a folder, expected a recipe file"]),
        (["recipe", "show", "R"], "a: [", ["not YAML"]),
        (["inspect", "R", "--step", "0"], "name: a", ["--step and --rows count from 1"]),
        (["inspect", "R", "--step", "x"], "name: a", ["--step"]),
        (["run", "R"], "name: a", ["corpus.sources is empty"]),
        (["run", "R"], "name: a\ncorpus: {sources: [gone.txt]}", ["corpus.sources.0: data/gone.txt"]),
        (["run", "--seed", "2", "R"], "", ["Unknown option: --seed. Settings of a recipe stand after its"]),
        (["rum"], "", ['Unknown command "rum". Did you mean "run"?']),
        (["run"], "", ["requires an argument"]),
        (["fill", "R", "x", "--top", "0"], "", ["--top must be at least 1"]),
        (["predict", ".", "gone.txt"], "", ["gone.txt cannot be read: No such file"]),
        (["recipe", "list", "R"], "", ["is no folder"]),
        (["report", "gone"], "", ["gone is not a folder"]),
    ],
)
def test_wrong_input_is_one_message_and_status_2(
    arguments: list[str],
    content: str,
    messages: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(content, encoding="utf-8")
    assert call(*(word.replace("R", "r.yaml") for word in arguments)) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert "Traceback" not in error
    for message in messages:
        assert message.replace("R", "r.yaml") in error


def test_lines_that_are_not_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_bytes("좋다\n".encode() + b"\xb0\xa1")
    assert call("predict", str(tmp_path), str(tmp_path / "x")) == 2
    assert "x, line 2: byte 0xb0 is not UTF-8" in capsys.readouterr().err


class Saved(ClozeError):
    """As training raises after a signal."""

    exit_code = 143


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted. Finished stages are kept"),
        (Saved("saved at step 7"), 143, "error: saved at step 7"),
        (ClozeError("the disk is full"), 2, "error: the disk is full"),
    ],
)
def test_how_a_run_that_ends_early_tells_it(
    failure: BaseException,
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(cloze.pipeline, "run", fail)
    (tmp_path / "r.yaml").write_text("name: a", encoding="utf-8")
    assert call("run", str(tmp_path / "r.yaml")) == status
    assert capsys.readouterr().err.startswith(message)


def test_a_defect_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cloze.pipeline, "run", fail)
    (tmp_path / "r.yaml").write_text("name: a", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        main(["run", str(tmp_path / "r.yaml")])


def test_recipe_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipe", "list", str(REPOSITORY / "recipes")) == 0
    assert "study-bert.yaml\n    The Korean BERT" in capsys.readouterr().out
    assert call("recipe", "show", str(REPOSITORY / "recipes" / "nsmc.yaml"), "--seed", "7") == 0
    assert "\nseed: 7 " in capsys.readouterr().out
    assert call("recipe", "schema", str(tmp_path / "s.json")) == 0
    assert (tmp_path / "s.json").read_bytes() == (REPOSITORY / "recipes" / "schema.json").read_bytes()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    script = f'"{sys.executable}" -m cloze recipe show recipes/nsmc.yaml | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_study_is_not_started_by_torchrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its processes would each take another cell, and add the gradients of all."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert call("study", str(REPOSITORY / "studies" / "family.yaml")) == 2
    assert "Start it without torchrun" in " ".join(capsys.readouterr().err.split())


def test_several_seeds_stand_behind_one_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[dict[str, Any]] = []

    def noted(*_: Any, settings: dict[str, Any], **others: Any) -> None:
        given.append(settings)
        raise ClozeError("enough")

    monkeypatch.setattr("cloze.finetune.finetune_file", noted)
    assert call("finetune", "m", "--data", "a.csv", "--seeds", "1", "2", "--seeds", "5", "--epochs", "1") == 2
    assert given[0]["seeds"] == [1, 2, 5] and given[0]["epochs"] == 1.0
    assert "enough" in capsys.readouterr().err


def test_predict_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        task = "classification"
        pairs = None

        def predict(self, texts: list[str]) -> list[SimpleNamespace]:
            return [
                SimpleNamespace(label=str(len(text)), probability=0.75, probabilities={"1": 0.75}) for text in texts
            ]

    monkeypatch.setattr("cloze.predict.load", lambda folder: Model())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("좋다\r\n\n나쁘다".encode())))
    assert call("predict", "m") == 0
    assert capsys.readouterr().out == "2\t0.7500\t좋다\n0\t0.7500\t\n3\t0.7500\t나쁘다\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("좋다\n".encode())))
    assert call("predict", "m", "--json") == 0
    assert capsys.readouterr().out == '{"text": "좋다", "label": "2", "probabilities": {"1": 0.75}}\n'


def test_a_warning_of_ours_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Path) -> SimpleNamespace:
        def fill(*_: object) -> list[object]:
            # As LoadedModel warns: in the name of whoever called `fill`.
            warnings.warn("1 of 1 texts had more than 8 tokens; their ends were cut off", stacklevel=2)
            warnings.warn_explicit("old", DeprecationWarning, "library.py", 3)
            return []

        return SimpleNamespace(fill=fill)

    monkeypatch.setattr("cloze.predict.load", load)
    with warnings.catch_warnings(), pytest.raises(SystemExit):
        warnings.simplefilter("always")
        main(["fill", "model", "a [MASK]"])
    assert capsys.readouterr().err.splitlines() == [
        "warning: 1 of 1 texts had more than 8 tokens; their ends were cut off",
        "library.py:3: DeprecationWarning: old",
    ]
