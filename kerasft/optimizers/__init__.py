"""Gradient descent of our own, and what goes with it."""
