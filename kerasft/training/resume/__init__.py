"""Checkpoints, and how a training goes on from one to the bit."""
