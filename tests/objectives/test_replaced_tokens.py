"""Replaced-token detection: what counts as replaced, and sums that a naive count confirms."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from cloze.inputs.batch import Target
from cloze.objectives.replaced_tokens import FIGURES, replace_tokens, replaced_tokens


def test_a_sample_equal_to_the_original_is_original() -> None:
    ids = torch.tensor([2, 4, 11, 4, 13, 3])  # 4 is [MASK]; 13 is a target that masking kept
    masked = Target(torch.tensor([1, 3, 4]), torch.tensor([10, 12, 13]))
    read, replaced = replace_tokens(ids, masked, torch.tensor([10, 30, 31]))
    assert read.tolist() == [2, 10, 11, 30, 31, 3]
    assert replaced.tolist() == [False, False, False, True, True, False]
    assert ids.tolist() == [2, 4, 11, 4, 13, 3], "the generator's input is left alone"


def test_sums_are_those_of_every_token() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, -3.0, 0.0, 1.0], requires_grad=True)
    replaced = torch.tensor([True, True, False, False, True, False])
    sums = replaced_tokens(logits, replaced)
    truth = sum(-F.logsigmoid(x if y else -x) for x, y in zip(logits, replaced, strict=True))
    torch.testing.assert_close(sums.loss, truth)
    assert (sums.count, int(sums.correct)) == (6, 2)
    found = {name: (int(part), int(whole)) for name, (part, whole) in sums.figures.items()}
    assert found == {"fake_frac": (3, 6), "precision": (1, 3), "recall": (1, 3)}
    assert tuple(found) == FIGURES
    assert not any(part.requires_grad for pair in sums.figures.values() for part in pair)


def test_half_precision_is_judged_in_float32() -> None:
    logits = torch.full((70_000,), -6.0, dtype=torch.bfloat16, requires_grad=True)
    sums = replaced_tokens(logits, torch.zeros(70_000, dtype=torch.bool))
    assert sums.loss.dtype == torch.float32
    torch.testing.assert_close(sums.loss.item(), 70_000 * 2.4756851e-3, rtol=1e-3, atol=0)
