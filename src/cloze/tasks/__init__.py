"""Fine-tuning: a pretrained encoder and labelled text become a classifier and its scores."""
