"""Bits per character of masked text: the loss of masked tokens, made comparable between tokenizers as far as it can be.

A loss in nats a token is an average over tokens, and a token is another amount of text in every vocabulary. So the nats
of all masked tokens are divided by the characters that these stand for (`Tokenizer.characters`).

It is not the likelihood of the text, and a lower number does not yet prove the better tokenizer:

- Masks of 15% of the tokens hide other parts of the text in each tokenizer. With `masking.unit` token one that cuts
  words small is asked easier questions, as the rest of a hidden piece's word can be seen; one of long tokens harder
  ones. With word, what is hidden are the same words for all, as far as they agree on what a word is; pieces of one word
  are then guessed each without the others, which costs the tokenizer that cuts small.
- Each token is guessed by itself, from text on both sides of which a tenth of the targets is not even hidden. The
  product of such guesses is no probability of a text (Salazar et al. 2020, arXiv:1910.14659, section 2.2).
- What has become [UNK] is never asked for.
"""

from __future__ import annotations

import math


def bits_per_character(nats: float, characters: int) -> float:
    """`nats`: summed over masked tokens; `characters`, at least 1: what those stand for together."""
    return nats / math.log(2) / characters
