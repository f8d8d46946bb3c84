"""Entities in a text: people, places, parts of speech."""
