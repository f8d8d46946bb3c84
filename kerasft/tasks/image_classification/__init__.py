"""One label, or any number of them, for a picture."""
