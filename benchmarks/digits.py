"""GELU, ReLU or ELU, and does a norm speed up learning? Deep networks of plain layers on scikit-learn's digits.

    python benchmarks/digits.py [--write]

The experiment that the Korean study quotes (Hendrycks and Gimpel 2016, arXiv:1606.08415, 3.1: 8 layers of 128, batches
of 128, MNIST) in small: 1,797 images of 8 x 8, a third of them held out. Every variant has the same seeds, which give
the weights and the order of the images. `--write` keeps the table as studies/results/digits.md.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from common import RESULTS, Table, command, write_result
from numpy.typing import NDArray
from torch import Tensor, nn

from cloze.study.statistics import Difference, difference, estimate, holm

LAYERS, WIDTH, BATCH_ROWS, EPOCHS, LEARNING_RATE = 8, 128, 128, 60, 1e-3
RATES = (1e-3, 3e-3, 1e-2)
"""Tried with each norm: what a norm is said to give is that larger steps do no harm."""
LEARNED_LOSS = 0.1
"""Nats: a network whose training loss over an epoch is below this has learned the task."""
ACTIVATIONS = {"GELU": nn.GELU, "ReLU": nn.ReLU, "ELU": nn.ELU}
NORMS = {"none": nn.Identity, "LayerNorm": nn.LayerNorm, "RMSNorm": nn.RMSNorm, "BatchNorm": nn.BatchNorm1d}

Images = tuple[Tensor, Tensor, Tensor, Tensor]
"""Training images and labels, held-out images and labels."""


def digits() -> Images:
    """Pixels with mean 0 and deviation 1 over the training images; the split is the same for all."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, labels, test_size=1 / 3, random_state=0, stratify=labels)
    x, held_x, y, held_y = (torch.as_tensor(part) for part in split)
    mean, deviation = x.mean(), x.std()
    return ((x - mean) / deviation).float(), y, ((held_x - mean) / deviation).float(), held_y


def network(activation: str, norm: str, seed: int) -> nn.Sequential:
    """8 layers of 128, the norm before the activation, and a linear layer to ten classes."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = []
    for place in range(LAYERS):
        linear = nn.Linear(64 if place == 0 else WIDTH, WIDTH)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        parts += [linear, NORMS[norm](*() if norm == "none" else (WIDTH,)), ACTIVATIONS[activation]()]
    return nn.Sequential(*parts, nn.Linear(WIDTH, 10))


def train(
    activation: str, norm: str, seed: int, images: Images, rate: float = LEARNING_RATE
) -> tuple[float, float, int]:
    """Error on the held-out images, training loss of the first epoch in nats, and epochs until it is learned."""
    x, y, held_x, held_y = images
    model = network(activation, norm, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for _ in range(EPOCHS):
        order, total = torch.randperm(len(x), generator=generator), 0.0
        for start in range(0, len(order), BATCH_ROWS):
            rows = order[start : start + BATCH_ROWS]
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / len(x))
    with torch.inference_mode():
        error = float((model.eval()(held_x).argmax(1) != held_y).float().mean())
    learned = next((epoch for epoch, loss in enumerate(losses, start=1) if loss < LEARNED_LOSS), EPOCHS)
    return error, losses[0], learned


def measure(seeds: int) -> dict[tuple[str, str], NDArray[np.float64]]:
    """(activation, norm) -> float64 [seeds, 3]: what `train` gives."""
    images = digits()
    return {
        (activation, norm): np.array([train(activation, norm, seed, images) for seed in range(seeds)])
        for norm in NORMS
        for activation in ACTIVATIONS
    }


def table(found: dict[tuple[str, str], NDArray[np.float64]]) -> Table:
    """A row a variant, tested against its neighbour: activations against GELU, norms of GELU against none."""
    tests: dict[str, Difference] = {}
    for (activation, norm), values in found.items():
        if activation != "GELU":
            tests[f"{activation} {norm}"] = difference(values[:, 0].tolist(), found["GELU", norm][:, 0].tolist())
        elif norm != "none":
            tests[f"{activation} {norm}"] = difference(values[:, 2].tolist(), found["GELU", "none"][:, 2].tolist())
    corrected = holm({name: test.p for name, test in tests.items() if test.p is not None})
    result = Table(["norm, activation", "error, %", "first epoch, nats", "epochs to learn", "difference", "p"])
    for (activation, norm), values in found.items():
        error, first, learned = (estimate(column.tolist()) for column in values.T)
        name = f"{activation} {norm}"
        apart = tests.get(name)
        unit, scale = ("epochs", 1) if activation == "GELU" else ("points", 100)
        result.rows.append(
            [
                f"{norm}, {activation}",
                f"{error.mean * 100:.2f} [{(error.low or 0) * 100:.2f}, {(error.high or 0) * 100:.2f}]",
                f"{first.mean:.2f}",
                f"{learned.mean:.1f}",
                "" if apart is None else f"{apart.mean * scale:+.2f} {unit}",
                "" if apart is None else _p(corrected.get(name, math.nan)),
            ]
        )
    return result


def rates_table(seeds: int) -> Table:
    """Epochs until a network with GELU has learned, by norm and rate, and how many seeds never did."""
    images = digits()
    result = Table(["norm", *(f"rate {rate:g}" for rate in RATES)])
    for norm in NORMS:
        cells = []
        for rate in RATES:
            epochs = [train("GELU", norm, seed, images, rate)[2] for seed in range(seeds)]
            never = sum(epoch == EPOCHS for epoch in epochs)
            cells.append(f"{np.mean(epochs):.1f}" + (f" ({never} of {seeds} never)" if never else ""))
        result.rows.append([norm, *cells])
    return result


def _p(p: float) -> str:
    """Three places; what would round to nothing is said to be below the smallest shown."""
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def main() -> None:
    """Print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rates", action="store_true", help="norms by learning rate, in place of activations by norm")
    parser.add_argument("--write", action="store_true", help="keep the table in studies/results")
    arguments = parser.parse_args()
    seeds = f"{arguments.seeds} seeds each. "
    if arguments.rates:
        name, found = "digits-rates", rates_table(arguments.seeds)
        notes = f"{seeds}GELU; mean epochs until the training loss is below {LEARNED_LOSS}, {EPOCHS} at most."
    else:
        name, found = "digits", table(measure(arguments.seeds))
        notes = (
            f"{seeds}Mean and 95% interval (Student's t) of the error on 599 held-out images after {EPOCHS} epochs; "
            f"epochs until the training loss is below {LEARNED_LOSS}. Differences: ReLU and ELU in error from GELU "
            "with the same norm, the norms of GELU in epochs from no norm; paired t-tests over seeds, p corrected for "
            "all of them (Holm)."
        )
    print(found)
    if arguments.write:
        packages, folder = ("torch", "numpy", "scikit-learn"), RESULTS.parents[1] / "studies" / "results"
        print(write_result(name, found, command(), packages=packages, notes=notes, folder=folder))


if __name__ == "__main__":
    main()
