"""Weights in the layout that others read."""
