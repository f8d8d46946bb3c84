"""Rows that hold the same text, or nearly the same."""
