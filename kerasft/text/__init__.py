"""From raw text to token ids: vocabularies, and BERT's tokenizer in core TensorFlow ops."""
