"""From a picture file's bytes to pixels, in core TensorFlow ops."""
