"""Studies: one question, asked by many runs that differ in one thing at a time."""
