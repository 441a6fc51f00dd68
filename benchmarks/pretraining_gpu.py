"""BERT-base on one GPU in bfloat16 against transformers' Trainer (bfloat16, sdpa, torch.compile), lengths 128 and 512.

python benchmarks/pretraining_gpu.py --write
"""

from __future__ import annotations

from pretraining import Shape, main

SHAPES = [
    Shape(layers=12, heads=12, width=768, length=128, batch_rows=512, steps=40),
    Shape(layers=12, heads=12, width=768, length=512, batch_rows=128, steps=40),
]

if __name__ == "__main__":
    main("pretraining_gpu", SHAPES, "cuda", ["bfloat16"], ("transformers", "accelerate"))
