"""From a preset's name to a keras.Model."""
