"""From the user's files to a prepared dataset: read, checked, cut, and written whole or not at all."""
