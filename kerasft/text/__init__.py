"""From raw text to token ids: vocabularies, BERT's tokenizer in core TensorFlow ops, its frozen character table."""
