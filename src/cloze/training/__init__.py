"""Sums of losses to weights: a step, its schedule, its ranks, and checkpoints that a killed run goes on from."""
