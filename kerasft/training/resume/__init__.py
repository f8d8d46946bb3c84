"""Checkpoints, and resuming with bit-identical results."""
