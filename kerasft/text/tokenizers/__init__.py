"""Tokenizers in core TensorFlow ops."""
