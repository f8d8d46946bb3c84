"""Finds copies among pictures."""
