"""Weights files, of which numbers are read and nothing is run."""
