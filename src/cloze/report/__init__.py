"""The page at the end of a run, and the same tables for the terminal."""
