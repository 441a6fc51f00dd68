"""`python -m cloze`, which is what `torchrun -m cloze run RECIPE` starts on every rank."""

from cloze.cli import main

main()
