"""How far each family, at the size of its paper, is from transformers: two columns of the README's table of families.

python benchmarks/parity.py --write
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from common import Table, command, write_result

if TYPE_CHECKING:
    from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))  # the test's own measure: tests/parity/full_size.py


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    arguments = parser.parse_args()
    table = measure()
    print(table)
    if arguments.write:
        notes = (
            "The largest difference from transformers in float32, in the hidden states of all layers and the logits of "
            "all heads, on rows of 200 and 61 tokens; random weights, sizes of recipes/FAMILY-base.yaml with a small "
            "vocabulary. Each is a test, too, below 1e-5 (tests/parity/test_full_size.py). Parameters: those of the "
            "recipe, with every head that pretraining trains."
        )
        print(write_result("parity", table, command(), packages=("torch", "transformers"), notes=notes))


def measure() -> Table:
    """A row for each family."""
    from cloze.models import build
    from cloze.recipe_file import read_recipe
    from tests.parity.conftest import make_tokenizer
    from tests.parity.full_size import CLASSES, RECIPES, differences

    table = Table(("family", "parameters", "largest difference", "of each part"))
    for family in CLASSES:
        with tempfile.TemporaryDirectory() as folder:
            _, apart = differences(family, Path(folder), make_tokenizer())
        recipe = read_recipe(RECIPES / f"{family}-base.yaml")
        size, length, pairs = recipe.tokenizer.vocabulary_size, recipe.inputs.length, family in ("bert", "albert")
        model = build(recipe.model, vocabulary_size=size, length=length, pad_id=0, pairs=pairs, seed=1)
        parameters = sum(parameter.numel() for parameter in cast("nn.Module", model).parameters())
        parts = "; ".join(f"{name} {value:.1e}" for name, value in apart.items())
        table.rows.append((family, f"{parameters:,}", f"{max(apart.values()):.1e}", parts))
    return table


if __name__ == "__main__":
    main()
