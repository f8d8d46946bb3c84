"""Small data written for this project."""
