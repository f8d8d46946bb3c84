"""Decodes picture files to pixels, in core TensorFlow ops."""
