"""cloze inside a script of the user's, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path

from cloze.pipeline import make_store
from cloze.progress import Silent
from cloze.recipe import Recipe
from cloze.stages import plan_stages

recipe = Recipe.model_validate({
    "name": "r", "data": Path(sys.argv[1]), "output": Path(sys.argv[1]) / "runs", "store": {"processes": 2},
    "corpus": {"sources": ["corpus.txt"]}, "tokenizer": {"vocabulary_size": 64, "min_frequency": 1},
})
make_store(recipe, plan_stages(recipe), Silent())
"""


def test_a_script_without_a_main_guard_is_told_so_and_does_not_hang(tmp_path: Path) -> None:
    """Workers import the script, which runs cloze again: that must end, not wait for the stage its parent is making."""
    text = "".join(f"number {i} and number {i * 7_919 % 9_973}\n\n" for i in range(3_000))
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "script.py", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert 'under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
