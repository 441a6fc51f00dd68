"""Text to integers: train a tokenizer, judge it, and put the corpus on disk as token ids."""
