"""Exports: from raw inputs to answers."""
