"""Copies among pictures."""
