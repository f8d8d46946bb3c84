"""Weights files: only numbers are read from them, and no code is run."""
