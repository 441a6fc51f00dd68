"""cloze: raw text to a pretrained and fine-tuned encoder."""
