"""Integers to batches: plans of rows, masks and flat batches, each a pure function of (seed, copy, row)."""
