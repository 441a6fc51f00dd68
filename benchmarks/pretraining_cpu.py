"""Pretraining on a CPU against transformers' Trainer: the study's shape, 4 x 256 and 12 x 768.

python benchmarks/pretraining_cpu.py --write
"""

from __future__ import annotations

from pretraining import Shape, main

SHAPES = [
    Shape(layers=4, heads=4, width=64, length=256, batch_rows=32, steps=12),
    Shape(layers=4, heads=4, width=256, length=256, batch_rows=32, steps=5),
    Shape(layers=12, heads=12, width=768, length=256, batch_rows=4, steps=3),
]

if __name__ == "__main__":
    main("pretraining_cpu", SHAPES, "cpu", ["float32", "bfloat16"], ("transformers", "accelerate"))
