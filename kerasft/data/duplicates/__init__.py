"""Finds rows with the same or nearly the same text."""
