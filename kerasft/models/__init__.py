"""Builds a keras.Model from a preset's name."""
