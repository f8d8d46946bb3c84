"""Prepares a dataset from the user's files: reads, checks, splits, and writes it atomically."""
